// What a plugin of the search path may do: the rules for its path, its entry in plugins.lock, and
// where its components run. How folders are searched is not known here.
#pragma once

#include <filesystem>
#include <string>

#include "host/core/result.hpp"
#include "host/loader/lock.hpp"
#include "host/loader/registry.hpp"

namespace assay::host {

/// A plugin's file after the rules for its path were checked.
struct FileFacts {
  std::filesystem::path path;  ///< without symbolic links
  std::string sha256;
};

/// Applies the rules that a folder of that source stands under. Those of assay's own folder have
/// none: whoever could write there could replace assay.
///
/// Fails    as open_checked
Result<FileFacts> check_place(const std::filesystem::path& path, FolderSource source);

/// What a plugin may do that was found in a folder of that source. `lock` may be NULL.
Trust trust_of(const FileFacts& file, const assay_plugin& constants, FolderSource source,
               const Lock* lock);

/// Why no run may use a component, as a predicate; "" when one may.
std::string refusal_of(const Component& component);

/// Why it may not run in the host's own process, as a predicate; "" when it may.
std::string host_refusal_of(const Component& component);

/// Does an instance get a process of its own? `is_asked`: the caller wants one.
bool runs_in_worker(const Component& component, bool is_asked);

/// "bundled", "this run", "lock", "none", or "changed" for an entry that fits no more.
std::string_view trust_name(const Trust& trust);

/// Where it runs unless a manifest says otherwise: "worker" or "none".
std::string_view isolation_name(const Component& component);

}  // namespace assay::host
