#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>

#include "host/manifest/quantity.hpp"
#include "host/manifest/sections.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

constexpr std::array kThresholds = {Threshold::kMaxIncrease, Threshold::kMaxDrop,
                                    Threshold::kMinRetained, Threshold::kMin, Threshold::kMax};

/// A number, or a percentage in quotes.
std::optional<Bound> bound_of(const Fields& fields, std::string_view key, const Value& value) {
  std::optional<Bound> bound;
  if (const auto* whole = get_if<std::int64_t>(value)) {
    bound = Bound{static_cast<double>(*whole), false};
  } else if (const auto* number = get_if<double>(value)) {
    bound = Bound{*number, false};
  } else if (const auto* text = get_if<std::string>(value)) {
    if (const auto share = parse_percent(*text)) bound = Bound{*share, true};
  }
  if (!bound || !std::isfinite(bound->value)) {
    fields.wrong_type(key, "a number or a percentage such as \"5%\"", value);
    return std::nullopt;
  }
  return bound;
}

void read_bound(Fields& fields, Threshold threshold, const Value& value, GateNode& gate) {
  const std::string key(to_string(threshold));
  auto bound = bound_of(fields, key, value);
  if (!bound) return;
  const bool is_plain = threshold == Threshold::kMin || threshold == Threshold::kMax;
  if (!is_plain && bound->value < 0) {
    return fields.error(value.place, key + " must be at least 0, got " + digits(bound->value));
  }
  if (threshold == Threshold::kMinRetained) {
    if (bound->value > 2) {
      return fields.error(
          value.place, key + " must be between 0 and 2 (200%), got " + digits(bound->value),
          bound->is_relative ? "" : "write " + key + " = \"" + digits(bound->value) + "%\"");
    }
    bound->is_relative = true;
  }
  gate.threshold = {threshold, value.place};
  gate.bound = *bound;
}

void read_threshold(Fields& fields, GateNode& gate) {
  std::vector<std::string> given;
  std::vector<std::string> all;
  for (const Threshold threshold : kThresholds) {
    const std::string key(to_string(threshold));
    all.push_back(key);
    const Value* value = fields.take(key);
    if (value == nullptr) continue;
    given.push_back(key);
    if (given.size() == 1) {
      read_bound(fields, threshold, *value, gate);
    } else {
      fields.error(fields.key_place(key),
                   "a gate has one threshold, this one has " + given.front() + " and " + key,
                   "write a second [[gate]]");
    }
  }
  if (given.empty()) {
    fields.error(fields.place(), "gate lacks a threshold", "one of " + joined(all));
  }
}

void check_group(const Fields& fields, const Located<std::string>& group) {
  if (!group.given() || group.value == "*") return;
  const std::size_t equals = group.value.find('=');
  if (equals != std::string::npos && equals > 0) return;
  fields.error(group.place, "group must be \"key=value\" or \"*\", got " + in_quotes(group.value),
               "leave it out to gate the whole task");
}

void check_subset(const Fields& fields, const Located<std::string>& subset) {
  if (!subset.given() || subset.value == "clean") return;
  fields.error(subset.place, "subset must be \"clean\", got " + in_quotes(subset.value),
               "leave it out to gate every item");
}

}  // namespace

GateNode read_gate(Fields& fields) {
  GateNode gate;
  gate.place = fields.place();
  fields.require({{"task", "task: the name of a [task.x]"},
                  {"metric", "metric: an output of one of the task's metrics, such as \"acc\""}});
  gate.task = fields.text("task");
  gate.metric = fields.text("metric");
  gate.group = fields.text("group");
  check_group(fields, gate.group);
  gate.subset = fields.text("subset");
  check_subset(fields, gate.subset);
  gate.candidates = fields.texts("candidates");
  read_threshold(fields, gate);
  fields.refuse_unknown(
      "a gate has task, metric, group, subset, candidates and one of max_increase, max_drop, "
      "min_retained, min, max");
  return gate;
}

CompareNode read_compare(Fields& fields) {
  CompareNode compare;
  compare.place = fields.place();
  fields.require({{"baseline", "baseline: the [model.x] that all others are compared with"}});
  compare.baseline = fields.text("baseline");
  if (const Value* value = fields.take("noise_floor")) {
    const auto bound = bound_of(fields, "noise_floor", *value);
    if (bound && bound->value < 0) {
      fields.error(value->place, "noise_floor must be at least 0, got " + digits(bound->value));
    } else if (bound) {
      compare.noise_floor = {bound->value, value->place};
    }
  }
  fields.refuse_unknown("[compare] has baseline and noise_floor");
  return compare;
}

}  // namespace assay::host
