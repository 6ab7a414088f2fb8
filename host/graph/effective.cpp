#include <cstdio>
#include <string>

#include "host/graph/build.hpp"
#include "host/graph/options.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

/// 0 stands for "no limit" in the graph and for nothing in a manifest.
Json limit_or_null(std::uint64_t limit) { return limit == 0 ? Json(nullptr) : Json(limit); }

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json bound_json(const Bound& bound) {
  if (!bound.is_relative) return bound.value;
  char text[40];
  // 15 digits bring 100 * 0.05 back to 5.
  std::snprintf(text, sizeof text, "%.15g%%", 100 * bound.value);
  return std::string(text);
}

/// Host keys first, then the component's options that are not secret.
void add_options(Json& node, const Use& use) {
  const Json options = without_secrets(*use.component, use.options);
  for (const auto& [key, value] : options.items()) {
    if (!node.contains(key)) node[key] = value;
  }
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15gs", seconds);
  return text;
}

Json model_json(const ModelNode& node, const ModelSpec& spec, const Graph& graph) {
  Json json{{"backend", node.backend.value},
            {"path", text_or_null(spec.path.string())},
            {"device", node.device.value},
            {"threads", limit_or_null(spec.threads)},
            {"memory_budget", limit_or_null(spec.memory_budget_bytes)},
            {"isolation", to_string(spec.isolation)},
            {"timeout", seconds_text(spec.timeout_seconds)}};
  add_options(json, spec.backend);
  if (spec.calibration) {
    const char* key = spec.is_quantized ? "quantize.calibration" : "simulate.calibration";
    json[key] = graph.calibrations[*spec.calibration].name;
  }
  return json;
}

Json calibration_json(const CalibrationSpec& spec, const Graph& graph) {
  Json sources = Json::array();
  for (const CalibrationSpec::Source& source : spec.sources) {
    sources.push_back({{"dataset", graph.datasets[source.dataset].name},
                       {"share", source.share},
                       {"template", source.text}});
  }
  return {{"sources", std::move(sources)},
          {"samples", spec.samples},
          {"length", spec.length},
          {"seed", spec.seed},
          {"shuffle", spec.is_shuffled},
          {"chat", spec.is_chat},
          {"max_overlap", bound_json({spec.max_overlap, true})},
          {"allow_overlap", spec.allows_overlap}};
}

Json dataset_json(const DatasetNode& node, const DatasetSpec& spec) {
  Json json{{"use", node.use.value},
            {"split", text_or_null(spec.split)},
            {"limit", limit_or_null(spec.limit)}};
  add_options(json, spec.use);
  return json;
}

Json names_json(const std::vector<std::size_t>& positions, const std::vector<ModelSpec>& models) {
  Json names = Json::array();
  for (const std::size_t position : positions) names.push_back(models[position].name);
  return names;
}

Json metrics_json(const TaskSpec& task) {
  Json metrics = Json::array();
  for (const MetricSpec& metric : task.metrics) {
    Json json{{"use", std::string(metric.use.component->id())}};
    add_options(json, metric.use);
    metrics.push_back(std::move(json));
  }
  return metrics;
}

void add_perplexity(Json& json, const PerplexitySpec& spec) {
  json["window"] = spec.window;
  json["stride"] = spec.stride;
  json["text"] = spec.text;
  json["join"] = spec.join ? Json(*spec.join) : Json(nullptr);
}

void add_choices(Json& json, const MultipleChoiceSpec& spec) {
  json["choices"] = spec.choices_is_list ? Json(spec.choices) : Json(spec.choices.front());
}

/// Where a chat template stands between the texts, the delimiter and the separator have no value.
void add_prompt(Json& json, const TaskSpec& task, const Graph& graph) {
  const PromptSpec& spec = task.prompt;
  if (spec.has_many_prompts) {
    json["prompts"] = spec.prompts;
  } else {
    json["prompt"] = spec.prompts.front();
  }
  if (task.protocol == Protocol::kMultipleChoice) add_choices(json, task.multiple_choice);
  json["target"] = spec.target;
  json["shots"] = spec.shots;
  json["shots_from"] = graph.datasets[spec.shots_from].name;
  json["description"] = spec.description;
  json["delimiter"] = spec.is_chat ? Json(nullptr) : Json(spec.delimiter);
  json["separator"] = spec.is_chat ? Json(nullptr) : Json(spec.separator);
  json["chat"] = spec.is_chat;
}

