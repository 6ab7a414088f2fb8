// The run document: schema assay.run/1, made from what a run knows at some moment. Figures arrive
// ready; nothing is computed here.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/graph/graph.hpp"
#include "host/run/calibrations.hpp"
#include "host/run/results.hpp"
#include "host/run/score.hpp"

namespace assay::host {

/// Everything a run document says that is not in the graph.
struct RunState {
  std::map<std::size_t, VariantOutcome> variants;
  std::vector<FailureNote> failures;
  Results results;
  Json calibrations = Json::array();  ///< as Calibrations::entries() gives them
  std::vector<Calibrations::Leak> leaks = {};
  std::uint64_t request_order_seed = 0;
  std::chrono::system_clock::time_point started = std::chrono::system_clock::now();
  bool is_finished = false;
  bool is_interrupted = false;
};

Json document_of(const Graph& graph, const RunState& state);

/// "2026-08-22T07:11:24Z".
std::string utc(std::chrono::system_clock::time_point time);

/// Does a calibration hold the text of a task, and may not?
bool has_leaks(const RunState& state);

/// By the rule of ExitCode.
int exit_code_of(const RunState& state);

}  // namespace assay::host
