#include "decoder/families/families.hpp"
#include "decoder/families/keys.hpp"

namespace assay_torch {
namespace {

TensorNames names_of(const DecoderSpec& spec, bool has_bias) {
  TensorNames names;
  names.roots = {"model.decoder.", "decoder."};
  names.embedding = "embed_tokens";
  names.positions = "embed_positions";
  if (spec.embedding_width != spec.hidden) {
    names.project_in = "project_in";
    names.project_out = "project_out";
  }
  names.blocks = "layers.";
  names.heads = {"lm_head"};
  names.ignored = {"decoder.version"};
  names.block.attention_norm = "self_attn_layer_norm";
  names.block.mlp_norm = "final_layer_norm";
  names.block.query_key_value = {{{"self_attn.q_proj", spec.hidden},
                                  {"self_attn.k_proj", spec.hidden},
                                  {"self_attn.v_proj", spec.hidden}},
                                 has_bias};
  names.block.output = {{{"self_attn.out_proj", spec.hidden}}, has_bias};
  names.block.gate_up = {{{"fc1", spec.intermediate}}, has_bias};
  names.block.down = {{{"fc2", spec.hidden}}, has_bias};
  return names;
}

}  // namespace

DecoderSpec read_opt(const Config& config) {
  constexpr std::int64_t kOffset = 2;  // fairseq's padding row
  if (!config.find_flag("layer_norm_elementwise_affine").value_or(true)) {
    config.refuse("layer_norm_elementwise_affine", "false is not supported; supported: true");
  }
  DecoderSpec spec;
  spec.architecture = "opt";
  spec.vocab = config.count("vocab_size");
  spec.hidden = config.count("hidden_size");
  spec.embedding_width = config.find_count("word_embed_proj_dim").value_or(spec.hidden);
  spec.layers = read_layers(config, "num_hidden_layers");
  spec.heads = spec.kv_heads = config.count("num_attention_heads");
  spec.head_dim = whole_head_dim(config, "num_attention_heads", spec);
  spec.intermediate = config.count("ffn_dim");
  spec.max_context = config.find_count("max_position_embeddings").value_or(2048);
  spec.position_rows = spec.max_context + kOffset;
  spec.position_offset = kOffset;
  const bool is_pre = config.find_flag("do_layer_norm_before").value_or(true);
  spec.norm = {.kind = NormKind::kLayer,
               .placement = is_pre ? NormPlacement::kPre : NormPlacement::kPost,
               .eps = 1e-5};
  spec.activation = read_activation(config, "activation_function", Activation::kRelu);
  spec.is_gated = false;
  spec.is_tied = config.find_flag("tie_word_embeddings").value_or(true);
  spec.attention = full_attention(spec);
  spec.names = names_of(spec, config.find_flag("enable_bias").value_or(true));
  if (is_pre && !config.find_flag("_remove_final_layer_norm").value_or(false))
    spec.names.final_norm = "final_layer_norm";
  return spec;
}

}  // namespace assay_torch
