#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "host/graph/build.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

const MetricOutput* output_of(const TaskSpec& task, const std::string& name) {
  for (const MetricSpec& metric : task.metrics) {
    for (const MetricOutput& output : metric.outputs) {
      if (output.name == name) return &output;
    }
  }
  return nullptr;
}

std::vector<std::string> output_names(const TaskSpec& task) {
  std::vector<std::string> names;
  for (const MetricSpec& metric : task.metrics) {
    for (const MetricOutput& output : metric.outputs) names.push_back(output.name);
  }
  return names;
}

/// Does the name begin as that of a group of these keys does: "a=", then ",b=" further on?
bool begins_with(std::string_view group, const std::vector<std::string>& keys) {
  std::size_t at = 0;
  for (const std::string& key : keys) {
    const std::size_t found = at == 0 ? (group.starts_with(key + "=") ? 0 : std::string_view::npos)
                                      : group.find("," + key + "=", at);
    if (found == std::string_view::npos) return false;
    at = found + key.size() + 1;
  }
  return true;
}

/// The keys in a group's name. A comma with no "=" behind it is one of the value's own.
std::vector<std::string> keys_in(std::string_view group, const std::vector<std::string>& known) {
  const auto first = std::find_if(known.begin(), known.end(), [&](const std::string& key) {
    return begins_with(group, {key});
  });
  std::vector<std::string> keys;
  if (first != known.end()) {
    keys.push_back(*first);
    group.remove_prefix(first->size() + 1);
    group.remove_prefix(std::min(group.find(','), group.size()));
  }
  while (!group.empty()) {
    const std::string_view piece = group.substr(0, group.find(','));
    const std::size_t equals = piece.find('=');
    if (equals != std::string_view::npos) keys.emplace_back(piece.substr(0, equals));
    group.remove_prefix(std::min(piece.size() + 1, group.size()));
  }
  return keys;
}

std::string with_dots(const std::vector<std::string>& keys) {
  std::string text;
  for (const std::string& key : keys) text += (text.empty() ? "" : ",") + key + "=...";
  return in_quotes(text);
}

bool is_absolute(Threshold threshold) {
  return threshold == Threshold::kMin || threshold == Threshold::kMax;
}

/// Builds one gate.
class Gate {
 public:
  Gate(Building& building, const GateNode& node) : b_(building), node_(node) {}

  GateSpec run() {
    spec_.metric = node_.metric.value;
    spec_.group = node_.group.value;
    spec_.is_on_clean_subset = node_.subset.given();
    spec_.threshold = node_.threshold.value;
    spec_.bound = node_.bound;
    find_task();
    check_baseline();
    if (task_ != nullptr) {
      check_group();
      check_metric();
    }
    find_candidates();
    return std::move(spec_);
  }

 private:
  void find_task() {
    if (!node_.task.given()) return;
    const std::string& name = node_.task.value;
    const bool is_later = name == "memory" || name == "latency";
    if (is_later && std::find(b_.tasks.begin(), b_.tasks.end(), name) == b_.tasks.end()) {
      return b_.error(node_.task.place, "gates on " + name + " are not supported by this version",
                      "gate a metric of a [task.x]");
    }
    const auto found = position(b_, b_.tasks, "task", node_.task);
    if (!found) return;
    spec_.task = *found;
    task_ = &b_.graph.tasks[*found];
  }

  void check_baseline() {
    if (!node_.threshold.given() || is_absolute(node_.threshold.value)) return;
    const std::string key(to_string(node_.threshold.value));
    if (!b_.manifest.compare) {
      b_.error(
          node_.threshold.place, key + " needs a baseline to compare with",
          "write [compare] with baseline = \"...\", or bound the figure itself with min or max");
    } else if (task_ != nullptr && b_.graph.baseline && !runs_on(*b_.graph.baseline)) {
      b_.error(node_.threshold.place, key + " needs the baseline, but task." + task_->name +
                                          " does not run on " + b_.models[*b_.graph.baseline]);
    }
  }

  bool runs_on(std::size_t model) const {
    return std::find(task_->models.begin(), task_->models.end(), model) != task_->models.end();
  }

