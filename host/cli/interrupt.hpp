// Ctrl-C: the first asks long work to wind up, the second ends the process.
#pragma once

#include <atomic>

namespace assay::host {

/// Set by the first SIGINT or SIGTERM after catch_interrupts().
const std::atomic<bool>& interrupted();

/// `told` is written to standard error then: what becomes of what was done so far.
void catch_interrupts(const char* told);

}  // namespace assay::host
