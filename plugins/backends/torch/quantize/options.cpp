#include "quantize/options.hpp"

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace assay_torch {
namespace {

constexpr std::array<Method, 8> kMethods = {Method::kRtn,  Method::kGptq, Method::kAwq,
                                            Method::kNf4,  Method::kFp4,  Method::kInt8,
                                            Method::kW8a8, Method::kFp8};

/// A key that only some methods have, and what to do instead where a method has it not.
struct OwnKey {
  const char* key;
  std::vector<Method> methods;
  const char* whose;
};

const std::vector<OwnKey>& own_keys() {
  static const std::vector<OwnKey> keys = {
      {"bits", {Method::kRtn, Method::kGptq, Method::kAwq}, "rtn, gptq or awq"},
      {"group_size", {Method::kRtn, Method::kGptq, Method::kAwq}, "rtn, gptq or awq"},
      {"symmetric", {Method::kRtn, Method::kGptq, Method::kAwq}, "rtn, gptq or awq"},
      {"act_order", {Method::kGptq}, "gptq"},
      {"group_aware", {Method::kGptq}, "gptq"},
      {"static_groups", {Method::kGptq}, "gptq"},
      {"true_sequential", {Method::kGptq}, "gptq"},
      {"damping", {Method::kGptq}, "gptq"},
      {"clip", {Method::kAwq}, "awq"},
      {"duo_scaling", {Method::kAwq}, "awq"},
      {"double_quantization", {Method::kNf4, Method::kFp4}, "nf4 or fp4"},
      {"threshold", {Method::kInt8}, "int8"},
      {"smoothing", {Method::kW8a8}, "w8a8"},
      {"scope", {Method::kFp8}, "fp8"}};
  return keys;
}

constexpr std::array<const char*, 3> kCommonKeys = {"skip", "only", "overrides"};

bool has(std::span<const Method> methods, Method method) {
  return std::find(methods.begin(), methods.end(), method) != methods.end();
}

/// The options of one table.
class Table {
 public:
  Table(const assay::Context& context, std::string name)
      : context_(context), name_(std::move(name)) {}

  std::string at(const std::string& key) const { return name_ + "." + key; }
  bool has(const std::string& key) const { return context_.has(at(key)); }
  [[noreturn]] void refuse(const std::string& key, const std::string& text) const {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, at(key), text);
  }

  void read(const std::string& key, bool& out) const {
    if (has(key)) out = context_.flag(at(key));
  }
  void read(const std::string& key, int& out) const {
    if (has(key)) out = static_cast<int>(context_.integer(at(key)));
  }
  void read(const std::string& key, std::int64_t& out) const {
    if (has(key)) out = context_.integer(at(key));
  }
  void read(const std::string& key, double& out) const {
    if (has(key)) out = context_.number(at(key));
  }
  void read(const std::string& key, std::vector<std::string>& out) const {
    if (has(key)) out = context_.texts(at(key));
  }
  template <class Value>
  void read(const std::string& key, std::optional<Value>& out) const {
    if (!has(key)) return;
    out.emplace();
    read(key, *out);
  }
  std::string text(const std::string& key) const { return context_.text(at(key)); }
  std::uint64_t count(const std::string& key) const {
    return has(key) ? context_.count(at(key)) : 0;
  }

 private:
  const assay::Context& context_;
  std::string name_;
};

Method method_of(const Table& table) {
  const std::string name = table.text("method");
  for (const Method method : kMethods) {
    if (name == to_string(method)) return method;
  }
  table.refuse("method",
               "expected rtn, gptq, awq, nf4, fp4, int8, w8a8 or fp8, got \"" + name + "\"");
}

void check_keys(const Table& table, Method method) {
  const std::string name = to_string(method);
  // Said where it can be no mistake; others mean something else.
  if (method == Method::kNf4 || method == Method::kFp4) {
    int bits = 4;
    std::int64_t group_size = 64;
    table.read("bits", bits);
    table.read("group_size", group_size);
    if (bits != 4) {
      table.refuse("bits", name + " has 4 bits, got " + std::to_string(bits) +
                               "; leave bits out or use method = \"rtn\"");
    }
    if (group_size != 64) {
      table.refuse("group_size", name + " has blocks of 64, got " + std::to_string(group_size) +
                                     "; leave group_size out or use method = \"rtn\"");
    }
    if (table.has("symmetric")) {
      table.refuse("symmetric",
                   name + " has a fixed table and no zero to choose; leave symmetric out");
    }
  }
  for (const OwnKey& own : own_keys()) {
    const std::string_view key = own.key;
    const bool is_said = (method == Method::kNf4 || method == Method::kFp4) &&
                         (key == "bits" || key == "group_size");
    if (is_said || has(own.methods, method) || !table.has(own.key)) continue;
    table.refuse(own.key, "method " + name + " has no " + own.key +
                              "; leave it out or use method " + own.whose);
  }
}

std::vector<Override> read_overrides(const Table& table, const Recipe& recipe) {
  std::vector<Override> out;
  const bool has_grid = recipe.method == Method::kRtn || recipe.method == Method::kGptq ||
                        recipe.method == Method::kAwq;
  for (std::uint64_t i = 0; i < table.count("overrides"); ++i) {
    const std::string at = "overrides." + std::to_string(i) + ".";
    Override rule;
    table.read(at + "modules", rule.modules);
    table.read(at + "bits", rule.bits);
    table.read(at + "group_size", rule.group_size);
    table.read(at + "keep", rule.is_kept);
    if (rule.modules.empty())
      table.refuse(at + "modules", "names no module; expected patterns such as \"mlp.down_proj\"");
    if (rule.is_kept && (rule.bits || rule.group_size)) {
      table.refuse(at + "keep", "a module that is kept has no bits or group_size; leave them out");
    }
    if (!rule.is_kept && !rule.bits && !rule.group_size)
      table.refuse(at + "modules", "nothing is said of them; give bits, group_size or keep = true");
    if (!rule.is_kept && !has_grid) {
      table.refuse(at + (rule.bits ? "bits" : "group_size"),
                   std::string("method ") + to_string(recipe.method) +
                       " has one width for all; use keep = true, or method rtn, gptq or awq");
    }
    out.push_back(std::move(rule));
  }
  return out;
}

void check_bits(const Table& table, const Recipe& recipe, const std::string& key, int bits) {
  if (recipe.method == Method::kRtn || bits <= 8) return;
  table.refuse(key, std::string(to_string(recipe.method)) + " takes 2 to 8 bits, got " +
                        std::to_string(bits) + "; rtn takes up to 16");
}

}  // namespace

