#include "quantize/settings.hpp"

#include <algorithm>
#include <assay/error.hpp>
#include <nlohmann/json.hpp>

namespace assay_torch {
namespace {

using Json = nlohmann::ordered_json;

bool glob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool names(const std::vector<std::string>& patterns, std::string_view module, bool is_head) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return matches(pattern, module) || (is_head && matches(pattern, "lm_head"));
  });
}

}  // namespace

const char* to_string(Method method) {
  switch (method) {
    case Method::kRtn:
      return "rtn";
    case Method::kGptq:
      return "gptq";
    case Method::kAwq:
      return "awq";
    case Method::kNf4:
      return "nf4";
    case Method::kFp4:
      return "fp4";
    case Method::kInt8:
      return "int8";
    case Method::kW8a8:
      return "w8a8";
    case Method::kFp8:
      break;
  }
  return "fp8";
}

bool matches(std::string_view pattern, std::string_view module) {
  if (pattern.find_first_of("*?") != std::string_view::npos) return glob(pattern, module);
  return module.find(pattern) != std::string_view::npos;
}

std::optional<GridSettings> settings_of(const Recipe& recipe, std::string_view module,
                                        bool is_head) {
  if (names(recipe.skip, module, is_head)) return std::nullopt;
  if (!recipe.only.empty() && !names(recipe.only, module, is_head)) return std::nullopt;
  GridSettings settings = recipe.grid;
  for (const Override& rule : recipe.overrides) {
    if (!names(rule.modules, module, is_head)) continue;
    if (rule.is_kept) return std::nullopt;
    settings.bits = rule.bits.value_or(settings.bits);
    settings.group_size = rule.group_size.value_or(settings.group_size);
    break;
  }
  return settings;
}

void check_patterns(const Recipe& recipe, const ModuleNames& modules) {
  const auto check = [&](const std::vector<std::string>& patterns, const std::string& key,
                         bool is_skip) {
    for (const std::string& pattern : patterns) {
      const auto hit = [&](const std::string& module) { return matches(pattern, module); };
      if (std::any_of(modules.blocks.begin(), modules.blocks.end(), hit)) continue;
      if (is_skip && hit(modules.embedding)) continue;
      if ((is_skip || !modules.is_tied) && (hit(modules.head) || hit("lm_head"))) continue;
      throw assay::Error(ASSAY_INVALID_ARGUMENT, recipe.table + "." + key,
                         "\"" + pattern + "\" matches no module; modules are named like " +
                             modules.head + ", " + modules.blocks.front() + " or " +
                             modules.blocks.back());
    }
  };
  check(recipe.skip, "skip", true);
  check(recipe.only, "only", false);
  for (std::size_t i = 0; i < recipe.overrides.size(); ++i)
    check(recipe.overrides[i].modules, "overrides." + std::to_string(i) + ".modules", false);
}

bool needs_calibration(const Recipe& recipe) {
  return recipe.method == Method::kGptq || folds(recipe);
}

bool folds(const Recipe& recipe) {
  return recipe.method == Method::kAwq || recipe.smoothing.has_value();
}

std::string to_json(const Recipe& recipe) {
  Json out = {{"method", to_string(recipe.method)}};
  switch (recipe.method) {
    case Method::kGptq:
      out["act_order"] = recipe.gptq.act_order;
      out["group_aware"] = recipe.gptq.group_aware;
      out["static_groups"] = recipe.gptq.static_groups;
      out["true_sequential"] = recipe.gptq.true_sequential;
      out["damping"] = recipe.gptq.damping;
      [[fallthrough]];
    case Method::kAwq:
      if (recipe.method == Method::kAwq) {
        out["clip"] = recipe.awq.clips;
        out["duo_scaling"] = recipe.awq.duo_scaling;
      }
      [[fallthrough]];
    case Method::kRtn:
      out["bits"] = recipe.grid.bits;
      out["group_size"] = recipe.grid.group_size;
      out["symmetric"] = recipe.grid.symmetric;
      break;
    case Method::kNf4:
    case Method::kFp4:
      out["double_quantization"] = recipe.is_nested;
      break;
    case Method::kInt8:
      out["threshold"] = recipe.threshold;
      break;
    case Method::kW8a8:
      out["smoothing"] = recipe.smoothing ? Json(*recipe.smoothing) : Json();
      break;
    case Method::kFp8:
      out["scope"] = recipe.scope == Fp8Scope::kTensor    ? "tensor"
                     : recipe.scope == Fp8Scope::kChannel ? "channel"
                                                          : "block";
      break;
  }
  out["skip"] = recipe.skip;
  out["only"] = recipe.only;
  Json rules = Json::array();
  for (const Override& rule : recipe.overrides) {
    Json entry = {{"modules", rule.modules}};
    if (rule.bits) entry["bits"] = *rule.bits;
    if (rule.group_size) entry["group_size"] = *rule.group_size;
    if (rule.is_kept) entry["keep"] = true;
    rules.push_back(std::move(entry));
  }
  out["overrides"] = std::move(rules);
  return out.dump();
}

}  // namespace assay_torch
