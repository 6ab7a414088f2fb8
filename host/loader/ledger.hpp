// The soname ledger: which libraries are mapped under which name, and whether a plugin would
// silently get another's. The system's loader knows names only; two copies of one library do not
// mix in one process.
#pragma once

#include <filesystem>

#include "host/core/result.hpp"
#include "host/loader/elf.hpp"

namespace assay::host {

/// Would each library that a plugin brings along, or that those need in turn, be mapped from its
/// own file? And does it need none that only another plugin brought?
///
/// Fails    ASSAY_FAILED_PRECONDITION a predicate with the soname and both paths
/// Threads  one at a time, with enter_sonames
Result<void> check_sonames(const std::filesystem::path& plugin, const ElfNeeds& needs);

/// Notes what a plugin will bring along that is not mapped yet, just before it is loaded.
void enter_sonames(const std::filesystem::path& plugin, const ElfNeeds& needs);

}  // namespace assay::host
