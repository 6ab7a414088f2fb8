#include <cmath>

#include "decoder/families/families.hpp"
#include "decoder/families/keys.hpp"
#include "decoder/families/rope_keys.hpp"

namespace assay_torch {
namespace {

/// What the three generations have in common.
DecoderSpec read_shape(const Config& config, const char* architecture, const Defaults& defaults) {
  DecoderSpec spec = read_gated(config, architecture, defaults);
  refuse_flag(config, "use_bidirectional_attention");
  spec.norm.kind = NormKind::kRmsPlusOne;
  spec.embedding_scale = std::sqrt(static_cast<double>(spec.hidden));
  BlockNames& block = spec.names.block;
  block.query_key_value.has_bias = block.output.has_bias =
      config.find_flag("attention_bias").value_or(false);
  return spec;
}

/// What came with the second: four norms, another scale, a cap on the logits.
void add_second_generation(const Config& config, DecoderSpec& spec, double default_cap) {
  spec.norm.placement = NormPlacement::kSandwich;
  BlockNames& block = spec.names.block;
  block.attention_exit_norm = "post_attention_layernorm";
  block.mlp_norm = "pre_feedforward_layernorm";
  block.mlp_exit_norm = "post_feedforward_layernorm";
  spec.activation = read_activation(config, "hidden_activation", Activation::kGeluTanh);
  const double scale = config.find_positive("query_pre_attn_scalar").value_or(256);
  for (AttentionSpec& layer : spec.attention) layer.scale = 1 / std::sqrt(scale);
  const char* cap = "final_logit_softcapping";
  spec.final_softcap = config.find_positive(cap).value_or(config.is_given(cap) ? 0 : default_cap);
}

/// Every layer slides but each `pattern`-th.
std::vector<bool> read_windows(const Config& config, DecoderSpec& spec, std::int64_t pattern) {
  std::vector<bool> fallback;
  for (std::int64_t layer = 1; layer <= spec.layers; ++layer)
    fallback.push_back(layer % pattern != 0);
  const auto sliding = sliding_layers(config, spec, fallback);
  const std::int64_t window = read_window(config, spec, 4096);
  for (std::size_t layer = 0; layer < sliding.size(); ++layer)
    spec.attention[layer].window = sliding[layer] ? window : 0;
  return sliding;
}

/// The first files say "gelu" and mean its tanh form; transformers has kept it that way.
Activation read_first_activation(const Config& config) {
  const auto read = [&](const char* key) {
    return config.find_text(key) == "gelu" ? Activation::kGeluTanh
                                           : read_activation(config, key, Activation::kGeluTanh);
  };
  const Activation activation = read("hidden_act");
  if (config.has("hidden_activation") && read("hidden_activation") != activation)
    config.refuse("hidden_activation", "contradicts hidden_act");
  return activation;
}

void add_local_and_global_ropes(const Config& config, DecoderSpec& spec,
                                const std::vector<bool>& sliding) {
  constexpr std::size_t kGlobal = 0, kLocal = 1;
  const bool is_new = config.has("rope_parameters");
  if (is_new && config.has("rope_scaling"))
    config.refuse("rope_scaling", "stands beside rope_parameters; leave one of them out");
  for (const std::string& key : config.keys("rope_parameters")) {
    if (key != "full_attention" && key != "sliding_attention")
      config.refuse("rope_parameters." + key, "is not known; expected a table per layer type");
  }
  // The local rope has no table in the old spelling.
  spec.ropes.resize(2);
  spec.ropes[kGlobal] =
      read_rope(config, is_new ? "rope_parameters.full_attention" : "rope_scaling", spec,
                {.default_theta = 1e6});
  spec.ropes[kLocal] = read_rope(config, "rope_parameters.sliding_attention", spec,
                                 {.theta = "rope_local_base_freq", .default_theta = 1e4});
  for (std::size_t layer = 0; layer < sliding.size(); ++layer)
    spec.attention[layer].rope = sliding[layer] ? kLocal : kGlobal;
}

}  // namespace

DecoderSpec read_gemma(const Config& config) {
  DecoderSpec spec = read_shape(
      config, "gemma", {.max_context = 8192, .kv_heads = 16, .head_dim = 256, .is_tied = true});
  add_rope(config, spec);
  spec.activation = read_first_activation(config);
  return spec;
}

DecoderSpec read_gemma2(const Config& config) {
  DecoderSpec spec = read_shape(
      config, "gemma2", {.max_context = 8192, .kv_heads = 4, .head_dim = 256, .is_tied = true});
  add_rope(config, spec);
  add_second_generation(config, spec, 30);
  const char* cap = "attn_logit_softcapping";
  spec.attention_softcap = config.find_positive(cap).value_or(config.is_given(cap) ? 0 : 50);
  read_windows(config, spec, 2);
  return spec;
}

DecoderSpec read_gemma3(const Config& config) {
  DecoderSpec spec =
      read_shape(config, "gemma3_text",
                 {.max_context = 131072, .kv_heads = 4, .head_dim = 256, .is_tied = true});
  add_second_generation(config, spec, 0);
  spec.names.block.query_norm = "self_attn.q_norm";
  spec.names.block.key_norm = "self_attn.k_norm";
  const auto sliding =
      read_windows(config, spec, config.find_count("sliding_window_pattern").value_or(6));
  add_local_and_global_ropes(config, spec, sliding);
  return spec;
}

}  // namespace assay_torch
