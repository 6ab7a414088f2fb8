#include "decoder/families/rope_keys.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace assay_torch {
namespace {

constexpr std::array kKnown = {"rope_type",        "type",
                               "rope_theta",       "partial_rotary_factor",
                               "factor",           "original_max_position_embeddings",
                               "attention_factor", "beta_fast",
                               "beta_slow",        "mscale",
                               "mscale_all_dim",   "truncate",
                               "low_freq_factor",  "high_freq_factor",
                               "short_factor",     "long_factor"};

constexpr std::array kScalings = {
    std::pair{"default", RopeScaling::kNone},      std::pair{"linear", RopeScaling::kLinear},
    std::pair{"dynamic", RopeScaling::kDynamic},   std::pair{"yarn", RopeScaling::kYarn},
    std::pair{"longrope", RopeScaling::kLongrope}, std::pair{"llama3", RopeScaling::kLlama3}};

/// One table of config.json, its keys with the table's name before them.
class Table {
 public:
  Table(const Config& config, std::string name) : config_(config), name_(std::move(name)) {}

  std::string key(std::string_view last) const { return name_ + "." + std::string(last); }
  std::optional<double> find(std::string_view last) const {
    return config_.find_positive(key(last));
  }
  double required(std::string_view last, const std::string& type) const {
    if (const auto value = find(last)) return *value;
    config_.refuse(key(last), "is missing; rope scaling \"" + type + "\" needs it");
  }
  std::vector<double> factors(std::string_view last, std::int64_t count) const {
    const auto values = config_.positives(key(last));
    if (static_cast<std::int64_t>(values.size()) == count) return values;
    config_.refuse(key(last), "expected " + std::to_string(count) +
                                  " numbers, one for every pair of dimensions that turns, got " +
                                  std::to_string(values.size()));
  }

 private:
  const Config& config_;
  std::string name_;
};

void refuse_unknown(const Config& config, const std::string& table) {
  for (const std::string& key : config.keys(table)) {
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end())
      config.refuse(table + "." + key, "is not known, and it may change the numbers");
  }
}

std::string type_of(const Config& config, const Table& table, const RopeKeys& keys) {
  const auto old = config.find_text(table.key("type"));
  const std::string type =
      config.find_text(table.key("rope_type")).value_or(old.value_or("default"));
  const bool is_longrope = keys.has_old_longrope_names && (type == "su" || type == "yarn");
  return is_longrope ? "longrope" : type;
}

RopeScaling scaling_of(const Config& config, const Table& table, const std::string& type) {
  std::string supported;
  for (const auto& [name, scaling] : kScalings) {
    if (type == name) return scaling;
    supported += (supported.empty() ? "\"" : ", \"") + std::string(name) + "\"";
  }
  const std::string key = table.key(config.has(table.key("rope_type")) ? "rope_type" : "type");
  config.refuse(key, "rope scaling \"" + type + "\" is not supported; supported: " + supported);
}

/// YaRN, arXiv 2309.00071, equation 22, with DeepSeek's two weights.
double mscale(double factor, double weight) {
  return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}

void read_yarn(const Config& config, const Table& table, const DecoderSpec& spec, RopeSpec& rope) {
  const auto original = static_cast<double>(rope.original_context);
  rope.factor = table.find("factor").value_or(static_cast<double>(spec.max_context) / original);
  const double one = config.find_number(table.key("mscale")).value_or(0);
  const double all = config.find_number(table.key("mscale_all_dim")).value_or(0);
  const double usual = one != 0 && all != 0 ? mscale(rope.factor, one) / mscale(rope.factor, all)
                                            : mscale(rope.factor, 1);
  rope.attention_factor = table.find("attention_factor").value_or(usual);
  rope.beta_fast = table.find("beta_fast").value_or(32);
  rope.beta_slow = table.find("beta_slow").value_or(1);
  rope.is_truncated = config.find_flag(table.key("truncate")).value_or(true);
}

