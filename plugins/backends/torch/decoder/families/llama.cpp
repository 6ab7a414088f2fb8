#include "decoder/families/families.hpp"
#include "decoder/families/keys.hpp"
#include "decoder/families/rope_keys.hpp"

namespace assay_torch {

DecoderSpec read_llama(const Config& config) {
  DecoderSpec spec = read_gated(config, "llama", {});
  add_rope(config, spec);
  spec.activation = read_activation(config, "hidden_act", Activation::kSilu);
  BlockNames& block = spec.names.block;
  block.query_key_value.has_bias = block.output.has_bias =
      config.find_flag("attention_bias").value_or(false);
  block.gate_up.has_bias = block.down.has_bias = config.find_flag("mlp_bias").value_or(false);
  return spec;
}

}  // namespace assay_torch
