#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "host/graph/build.hpp"
#include "host/graph/options.hpp"
#include "host/manifest/value.hpp"
#include "host/text/text.hpp"

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

/// Builds one task.
class Task {
 public:
  Task(Building& building, const TaskNode& node)
      : b_(building), node_(node), name_("task." + node.name) {}

  TaskSpec run() {
    spec_.name = node_.name;
    spec_.protocol = node_.protocol.value;
    spec_.limit = node_.limit.value;
    spec_.seed = node_.seed.given() ? node_.seed.value : b_.manifest.seed;
    spec_.bos = node_.bos.value;
    find_dataset();
    find_models();
    if (!node_.protocol.given()) return std::move(spec_);
    if (spec_.protocol == Protocol::kPerplexity) {
      fill_perplexity();
    } else {
      fill_multiple_choice();
    }
    group();
    find_metrics();
    find_primary();
    return std::move(spec_);
  }

 private:
  void find_dataset() {
    if (!node_.dataset.given()) return;
    const auto found = position(b_, b_.datasets, "dataset", node_.dataset);
    if (!found) return;
    spec_.dataset = *found;
    columns_ = &b_.columns[*found];
  }

  void find_models() {
    std::set<std::size_t> seen;
    for (const auto& name : node_.models) {
      const auto found = position(b_, b_.models, "model", name);
      if (!found) continue;
      if (!seen.insert(*found).second) {
        b_.error(name.place, "model " + in_quotes(name.value) + " is named twice");
      } else {
        spec_.models.push_back(*found);
      }
    }
    if (node_.models.empty()) {
      for (std::size_t i = 0; i < b_.models.size(); ++i) spec_.models.push_back(i);
    }
    check_backends();
  }

  /// Both protocols score; a backend that only generates is of no use to them.
  void check_backends() {
    for (const std::size_t model : spec_.models) {
      const Component* backend = b_.graph.models[model].backend.component;
      if (backend == nullptr || (backend->constants->caps & ASSAY_CAP_SCORE) != 0) continue;
      b_.error(node_.place,
               name_ + " needs a backend that scores tokens; " + std::string(backend->id()) +
                   " of model." + b_.models[model] + " does not",
               "name the models it runs on with models = [...]");
    }
  }

  bool knows_columns() const { return columns_ != nullptr && columns_->is_known; }

  std::string column_list(const KnownColumns& columns) const {
    return "(columns: " + joined(columns.names()) + ")";
  }

  Place place_of(const Place& place) const { return place.line > 0 ? place : node_.place; }

  /// The names a template reads, or nothing where it does not compile.
  std::optional<std::set<std::string>> variables(std::string_view key,
                                                 const Located<std::string>& text) {
    auto compiled = Template::compile(text.value);
    if (compiled) return compiled->variables();
    b_.error(place_of(text.place), name_ + ": " + std::string(key) + ": " + compiled.error().text);
    return std::nullopt;
  }

  void check_columns(std::string_view key, const Located<std::string>& text,
                     const std::set<std::string>& names, std::size_t dataset) {
    const KnownColumns& columns = b_.columns[dataset];
    if (!columns.is_known) return;
    for (const std::string& name : names) {
      if (columns.find(name) != nullptr) continue;
      b_.error(place_of(text.place),
               name_ + ": " + std::string(key) + " reads " + in_quotes(name) + ", but dataset " +
                   b_.datasets[dataset] + " has no such column " + column_list(columns),
               did_you_mean(name, columns.names()));
    }
  }

  /// Checks that a template compiles and reads only columns that are there; of the dataset the
  /// examples come from as well.
  void check_template(std::string_view key, const Located<std::string>& text) {
    if (knows_columns() && columns_->find(text.value) != nullptr) return;
    const auto names = variables(key, text);
    if (!names || columns_ == nullptr) return;
    check_columns(key, text, *names, spec_.dataset);
    if (shots_from_ && *shots_from_ != spec_.dataset)
      check_columns(key, text, *names, *shots_from_);
  }

  /// A text that is neither a column nor a template was meant to be one of them.
  bool is_plain(const Located<std::string>& text) const {
    return text.value.find("{{") == std::string::npos && text.value.find("{%") == std::string::npos;
  }

  void say_neither(std::string_view key, const Located<std::string>& text) {
    if (!knows_columns()) return;
    b_.error(place_of(text.place),
             name_ + ": " + std::string(key) + " = " + in_quotes(text.value) +
                 " is neither a column of dataset " + b_.datasets[spec_.dataset] +
                 " nor a template " + column_list(*columns_),
             did_you_mean(text.value, columns_->names()));
  }

