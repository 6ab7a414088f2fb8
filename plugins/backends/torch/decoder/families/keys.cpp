#include "decoder/families/keys.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace assay_torch {
namespace {

TensorNames gated_names(const DecoderSpec& spec) {
  const std::int64_t query = spec.heads * spec.head_dim, key = spec.kv_heads * spec.head_dim;
  TensorNames names;
  names.roots = {"model."};
  names.embedding = "embed_tokens";
  names.blocks = "layers.";
  names.final_norm = "norm";
  names.heads = {"lm_head"};
  // Old exporters stored the rotary frequencies.
  names.ignored = {".rotary_emb.inv_freq"};
  names.block.attention_norm = "input_layernorm";
  names.block.mlp_norm = "post_attention_layernorm";
  names.block.query_key_value.parts = {
      {"self_attn.q_proj", query}, {"self_attn.k_proj", key}, {"self_attn.v_proj", key}};
  names.block.output.parts = {{"self_attn.o_proj", spec.hidden}};
  names.block.gate_up.parts = {{"mlp.gate_proj", spec.intermediate},
                               {"mlp.up_proj", spec.intermediate}};
  names.block.down.parts = {{"mlp.down_proj", spec.hidden}};
  return names;
}

}  // namespace

DecoderSpec read_gated(const Config& config, std::string_view architecture,
                       const Defaults& defaults) {
  DecoderSpec spec;
  spec.architecture = architecture;
  spec.vocab = config.count("vocab_size");
  spec.hidden = spec.embedding_width = config.count("hidden_size");
  spec.layers = read_layers(config, "num_hidden_layers");
  spec.heads = config.count("num_attention_heads");
  spec.kv_heads = config.find_count("num_key_value_heads")
                      .value_or(config.is_given("num_key_value_heads")
                                    ? spec.heads
                                    : defaults.kv_heads.value_or(spec.heads));
  if (spec.heads % spec.kv_heads != 0) {
    config.refuse("num_key_value_heads", std::to_string(spec.kv_heads) +
                                             " does not divide num_attention_heads " +
                                             std::to_string(spec.heads));
  }
  if (const auto given = config.find_count("head_dim")) {
    spec.head_dim = *given;
  } else if (defaults.head_dim && !config.is_given("head_dim")) {
    spec.head_dim = *defaults.head_dim;
  } else {
    spec.head_dim = whole_head_dim(config, "num_attention_heads", spec);
  }
  if (spec.heads * spec.head_dim > std::numeric_limits<std::int32_t>::max()) {
    config.refuse("head_dim", std::to_string(spec.heads) + " heads of " +
                                  std::to_string(spec.head_dim) + " are more than any model has");
  }
  spec.intermediate = config.count("intermediate_size");
  spec.max_context = config.find_count("max_position_embeddings").value_or(defaults.max_context);
  spec.norm.eps = config.find_positive("rms_norm_eps").value_or(defaults.norm_eps);
  spec.is_tied = config.find_flag("tie_word_embeddings").value_or(defaults.is_tied);
  spec.attention = full_attention(spec);
  spec.names = gated_names(spec);
  return spec;
}

std::int64_t read_layers(const Config& config, const char* key) {
  constexpr std::int64_t kMost = 10000;
  const std::int64_t layers = config.count(key);
  if (layers > kMost) config.refuse(key, "expected at most 10000, got " + std::to_string(layers));
  return layers;
}

Activation read_activation(const Config& config, const char* key, Activation fallback) {
  constexpr std::pair<const char*, Activation> kNames[] = {
      {"silu", Activation::kSilu},          {"swish", Activation::kSilu},
      {"gelu", Activation::kGelu},          {"gelu_python", Activation::kGelu},
      {"gelu_new", Activation::kGeluTanh},  {"gelu_pytorch_tanh", Activation::kGeluTanh},
      {"gelu_fast", Activation::kGeluTanh}, {"gelu_python_tanh", Activation::kGeluTanh},
      {"relu", Activation::kRelu}};
  const auto given = config.find_text(key);
  if (!given) return fallback;
  for (const auto& [name, activation] : kNames) {
    if (*given == name) return activation;
  }
  config.refuse(key, "\"" + *given +
                         "\" is not supported; supported: \"silu\", \"gelu\", "
                         "\"gelu_pytorch_tanh\", \"gelu_new\", \"gelu_fast\", \"relu\"");
}

std::int64_t whole_head_dim(const Config& config, const char* heads_key, const DecoderSpec& spec) {
  if (spec.hidden % spec.heads == 0) return spec.hidden / spec.heads;
  config.refuse(heads_key, std::to_string(spec.heads) + " heads do not divide a hidden size of " +
                               std::to_string(spec.hidden));
}

std::vector<AttentionSpec> full_attention(const DecoderSpec& spec) {
  const AttentionSpec full{.scale = 1 / std::sqrt(static_cast<double>(spec.head_dim))};
  return std::vector<AttentionSpec>(static_cast<std::size_t>(spec.layers), full);
}

std::int64_t read_window(const Config& config, const DecoderSpec& spec, std::int64_t fallback) {
  const std::int64_t window = config.find_count("sliding_window")
                                  .value_or(config.is_given("sliding_window") ? 0 : fallback);
  return window < spec.max_context ? window : 0;
}

std::vector<bool> sliding_layers(const Config& config, const DecoderSpec& spec,
                                 std::vector<bool> fallback) {
  const auto types = config.texts("layer_types");
  if (types.empty()) return fallback;
  if (types.size() != static_cast<std::size_t>(spec.layers)) {
    config.refuse("layer_types", "expected one for each of the " + std::to_string(spec.layers) +
                                     " layers, got " + std::to_string(types.size()));
  }
  std::vector<bool> sliding;
  for (const std::string& type : types) {
    sliding.push_back(type == "sliding_attention");
    if (!sliding.back() && type != "full_attention") {
      config.refuse("layer_types", "\"" + type +
                                       "\" is not supported; supported: \"full_attention\", "
                                       "\"sliding_attention\"");
    }
  }
  return sliding;
}

void refuse_flag(const Config& config, const char* key) {
  if (config.find_flag(key).value_or(false))
    config.refuse(key, "true is not supported; supported: false");
}

}  // namespace assay_torch
