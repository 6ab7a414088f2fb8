// Do a plugin's constants keep the contract of abi.h? Reads data only; calls nothing.
#pragma once

#include <assay/abi.h>

#include "host/core/result.hpp"

namespace assay::host {

/// Checks everything the rest of the host relies on, so that it may read the constants blindly.
/// A kind or type it does not know is fine in a plugin of a newer minor, and only there.
///
/// Fails    ASSAY_FAILED_PRECONDITION; the text is a predicate: "was built for ABI 2, ..."
Result<void> check_constants(const assay_plugin& plugin);

/// Is it one of the four kinds of ABI 1.0?
bool is_known(assay_kind kind);

}  // namespace assay::host
