#include "decoder/architecture.hpp"

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <filesystem>

#include "checkpoint/config.hpp"
#include "decoder/llama.hpp"

namespace assay_torch {
namespace {

namespace fs = std::filesystem;

struct Adapter {
  const char* model_type;
  const char* class_name;
  DecoderSpec (*read)(const Config&);
};

constexpr std::array kAdapters = {Adapter{"llama", "LlamaForCausalLM", read_llama}};

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
  if (config.has("quantization_config")) {
    const auto method = config.find_text("quantization_config.quant_method").value_or("unnamed");
    config.refuse(
        "quantization_config",
        "checkpoints quantized by \"" + method +
            "\" are not supported; give the unquantized model, with simulate to round it");
  }
  DecoderSpec spec = adapter_of(config).read(config);
  read_special_tokens(model_dir, config, spec);
  return spec;
}

}  // namespace assay_torch
