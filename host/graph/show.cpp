#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "host/graph/graph.hpp"
#include "host/graph/options.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

using Cells = std::vector<std::string>;

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char letter) {
    return (static_cast<unsigned char>(letter) & 0xC0) != 0x80;
  }));
}

/// Rows with their cells under one another, two spaces apart.
std::string aligned(const std::vector<Cells>& rows) {
  std::vector<std::size_t> widths;
  for (const Cells& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const Cells& row : rows) {
    std::string line = "  ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths[i] == 0) continue;
      line += row[i] + std::string(widths[i] - width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string section(const std::string& title, const std::vector<Cells>& rows) {
  return rows.empty() ? "" : "\n" + title + "\n" + aligned(rows);
}

std::string bound_text(const GateSpec& gate) {
  char text[64];
  std::snprintf(text, sizeof text, "%s %.15g%s", std::string(to_string(gate.threshold)).c_str(),
                gate.bound.is_relative ? 100 * gate.bound.value : gate.bound.value,
                gate.bound.is_relative ? "%" : "");
  return text + std::string(gate.is_on_clean_subset ? " on the clean subset" : "");
}

/// `key=value key="a text"`, secrets left out.
std::string options_text(const Use& use) {
  const Json options = without_secrets(*use.component, use.options);
  std::string text;
  for (const auto& [key, value] : options.items()) {
    text += (text.empty() ? "" : " ") + key + "=" +
            value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return text;
}

std::string component_text(const Use& use) {
  return std::string(use.component->id()) + " " + std::string(use.component->version());
}

std::string device_text(assay_device device) {
  return device.type == 1 ? "cpu" : "cuda:" + std::to_string(device.id);
}

std::vector<std::string> names(const std::vector<std::size_t>& positions, const Graph& graph) {
  std::vector<std::string> names;
  for (const std::size_t position : positions) names.push_back(graph.models[position].name);
  return names;
}

std::string decoding_text(const GenerateSpec& spec) {
  std::string text = " max_new_tokens=" + std::to_string(spec.max_new_tokens);
  if (spec.min_new_tokens > 0) text += " min_new_tokens=" + std::to_string(spec.min_new_tokens);
  if (spec.temperature == 0) return text + " greedy";
  text += " sampled temperature=" + digits(spec.temperature);
  if (spec.top_k > 0) text += " top_k=" + std::to_string(spec.top_k);
  if (spec.top_p < 1) text += " top_p=" + digits(spec.top_p);
  return text;
}

std::string settings_text(const TaskSpec& task) {
  if (task.protocol == Protocol::kPerplexity) {
    const PerplexitySpec& spec = task.perplexity;
    return " window=" + std::to_string(spec.window) + " stride=" + std::to_string(spec.stride) +
           (spec.join ? " joined" : "");
  }
  std::string text = " shots=" + std::to_string(task.prompt.shots);
  if (task.prompt.is_chat) text += " chat";
  if (task.protocol == Protocol::kGenerate) text += decoding_text(task.generate);
  return text;
}

std::string protocol_text(const TaskSpec& task) {
  std::string text = std::string(to_string(task.protocol)) + settings_text(task);
  if (!task.group_by.empty()) text += " by " + joined(task.group_by);
  if (task.limit > 0) text += " limit=" + std::to_string(task.limit);
  return text;
}

std::string outputs_text(const MetricSpec& metric, const TaskSpec& task) {
  std::string text;
  for (const MetricOutput& output : metric.outputs) {
    text += (text.empty() ? "" : ", ") + output.name +
            (output.name == task.primary ? " (primary)" : "");
  }
  return text;
}

/// What feeds what: two ends and how the edge is called.
struct Edge {
  std::string from, to, label;
};

void add_model_options(std::vector<Edge>& edges, const Use& use, const std::string& node) {
  for (const auto& [key, value] : use.options.items()) {
    const assay_option* option = find_declared(*use.component, key);
    if (option == nullptr || option->type != ASSAY_MODEL || !value.is_string()) continue;
    edges.push_back({"model." + value.get<std::string>(), node, key});
  }
}

std::string percent_text(double share) { return digits(std::round(1000 * share) / 10) + " %"; }

std::vector<Edge> edges_of(const Graph& graph) {
  std::vector<Edge> edges;
  for (const CalibrationSpec& calibration : graph.calibrations) {
    for (const CalibrationSpec::Source& source : calibration.sources) {
      edges.push_back({"dataset." + graph.datasets[source.dataset].name,
                       "calibration." + calibration.name, percent_text(source.share)});
    }
  }
  for (const ModelSpec& model : graph.models) {
    add_model_options(edges, model.backend, "model." + model.name);
    if (!model.calibration) continue;
    edges.push_back({"calibration." + graph.calibrations[*model.calibration].name,
                     "model." + model.name, model.is_quantized ? "quantize" : "simulate"});
  }
  for (const TaskSpec& task : graph.tasks) {
    const std::string node = "task." + task.name;
    edges.push_back({"dataset." + graph.datasets[task.dataset].name, node, ""});
    const PromptSpec& prompt = task.prompt;
    if (prompt.shots > 0 && prompt.shots_from != task.dataset) {
      edges.push_back({"dataset." + graph.datasets[prompt.shots_from].name, node, "shots"});
    }
    for (const std::size_t model : task.models) {
      edges.push_back({"model." + graph.models[model].name, node, ""});
    }
    for (const MetricSpec& metric : task.metrics) add_model_options(edges, metric.use, node);
  }
  for (std::size_t i = 0; i < graph.gates.size(); ++i) {
    edges.push_back({"task." + graph.tasks[graph.gates[i].task].name,
                     "gate." + std::to_string(i + 1), graph.gates[i].metric});
  }
  return edges;
}

std::vector<Cells> model_rows(const Graph& graph) {
  std::vector<Cells> rows;
  for (std::size_t i = 0; i < graph.models.size(); ++i) {
    const ModelSpec& model = graph.models[i];
    rows.push_back({model.name, component_text(model.backend), device_text(model.device),
                    graph.baseline == i  ? "baseline"
                    : model.is_quantized ? "quantized"
                    : model.is_simulated ? "simulated"
                                         : "",
                    model.path.string(), options_text(model.backend)});
  }
  return rows;
}

std::vector<Cells> dataset_rows(const Graph& graph) {
  std::vector<Cells> rows;
  for (const DatasetSpec& dataset : graph.datasets) {
    std::string extra = dataset.split.empty() ? "" : "split=" + dataset.split + " ";
    if (dataset.limit > 0) extra += "limit=" + std::to_string(dataset.limit) + " ";
    rows.push_back({dataset.name, component_text(dataset.use),
                    "columns: " + joined(dataset.columns), extra + options_text(dataset.use)});
  }
  return rows;
}

std::string size_text(const CalibrationSpec& calibration) {
  return std::to_string(calibration.samples) + " x " + std::to_string(calibration.length) +
         " tokens" + (calibration.is_chat ? " chat" : "");
}

std::vector<Cells> calibration_rows(const Graph& graph) {
  std::vector<Cells> rows;
  for (const CalibrationSpec& calibration : graph.calibrations) {
    std::string sources;
    for (const CalibrationSpec::Source& source : calibration.sources) {
      sources += (sources.empty() ? "from " : ", ") + graph.datasets[source.dataset].name + " " +
                 percent_text(source.share);
    }
    rows.push_back(
        {calibration.name, size_text(calibration), sources,
         "seed=" + std::to_string(calibration.seed) + (calibration.is_shuffled ? "" : " in order"),
         calibration.allows_overlap ? "overlap allowed"
                                    : "max_overlap=" + percent_text(calibration.max_overlap)});
  }
  return rows;
}

std::vector<Cells> task_rows(const Graph& graph) {
  std::vector<Cells> rows;
  for (const TaskSpec& task : graph.tasks) {
    rows.push_back({task.name, protocol_text(task), "on " + graph.datasets[task.dataset].name,
                    "for " + joined(names(task.models, graph))});
  }
  return rows;
}

std::vector<Cells> metric_rows(const Graph& graph) {
  std::vector<Cells> rows;
  for (const TaskSpec& task : graph.tasks) {
    for (const MetricSpec& metric : task.metrics) {
      rows.push_back({task.name, component_text(metric.use), outputs_text(metric, task),
                      options_text(metric.use)});
    }
  }
  return rows;
}

std::vector<Cells> gate_rows(const Graph& graph) {
  std::vector<Cells> rows;
  for (std::size_t i = 0; i < graph.gates.size(); ++i) {
    const GateSpec& gate = graph.gates[i];
    rows.push_back({std::to_string(i + 1), graph.tasks[gate.task].name, gate.metric, gate.group,
                    bound_text(gate), "for " + joined(names(gate.candidates, graph))});
  }
  return rows;
}

std::vector<Cells> report_rows(const Graph& graph) {
  std::vector<Cells> rows;
  for (const ReportSpec& report : graph.reports) {
    rows.push_back({component_text(report.use), report.file});
  }
  return rows;
}

std::vector<Cells> edge_rows(const Graph& graph) {
  std::vector<Cells> rows;
  for (const Edge& edge : edges_of(graph)) rows.push_back({edge.from, "->", edge.to, edge.label});
  return rows;
}

/// A text in DOT's quotes; "\n" stays the line break it is to DOT.
///
/// Source   The DOT Language, graphviz.org: in quoted strings only " is escaped
std::string dot_text(std::string_view text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') quoted += '\\';
    if (letter == '\n') {
      quoted += "\\n";
    } else {
      quoted += letter;
    }
  }
  return quoted + "\"";
}

std::string dot_node(const std::string& id, const std::string& label, const std::string& more) {
  return "  " + dot_text(id) + " [label=" + dot_text(label) + more + "];\n";
}

std::string dot_nodes(const Graph& graph) {
  std::string text;
  for (std::size_t i = 0; i < graph.models.size(); ++i) {
    const ModelSpec& model = graph.models[i];
    const bool is_baseline = graph.baseline == i;
    text += dot_node("model." + model.name,
                     model.name + "\n" + std::string(model.backend.component->id()) +
                         (is_baseline ? "\nbaseline" : ""),
                     is_baseline ? ", shape=box, peripheries=2" : ", shape=box");
  }
  for (const DatasetSpec& dataset : graph.datasets) {
    text += dot_node("dataset." + dataset.name,
                     dataset.name + "\n" + std::string(dataset.use.component->id()),
                     ", shape=cylinder");
  }
  for (const CalibrationSpec& calibration : graph.calibrations) {
    text += dot_node("calibration." + calibration.name,
                     calibration.name + "\n" + size_text(calibration), ", shape=parallelogram");
  }
  for (const TaskSpec& task : graph.tasks) {
    std::string label = task.name + "\n" + protocol_text(task);
    for (const MetricSpec& metric : task.metrics) label += "\n" + outputs_text(metric, task);
    text += dot_node("task." + task.name, label, ", shape=ellipse");
  }
  for (std::size_t i = 0; i < graph.gates.size(); ++i) {
    const GateSpec& gate = graph.gates[i];
    text += dot_node("gate." + std::to_string(i + 1),
                     bound_text(gate) + (gate.group.empty() ? "" : "\n" + gate.group),
                     ", shape=diamond");
  }
  return text;
}

}  // namespace

std::string graph_text(const Graph& graph) {
  std::string text =
      "graph " + in_quotes(graph.name) + ", seed " + std::to_string(graph.seed) + "\n";
  text += section("models", model_rows(graph));
  text += section("datasets", dataset_rows(graph));
  text += section("calibrations", calibration_rows(graph));
  text += section("tasks", task_rows(graph));
  text += section("metrics", metric_rows(graph));
  if (graph.baseline) {
    text += section("compare", {{"baseline " + graph.models[*graph.baseline].name,
                                 "noise floor " + digits(graph.noise_floor)}});
  }
  text += section("gates", gate_rows(graph));
  text += section("reports", report_rows(graph));
  return text + section("edges", edge_rows(graph));
}

std::string graph_dot(const Graph& graph) {
  std::string text = "digraph " + dot_text(graph.name) + " {\n  rankdir=LR;\n" + dot_nodes(graph);
  for (const Edge& edge : edges_of(graph)) {
    text += "  " + dot_text(edge.from) + " -> " + dot_text(edge.to) +
            (edge.label.empty() ? "" : " [label=" + dot_text(edge.label) + "]") + ";\n";
  }
  return text + "}\n";
}

}  // namespace assay::host