Json filter_json(const Filter& filter) {
  const char* which = filter.takes_last ? "last" : "first";
  switch (filter.kind) {
    case Filter::Kind::kStrip:
      return "strip";
    case Filter::Kind::kFirstLine:
      return "first_line";
    case Filter::Kind::kNumber:
      return {{"number", which}, {"otherwise", filter.otherwise}};
    case Filter::Kind::kRegex:
      return {{"regex", filter.pattern}, {"match", which}, {"otherwise", filter.otherwise}};
    default:
      return {{"replace", filter.pattern}, {"with", filter.with}};
  }
}

void add_generate(Json& json, const GenerateSpec& spec) {
  json["max_new_tokens"] = spec.max_new_tokens;
  json["min_new_tokens"] = spec.min_new_tokens;
  json["stop"] = spec.stop;
  json["temperature"] = spec.temperature;
  json["top_k"] = spec.top_k;
  json["top_p"] = spec.top_p;
  Json& filters = json["filters"] = Json::array();
  for (const Filter& filter : spec.filters) filters.push_back(filter_json(filter));
}

Json task_json(const TaskSpec& spec, const Graph& graph) {
  Json json{{"protocol", std::string(to_string(spec.protocol))},
            {"dataset", graph.datasets[spec.dataset].name},
            {"models", names_json(spec.models, graph.models)},
            {"limit", limit_or_null(spec.limit)},
            {"seed", spec.seed},
            {"group_by", spec.group_by},
            {"metrics", metrics_json(spec)},
            {"primary", spec.primary},
            {"bos", std::string(to_string(spec.bos))}};
  if (spec.protocol == Protocol::kPerplexity) {
    add_perplexity(json, spec.perplexity);
  } else {
    add_prompt(json, spec, graph);
  }
  if (spec.protocol == Protocol::kGenerate) add_generate(json, spec.generate);
  return json;
}

Json gate_json(const GateSpec& spec, const Graph& graph) {
  return {{"task", graph.tasks[spec.task].name},
          {"metric", spec.metric},
          {"group", text_or_null(spec.group)},
          {"subset", spec.is_on_clean_subset ? Json("clean") : Json(nullptr)},
          {"candidates", names_json(spec.candidates, graph.models)},
          {std::string(to_string(spec.threshold)), bound_json(spec.bound)}};
}

Json report_json(const ReportSpec& spec) {
  Json json{{"use", std::string(spec.use.component->id())}};
  if (!spec.file.empty()) json["file"] = spec.file;
  add_options(json, spec.use);
  return json;
}

}  // namespace

Json effective_manifest(const Manifest& manifest, const Graph& graph) {
  Json json{{"assay", 1}, {"name", graph.name}, {"seed", graph.seed}};
  Json& models = json["model"] = Json::object();
  for (std::size_t i = 0; i < graph.models.size(); ++i) {
    models[graph.models[i].name] = model_json(manifest.models[i], graph.models[i], graph);
  }
  Json& datasets = json["dataset"] = Json::object();
  for (std::size_t i = 0; i < graph.datasets.size(); ++i) {
    datasets[graph.datasets[i].name] = dataset_json(manifest.datasets[i], graph.datasets[i]);
  }
  if (!graph.calibrations.empty()) {
    Json& calibrations = json["calibration"] = Json::object();
    for (const CalibrationSpec& calibration : graph.calibrations) {
      calibrations[calibration.name] = calibration_json(calibration, graph);
    }
  }
  Json& tasks = json["task"] = Json::object();
  for (const TaskSpec& task : graph.tasks) tasks[task.name] = task_json(task, graph);
  if (graph.baseline) {
    json["compare"] = {{"baseline", graph.models[*graph.baseline].name},
                       {"noise_floor", graph.noise_floor}};
  }
  Json& gates = json["gate"] = Json::array();
  for (const GateSpec& gate : graph.gates) gates.push_back(gate_json(gate, graph));
  Json& reports = json["report"] = Json::array();
  for (const ReportSpec& report : graph.reports) reports.push_back(report_json(report));
  return json;
}

}  // namespace assay::host