  /// Groups are named "a=x" for one key of group_by, or "a=x,b=y" for all of them in its order.
  void check_group() {
    if (!node_.group.given()) return;
    const auto& keys = task_->group_by;
    if (spec_.group == "*") {
      if (!keys.empty()) return;
      return b_.error(node_.group.place,
                      "group = \"*\", but task." + task_->name + " has no groups",
                      "give the task group_by, or leave group out");
    }
    if (spec_.group.find('=') == std::string::npos) return;  // the parser said so
    const std::vector<std::string> named = keys_in(spec_.group, keys);
    if (begins_with(spec_.group, keys) && named.size() == keys.size()) return;
    for (const std::string& key : named) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) return refuse_key(key, named);
    }
    if (named.size() == 1) return;
    b_.error(
        node_.group.place,
        "group = " + in_quotes(spec_.group) + " is no group of task." + task_->name +
            ", whose groups have one key or all of them in the order of group_by",
        "write " + with_dots({named.front()}) + (keys.size() > 1 ? " or " + with_dots(keys) : ""));
  }

  void refuse_key(const std::string& key, const std::vector<std::string>& named) {
    const std::string near = did_you_mean(key, task_->group_by);
    std::string list;
    for (const std::string& each : named) list += (list.empty() ? "" : ", ") + in_quotes(each);
    b_.error(node_.group.place,
             "group = " + in_quotes(spec_.group) + ", but task." + task_->name +
                 " is not grouped by " + in_quotes(key),
             near.empty() ? "write group_by = [" + list + "] in [task." + task_->name + "]" : near);
  }

  void check_metric() {
    const std::vector<std::string> names = output_names(*task_);
    if (!node_.metric.given() || names.empty()) return;
    const MetricOutput* output = output_of(*task_, spec_.metric);
    if (output == nullptr) {
      const std::string near = did_you_mean(spec_.metric, names);
      return b_.error(node_.metric.place,
                      "task." + task_->name + " does not measure " + in_quotes(spec_.metric),
                      near.empty() ? "it measures " + joined(names) : near);
    }
    if (!node_.threshold.given()) return;
    check_direction(*output);
    check_percent(*output);
  }

  void check_direction(const MetricOutput& output) {
    const Threshold threshold = node_.threshold.value;
    if (threshold == Threshold::kMaxIncrease && !output.less_is_better) {
      b_.error(
          node_.threshold.place,
          "max_increase is for figures where less is better; of " + output.name + " more is better",
          "write max_drop");
    } else if (threshold == Threshold::kMaxDrop && output.less_is_better) {
      b_.error(
          node_.threshold.place,
          "max_drop is for figures where more is better; of " + output.name + " less is better",
          "write max_increase");
    }
  }

  /// "85%" as the figure itself means 0.85: only of a figure that lies between 0 and 1.
  void check_percent(const MetricOutput& output) {
    if (!is_absolute(node_.threshold.value) || !node_.bound.is_relative) return;
    if (output.lo >= 0 && output.hi <= 1) return;
    const std::string key(to_string(node_.threshold.value));
    b_.error(node_.threshold.place,
             key + " = \"" + digits(100 * node_.bound.value) + "%\": " + output.name +
                 " is not a share of 1",
             "write a number, or bound its change with " +
                 std::string(output.less_is_better ? "max_increase" : "max_drop"));
  }

  void find_candidates() {
    for (const auto& name : node_.candidates) {
      const auto found = position(b_, b_.models, "model", name);
      if (!found) continue;
      if (b_.graph.baseline == *found) {
        b_.error(name.place, in_quotes(name.value) + " is the baseline, not a candidate",
                 "candidates are compared with it");
      } else if (task_ != nullptr && !runs_on(*found)) {
        b_.error(name.place, "task." + task_->name + " does not run on " + in_quotes(name.value));
      }
      spec_.candidates.push_back(*found);
    }
    if (!node_.candidates.empty() || task_ == nullptr) return;
    for (const std::size_t model : task_->models) {
      if (b_.graph.baseline != model) spec_.candidates.push_back(model);
    }
    if (spec_.candidates.empty() && !task_->models.empty()) {
      b_.error(node_.place,
               "this gate judges nothing: task." + task_->name + " runs on the baseline only",
               "add a [model.x] to compare with it");
    }
  }

  Building& b_;
  const GateNode& node_;
  GateSpec spec_;
  const TaskSpec* task_ = nullptr;
};

}  // namespace

void wire_gates(Building& building) {
  for (const GateNode& node : building.manifest.gates) {
    building.graph.gates.push_back(Gate(building, node).run());
  }
}

}  // namespace assay::host
