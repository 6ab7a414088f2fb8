#include "host/run/results.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "host/stats/gate.hpp"
#include "host/stats/measure.hpp"
#include "host/store/rows.hpp"

namespace assay::host {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

constexpr std::string_view kNotControlled = "not controlled";

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double number_in(const Json& entry, const char* key) {
  const Json& value = entry.at(key);
  return value.is_number() ? value.get<double>() : kUnknown;
}

Json name_or_null(const std::string& group) { return group.empty() ? Json(nullptr) : Json(group); }

Result<RowTable> load_rows(const TaskSpec& task, const std::filesystem::path& path) {
  auto reader = RowReader::open(path);
  if (!reader) return std::move(reader).error();
  RowTable table(task);
  for (;;) {
    auto row = reader->next();
    if (!row) return std::move(row).error();
    if (!*row) return table;
    table.add(**row);
  }
}

/// The whole task under the name "", then its groups.
std::vector<Group> parts_of(const TaskSpec& task, const RowTable& table) {
  std::vector<Group> parts{{"", all_rows(table)}};
  for (Group& group : groups_of(task, table)) parts.push_back(std::move(group));
  return parts;
}

/// Positions of the items both tables have, in both.
struct Shared {
  std::vector<std::uint64_t> a, b;
};

Shared shared_rows(const RowTable& a, const std::vector<std::uint64_t>& rows_a, const RowTable& b) {
  Shared shared;
  std::uint64_t j = 0;
  for (const std::uint64_t i : rows_a) {
    while (j < b.size() && b.index(j) < a.index(i)) ++j;
    if (j < b.size() && b.index(j) == a.index(i)) {
      shared.a.push_back(i);
      shared.b.push_back(j);
    }
  }
  return shared;
}

bool holds(const std::vector<std::uint64_t>& ascending, std::uint64_t item) {
  return std::binary_search(ascending.begin(), ascending.end(), item);
}

void append(Json& to, Json list) {
  for (Json& entry : list) to.push_back(std::move(entry));
}

const Json* find(const Json& list, const std::string& variant, const std::string& task,
                 const std::string& metric, const std::string& group) {
  for (const Json& entry : list) {
    if (entry.at("variant") == variant && entry.at("task") == task &&
        entry.at("metric") == metric && entry.at("group") == name_or_null(group)) {
      return &entry;
    }
  }
  return nullptr;
}

const MetricOutput* output_of(const TaskSpec& task, const std::string& name) {
  for (const MetricSpec& metric : task.metrics) {
    for (const MetricOutput& output : metric.outputs) {
      if (output.name == name) return &output;
    }
  }
  return nullptr;
}

std::string threshold_text(const GateSpec& gate) {
  char bound[32];
  std::snprintf(bound, sizeof(bound), "%g",
                gate.bound.is_relative ? 100 * gate.bound.value : gate.bound.value);
  return std::string(to_string(gate.threshold)) + " " + bound + (gate.bound.is_relative ? "%" : "");
}

}  // namespace

std::string_view tokenization_of(const ModelSpec& model) {
  return is_text_only(*model.backend.component) ? kNotControlled : "controlled";
}

const TaskOutcome* Figures::outcome(std::size_t model, std::size_t task) const {
  const auto variant = variants_.find(model);
  if (variant == variants_.end()) return nullptr;
  const auto found = variant->second.tasks.find(task);
  return found == variant->second.tasks.end() ? nullptr : &found->second;
}

std::optional<RowTable> Figures::table_of(std::size_t model, std::size_t task) {
  if (outcome(model, task) == nullptr) return std::nullopt;
  const TaskSpec& spec = graph_.tasks[task];
  auto table = load_rows(spec, rows_path(out_, graph_.models[model].name, spec.name));
  if (!table) {
    results_.failures.push_back(
        {graph_.models[model].name, spec.name, std::nullopt, std::move(table).error()});
    return std::nullopt;
  }
  return std::move(*table);
}

void Figures::add(std::size_t model, const VariantOutcome& outcome) {
  variants_[model] = outcome;
  for (std::size_t task = 0; task < graph_.tasks.size(); ++task) add_task(model, task);
}

