#include "host/run/run.hpp"

#include <system_error>
#include <utility>

#include "host/log/log.hpp"
#include "host/run/calibrations.hpp"
#include "host/run/document.hpp"
#include "host/run/report.hpp"
#include "host/run/results.hpp"
#include "host/run/score.hpp"
#include "host/store/files.hpp"

namespace assay::host {
namespace {

/// The baseline first, so that every other variant can be compared as soon as it is scored.
std::vector<std::size_t> order_of(const Graph& graph) {
  std::vector<std::size_t> order;
  if (graph.baseline) order.push_back(*graph.baseline);
  for (std::size_t i = 0; i < graph.models.size(); ++i) {
    if (graph.baseline != i) order.push_back(i);
  }
  return order;
}

Result<void> clear_earlier_run(const std::filesystem::path& out) {
  std::error_code error;
  std::filesystem::remove(out / "run.json", error);
  if (!error) std::filesystem::remove_all(out / "rows", error);
  if (error) return write_failure(out, error.value());
  return {};
}

void warn_of(const std::vector<Calibrations::Leak>& leaks) {
  for (const Calibrations::Leak& leak : leaks) {
    if (leak.is_allowed) log(LogLevel::kWarn, leak.text);
  }
}

Result<void> save(const std::filesystem::path& out, const Json& document) {
  return write_document(out / "run.json",
                        document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace

Result<RunOutcome> run(const Graph& graph, const RunOptions& options) {
  if (auto made = make_folder(options.out); !made) return std::move(made).error();
  if (auto cleared = clear_earlier_run(options.out); !cleared) return std::move(cleared).error();

  RunState state;
  const std::vector<std::size_t> order = order_of(graph);
  Sources sources(graph, options.out, options.progress, *options.cancelled);
  Calibrations calibrations(graph, sources, options.progress, *options.cancelled);
  calibrations.prepare(order);
  state.calibrations = calibrations.entries();
  state.leaks = calibrations.leaks();
  warn_of(state.leaks);
  Scoring scoring(graph, options.out, sources, calibrations,
                  {options.store, options.progress, options.cancelled});
  state.request_order_seed = scoring.request_order_seed();
  Figures figures(graph, options.out);
  for (const std::size_t model : order) {
    if (*options.cancelled || has_leaks(state)) break;
    auto outcome = scoring.variant(model);
    state.failures = scoring.failures();
    if (!outcome) return std::move(outcome).error();
    figures.add(model, *outcome);
    state.variants[model] = std::move(*outcome);
    state.results = figures.results();
    if (auto saved = save(options.out, document_of(graph, state)); !saved) {
      return std::move(saved).error();
    }
  }
  state.is_interrupted = *options.cancelled;
  state.is_finished = true;
  state.results = figures.results();

  Json document = document_of(graph, state);
  if (auto saved = save(options.out, document); !saved) return std::move(saved).error();
  for (const ReportSpec& report : graph.reports) {
    auto written = write_report(report, graph, document, options.out);
    if (!written) state.failures.push_back({"", "", std::nullopt, std::move(written).error()});
  }
  document = document_of(graph, state);
  if (auto saved = save(options.out, document); !saved) return std::move(saved).error();
  return RunOutcome{std::move(document), exit_code_of(state)};
}

}  // namespace assay::host
