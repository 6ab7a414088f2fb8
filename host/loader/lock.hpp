// The list plugins.lock: which plugins the user allowed, file by file. Reads and writes the list;
// what follows from an entry is decided in trust.hpp.
#pragma once

#include <assay/abi.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/result.hpp"

namespace assay::host {

/// One plugin as it was when the user allowed it.
struct LockEntry {
  std::string id, version;
  std::filesystem::path directory;  ///< absolute, without symbolic links
  std::vector<assay_kind> kinds;    ///< that may run
  bool allows_host = false;         ///< isolation = "none": in the host's process where that helps
  std::string date;                 ///< "2024-06-07", UTC
  std::map<std::string, std::string> files;  ///< SHA-256 of every file below the directory
};

struct Lock {
  std::vector<LockEntry> plugins;

  const LockEntry* find(const std::filesystem::path& directory, std::string_view id) const;
};

/// $XDG_CONFIG_HOME/assay/plugins.lock, or below ~/.config; empty where there is neither.
std::filesystem::path lock_path();

/// Reads the list; a file that is not there is an empty one.
///
/// Fails    ASSAY_INVALID_ARGUMENT not such a list, with the line; ASSAY_FAILED_PRECONDITION others
///          could have written it
Result<Lock> read_lock(const std::filesystem::path& path);

/// The list as TOML text, entries by directory and id.
std::string lock_text(const Lock& lock);

/// Replaces the list in one step; its folder is made where it is missing.
///
/// Fails    ASSAY_UNAVAILABLE it cannot be written
Result<void> write_lock(const std::filesystem::path& path, const Lock& lock);

/// SHA-256 of every file below a folder by its path from there, all of them under the rules of
/// open_checked. Symbolic links are refused.
///
/// Fails    ASSAY_FAILED_PRECONDITION a predicate about the folder
Result<std::map<std::string, std::string>> hash_folder(const std::filesystem::path& folder);

}  // namespace assay::host
