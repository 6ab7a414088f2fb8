#include "decoder/families/families.hpp"
#include "decoder/families/keys.hpp"
#include "decoder/families/rope_keys.hpp"

namespace assay_torch {
namespace {

/// Windows from layer max_window_layers on, unless layer_types says which.
void read_windows(const Config& config, DecoderSpec& spec) {
  const bool is_used = config.find_flag("use_sliding_window").value_or(false);
  const std::int64_t window = read_window(config, spec, 4096);
  const bool is_given =
      is_used && (config.has("sliding_window") || !config.is_given("sliding_window"));
  // 0 is a count here: every layer has the window.
  const double first = config.find_number("max_window_layers").value_or(28);
  std::vector<bool> fallback;
  for (std::int64_t layer = 0; layer < spec.layers; ++layer)
    fallback.push_back(is_given && static_cast<double>(layer) >= first);
  const auto sliding = sliding_layers(config, spec, fallback);
  for (std::size_t layer = 0; layer < sliding.size(); ++layer) {
    if (!sliding[layer]) continue;
    if (!is_given)
      config.refuse("layer_types", "asks for \"sliding_attention\" without a sliding window");
    spec.attention[layer].window = window;
  }
}

DecoderSpec read_qwen(const Config& config, const char* architecture, const Defaults& defaults) {
  DecoderSpec spec = read_gated(config, architecture, defaults);
  add_rope(config, spec);
  spec.activation = read_activation(config, "hidden_act", Activation::kSilu);
  read_windows(config, spec);
  return spec;
}

}  // namespace

DecoderSpec read_qwen2(const Config& config) {
  DecoderSpec spec = read_qwen(config, "qwen2", {.max_context = 32768, .kv_heads = 32});
  spec.names.block.query_key_value.has_bias = true;
  return spec;
}

DecoderSpec read_qwen3(const Config& config) {
  DecoderSpec spec =
      read_qwen(config, "qwen3", {.max_context = 32768, .kv_heads = 32, .head_dim = 128});
  BlockNames& block = spec.names.block;
  block.query_norm = "self_attn.q_norm";
  block.key_norm = "self_attn.k_norm";
  block.query_key_value.has_bias = block.output.has_bias =
      config.find_flag("attention_bias").value_or(false);
  return spec;
}

}  // namespace assay_torch
