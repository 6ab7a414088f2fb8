// Executes a graph: datasets to items, items to rows, rows to figures, figures to verdicts and
// reports. The way of the data is written here; what each step does lives in the folders below.
#pragma once

#include <atomic>
#include <filesystem>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/run/progress.hpp"

namespace assay::host {

/// What the process tells its caller. Several at once: 70, 130, 5, 4, 1, 3, 0 in that order.
enum ExitCode {
  kExitPass = 0,
  kExitFail = 1,
  kExitUsage = 2,
  kExitInconclusive = 3,
  kExitInfrastructure = 4,
  kExitIntegrity = 5,
  kExitBug = 70,
  kExitInterrupted = 130,
};

struct RunOptions {
  std::filesystem::path out;
  std::filesystem::path store;  ///< of quantized models
  ProgressStyle progress = ProgressStyle::kPlain;
  const std::atomic<bool>* cancelled = nullptr;  ///< set by a signal handler; never null
};

struct RunOutcome {
  Json document;  ///< what run.json holds
  int exit_code = kExitPass;
};

/// Runs the graph and leaves run.json, rows/ and the reports' files in options.out. Rows and
/// figures of an earlier run there are removed first. A variant that fails does not stop the
/// others; its failure is in the document. A calibration that holds the text of a task, and may
/// not, ends the run before any variant.
///
/// Fails    the output folder cannot be used, or the disk is full: what was measured until then
/// stays
Result<RunOutcome> run(const Graph& graph, const RunOptions& options);

}  // namespace assay::host
