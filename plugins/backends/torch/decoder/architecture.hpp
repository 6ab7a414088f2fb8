// From a model directory's config.json to a DecoderSpec: picks the adapter of the architecture, or
// says why there is none. Weights are not looked at.
#pragma once

#include <string>

#include "decoder/spec.hpp"

namespace assay_torch {

/// Fails    ASSAY_NOT_FOUND no directory or no config.json; ASSAY_UNIMPLEMENTED another
/// architecture;
///          ASSAY_INVALID_ARGUMENT a setting that would change the numbers and is not supported
DecoderSpec read_spec(const std::string& model_dir);

}  // namespace assay_torch