void Figures::add_task(std::size_t model, std::size_t task) {
  const auto table = table_of(model, task);
  if (!table || table->size() == 0) return;
  const bool has_clean = has_clean_gate(model, task) && !overlapping(model, task).empty();
  append(results_.records, records_of(model, task, *table, {}));
  if (has_clean) {
    append(clean_records_, records_of(model, task, *table, overlapping(model, task)));
  }
  if (!graph_.baseline || model == *graph_.baseline) return;
  if (const std::string why = why_not_compared(model, task); !why.empty()) {
    results_.failures.push_back({graph_.models[model].name, graph_.tasks[task].name, std::nullopt,
                                 Failure{ASSAY_FAILED_PRECONDITION, why}});
    return;
  }
  const auto baseline = table_of(*graph_.baseline, task);
  if (!baseline) return;
  append(results_.comparisons, comparisons_of(model, task, *baseline, *table, {}));
  if (!has_clean) return;
  append(clean_comparisons_,
         comparisons_of(model, task, *baseline, *table, overlapping(model, task)));
}

bool Figures::has_clean_gate(std::size_t model, std::size_t task) const {
  return std::any_of(graph_.gates.begin(), graph_.gates.end(), [&](const GateSpec& gate) {
    return gate.is_on_clean_subset && gate.task == task &&
           std::find(gate.candidates.begin(), gate.candidates.end(), model) !=
               gate.candidates.end();
  });
}

/// Items that overlap with the calibration of the variant or of the baseline.
Figures::Items Figures::overlapping(std::size_t model, std::size_t task) const {
  Items all;
  for (const std::size_t each : {model, graph_.baseline.value_or(model)}) {
    const auto variant = variants_.find(each);
    if (variant == variants_.end()) continue;
    const auto found = variant->second.overlapping.find(task);
    if (found == variant->second.overlapping.end()) continue;
    Items both;
    std::set_union(all.begin(), all.end(), found->second.begin(), found->second.end(),
                   std::back_inserter(both));
    all = std::move(both);
  }
  return all;
}

/// What differs from the baseline so that the task's figures would not speak of the model, or "".
std::string Figures::why_not_compared(std::size_t model, std::size_t task) const {
  const TaskSpec& spec = graph_.tasks[task];
  const auto reference = variants_.find(*graph_.baseline);
  if (reference == variants_.end()) return "";
  const VariantOutcome& own = variants_.at(model);
  const std::string both = "model." + graph_.models[model].name + " and model." +
                           graph_.models[*graph_.baseline].name + " have different ";
  if (spec.protocol == Protocol::kPerplexity &&
      reference->second.tokenizer_fingerprint != own.tokenizer_fingerprint) {
    return both + "tokenizers, so their perplexities are not compared";
  }
  const bool both_render = !own.chat_fingerprint.empty() &&  // else the backend does
                           !reference->second.chat_fingerprint.empty();
  if (spec.prompt.is_chat && both_render &&
      reference->second.chat_fingerprint != own.chat_fingerprint) {
    return both + "chat templates, so their prompts differ and they are not compared";
  }
  return "";
}

Json Figures::records_of(std::size_t model, std::size_t task, const RowTable& table,
                         const Items& left_out) {
  const TaskSpec& spec = graph_.tasks[task];
  Json records = Json::array();
  for (Group& part : parts_of(spec, table)) {
    std::erase_if(part.rows, [&](auto row) { return holds(left_out, table.index(row)); });
    if (part.rows.empty()) continue;
    for (const MetricSpec& metric : spec.metrics) {
      const auto measured = measure_with_errors(metric, table, part.rows, spec.seed);
      if (!measured) {
        if (part.name.empty())
          results_.failures.push_back(
              {graph_.models[model].name, spec.name, std::nullopt, measured.error()});
        continue;
      }
      for (std::size_t i = 0; i < metric.outputs.size(); ++i) {
        const MetricOutput& output = metric.outputs[i];
        const Estimate& total = measured->totals[i];
        records.push_back({{"variant", graph_.models[model].name},
                           {"task", spec.name},
                           {"metric", output.name},
                           {"group", name_or_null(part.name)},
                           {"value", number(total.value)},
                           {"std_error", number(total.std_error)},
                           {"n", total.n},
                           {"less_is_better", output.less_is_better},
                           {"is_primary", output.name == spec.primary}});
      }
    }
  }
  return records;
}

