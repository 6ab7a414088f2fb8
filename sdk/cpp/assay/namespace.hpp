// How the layer keeps to itself: it lives inside each plugin, hidden, so that two versions of it in
// one process never merge. Only that macro is here.
#pragma once

/// Opens the namespace as `namespace ASSAY_HIDDEN assay {`.
#define ASSAY_HIDDEN [[gnu::visibility("hidden")]]
