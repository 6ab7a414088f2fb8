// The components the graph tests wire: of each kind enough to make every mistake with. They run
// nothing.
#pragma once

#include <assay/abi.h>

namespace assay::host {

/// acme/int4, acme/rounds, acme/writer; acme/pairs, acme/lines; acme/ppl, acme/accuracy,
/// acme/exact-match, acme/scaled, acme/contains, acme/finds, acme/likelihood; acme/console,
/// acme/page.
const assay_plugin& acme();

/// acme/accuracy-too, which measures "acc" as acme/accuracy does; acme/overlap, which reads what
/// acme/contains does.
const assay_plugin& acme_too();

/// acme/halves, a dataset that names its splits.
const assay_plugin& acme_halves();

}  // namespace assay::host
