// The worker's side: opens one plugin and does what the host asks. The other side is remote.cpp.
#pragma once

#include "host/worker/channel.hpp"

namespace assay::host {

/// What a worker exits with when its plugin has closed the line under it.
constexpr int kLineClosed = 71;

/// Serves the line until the host hangs up or is gone; does not return, for a plugin may have
/// left threads behind. Call on the main thread, after bind_to_parent().
[[noreturn]] void serve(WorkerEnd end);

}  // namespace assay::host
