// One variant after the other over its tasks: prepared items in, row files out. Figures are made
// from the rows later, in results.hpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/run/calibrations.hpp"
#include "host/run/progress.hpp"
#include "host/run/quantize.hpp"
#include "host/run/request_ids.hpp"
#include "host/run/source.hpp"
#include "host/store/spool.hpp"
#include "host/worker/session.hpp"

namespace assay::host {

/// What became of the items of one task under one variant.
struct ItemCounts {
  std::uint64_t items = 0;             ///< of the task, after its limit
  std::uint64_t scored = 0;            ///< rows with figures
  std::uint64_t truncated = 0;         ///< prompts cut on the left to fit the context
  std::uint64_t truncated_tokens = 0;  ///< tokens lost that way
  std::uint64_t empty = 0;             ///< nothing to score: an empty text or continuation
  std::uint64_t failed = 0;            ///< the backend refused or could not score
  std::uint64_t boundary_differs = 0;  ///< requests whose joint encoding differs from the context's
  std::uint64_t straddles = 0;  ///< continuations of texts whose first piece begins in the prompt
  std::uint64_t reached_max_new = 0;  ///< answers that ended at max_new_tokens, not by themselves
};

enum class Status { kComplete, kPartial, kFailed };

std::string_view to_string(Status status);

struct TaskOutcome {
  Status status = Status::kFailed;
  ItemCounts counts;
  double score_seconds = 0;
  std::vector<DeviceMemory> memory = {};  ///< peaks since the task began; empty: not known
};

/// A failure to be shown: of a whole variant, of a task of it, or of an item.
struct FailureNote {
  std::string variant, task;
  std::optional<std::uint64_t> item;
  Failure failure;
  std::vector<std::uint64_t> items_in_flight = {};  ///< asked for and not answered when it failed
};

struct VariantOutcome {
  Status status = Status::kFailed;
  std::optional<ModelInfo> info;
  std::string tokenizer_fingerprint;          ///< "" where the backend takes texts
  std::string chat_fingerprint;               ///< "" where no task of the variant chats
  std::optional<QuantizedForm> quantization;  ///< nothing: its weights are as stored
  double load_seconds = 0;
  std::vector<DeviceMemory> memory;          ///< after load; empty: not known
  std::map<std::size_t, TaskOutcome> tasks;  ///< by index into Graph::tasks
  /// Items of which the calibration knows more than it may, ascending, by index into Graph::tasks.
  std::map<std::size_t, std::vector<std::uint64_t>> overlapping = {};
};

/// Where the rows of a task under a variant are.
std::filesystem::path rows_path(const std::filesystem::path& out, const std::string& variant,
                                const std::string& task);

/// At most this many failed items of one task under one variant are written out one by one.
constexpr std::uint64_t kMaxItemFailures = 20;

/// Threads  one call at a time
class Scoring {
 public:
  /// Keeps references to graph, sources and calibrations, which are prepared.
  Scoring(const Graph& graph, std::filesystem::path out, Sources& sources,
          const Calibrations& calibrations, QuantizeOptions options);

  /// Loads the variant, scores its tasks and leaves their rows. Notes what failed in failures().
  ///
  /// Fails    only where going on is pointless: the disk is full or the folder unusable
  Result<VariantOutcome> variant(std::size_t model);

  const std::vector<FailureNote>& failures() const { return failures_; }

  /// Decides in which order the choices of an item are asked.
  std::uint64_t request_order_seed() const { return request_order_seed_; }

 private:
  /// A task's items for one tokenizer, on disk.
  struct Prepared {
    Spool spool;
    std::uint64_t to_score = 0;
  };
  struct Unit;
  struct Variant;

  Result<Variant> open(std::size_t model, VariantOutcome& outcome);
  Result<ModelInfo> load(const ModelSpec& model, Session& session, std::uint64_t longest,
                         const MadeCalibration* calibration, VariantOutcome& outcome);
  Result<Prepared*> prepared(std::size_t task, const Variant& variant);
  Result<TaskOutcome> task(std::size_t task, Variant& variant);
  Result<void> check_lengths(const TaskSpec& task, const Variant& variant) const;
  void note(const ModelSpec& model, const std::string& task, Failure failure);
  std::vector<DeviceMemory> memory_of(Variant& variant) const;

  const Graph& graph_;
  std::filesystem::path out_;
  Sources& sources_;
  const Calibrations& calibrations_;
  QuantizeOptions options_;
  ProgressStyle progress_;
  const std::atomic<bool>& cancelled_;
  std::uint64_t request_order_seed_;
  RequestIds request_ids_;
  std::map<std::pair<std::size_t, std::string>, Prepared> prepared_;
  std::vector<FailureNote> failures_;
};

}  // namespace assay::host