void read_longrope(const Table& table, const DecoderSpec& spec, RopeSpec& rope) {
  const auto original = static_cast<double>(rope.original_context);
  rope.short_factors = table.factors("short_factor", rope.dim / 2);
  rope.long_factors = table.factors("long_factor", rope.dim / 2);
  rope.factor = table.find("factor").value_or(static_cast<double>(spec.max_context) / original);
  const double usual =
      rope.factor <= 1 ? 1 : std::sqrt(1 + std::log(rope.factor) / std::log(original));
  rope.attention_factor = table.find("attention_factor").value_or(usual);
}

std::int64_t rotary_dim(const Config& config, const Table& table, const DecoderSpec& spec,
                        const RopeKeys& keys) {
  const auto inside = table.find("partial_rotary_factor");
  const auto beside = config.find_positive(keys.fraction);
  const double fraction = inside ? *inside : beside.value_or(keys.default_fraction);
  const std::string key = inside ? table.key("partial_rotary_factor") : keys.fraction;
  if (fraction != 1 && !keys.is_partial_allowed)
    config.refuse(key, "is not supported for " + spec.architecture + "; supported: 1");
  if (fraction > 1) config.refuse(key, "expected at most 1");
  const auto dim = static_cast<std::int64_t>(static_cast<double>(spec.head_dim) * fraction);
  if (dim % 2 != 0 || dim == 0) {
    config.refuse(fraction == 1 ? "head_dim" : key,
                  "expected an even number of dimensions that turn, got " + std::to_string(dim));
  }
  return dim;
}

}  // namespace

RopeSpec read_rope(const Config& config, const std::string& table_name, const DecoderSpec& spec,
                   const RopeKeys& keys) {
  refuse_unknown(config, table_name);
  const Table table(config, table_name);
  const std::string type = type_of(config, table, keys);
  RopeSpec rope;
  rope.scaling = scaling_of(config, table, type);
  rope.dim = rotary_dim(config, table, spec, keys);
  const auto beside = config.find_positive(keys.theta);
  rope.theta = table.find("rope_theta").value_or(beside.value_or(keys.default_theta));
  // The key beside the table comes first, as in transformers.
  const char* original = "original_max_position_embeddings";
  const auto in_table = config.find_count(table.key(original));
  const std::int64_t fallback =
      keys.default_original_context != 0 ? keys.default_original_context : spec.max_context;
  rope.original_context = config.find_count(original).value_or(in_table.value_or(fallback));
  switch (rope.scaling) {
    case RopeScaling::kNone:
      if (table.find("factor").value_or(1) != 1)
        config.refuse(table.key("factor"), "means nothing without a rope_type; give one");
      break;
    case RopeScaling::kLinear:
      rope.factor = table.required("factor", type);
      break;
    case RopeScaling::kDynamic:
      rope.factor = table.required("factor", type);
      rope.original_context = spec.max_context;
      if (rope.dim < 4) config.refuse("head_dim", "dynamic rope scaling needs at least 4");
      break;
    case RopeScaling::kYarn:
      read_yarn(config, table, spec, rope);
      break;
    case RopeScaling::kLongrope:
      read_longrope(table, spec, rope);
      break;
    case RopeScaling::kLlama3:
      rope.factor = table.required("factor", type);
      rope.low_freq_factor = table.required("low_freq_factor", type);
      rope.high_freq_factor = table.required("high_freq_factor", type);
      break;
  }
  return rope;
}

void add_rope(const Config& config, DecoderSpec& spec, const RopeKeys& keys) {
  const bool is_old = config.has("rope_scaling");
  if (is_old && config.has("rope_parameters"))
    config.refuse("rope_scaling", "stands beside rope_parameters; leave one of them out");
  spec.ropes = {read_rope(config, is_old ? "rope_scaling" : "rope_parameters", spec, keys)};
  const RopeSpec& rope = spec.ropes.front();
  if (rope.scaling == RopeScaling::kDynamic) {
    constexpr double kMost = std::numeric_limits<std::int32_t>::max();
    spec.max_context = static_cast<std::int64_t>(
        std::min(static_cast<double>(spec.max_context) * rope.factor, kMost));
  }
}

}  // namespace assay_torch