  void fill_perplexity() {
    PerplexitySpec& spec = spec_.perplexity;
    spec.window = node_.window.value;
    spec.stride = node_.stride.value;
    spec.text = node_.text.value;
    if (node_.join) spec.join = node_.join->value;
    const auto names = variables("text", node_.text);
    if (!names || columns_ == nullptr) return;
    check_columns("text", node_.text, *names, spec_.dataset);
    if (names->empty() && knows_columns()) {
      const bool is_column = columns_->find(node_.text.value) != nullptr;
      b_.error(place_of(node_.text.place),
               name_ + ": text = " + in_quotes(node_.text.value) + " reads no column of dataset " +
                   b_.datasets[spec_.dataset] + " " + column_list(*columns_),
               is_column ? "write text = \"{{ " + node_.text.value + " }}\"" : "");
    }
  }

  void fill_multiple_choice() {
    PromptSpec& spec = spec_.prompt;
    spec.shots = node_.shots.value;
    spec.shots_from = spec_.dataset;
    if (node_.shots_from.given()) {
      shots_from_ = position(b_, b_.datasets, "dataset", node_.shots_from);
      if (shots_from_) spec.shots_from = *shots_from_;
      if (!node_.shots.given() || node_.shots.value == 0) {
        b_.error(node_.shots_from.place, name_ + " takes no examples, shots_from has no use",
                 "write shots = 5, or leave shots_from out");
      }
    }
    for (const auto& prompt : node_.prompts) {
      spec.prompts.push_back(prompt.value);
      check_template("prompt", prompt);
    }
    spec.has_many_prompts = node_.prompts.size() > 1;
    fill_choices();
    fill_target();
    spec.description = node_.description.value;
    if (node_.description.given()) check_description();
    spec.delimiter = node_.delimiter.value;
    spec.separator = node_.separator.value;
  }

  void check_description() {
    const auto names = variables("description", node_.description);
    if (names && columns_ != nullptr) {
      check_columns("description", node_.description, *names, spec_.dataset);
    }
  }

  void fill_choices() {
    MultipleChoiceSpec& spec = spec_.multiple_choice;
    spec.choices_is_list = node_.choices_is_list;
    for (const auto& choice : node_.choices) {
      spec.choices.push_back(choice.value);
      check_template("choices", choice);
      const bool gives_list = !spec.choices_is_list && !spec_.prompt.has_many_prompts;
      const bool is_column = knows_columns() && columns_->find(choice.value) != nullptr;
      if (gives_list && is_plain(choice) && !is_column) say_neither("choices", choice);
    }
  }

  void fill_target() {
    spec_.prompt.target = node_.target.value;
    if (!node_.target.given()) return;
    check_template("target", node_.target);
    const std::string& text = node_.target.value;
    const bool is_index =
        !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    const bool is_choice = std::any_of(node_.choices.begin(), node_.choices.end(),
                                       [&](const auto& choice) { return choice.value == text; });
    const bool is_column = knows_columns() && columns_->find(text) != nullptr;
    if (is_plain(node_.target) && !is_index && !is_choice && !is_column) {
      say_neither("target", node_.target);
    }
  }

  void group() {
    std::set<std::string> seen;
    for (const auto& key : node_.group_by) {
      spec_.group_by.push_back(key.value);
      if (!seen.insert(key.value).second) {
        b_.error(key.place, "group_by names " + in_quotes(key.value) + " twice");
      }
      if (!knows_columns()) continue;
      const DatasetColumn* column = columns_->find(key.value);
      if (column == nullptr) {
        b_.error(key.place,
                 name_ + ": group_by = " + in_quotes(key.value) + ", but dataset " +
                     b_.datasets[spec_.dataset] + " has no such column " + column_list(*columns_),
                 did_you_mean(key.value, columns_->names()));
      } else if (column->is_nested) {
        b_.error(key.place, name_ + ": group_by = " + in_quotes(key.value) +
                                " is a column of lists, groups need one value a record");
      }
    }
    if (node_.join && !node_.group_by.empty()) {
      b_.error(node_.group_by.front().place,
               name_ + " has join and group_by: joined text is one stream and has no groups",
               "leave one of them out");
    }
  }

  void find_metrics() {
    for (const MetricUse& use : node_.metrics) add_given(use);
    if (node_.metrics.empty()) add_fitting();
    check_names();
  }

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
    spec_.primary = names.front();
    for (const MetricOutput& output : spec_.metrics.front().outputs) {
      if (!output.is_primary) continue;
      spec_.primary = output.name;
      return;
    }
  }

  Building& b_;
  const TaskNode& node_;
  std::string name_;
  TaskSpec spec_;
  const KnownColumns* columns_ = nullptr;  // NULL: no such dataset
  std::optional<std::size_t> shots_from_;
  bool is_complete_ = true;    // false: a metric is missing, so names of outputs may be
  std::vector<Place> places_;  // of each metric
};

}  // namespace

void wire_tasks(Building& building) {
  for (const TaskNode& node : building.manifest.tasks) {
    building.graph.tasks.push_back(Task(building, node).run());
  }
}

}  // namespace assay::host
