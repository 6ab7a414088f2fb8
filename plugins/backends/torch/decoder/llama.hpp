// The Llama adapter: what its config.json keys mean. The forward pass and the names of the tensors
// are those of decoder/load.hpp.
#pragma once

#include "checkpoint/config.hpp"
#include "decoder/spec.hpp"

namespace assay_torch {

/// Fails    ASSAY_INVALID_ARGUMENT a key is missing, wrong, or asks for what is not supported
/// Source   transformers 5.23, LlamaConfig: keys and defaults, old and new spellings
DecoderSpec read_llama(const Config& config);

}  // namespace assay_torch
