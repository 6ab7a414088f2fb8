#include "decoder/families/families.hpp"
#include "decoder/families/keys.hpp"

namespace assay_torch {
namespace {

constexpr auto kInputsFirst = Layout::kInputsFirst;

TensorNames names_of(const DecoderSpec& spec) {
  TensorNames names;
  names.roots = {"transformer.", ""};
  names.embedding = "wte";
  names.positions = "wpe";
  names.blocks = "h.";
  names.final_norm = "ln_f";
  names.heads = {"lm_head"};
  names.ignored = {".attn.bias", ".attn.masked_bias"};  // the causal mask
  names.block.attention_norm = "ln_1";
  names.block.mlp_norm = "ln_2";
  names.block.query_key_value = {{{"attn.c_attn", 3 * spec.hidden}}, true, kInputsFirst};
  names.block.output = {{{"attn.c_proj", spec.hidden}}, true, kInputsFirst};
  names.block.gate_up = {{{"mlp.c_fc", spec.intermediate}}, true, kInputsFirst};
  names.block.down = {{{"mlp.c_proj", spec.hidden}}, true, kInputsFirst};
  return names;
}

void scale_layers(const Config& config, DecoderSpec& spec) {
  const bool is_by_layer = config.find_flag("scale_attn_by_inverse_layer_idx").value_or(false);
  const bool is_scaled = config.find_flag("scale_attn_weights").value_or(true);
  double layer_number = 1;
  for (AttentionSpec& layer : spec.attention) {
    if (!is_scaled) layer.scale = 1;
    if (is_by_layer) layer.scale /= layer_number++;
  }
}

}  // namespace

DecoderSpec read_gpt2(const Config& config) {
  refuse_flag(config, "add_cross_attention");
  DecoderSpec spec;
  spec.architecture = "gpt2";
  spec.vocab = config.count("vocab_size");
  spec.hidden = spec.embedding_width = config.count("n_embd");
  spec.layers = read_layers(config, "n_layer");
  spec.heads = spec.kv_heads = config.count("n_head");
  spec.head_dim = whole_head_dim(config, "n_head", spec);
  spec.intermediate = config.find_count("n_inner").value_or(4 * spec.hidden);
  spec.max_context = spec.position_rows = config.find_count("n_positions").value_or(1024);
  spec.norm.kind = NormKind::kLayer;
  spec.norm.eps = config.find_positive("layer_norm_epsilon").value_or(1e-5);
  spec.activation = read_activation(config, "activation_function", Activation::kGeluTanh);
  spec.is_gated = false;
  spec.is_tied = config.find_flag("tie_word_embeddings").value_or(true);
  spec.attention = full_attention(spec);
  scale_layers(config, spec);
  spec.names = names_of(spec);
  return spec;
}

}  // namespace assay_torch
