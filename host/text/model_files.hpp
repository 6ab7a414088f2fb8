// Reading the files of a model directory that tokenizers and chat templates are made of. What they
// mean is not known here.
#pragma once

#include <filesystem>
#include <string>

#include "host/core/json.hpp"
#include "host/core/result.hpp"

namespace assay::host {

/// Fails    ASSAY_NOT_FOUND cannot be opened; ASSAY_UNAVAILABLE cannot be read to its end
Result<std::string> read_file(const std::filesystem::path& path);

/// The object in a JSON file, or null where there is no file.
///
/// Fails    as read_file; ASSAY_INVALID_ARGUMENT not JSON, with the parser's line and column, or
///          not an object
Result<Json> read_model_json(const std::filesystem::path& path);

}  // namespace assay::host
