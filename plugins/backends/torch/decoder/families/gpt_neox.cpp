#include <cmath>

#include "decoder/families/families.hpp"
#include "decoder/families/keys.hpp"
#include "decoder/families/rope_keys.hpp"

namespace assay_torch {
namespace {

TensorNames names_of(const DecoderSpec& spec, bool has_attention_bias) {
  TensorNames names;
  names.roots = {"gpt_neox."};
  names.embedding = "embed_in";
  names.blocks = "layers.";
  names.final_norm = "final_layer_norm";
  names.heads = {"embed_out", "lm_head"};
  // The causal mask, and what follows from rotary_pct.
  names.ignored = {".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"};
  names.block.attention_norm = "input_layernorm";
  names.block.mlp_norm = "post_attention_layernorm";
  names.block.query_key_value = {
      {{"attention.query_key_value", 3 * spec.hidden}}, has_attention_bias, Layout::kByHead};
  names.block.output = {{{"attention.dense", spec.hidden}}, has_attention_bias};
  names.block.gate_up = {{{"mlp.dense_h_to_4h", spec.intermediate}}, true};
  names.block.down = {{{"mlp.dense_4h_to_h", spec.hidden}}, true};
  return names;
}

/// Some releases wrote rope's figures twice, under the usual names too.
void refuse_contradictions(const Config& config, const DecoderSpec& spec) {
  const RopeSpec& rope = spec.ropes.front();
  if (config.find_positive("rope_theta").value_or(rope.theta) != rope.theta)
    config.refuse("rope_theta", "contradicts rotary_emb_base");
  const auto fraction = config.find_positive("partial_rotary_factor");
  if (fraction &&
      std::trunc(static_cast<double>(spec.head_dim) * *fraction) != static_cast<double>(rope.dim))
    config.refuse("partial_rotary_factor", "contradicts rotary_pct");
}

}  // namespace

DecoderSpec read_gpt_neox(const Config& config) {
  DecoderSpec spec;
  spec.architecture = "gpt_neox";
  spec.vocab = config.count("vocab_size");
  spec.hidden = spec.embedding_width = config.count("hidden_size");
  spec.layers = read_layers(config, "num_hidden_layers");
  spec.heads = spec.kv_heads = config.count("num_attention_heads");
  spec.head_dim = whole_head_dim(config, "num_attention_heads", spec);
  spec.intermediate = config.count("intermediate_size");
  spec.max_context = config.find_count("max_position_embeddings").value_or(2048);
  spec.norm.kind = NormKind::kLayer;
  spec.norm.eps = config.find_positive("layer_norm_eps").value_or(1e-5);
  spec.activation = read_activation(config, "hidden_act", Activation::kGelu);
  spec.is_gated = false;
  spec.residual = config.find_flag("use_parallel_residual").value_or(true) ? Residual::kParallel
                                                                           : Residual::kSequential;
  spec.is_tied = config.find_flag("tie_word_embeddings").value_or(false);
  spec.attention = full_attention(spec);
  add_rope(config, spec,
           {.theta = "rotary_emb_base",
            .fraction = "rotary_pct",
            .default_fraction = 0.25,
            .is_partial_allowed = true});
  refuse_contradictions(config, spec);
  spec.names = names_of(spec, config.find_flag("attention_bias").value_or(true));
  return spec;
}

}  // namespace assay_torch
