// What a plugin says about itself as a JSON document (schema assay.scan/1), made in one process and
// read in another, and the cache of such documents. Whether a plugin is trusted is not known here.
#pragma once

#include <assay/abi.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"

namespace assay::host {

/// Opens a plugin in this process and describes it: constants, which functions it has, its note and
/// build id, and what loading it changed of the process. A process that scans is good for nothing
/// else afterwards.
///
/// Fails    as open_plugin; the text is a predicate
Result<Json> scan_plugin(const std::filesystem::path& path);

/// One component of a scan.
Json component_json(const assay_component& component);

/// A scan as the host uses it.
struct Scanned {
  /// Lives as long as the process. A function that the library has is there and answers
  /// ASSAY_FAILED_PRECONDITION; tables of extensions have no functions, those of
  /// assay.metric.sums/1 their terms.
  const assay_plugin* constants = nullptr;
  std::string build_id;
  std::string worker_only;  ///< as of Plugin
};

/// Fails    ASSAY_INVALID_ARGUMENT not a whole document of this version;
///          ASSAY_FAILED_PRECONDITION as check_constants
Result<Scanned> read_scan(const Json& scan);

/// The constants of a scan alone, as of Scanned.
Result<const assay_plugin*> constants_from_json(const Json& scan);

/// $XDG_CACHE_HOME/assay/scan, or below ~/.cache; empty where there is neither.
std::filesystem::path scan_cache_folder();

/// The scan kept for a file of that SHA-256, by this version; nothing where there is none, where it
/// is damaged, or where others could have written it.
std::optional<Json> cached_scan(const std::filesystem::path& folder, std::string_view sha256);

/// Keeps a scan. A cache that cannot be written is no loss: the next search scans again.
void keep_scan(const std::filesystem::path& folder, std::string_view sha256, const Json& scan);

}  // namespace assay::host
