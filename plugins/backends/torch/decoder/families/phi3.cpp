#include "decoder/families/families.hpp"
#include "decoder/families/keys.hpp"
#include "decoder/families/rope_keys.hpp"

namespace assay_torch {

DecoderSpec read_phi3(const Config& config) {
  DecoderSpec spec = read_gated(config, "phi3", {.max_context = 4096, .norm_eps = 1e-5});
  add_rope(config, spec,
           {.is_partial_allowed = true,
            .has_old_longrope_names = true,
            .default_original_context = 4096});
  const RopeScaling scaling = spec.ropes.front().scaling;
  if (scaling != RopeScaling::kNone && scaling != RopeScaling::kLongrope) {
    config.refuse(config.has("rope_scaling") ? "rope_scaling" : "rope_parameters",
                  "phi3 knows no rope scaling but \"longrope\"");
  }
  spec.activation = read_activation(config, "hidden_act", Activation::kSilu);
  const std::int64_t window = read_window(config, spec, 0);
  for (AttentionSpec& layer : spec.attention) layer.window = window;
  BlockNames& block = spec.names.block;
  const std::int64_t rows = (spec.heads + 2 * spec.kv_heads) * spec.head_dim;
  block.query_key_value.parts = {{"self_attn.qkv_proj", rows}};
  block.gate_up.parts = {{"mlp.gate_up_proj", 2 * spec.intermediate}};
  return spec;
}

}  // namespace assay_torch