Json Figures::comparisons_of(std::size_t model, std::size_t task, const RowTable& baseline,
                             const RowTable& table, const Items& left_out) const {
  const TaskSpec& spec = graph_.tasks[task];
  Json comparisons = Json::array();
  for (Group& part : parts_of(spec, baseline)) {
    std::erase_if(part.rows, [&](auto row) { return holds(left_out, baseline.index(row)); });
    const Shared shared = shared_rows(baseline, part.rows, table);
    if (shared.a.empty()) continue;
    for (const MetricSpec& metric : spec.metrics) {
      const auto paired = compare(metric, baseline, shared.a, table, shared.b, spec.seed);
      if (!paired) continue;  // the metric's failure was noted with its records
      for (std::size_t i = 0; i < metric.outputs.size(); ++i) {
        comparisons.push_back(
            comparison_of(model, spec, metric.outputs[i], part.name, (*paired)[i]));
      }
    }
  }
  return comparisons;
}

/// Of both variants of a comparison.
std::string_view Figures::tokenization_with_baseline(std::size_t model) const {
  const std::string_view own = tokenization_of(graph_.models[model]);
  const std::string_view reference = tokenization_of(graph_.models[*graph_.baseline]);
  return own == reference ? own : kNotControlled;
}

Json Figures::comparison_of(std::size_t model, const TaskSpec& task, const MetricOutput& output,
                            const std::string& group, const Paired& paired) const {
  const double delta = paired.delta.value;
  const double error = paired.delta.std_error;
  Json is_real = nullptr;
  if (std::isfinite(delta) && std::isfinite(error)) {
    is_real = std::fabs(delta) > 2 * error &&
              std::fabs(delta) > graph_.noise_floor * std::fabs(paired.baseline);
  }
  return {{"variant", graph_.models[model].name},
          {"task", task.name},
          {"metric", output.name},
          {"group", name_or_null(group)},
          {"baseline_value", number(paired.baseline)},
          {"value", number(paired.candidate)},
          {"delta", number(delta)},
          {"std_error", number(error)},
          {"retained", number(retained(paired.baseline, paired.candidate, output.less_is_better))},
          {"is_real", std::move(is_real)},
          {"n", paired.delta.n},
          {"tokenization", tokenization_with_baseline(model)}};
}

Json Figures::quality_of(std::size_t model) const {
  double sum = 0;
  std::uint64_t n = 0;
  std::string reason;
  for (const TaskSpec& task : graph_.tasks) {
    const MetricOutput* primary = output_of(task, task.primary);
    const bool counts =
        std::find(task.models.begin(), task.models.end(), model) != task.models.end();
    if (!counts || primary == nullptr || primary->less_is_better) continue;
    ++n;
    const double ratio = retained_on(model, task);
    if (!std::isfinite(ratio) && reason.empty()) {
      reason = "the retained ratio of " + task.primary + " on " + task.name + " is undefined";
    }
    sum += ratio;
  }
  if (n == 0) reason = "no task has a primary metric where more is better";
  return {{"variant", graph_.models[model].name},
          {"score", reason.empty() ? Json(sum / static_cast<double>(n)) : Json(nullptr)},
          {"reason", reason.empty() ? Json(nullptr) : Json(reason)}};
}

double Figures::retained_on(std::size_t model, const TaskSpec& task) const {
  const std::string& name = graph_.models[model].name;
  if (model == *graph_.baseline) {
    const Json* record = find(results_.records, name, task.name, task.primary, "");
    const double value = record == nullptr ? kUnknown : number_in(*record, "value");
    return retained(value, value, false);
  }
  const Json* entry = find(results_.comparisons, name, task.name, task.primary, "");
  return entry == nullptr ? kUnknown : number_in(*entry, "retained");
}

