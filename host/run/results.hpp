// Rows to figures: records of every variant, comparisons with the baseline, quality scores and
// verdicts, as they stand in the run document. A pure function of graph and rows.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/run/score.hpp"
#include "host/stats/measure.hpp"

namespace assay::host {

/// "controlled" where the host tokenizes, "not controlled" where the backend takes texts.
std::string_view tokenization_of(const ModelSpec& model);

struct Results {
  Json records = Json::array();
  Json comparisons = Json::array();
  Json quality = Json::array();
  Json verdicts = Json::array();
  std::vector<FailureNote> failures;
};

/// Makes figures variant by variant from the row files under `out`, the baseline first.
///
/// Threads  one call at a time
class Figures {
 public:
  /// Keeps references to both.
  Figures(const Graph& graph, const std::filesystem::path& out) : graph_(graph), out_(out) {}

  /// Reads the rows of one variant: its records and, where the baseline was added before it, its
  /// comparisons. `outcome` says which tasks have rows, whether these are complete, and which of
  /// their items overlap with the variant's calibration.
  void add(std::size_t model, const VariantOutcome& outcome);

  /// Everything so far, with quality scores and verdicts. A gate on rows that are missing or
  /// incomplete is INCONCLUSIVE.
  Results results() const;

 private:
  using Items = std::vector<std::uint64_t>;  ///< indices, ascending

  void add_task(std::size_t model, std::size_t task);
  std::string why_not_compared(std::size_t model, std::size_t task) const;
  Json records_of(std::size_t model, std::size_t task, const RowTable& table,
                  const Items& left_out);
  Json comparisons_of(std::size_t model, std::size_t task, const RowTable& baseline,
                      const RowTable& table, const Items& left_out) const;
  std::string_view tokenization_with_baseline(std::size_t model) const;
  Json comparison_of(std::size_t model, const TaskSpec& task, const MetricOutput& output,
                     const std::string& group, const Paired& paired) const;
  bool has_clean_gate(std::size_t model, std::size_t task) const;
  Items overlapping(std::size_t model, std::size_t task) const;
  const TaskOutcome* outcome(std::size_t model, std::size_t task) const;
  std::optional<RowTable> table_of(std::size_t model, std::size_t task);
  Json quality_of(std::size_t model) const;
  double retained_on(std::size_t model, const TaskSpec& task) const;
  std::vector<std::string> groups_for(const GateSpec& gate) const;
  Json verdict_of(const GateSpec& gate, std::size_t model, const std::string& group) const;
  std::string what_is_missing(const GateSpec& gate, std::size_t model, bool is_absolute) const;

  const Graph& graph_;
  const std::filesystem::path& out_;
  std::map<std::size_t, VariantOutcome> variants_;
  Results results_;
  /// As in results_, without items that overlap: where there are some and a gate asks.
  Json clean_records_ = Json::array(), clean_comparisons_ = Json::array();
};

}  // namespace assay::host
