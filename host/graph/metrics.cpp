#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "host/graph/build.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

std::string type_name(assay_type type) {
  constexpr const char* kNames[] = {"",       "bool",   "int",      "float", "text",
                                    "choice", "path",   "path out", "size",  "duration",
                                    "ints",   "floats", "texts",    "model"};
  if (type >= ASSAY_BOOL && type <= ASSAY_MODEL) return kNames[type];
  return "type " + std::to_string(type);
}

bool is_list(assay_type type) {
  return type == ASSAY_INTS || type == ASSAY_FLOATS || type == ASSAY_TEXTS;
}

/// Whole numbers are handed to a metric as fractions where it asks for these.
bool fits(assay_type given, assay_type wanted) {
  return given == wanted || (given == ASSAY_INT && wanted == ASSAY_FLOAT) ||
         (given == ASSAY_INTS && wanted == ASSAY_FLOATS);
}

const RowColumn* row_column(Protocol protocol, std::string_view name) {
  for (const RowColumn& column : row_columns(protocol)) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

std::vector<MetricOutput> outputs_of(const assay_component& constants) {
  std::vector<MetricOutput> outputs;
  for (std::uint64_t i = 0; i < constants.n_outputs; ++i) {
    const assay_column& declared = *constants.outputs[i];
    MetricOutput output;
    output.name = declared.name;
    output.unit = declared.unit != nullptr ? declared.unit : "";
    output.less_is_better = (declared.flags & ASSAY_COL_LESS_IS_BETTER) != 0;
    output.is_mean = (declared.flags & ASSAY_COL_MEAN) != 0;
    output.is_primary = (declared.flags & ASSAY_COL_PRIMARY) != 0;
    output.lo = declared.lo;
    output.hi = declared.hi;
    outputs.push_back(std::move(output));
  }
  return outputs;
}

/// Could the metric be used without a word in the manifest?
bool fits_by_itself(const Component& component, Protocol protocol) {
  const assay_component& constants = *component.constants;
  bool needs_some = false;
  for (std::uint64_t i = 0; i < constants.n_columns; ++i) {
    const assay_column& column = *constants.columns[i];
    if ((column.flags & ASSAY_COL_OPTIONAL) != 0) continue;
    needs_some = true;
    const RowColumn* given = row_column(protocol, column.name);
    if (given == nullptr || !fits(given->type, column.type)) return false;
  }
  for (std::uint64_t i = 0; i < constants.n_options; ++i) {
    if ((constants.options[i]->flags & ASSAY_OPT_REQUIRED) != 0) return false;
  }
  return needs_some && constants.n_outputs > 0;
}

/// The output a metric calls primary, or NULL.
const MetricOutput* declared_primary(const MetricSpec& metric) {
  const auto found = std::find_if(metric.outputs.begin(), metric.outputs.end(),
                                  [](const MetricOutput& output) { return output.is_primary; });
  return found != metric.outputs.end() ? &*found : nullptr;
}

/// Finds the metrics of one task and its primary output.
class Metrics {
 public:
  Metrics(Building& building, const TaskNode& node, TaskSpec& spec, const KnownColumns* columns)
      : b_(building), node_(node), spec_(spec), columns_(columns), name_("task." + node.name) {}

  void run() {
    for (const MetricUse& use : node_.metrics) add_given(use);
    if (node_.metrics.empty()) add_fitting();
    check_names();
    find_primary();
  }

 private:
  bool knows_columns() const { return columns_ != nullptr && columns_->is_known; }

  void add_given(const MetricUse& use) {
    MetricSpec metric;
    metric.use = use_component(b_, use.use, ASSAY_METRIC, use.options, name_ + ".metrics",
                               use.use.given() ? use.use.place : node_.place, {"use"});
    const Component* component = b_.registry.find(use.use.value, ASSAY_METRIC);
    if (component == nullptr) {
      is_complete_ = false;
      return;
    }
    check_inputs(*component, use.use.place);
    check_tokens(*component, use.use.place);
    metric.outputs = outputs_of(*component->constants);
    if (metric.outputs.empty()) {
      b_.error(use.use.place, use.use.value + " does not say what it measures",
               "this version needs a metric that declares its outputs");
      is_complete_ = false;
    }
    places_.push_back(use.use.place);
    spec_.metrics.push_back(std::move(metric));
  }

  void add_fitting() {
    for (const Component& component : b_.registry.components()) {
      if (component.constants->kind != ASSAY_METRIC) continue;
      if (!fits_by_itself(component, spec_.protocol)) continue;
      if (text_only_model() != nullptr && !needed_tokens(component).empty()) continue;
      MetricSpec metric;
      metric.use = use_component(b_, {std::string(component.id()), node_.place}, ASSAY_METRIC, {},
                                 name_ + ".metrics", node_.place, {});
      metric.outputs = outputs_of(*component.constants);
      places_.push_back(node_.place);
      spec_.metrics.push_back(std::move(metric));
    }
    if (!spec_.metrics.empty()) return;
    is_complete_ = false;
    b_.error(node_.place,
             name_ + " has no metric: none of those found reads what " +
                 std::string(to_string(spec_.protocol)) + " measures",
             "`assay plugins list` shows all components found; name one with metrics");
  }

  void check_inputs(const Component& component, const Place& place) {
    const assay_component& constants = *component.constants;
    for (std::uint64_t i = 0; i < constants.n_columns; ++i) {
      const assay_column& column = *constants.columns[i];
      const bool is_optional = (column.flags & ASSAY_COL_OPTIONAL) != 0;
      const std::string needs = std::string(component.id()) + " needs a column " +
                                in_quotes(column.name) + " of type " + type_name(column.type);
      if (const RowColumn* given = row_column(spec_.protocol, column.name)) {
        if (fits(given->type, column.type)) continue;
        b_.error(place, needs + "; " + std::string(to_string(spec_.protocol)) + " gives " +
                            type_name(given->type));
      } else if (knows_columns()) {
        const DatasetColumn* own = columns_->find(column.name);
        if (own == nullptr && !is_optional) {
          b_.error(place, needs + "; " + name_ + " has none (columns: " + all_columns() + ")");
        } else if (own != nullptr && own->is_nested != is_list(column.type)) {
          b_.error(place, needs + "; that of dataset " + b_.datasets[spec_.dataset] + " holds " +
                              (own->is_nested ? "lists" : "single values"));
        }
      }
    }
  }

  /// A column of tokens that the metric cannot do without, or "".
  static std::string needed_tokens(const Component& component) {
    const assay_component& constants = *component.constants;
    for (std::uint64_t i = 0; i < constants.n_columns; ++i) {
      const assay_column& column = *constants.columns[i];
      const std::string name = column.name;
      const bool is_of_tokens = name == "tokens" || name == "n_tokens" || name == "choice_tokens";
      if (is_of_tokens && (column.flags & ASSAY_COL_OPTIONAL) == 0) return name;
    }
    return "";
  }

  /// A model of the task whose backend tokenizes by itself, or NULL.
  const ModelSpec* text_only_model() const {
    for (const std::size_t model : spec_.models) {
      const ModelSpec& spec = b_.graph.models[model];
      if (spec.backend.component != nullptr && is_text_only(*spec.backend.component)) return &spec;
    }
    return nullptr;
  }

  void check_tokens(const Component& component, const Place& place) {
    const std::string column = needed_tokens(component);
    const ModelSpec* model = text_only_model();
    if (column.empty() || model == nullptr) return;
    b_.error(place,
             std::string(component.id()) + " needs the column " + in_quotes(column) + "; " +
                 std::string(model->backend.component->id()) + " of model." + model->name +
                 " offers text only",
             "models = [...] names the models a task runs on");
  }

  std::string all_columns() const {
    std::vector<std::string> names;
    for (const RowColumn& column : row_columns(spec_.protocol)) names.emplace_back(column.name);
    for (const std::string& name : columns_->names()) {
      if (row_column(spec_.protocol, name) == nullptr) names.push_back(name);
    }
    return joined(names);
  }

  /// Figures are found by the names of outputs, so these are unique within a task.
  void check_names() {
    std::map<std::string, std::size_t> first;
    for (std::size_t i = 0; i < spec_.metrics.size(); ++i) {
      for (const MetricOutput& output : spec_.metrics[i].outputs) {
        const auto [other, is_new] = first.emplace(output.name, i);
        if (is_new || !is_complete_) continue;
        const auto id = [&](std::size_t metric) {
          const Component* component = spec_.metrics[metric].use.component;
          return component != nullptr ? std::string(component->id()) : std::string("a metric");
        };
        b_.error(places_[i],
                 name_ + ": " + id(other->second) + " and " + id(i) + " both measure " +
                     in_quotes(output.name),
                 "name the one that is meant: metrics = [" + in_quotes(id(other->second)) + "]");
      }
    }
  }

  std::vector<std::string> output_names() const {
    std::vector<std::string> names;
    for (const MetricSpec& metric : spec_.metrics) {
      for (const MetricOutput& output : metric.outputs) names.push_back(output.name);
    }
    return names;
  }

  void find_primary() {
    const std::vector<std::string> names = output_names();
    if (node_.primary.given()) {
      spec_.primary = node_.primary.value;
      if (!is_complete_ || std::find(names.begin(), names.end(), spec_.primary) != names.end()) {
        return;
      }
      const std::string near = did_you_mean(spec_.primary, names);
      b_.error(node_.primary.place,
               name_ + ": primary = " + in_quotes(spec_.primary) + " is measured by no metric",
               near.empty() ? "its metrics measure " + joined(names) : near);
      return;
    }
    if (names.empty()) return;
    if (node_.metrics.empty()) return find_primary_of_fitting(names.front());
    const MetricOutput* output = declared_primary(spec_.metrics.front());
    spec_.primary = output != nullptr ? output->name : names.front();
  }

  /// Which of the fitting metrics comes first depends on what is installed, so none is preferred.
  void find_primary_of_fitting(const std::string& first) {
    std::vector<std::string> offered;
    for (const MetricSpec& metric : spec_.metrics) {
      const MetricOutput* output = declared_primary(metric);
      if (output == nullptr) continue;
      if (std::find(offered.begin(), offered.end(), output->name) == offered.end()) {
        offered.push_back(output->name);
      }
    }
    spec_.primary = offered.empty() ? first : offered.front();
    if (offered.size() < 2) return;
    b_.error(node_.place,
             name_ + " names no metrics, and those that fit offer " +
                 std::to_string(offered.size()) + " primary figures: " + joined(offered),
             "write primary = " + in_quotes(offered.front()) +
                 ", or metrics = [...] with those that are meant");
  }

  Building& b_;
  const TaskNode& node_;
  TaskSpec& spec_;
  const KnownColumns* columns_;  // NULL: no such dataset
  std::string name_;
  bool is_complete_ = true;    // false: a metric is missing, so names of outputs may be
  std::vector<Place> places_;  // of each metric
};

}  // namespace

void wire_metrics(Building& building, const TaskNode& node, TaskSpec& spec,
                  const KnownColumns* columns) {
  Metrics(building, node, spec, columns).run();
}

}  // namespace assay::host
