#include "decoder/architecture.hpp"

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <filesystem>
#include <limits>

#include "checkpoint/config.hpp"
#include "decoder/families/families.hpp"

namespace assay_torch {
namespace {

namespace fs = std::filesystem;

struct Adapter {
  const char* model_type;
  const char* class_name;
  DecoderSpec (*read)(const Config&);
};

constexpr auto kAdapters =
    std::to_array<Adapter>({{"llama", "LlamaForCausalLM", read_llama},
                            {"mistral", "MistralForCausalLM", read_mistral},
                            {"qwen2", "Qwen2ForCausalLM", read_qwen2},
                            {"qwen3", "Qwen3ForCausalLM", read_qwen3},
                            {"gemma", "GemmaForCausalLM", read_gemma},
                            {"gemma2", "Gemma2ForCausalLM", read_gemma2},
                            {"gemma3_text", "Gemma3ForCausalLM", read_gemma3},
                            {"phi3", "Phi3ForCausalLM", read_phi3},
                            {"gpt2", "GPT2LMHeadModel", read_gpt2},
                            {"gpt_neox", "GPTNeoXForCausalLM", read_gpt_neox},
                            {"opt", "OPTForCausalLM", read_opt}});

/// A setting that changes the numbers of some architecture, and the figure that leaves them alone
/// (null and false always do). An adapter that reads it has dealt with it.
struct Setting {
  const char* key;
  double neutral;
};

constexpr double kNoFigure = std::numeric_limits<double>::quiet_NaN();

constexpr auto kSettings = std::to_array<Setting>({{"logit_scale", 1},
                                                   {"logits_scaling", 1},
                                                   {"attention_multiplier", 1},
                                                   {"embedding_multiplier", 1},
                                                   {"residual_multiplier", 1},
                                                   {"lm_head_multiplier", 1},
                                                   {"key_multiplier", 1},
                                                   {"scale_emb", 1},
                                                   {"scale_depth", kNoFigure},
                                                   {"dim_model_base", kNoFigure},
                                                   {"attn_logit_softcapping", kNoFigure},
                                                   {"final_logit_softcapping", kNoFigure},
                                                   {"query_pre_attn_scalar", kNoFigure},
                                                   {"clip_qkv", kNoFigure},
                                                   {"qk_norm", kNoFigure},
                                                   {"use_qk_norm", kNoFigure},
                                                   {"qk_layernorm", kNoFigure},
                                                   {"attention_bias", kNoFigure},
                                                   {"mlp_bias", kNoFigure},
                                                   {"lm_head_bias", kNoFigure},
                                                   {"add_bias_linear", kNoFigure},
                                                   {"alibi", kNoFigure},
                                                   {"use_alibi", kNoFigure},
                                                   {"parallel_attn", kNoFigure},
                                                   {"is_encoder_decoder", kNoFigure},
                                                   {"add_cross_attention", kNoFigure},
                                                   {"use_bidirectional_attention", kNoFigure},
                                                   {"rope_scaling", kNoFigure},
                                                   {"rope_parameters", kNoFigure},
                                                   {"rope_interleave", kNoFigure},
                                                   {"rope_interleaved", kNoFigure},
                                                   {"rope_local_base_freq", kNoFigure},
                                                   {"partial_rotary_factor", 1},
                                                   {"rotary_pct", 1},
                                                   {"no_rope_layers", kNoFigure},
                                                   {"sliding_window", kNoFigure},
                                                   {"use_sliding_window", kNoFigure},
                                                   {"layer_types", kNoFigure},
                                                   {"attention_chunk_size", kNoFigure},
                                                   {"num_local_experts", 1},
                                                   {"num_experts", 1},
                                                   {"n_routed_experts", 1},
                                                   {"kv_lora_rank", kNoFigure},
                                                   {"pruned_heads", kNoFigure}});

void refuse_unread_settings(const Config& config, const std::string& architecture) {
  for (const Setting& setting : kSettings) {
    if (config.was_read(setting.key) || config.is_off(setting.key, setting.neutral)) continue;
    config.refuse(setting.key,
                  "is no setting of architecture " + architecture +
                      ", and it may change the numbers; remove it if it means nothing");
  }
}

std::string supported() {
  std::string out;
  for (const Adapter& adapter : kAdapters) {
    out += (out.empty() ? "" : ", ") + std::string(adapter.model_type) + " (" + adapter.class_name +
           ")";
  }
  return out;
}

[[noreturn]] void refuse(const Config& config, const std::string& name) {
  throw assay::Error(ASSAY_UNIMPLEMENTED, config.path() + ": architecture \"" + name +
                                              "\" is not supported; supported: " + supported());
}

const Adapter& adapter_of(const Config& config) {
  const auto classes = config.texts("architectures");
  const auto type = config.find_text("model_type");
  for (const Adapter& adapter : kAdapters) {
    if (type ? *type != adapter.model_type
             : classes.empty() || classes.front() != adapter.class_name)
      continue;
    if (!classes.empty() && classes.front() != adapter.class_name) refuse(config, classes.front());
    return adapter;
  }
  if (type) refuse(config, *type);
  if (!classes.empty()) refuse(config, classes.front());
  config.refuse("model_type", "is missing; supported: " + supported());
}

/// A list of end tokens is cut to its first.
void read_special_tokens(const std::string& model_dir, const Config& config, DecoderSpec& spec) {
  auto bos = config.find_token("bos_token_id");
  auto eos = config.find_token("eos_token_id");
  const fs::path generation = fs::path(model_dir) / "generation_config.json";
  if ((!bos || !eos) && fs::exists(generation)) {
    const Config fallback(generation.string());
    if (!bos) bos = fallback.find_token("bos_token_id");
    if (!eos) eos = fallback.find_token("eos_token_id");
  }
  spec.bos = bos.value_or(-1);
  spec.eos = eos.value_or(-1);
}

}  // namespace

DecoderSpec read_spec(const std::string& model_dir) {
  const fs::path path = fs::path(model_dir) / "config.json";
  if (!fs::exists(path)) {
    throw assay::Error(
        ASSAY_NOT_FOUND,
        model_dir +
            (fs::is_directory(model_dir)
                 ? ": no config.json: a model directory needs config.json, tokenizer.json and "
                   "model.safetensors (or its shards with model.safetensors.index.json)"
                 : ": no such directory; path names the folder that holds config.json"));
  }
  const Config config(path.string());
  DecoderSpec spec = adapter_of(config).read(config);
  spec.dtype = config.find_text("dtype").value_or(config.find_text("torch_dtype").value_or(""));
  refuse_unread_settings(config, spec.architecture);
  read_special_tokens(model_dir, config, spec);
  return spec;
}

}  // namespace assay_torch
