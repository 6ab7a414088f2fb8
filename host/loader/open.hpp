// Opens one plugin file: what it tells before any of its code runs, the system's loader with a
// guard around it, and the constants. Where files come from and who vouches for them is not known.
#pragma once

#include <assay/abi.h>

#include <filesystem>
#include <string>
#include <vector>

#include "host/core/result.hpp"
#include "host/loader/elf.hpp"
#include "host/loader/registry.hpp"

namespace assay::host {

/// A library in this process; it stays until the process ends.
struct Library {
  const assay_plugin* constants = nullptr;  ///< they keep the contract of abi.h
  ElfFacts facts;
  std::vector<std::string> changes;  ///< what loading it changed of the process; put back
  double load_seconds = 0;
};

/// Everything that can be said of a file without running its code: a plugin for this machine and
/// this ABI, which asks for nothing that no process may give.
///
/// Fails    as read_elf; ASSAY_FAILED_PRECONDITION. The text is a predicate.
Result<ElfFacts> check_file(const std::filesystem::path& path);

/// Why the host's own process must not load a plugin, as a predicate with what to do; "" when it
/// may. A process of the plugin's own takes it.
std::string worker_only_reason(const ElfFacts& facts, const std::vector<std::string>& changes);

/// Opens a file in this process, or gives what opening it before gave.
///
/// Fails    as open_plugin; the text is a predicate
/// Threads  [any-thread]
Result<Library> open_library(const std::filesystem::path& path, Into into);

}  // namespace assay::host
