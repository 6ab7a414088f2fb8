// The adapters, one per architecture: what the keys of its config.json mean and how its tensors are
// called. A setting that changes the numbers and is not supported is refused by its key; a key that
// transformers does not read for the architecture either is left to decoder/architecture.hpp.
#pragma once

#include "checkpoint/config.hpp"
#include "decoder/spec.hpp"

namespace assay_torch {

/// Fails    ASSAY_INVALID_ARGUMENT a key is missing, wrong, or asks for what is not supported
/// Source   transformers 5.23, configuration_*.py and modeling_*.py: keys, defaults, spellings
DecoderSpec read_llama(const Config& config);
DecoderSpec read_mistral(const Config& config);
DecoderSpec read_qwen2(const Config& config);
DecoderSpec read_qwen3(const Config& config);
DecoderSpec read_gemma(const Config& config);
DecoderSpec read_gemma2(const Config& config);
DecoderSpec read_gemma3(const Config& config);
DecoderSpec read_phi3(const Config& config);
DecoderSpec read_gpt2(const Config& config);
DecoderSpec read_gpt_neox(const Config& config);
DecoderSpec read_opt(const Config& config);

}  // namespace assay_torch
