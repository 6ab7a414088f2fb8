#include "decoder/llama.hpp"

#include <array>

namespace assay_torch {
namespace {

void refuse_flag(const Config& config, const char* key) {
  if (config.find_flag(key).value_or(false))
    config.refuse(key, "true is not supported; supported: false");
}

void check_rope_kind(const Config& config, const std::string& table) {
  if (!config.has(table)) return;
  for (const char* spelling : {".rope_type", ".type"}) {
    const auto kind = config.find_text(table + spelling);
    if (kind && *kind != "default") {
      config.refuse(table + spelling,
                    "rope scaling \"" + *kind + "\" is not supported; supported: \"default\"");
    }
  }
  if (config.find_positive(table + ".factor").value_or(1) != 1) {
    config.refuse(table + ".factor", "rope scaling is not supported; supported: 1");
  }
}

double rope_theta(const Config& config) {
  check_rope_kind(config, "rope_scaling");
  check_rope_kind(config, "rope_parameters");
  for (const char* key : {"partial_rotary_factor", "rope_parameters.partial_rotary_factor"}) {
    if (config.find_positive(key).value_or(1) != 1)
      config.refuse(key, "is not supported; supported: 1");
  }
  if (const auto theta = config.find_positive("rope_parameters.rope_theta")) return *theta;
  return config.find_positive("rope_theta").value_or(10000.0);
}

std::int64_t head_dim(const Config& config, const DecoderSpec& spec) {
  const auto given = config.find_count("head_dim");
  if (!given && spec.hidden % spec.heads != 0) {
    config.refuse("num_attention_heads",
                  std::to_string(spec.heads) + " heads do not divide hidden_size " +
                      std::to_string(spec.hidden) + ", and head_dim is missing");
  }
  const std::int64_t dim = given.value_or(spec.hidden / spec.heads);
  if (dim % 2 != 0) {
    config.refuse("head_dim", "expected an even number, got " + std::to_string(dim));
  }
  return dim;
}

}  // namespace

DecoderSpec read_llama(const Config& config) {
  refuse_flag(config, "attention_bias");
  refuse_flag(config, "mlp_bias");
  if (const auto act = config.find_text("hidden_act"); act && *act != "silu") {
    config.refuse("hidden_act", "\"" + *act + "\" is not supported; supported: \"silu\"");
  }
  DecoderSpec spec;
  spec.architecture = "llama";
  spec.vocab = config.count("vocab_size");
  spec.hidden = config.count("hidden_size");
  spec.layers = config.count("num_hidden_layers");
  spec.heads = config.count("num_attention_heads");
  spec.kv_heads = config.find_count("num_key_value_heads").value_or(spec.heads);
  if (spec.heads % spec.kv_heads != 0) {
    config.refuse("num_key_value_heads", std::to_string(spec.kv_heads) +
                                             " does not divide num_attention_heads " +
                                             std::to_string(spec.heads));
  }
  spec.head_dim = head_dim(config, spec);
  spec.intermediate = config.count("intermediate_size");
  spec.max_context = config.find_count("max_position_embeddings").value_or(2048);
  spec.norm_eps = config.find_positive("rms_norm_eps").value_or(1e-6);
  spec.rope_theta = rope_theta(config);
  spec.is_tied = config.find_flag("tie_word_embeddings").value_or(false);
  return spec;
}

}  // namespace assay_torch
