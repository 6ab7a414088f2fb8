// The files of a manifest: read, followed through include, merged into one table. Keys other than
// include and assay are not known here.
#pragma once

#include <filesystem>
#include <vector>

#include "host/core/result.hpp"
#include "host/manifest/manifest.hpp"

namespace assay::host {

struct MergedFiles {
  std::vector<Source> sources;
  Table root;
  std::vector<Diagnostic> errors;
  bool is_whole = true;  ///< false: a file could not be read or parsed, so keys may be missing
};

/// Reads a file and what it includes, included files first, in order. Of a key that is there twice
/// the later one counts; arrays of tables are joined; a file named twice is read once.
///
/// Fails    ASSAY_NOT_FOUND the first file cannot be opened, or is a folder;
///          ASSAY_INVALID_ARGUMENT it has more than 16 MiB
Result<MergedFiles> read_files(const std::filesystem::path& path);

}  // namespace assay::host
