#include "host/run/document.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "host/core/hash.hpp"
#include "host/loader/elf.hpp"
#include "host/loader/trust.hpp"
#include "host/run/run.hpp"

namespace assay::host {
namespace {

/// "rtn: bits 4, group_size 64": what a model's table of options says, under its prefix.
std::string method_text(const ModelSpec& model, std::string_view prefix) {
  std::string method, rest;
  for (const auto& [key, value] : model.backend.options.items()) {
    if (!key.starts_with(prefix) || !value.is_primitive()) continue;
    const std::string name = key.substr(prefix.size());
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (name == "method") {
      method = text;
    } else {
      rest += (rest.empty() ? ": " : ", ") + name + " " + text;
    }
  }
  return method + rest;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

std::string_view status_of(const VariantOutcome* outcome) {
  return outcome == nullptr ? "pending" : to_string(outcome->status);
}

Json quantization_json(const QuantizedForm& form) {
  return {{"simulated", form.is_simulated},
          {"digest", text_or_null(form.digest)},
          {"path", text_or_null(form.path.string())},
          {"calibration", form.calibration},
          {"layers", form.layers}};
}

Json leak_json(const Graph& graph, const Calibrations::Leak& leak) {
  return {{"calibration", graph.calibrations[leak.calibration].name},
          {"task", graph.tasks[leak.task].name},
          {"text", leak.text}};
}

const VariantOutcome* outcome_of(const RunState& state, std::size_t model) {
  const auto found = state.variants.find(model);
  return found == state.variants.end() ? nullptr : &found->second;
}

template <class Number>
Json or_null(const std::optional<Number>& number) {
  return number ? Json(*number) : Json(nullptr);
}

/// The larger one of those that are known.
std::optional<std::uint64_t> larger(std::optional<std::uint64_t> a,
                                    std::optional<std::uint64_t> b) {
  return a && b ? std::max(a, b) : a ? a : b;
}

Json peaks_of(const DeviceMemory& device) {
  return {{"kv_peak", or_null(device.kv_peak)},
          {"allocated_peak", or_null(device.allocated_peak)},
          {"held_peak", or_null(device.held_peak)}};
}

/// Of each device: what stays, the peaks of all tasks together, and those of each task. Null where
/// the backend does not tell.
Json memory_of(const Graph& graph, const VariantOutcome& outcome) {
  if (outcome.memory.empty()) return nullptr;
  Json devices = Json::array();
  for (const DeviceMemory& loaded : outcome.memory) {
    DeviceMemory most = loaded;
    Json tasks = Json::array();
    for (const auto& [task, done] : outcome.tasks) {
      for (const DeviceMemory& device : done.memory) {
        if (device.device != loaded.device) continue;
        most.kv_peak = larger(most.kv_peak, device.kv_peak);
        most.allocated_peak = larger(most.allocated_peak, device.allocated_peak);
        most.held_peak = larger(most.held_peak, device.held_peak);
        Json entry = Json::object();
        entry["task"] = graph.tasks[task].name;
        entry.update(peaks_of(device));
        tasks.push_back(std::move(entry));
      }
    }
    Json entry{{"device", loaded.device},
               {"weights", or_null(loaded.weights)},
               {"kv_per_token", or_null(loaded.kv_per_token)}};
    entry.update(peaks_of(most));
    entry["tasks"] = std::move(tasks);
    devices.push_back(std::move(entry));
  }
  Json memory = Json::object();
  memory["devices"] = std::move(devices);
  return memory;
}

/// What a reader of the figures has to know of the backend, or null.
Json note_of(const Component& backend) {
  if (!is_text_only(backend)) return nullptr;
  return "tokenization not controlled: " + std::string(backend.id()) +
         " takes texts, so where its tokens begin and what its context holds is not known";
}

Json variant_entry(const Graph& graph, const RunState& state, std::size_t model) {
  const ModelSpec& spec = graph.models[model];
  const VariantOutcome* outcome = outcome_of(state, model);
  Json entry{
      {"name", spec.name},
      {"backend", std::string(spec.backend.component->id())},
      {"path", text_or_null(spec.path.string())},
      {"simulated", spec.is_simulated ? Json(method_text(spec, "simulate.")) : Json(nullptr)},
      {"quantized", spec.is_quantized ? Json(method_text(spec, "quantize.")) : Json(nullptr)},
      {"status", status_of(outcome)},
      {"is_baseline", graph.baseline == model},
      {"tokenization", tokenization_of(spec)},
      {"note", note_of(*spec.backend.component)}};
  if (outcome != nullptr && outcome->quantization) {
    entry["quantization"] = quantization_json(*outcome->quantization);
  }
  if (outcome == nullptr || !outcome->info) return entry;
  double score_seconds = 0;
  for (const auto& [task, done] : outcome->tasks) score_seconds += done.score_seconds;
  entry["bits_per_weight"] = outcome->info->bits_per_weight;
  entry["weight_bytes"] = outcome->info->weight_bytes;
  entry["vocab"] = outcome->info->vocab;
  entry["max_context"] = outcome->info->max_context;
  entry["tokenizer_sha256"] = text_or_null(outcome->tokenizer_fingerprint);
  entry["chat_template_sha256"] = text_or_null(outcome->chat_fingerprint);
  entry["load_seconds"] = outcome->load_seconds;
  entry["score_seconds"] = score_seconds;
  entry["memory"] = memory_of(graph, *outcome);
  return entry;
}

Json output_entry(const MetricOutput& output) {
  return {{"name", output.name},
          {"unit", output.unit},
          {"less_is_better", output.less_is_better},
          {"is_mean", output.is_mean},
          {"is_primary", output.is_primary},
          {"lo", std::isfinite(output.lo) ? Json(output.lo) : Json(nullptr)},
          {"hi", std::isfinite(output.hi) ? Json(output.hi) : Json(nullptr)}};
}

/// What a reader of the figures has to know of the protocol; the manifest has the rest.
Json settings_of(const TaskSpec& task) {
  if (task.protocol == Protocol::kPerplexity) {
    const PerplexitySpec& own = task.perplexity;
    return {{"window", own.window},
            {"stride", own.stride},
            {"join", own.join ? Json(*own.join) : Json(nullptr)},
            {"bos", std::string(to_string(task.bos))}};
  }
  Json settings{{"shots", task.prompt.shots},
                {"chat", task.prompt.is_chat},
                {"bos", std::string(to_string(task.bos))}};
  if (task.protocol == Protocol::kGenerate) {
    settings["max_new_tokens"] = task.generate.max_new_tokens;
    settings["temperature"] = task.generate.temperature;
  }
  return settings;
}

Json task_entry(const Graph& graph, const RunState& state, std::size_t task) {
  const TaskSpec& spec = graph.tasks[task];
  Json metrics = Json::array();
  for (const MetricSpec& metric : spec.metrics) {
    Json outputs = Json::array();
    for (const MetricOutput& output : metric.outputs) outputs.push_back(output_entry(output));
    metrics.push_back({{"component", std::string(metric.use.component->id())},
                       {"version", std::string(metric.use.component->version())},
                       {"outputs", std::move(outputs)}});
  }
  std::uint64_t items = 0;
  for (const auto& [model, outcome] : state.variants) {
    const auto found = outcome.tasks.find(task);
    if (found != outcome.tasks.end()) items = std::max(items, found->second.counts.items);
  }
  return {{"name", spec.name},
          {"protocol", std::string(to_string(spec.protocol))},
          {"dataset", graph.datasets[spec.dataset].name},
          {"items", items},
          {"primary", spec.primary},
          {"group_by", spec.group_by},
          {"metrics", std::move(metrics)},
          {"settings", settings_of(spec)}};
}

Json counts_of(const Graph& graph, const RunState& state) {
  Json list = Json::array();
  for (const auto& [model, outcome] : state.variants) {
    for (const auto& [task, done] : outcome.tasks) {
      const ItemCounts& counts = done.counts;
      list.push_back({{"variant", graph.models[model].name},
                      {"task", graph.tasks[task].name},
                      {"status", to_string(done.status)},
                      {"items", counts.items},
                      {"scored", counts.scored},
                      {"truncated", counts.truncated},
                      {"truncated_tokens", counts.truncated_tokens},
                      {"empty", counts.empty},
                      {"failed", counts.failed},
                      {"boundary_differs", counts.boundary_differs},
                      {"straddles", counts.straddles},
                      {"reached_max_new", counts.reached_max_new},
                      {"score_seconds", done.score_seconds}});
    }
  }
  return list;
}

void add_failures(Json& list, const std::vector<FailureNote>& notes) {
  for (const FailureNote& note : notes) {
    list.push_back({{"variant", note.variant.empty() ? Json(nullptr) : Json(note.variant)},
                    {"task", note.task.empty() ? Json(nullptr) : Json(note.task)},
                    {"item", note.item ? Json(*note.item) : Json(nullptr)},
                    {"text", note.failure.text},
                    {"items_in_flight", note.items_in_flight},
                    {"log", note.failure.log}});
  }
}

/// This program's own file, so that a document tells which build made it.
Json versions() {
  static const Json made = [] {
    const std::filesystem::path self = "/proc/self/exe";
    const auto digest = sha256_file(self);
    const auto facts = read_elf(self);
    return Json{{"assay", ASSAY_VERSION},
                {"abi", std::to_string(ASSAY_ABI_MAJOR) + "." + std::to_string(ASSAY_ABI_MINOR)},
                {"sha256", digest ? Json(*digest) : Json(nullptr)},
                {"build_id", facts ? text_or_null(facts->build_id) : Json(nullptr)}};
  }();
  return made;
}

Json components_of(const Graph& graph) {
  Json list = Json::array();
  std::set<std::pair<const Component*, bool>> seen;
  const auto add = [&](const Use& use, bool wants_worker) {
    const Component& component = *use.component;
    const bool is_in_worker = runs_in_worker(component, wants_worker);
    if (!seen.insert({use.component, is_in_worker}).second) return;
    const Plugin& plugin = *component.plugin;
    Json entry{{"id", std::string(component.id())},
               {"kind", std::string(to_string(component.constants->kind))},
               {"version", std::string(component.version())},
               {"built_with", plugin.constants->built_with},
               {"plugin", plugin.path.string()},
               {"sha256", plugin.sha256},
               {"build_id", text_or_null(plugin.build_id)},
               {"isolation", is_in_worker ? "worker" : "none"},
               {"trust", std::string(trust_name(plugin.trust))}};
    if (!plugin.trust.files.empty()) entry["files"] = plugin.trust.files;
    list.push_back(std::move(entry));
  };
  for (const ModelSpec& model : graph.models) {
    add(model.backend, model.isolation == Isolated::kWorker);
  }
  for (const DatasetSpec& dataset : graph.datasets) add(dataset.use, false);
  for (const TaskSpec& task : graph.tasks) {
    for (const MetricSpec& metric : task.metrics) add(metric.use, false);
  }
  for (const ReportSpec& report : graph.reports) add(report.use, false);
  return list;
}

std::string_view verdict_of(const RunState& state) {
  std::string_view overall = state.results.verdicts.empty() ? "NONE" : "PASS";
  for (const Json& verdict : state.results.verdicts) {
    const std::string& text = verdict.at("verdict").get_ref<const std::string&>();
    if (text == "FAIL") return "FAIL";
    if (text != "PASS") overall = "INCONCLUSIVE";
  }
  return overall;
}

bool has_failures(const RunState& state) {
  return has_leaks(state) || !state.failures.empty() || !state.results.failures.empty();
}

std::string_view status_of(const RunState& state) {
  if (!state.is_finished || state.is_interrupted) return "partial";
  return has_failures(state) ? "failed" : "complete";
}

/// What is not all there: variants never begun, tasks cut short.
Json partial_of(const Graph& graph, const RunState& state) {
  Json list = Json::array();
  for (std::size_t model = 0; model < graph.models.size(); ++model) {
    const VariantOutcome* outcome = outcome_of(state, model);
    for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
      const auto& models = graph.tasks[task].models;
      if (std::find(models.begin(), models.end(), model) == models.end()) continue;
      const bool is_begun = outcome != nullptr && outcome->tasks.contains(task);
      if (is_begun && outcome->tasks.at(task).status == Status::kComplete) continue;
      const ItemCounts counts = is_begun ? outcome->tasks.at(task).counts : ItemCounts{};
      list.push_back({{"variant", graph.models[model].name},
                      {"task", graph.tasks[task].name},
                      {"scored", counts.scored},
                      {"items", is_begun ? Json(counts.items) : Json(nullptr)}});
    }
  }
  return list;
}

}  // namespace

std::string utc(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

bool has_leaks(const RunState& state) {
  return std::any_of(state.leaks.begin(), state.leaks.end(),
                     [](const Calibrations::Leak& leak) { return !leak.is_allowed; });
}

int exit_code_of(const RunState& state) {
  if (state.is_interrupted) return kExitInterrupted;
  if (has_leaks(state)) return kExitIntegrity;
  if (has_failures(state)) return kExitInfrastructure;
  const std::string_view verdict = verdict_of(state);
  if (verdict == "FAIL") return kExitFail;
  return verdict == "INCONCLUSIVE" ? kExitInconclusive : kExitPass;
}

Json document_of(const Graph& graph, const RunState& state) {
  const auto now = std::chrono::system_clock::now();
  Json variants = Json::array(), tasks = Json::array(), failures = Json::array();
  for (std::size_t i = 0; i < graph.models.size(); ++i) {
    variants.push_back(variant_entry(graph, state, i));
  }
  for (std::size_t i = 0; i < graph.tasks.size(); ++i) tasks.push_back(task_entry(graph, state, i));
  Json warnings = Json::array();
  for (const Calibrations::Leak& leak : state.leaks) {
    if (leak.is_allowed) {
      warnings.push_back(leak_json(graph, leak));
    } else {
      const Failure failure{ASSAY_FAILED_PRECONDITION, leak.text};
      add_failures(failures, {FailureNote{"", "", std::nullopt, failure}});
    }
  }
  add_failures(failures, state.failures);
  add_failures(failures, state.results.failures);
  return {
      {"schema", "assay.run/1"},
      {"name", graph.name},
      {"status", status_of(state)},
      {"verdict", verdict_of(state)},
      {"exit_code", exit_code_of(state)},
      {"started", utc(state.started)},
      {"finished", utc(now)},
      {"seconds", std::chrono::duration<double>(now - state.started).count()},
      {"versions", versions()},
      {"host", {{"cpus", std::thread::hardware_concurrency()}}},
      {"request_order_seed", state.request_order_seed},
      {"manifest", graph.effective},
      {"components", components_of(graph)},
      {"variants", std::move(variants)},
      {"tasks", std::move(tasks)},
      {"calibrations", state.calibrations},
      {"records", state.results.records},
      {"comparisons", state.results.comparisons},
      {"quality", state.results.quality},
      {"verdicts", state.results.verdicts},
      {"counts", counts_of(graph, state)},
      {"warnings", std::move(warnings)},
      {"failures", std::move(failures)},
      {"partial", partial_of(graph, state)},
  };
}

}  // namespace assay::host
