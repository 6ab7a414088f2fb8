// quantization_config of a checkpoint that is written.
#include <algorithm>
#include <assay/error.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "checkpoint/layouts/layout.hpp"
#include "checkpoint/quantized.hpp"

namespace assay_torch {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> plain_names(std::span<const WrittenModule> modules) {
  std::vector<std::string> out;
  for (const WrittenModule& module : modules) {
    if (!module.is_quantized) out.push_back(module.name);
  }
  return out;
}

bool is_head_quantized(std::span<const WrittenModule> modules) {
  return std::any_of(modules.begin(), modules.end(), [](const WrittenModule& module) {
    return module.is_quantized && !is_in_block(module.name);
  });
}

/// An expression for this name alone.
std::string exactly(const std::string& name) {
  std::string out = "^";
  for (const char c : name) out += c == '.' ? std::string("\\.") : std::string(1, c);
  return out + "$";
}

/// Modules by how they are described, those that most share first.
struct Alike {
  Json form;
  std::vector<const WrittenModule*> modules;
};

template <class Describe>
std::vector<Alike> kinds_of(std::span<const WrittenModule> modules, const Describe& describe) {
  std::vector<Alike> out;
  for (const WrittenModule& module : modules) {
    if (!module.is_quantized) continue;
    Json form = describe(module);
    auto found =
        std::find_if(out.begin(), out.end(), [&](const Alike& k) { return k.form == form; });
    if (found == out.end()) found = out.insert(out.end(), Alike{std::move(form), {}});
    found->modules.push_back(&module);
  }
  std::stable_sort(out.begin(), out.end(), [](const Alike& a, const Alike& b) {
    return a.modules.size() > b.modules.size();
  });
  if (out.empty())
    throw assay::Error(ASSAY_INVALID_ARGUMENT,
                       "no module is quantized, so there is no checkpoint to describe");
  return out;
}

/// Layouts that have one form for all.
Json only_form(const std::vector<Alike>& kinds, const std::string& layout) {
  if (kinds.size() > 1) {
    refuse_to_hold(kinds[1].modules[0]->name, layout,
                   kinds[1].form.dump() + ", other modules have " + kinds[0].form.dump());
  }
  return kinds[0].form;
}

std::int64_t file_group_size(const WrittenModule& module) {
  return module.group_size <= 0 ? -1 : module.group_size;
}

Json gptq(std::span<const WrittenModule> modules, bool is_act_order, const Json& provenance) {
  const auto kinds = kinds_of(modules, [](const WrittenModule& module) {
    return Json{{"bits", module.bits},
                {"group_size", file_group_size(module)},
                {"sym", module.is_symmetric}};
  });
  Json out = kinds[0].form;
  out["desc_act"] = is_act_order;
  out["lm_head"] = is_head_quantized(modules);
  out["quant_method"] = out["method"] = "gptq";
  out["checkpoint_format"] = out["format"] = "gptq_v2";
  out["pack_dtype"] = "int32";
  out["meta"] = provenance;
  Json rules = Json::object();
  for (const std::string& name : plain_names(modules)) {
    if (is_in_block(name)) rules["-:" + exactly(name)] = Json::object();
  }
  for (std::size_t i = 1; i < kinds.size(); ++i) {
    for (const WrittenModule* module : kinds[i].modules)
      rules["+:" + exactly(module->name)] = kinds[i].form;
  }
  if (!rules.empty()) out["dynamic"] = rules;
  return out;
}

Json awq(std::span<const WrittenModule> modules) {
  const auto kinds = kinds_of(modules, [](const WrittenModule& module) {
    return Json{{"bits", module.bits}, {"group_size", file_group_size(module)}};
  });
  Json out = only_form(kinds, "AWQ");
  const auto plain = plain_names(modules);
  out["quant_method"] = "awq";
  out["version"] = "gemm";
  out["zero_point"] = true;
  out["modules_to_not_convert"] = plain.empty() ? Json() : Json(plain);
  return out;
}

/// Modules left alone, the output layer among them unless it is quantized: a list takes the place
/// of what tools leave alone by themselves.
Json skipped_with_head(std::span<const WrittenModule> modules) {
  auto names = plain_names(modules);
  const bool names_head = std::any_of(names.begin(), names.end(),
                                      [](const std::string& name) { return !is_in_block(name); });
  if (!names_head && !is_head_quantized(modules)) names.push_back("lm_head");
  return names;
}

Json bitsandbytes(std::span<const WrittenModule> modules) {
  const auto kinds = kinds_of(modules, [](const WrittenModule& module) {
    const QuantizedMatrix& form = module.form;
    if (form.form == Form::kInt8) {
      const float threshold = form.activations.threshold;
      // The tool says 0 where no entry is an outlier.
      return Json{{"load_in_8bit", true},
                  {"llm_int8_threshold", std::isinf(threshold) ? 0 : threshold}};
    }
    return Json{{"load_in_4bit", true},
                {"bnb_4bit_quant_type", form.table[0] == -1 ? "nf4" : "fp4"},
                {"bnb_4bit_use_double_quant", form.nested.has_value()}};
  });
  Json out = {{"quant_method", "bitsandbytes"},
              {"load_in_4bit", false},
              {"load_in_8bit", false},
              {"bnb_4bit_compute_dtype", "float32"},
              {"bnb_4bit_quant_storage", "uint8"},
              {"bnb_4bit_quant_type", "nf4"},
              {"bnb_4bit_use_double_quant", false},
              {"llm_int8_enable_fp32_cpu_offload", false},
              {"llm_int8_has_fp16_weight", false},
              {"llm_int8_threshold", 6.0},
              {"llm_int8_skip_modules", skipped_with_head(modules)}};
  out.update(only_form(kinds, "bitsandbytes"));
  return out;
}

Json activations_of(const ActivationRule& rule) {
  using Kind = ActivationRule::Kind;
  if (rule.kind == Kind::kNone || rule.kind == Kind::kInt8Outliers) return {};
  const bool is_float = rule.kind != Kind::kInt8PerToken;
  const bool is_static = rule.kind == Kind::kFp8PerTensor;
  Json out = {{"num_bits", 8},
              {"type", is_float ? "float" : "int"},
              {"symmetric", true},
              {"strategy", is_static              ? "tensor"
                           : rule.group_size != 0 ? "group"
                                                  : "token"},
              {"dynamic", !is_static}};
  if (rule.group_size != 0) out["group_size"] = rule.group_size;
  return out;
}

Json scheme_of(const WrittenModule& module) {
  const QuantizedMatrix& form = module.form;
  Json weights = {{"num_bits", module.bits},
                  {"type", form.form == Form::kFp8 ? "float" : "int"},
                  {"symmetric", true},
                  {"strategy", "channel"},
                  {"dynamic", false}};
  const char* format = "float-quantized";
  if (form.form == Form::kInteger) {
    format = "pack-quantized";
    weights["symmetric"] = module.is_symmetric;
    if (module.group_size > 0) {
      weights["strategy"] = "group";
      weights["group_size"] = module.group_size;
    }
  } else if (form.form == Form::kInt8) {
    format = "int-quantized";
  } else if (form.block_rows == 0 && form.block_columns == 0) {
    weights["strategy"] = "tensor";
  } else if (form.block_rows > 1) {
    weights["strategy"] = "block";
    weights["block_structure"] = {form.block_rows, form.block_columns};
  }
  return {{"format", format},
          {"weights", weights},
          {"input_activations", activations_of(form.activations)},
          {"output_activations", nullptr}};
}

Json compressed_tensors(std::span<const WrittenModule> modules) {
  const auto kinds = kinds_of(modules, scheme_of);
  Json groups = Json::object();
  std::string format = kinds[0].form["format"];
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    Json group = kinds[i].form;
    Json targets = Json::array({"Linear"});
    if (i != 0) {
      targets = Json::array();
      for (const WrittenModule* module : kinds[i].modules) targets.push_back(module->name);
    }
    if (group["format"] != format) format = "mixed-precision";
    group["targets"] = targets;
    groups["group_" + std::to_string(i)] = group;
  }
  return {{"quant_method", "compressed-tensors"}, {"format", format},
          {"quantization_status", "compressed"},  {"config_groups", groups},
          {"ignore", skipped_with_head(modules)}, {"kv_cache_scheme", nullptr}};
}

Json fine_grained_fp8(std::span<const WrittenModule> modules) {
  const auto kinds = kinds_of(modules, [](const WrittenModule& module) {
    return Json{{"weight_block_size", {module.form.block_rows, module.form.block_columns}}};
  });
  Json out = only_form(kinds, "fine-grained FP8");
  out["quant_method"] = "fp8";
  out["activation_scheme"] = "dynamic";
  out["fmt"] = "e4m3";
  out["modules_to_not_convert"] = skipped_with_head(modules);
  return out;
}

}  // namespace

std::string quantization_config(FileLayout layout, std::span<const WrittenModule> modules,
                                bool is_act_order, const std::string& provenance) {
  const Json origin = Json::parse(provenance);
  if (layout == FileLayout::kGptq) return gptq(modules, is_act_order, origin).dump();
  Json out;
  if (layout == FileLayout::kAwq) out = awq(modules);
  if (layout == FileLayout::kBitsandbytes) out = bitsandbytes(modules);
  if (layout == FileLayout::kCompressedTensors) out = compressed_tensors(modules);
  if (layout == FileLayout::kFineGrainedFp8) out = fine_grained_fp8(modules);
  out["provenance"] = origin;
  return out.dump();
}

}  // namespace assay_torch
