#include "decoder/families/families.hpp"
#include "decoder/families/keys.hpp"
#include "decoder/families/rope_keys.hpp"

namespace assay_torch {
namespace {

/// Mistral's class has one window for all layers; newer classes take layer_types.
void refuse_mixed_layers(const Config& config, const DecoderSpec& spec, bool is_windowed) {
  const std::vector<bool> all(static_cast<std::size_t>(spec.layers), is_windowed);
  if (sliding_layers(config, spec, all) != all) {
    config.refuse("layer_types",
                  "contradicts sliding_window, which holds for all layers of a mistral model");
  }
}

}  // namespace

DecoderSpec read_mistral(const Config& config) {
  DecoderSpec spec = read_gated(config, "mistral", {.max_context = 131072, .kv_heads = 8});
  add_rope(config, spec);
  spec.activation = read_activation(config, "hidden_act", Activation::kSilu);
  const std::int64_t window = read_window(config, spec, 4096);
  refuse_mixed_layers(config, spec, window != 0);
  for (AttentionSpec& layer : spec.attention) layer.window = window;
  return spec;
}

}  // namespace assay_torch