/// The groups a gate speaks of; "*" is every group any variant has.
std::vector<std::string> Figures::groups_for(const GateSpec& gate) const {
  if (gate.group != "*") return {gate.group};
  std::vector<std::string> groups;
  for (const Json& record : results_.records) {
    if (record.at("task") != graph_.tasks[gate.task].name || record.at("group").is_null()) continue;
    const std::string group = record.at("group");
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  }
  return groups.empty() ? std::vector<std::string>{"*"} : groups;
}

Json Figures::verdict_of(const GateSpec& gate, std::size_t model, const std::string& group) const {
  const TaskSpec& task = graph_.tasks[gate.task];
  const MetricOutput* output = output_of(task, gate.metric);
  const bool is_absolute = gate.threshold == Threshold::kMin || gate.threshold == Threshold::kMax;
  const std::string& name = graph_.models[model].name;
  const Json* const whole = find(is_absolute ? results_.records : results_.comparisons, name,
                                 task.name, gate.metric, group);
  const Json* entry = whole;
  if (gate.is_on_clean_subset && whole != nullptr && !overlapping(model, gate.task).empty()) {
    entry = find(is_absolute ? clean_records_ : clean_comparisons_, name, task.name, gate.metric,
                 group);
  }
  Judgement judgement;
  judgement.allowed = gate.bound.value;
  judgement.observed = kUnknown;
  if (whole == nullptr) {
    judgement.text = "there is no figure: it was not measured";
  } else if (entry == nullptr) {
    judgement.text = "there is no figure: every item overlaps with the calibration";
  } else {
    const double baseline = is_absolute ? kUnknown : number_in(*entry, "baseline_value");
    judgement = judge(gate.threshold, gate.bound, output->less_is_better, baseline,
                      number_in(*entry, "value"));
  }
  if (gate.is_on_clean_subset && entry != nullptr) {
    judgement.text += "; clean subset, " + std::to_string(entry->at("n").get<std::uint64_t>()) +
                      " of " + std::to_string(whole->at("n").get<std::uint64_t>()) + " items";
  }
  if (const std::string gap = what_is_missing(gate, model, is_absolute); !gap.empty()) {
    judgement.verdict = Verdict::kInconclusive;
    judgement.text += "; " + gap;
  }
  const std::string_view tokenization =
      is_absolute ? tokenization_of(graph_.models[model]) : tokenization_with_baseline(model);
  if (tokenization == kNotControlled) judgement.text += "; tokenization not controlled";
  return {{"task", task.name},
          {"metric", gate.metric},
          {"group", name_or_null(group)},
          {"subset", gate.is_on_clean_subset ? Json("clean") : Json(nullptr)},
          {"variant", name},
          {"verdict", to_string(judgement.verdict)},
          {"threshold", threshold_text(gate)},
          {"observed", number(judgement.observed)},
          {"items", entry != nullptr ? entry->at("n") : Json(nullptr)},
          {"allowed", number(judgement.allowed)},
          {"text", judgement.text}};
}

/// Why the rows behind a gate are not all there, or "".
std::string Figures::what_is_missing(const GateSpec& gate, std::size_t model,
                                     bool is_absolute) const {
  std::vector<std::size_t> needed{model};
  if (!is_absolute) needed.push_back(*graph_.baseline);
  for (const std::size_t i : needed) {
    const TaskOutcome* found = outcome(i, gate.task);
    if (found == nullptr) continue;
    const ItemCounts& counts = found->counts;
    if (found->status == Status::kComplete && counts.failed == 0) continue;
    return graph_.models[i].name + " scored only " + std::to_string(counts.scored) + " of " +
           std::to_string(counts.items) + " items";
  }
  return "";
}

Results Figures::results() const {
  Results all = results_;
  if (graph_.baseline) {
    for (const auto& [model, outcome] : variants_) all.quality.push_back(quality_of(model));
  }
  for (const GateSpec& gate : graph_.gates) {
    for (const std::size_t model : gate.candidates) {
      for (const std::string& group : groups_for(gate)) {
        all.verdicts.push_back(verdict_of(gate, model, group));
      }
    }
  }
  return all;
}

}  // namespace assay::host