std::optional<Recipe> read_recipe(const assay::Context& context, const std::string& name) {
  const Table table(context, name);
  if (!table.has("method")) {
    const auto check = [&](const char* key) {
      if (!table.has(key)) return;
      table.refuse("method", "is missing beside " + table.at(key) +
                                 "; expected rtn, gptq, awq, nf4, fp4, int8, w8a8 or fp8");
    };
    for (const OwnKey& own : own_keys()) check(own.key);
    for (const char* key : kCommonKeys) check(key);
    return std::nullopt;
  }
  Recipe out;
  out.table = name;
  out.method = method_of(table);
  check_keys(table, out.method);
  table.read("bits", out.grid.bits);
  table.read("group_size", out.grid.group_size);
  table.read("symmetric", out.grid.symmetric);
  table.read("act_order", out.gptq.act_order);
  table.read("group_aware", out.gptq.group_aware);
  table.read("static_groups", out.gptq.static_groups);
  table.read("true_sequential", out.gptq.true_sequential);
  table.read("damping", out.gptq.damping);
  table.read("clip", out.awq.clips);
  table.read("duo_scaling", out.awq.duo_scaling);
  table.read("double_quantization", out.is_nested);
  double threshold = out.threshold;
  table.read("threshold", threshold);
  out.threshold = static_cast<float>(threshold);
  table.read("smoothing", out.smoothing);
  if (table.has("scope")) {
    const std::string scope = table.text("scope");
    out.scope = scope == "tensor"  ? Fp8Scope::kTensor
                : scope == "block" ? Fp8Scope::kBlock
                                   : Fp8Scope::kChannel;
  }
  if (out.gptq.act_order && out.gptq.group_aware) {
    table.refuse(
        "group_aware",
        "act_order sorts all columns and group_aware those of each group; use one of them");
  }
  table.read("only", out.only);
  if (out.only.empty()) out.skip = {"lm_head"};
  table.read("skip", out.skip);
  out.overrides = read_overrides(table, out);
  check_bits(table, out, "bits", out.grid.bits);
  for (std::size_t i = 0; i < out.overrides.size(); ++i) {
    if (out.overrides[i].bits)
      check_bits(table, out, "overrides." + std::to_string(i) + ".bits", *out.overrides[i].bits);
  }
  return out;
}

}  // namespace assay_torch
