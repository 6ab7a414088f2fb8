// The checked form of a manifest: nodes with their components and effective options, edges between
// them. Nothing has run when it is built; datasets may have been opened for their columns.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/json.hpp"
#include "host/loader/registry.hpp"
#include "host/manifest/manifest.hpp"

namespace assay::host {

/// A component and the options it gets: flat keys as declared, defaults filled in, paths absolute.
struct Use {
  const Component* component = nullptr;
  Json options = Json::object();
};

struct ModelSpec {
  std::string name;
  Use backend;
  std::filesystem::path path;
  assay_device device{1, 0};
  std::uint32_t threads = 0;
  std::uint64_t memory_budget_bytes = 0;
  Isolated isolation = Isolated::kWorker;
  double timeout_seconds = kDefaultTimeoutSeconds;  ///< without a sign of life from the worker
  bool is_simulated = false;                        ///< a `simulate` table is present
  bool is_quantized = false;                        ///< a `quantize` table is present
  std::optional<std::size_t> calibration;           ///< index into Graph::calibrations
};

struct DatasetSpec {
  std::string name;
  Use use;
  std::string split;
  std::uint64_t limit = 0;  ///< 0: all
  std::vector<std::string> columns;
};

/// What a method that quantizes looks at: sequences of tokens made of the texts of datasets.
struct CalibrationSpec {
  struct Source {
    std::size_t dataset = 0;  ///< index into Graph::datasets
    double share = 1;         ///< of the samples; all shares together are 1
    std::string text;         ///< template of a record's text
  };
  std::string name;
  std::vector<Source> sources;
  std::uint64_t samples = 0;
  std::uint64_t length = 0;  ///< tokens of each sample
  std::uint64_t seed = 0;
  bool is_shuffled = true;
  bool is_chat = false;    ///< texts as turns through the model's own chat template
  double max_overlap = 0;  ///< share of an item's 13-grams that the texts may hold
  bool allows_overlap = false;
};

struct MetricOutput {
  std::string name;  ///< "acc"
  std::string unit;
  bool less_is_better = false;
  bool is_mean = false;     ///< the total is the mean of the per-item samples
  bool is_primary = false;  ///< of this metric; the task's primary is TaskSpec::primary
  double lo = 0, hi = 0;
};

struct MetricSpec {
  Use use;
  std::vector<MetricOutput> outputs;
};

struct PerplexitySpec {
  std::uint64_t window = 0;
  std::uint64_t stride = 0;
  std::string text;
  std::optional<std::string> join;
};

/// How a question is put: continuation, multiple_choice and generate.
struct PromptSpec {
  std::vector<std::string> prompts;
  bool has_many_prompts = false;  ///< contexts differ, one continuation
  std::string target;
  std::uint64_t shots = 0;
  std::size_t shots_from = 0;  ///< index into Graph::datasets
  std::string description, delimiter, separator;
  /// Through the model's own chat template: the description as system text, examples as turns. The
  /// delimiter and the separator have no use then.
  bool is_chat = false;
};

struct MultipleChoiceSpec {
  std::vector<std::string> choices;
  bool choices_is_list = false;
};

struct GenerateSpec {
  std::uint64_t max_new_tokens = 0, min_new_tokens = 0;
  std::vector<std::string> stop;
  double temperature = 0;   ///< 0: greedy
  std::uint64_t top_k = 0;  ///< 0: all
  double top_p = 1;
  std::vector<Filter> filters;
};

struct TaskSpec {
  std::string name;
  Protocol protocol = Protocol::kPerplexity;
  std::size_t dataset = 0;          ///< index into Graph::datasets
  std::vector<std::size_t> models;  ///< indices into Graph::models
  std::uint64_t limit = 0;          ///< 0: all
  std::uint64_t seed = 0;
  std::vector<std::string> group_by;
  std::vector<MetricSpec> metrics;
  std::string primary;  ///< name of an output
  Bos bos = Bos::kAuto;
  PerplexitySpec perplexity;
  PromptSpec prompt;
  MultipleChoiceSpec multiple_choice;
  GenerateSpec generate;
};

struct GateSpec {
  std::size_t task = 0;
  std::string metric;
  std::string group;
  /// Judged by the items that overlap neither with the candidate's calibration nor the baseline's.
  bool is_on_clean_subset = false;
  std::vector<std::size_t> candidates;
  Threshold threshold = Threshold::kMinRetained;
  Bound bound;
};

struct ReportSpec {
  Use use;
  std::string file;  ///< relative to the output directory, "" where the reporter writes none
};

struct Graph {
  std::string name;
  std::uint64_t seed = 1234;
  std::vector<ModelSpec> models;
  std::vector<DatasetSpec> datasets;
  std::vector<CalibrationSpec> calibrations;
  std::vector<TaskSpec> tasks;
  std::optional<std::size_t> baseline;
  double noise_floor = 0;
  std::vector<GateSpec> gates;
  std::vector<ReportSpec> reports;
  Json effective;  ///< the manifest with every default written out: goes into run.json
};

struct BuiltGraph {
  Graph graph;                       ///< complete only when `errors` is empty
  std::vector<Diagnostic> errors;    ///< the parser's and the builder's, in file order
  std::vector<Diagnostic> warnings;  ///< what components say of their options, in file order
};

/// Checks a parsed manifest against the registry and wires it. Opens datasets whose columns depend
/// on their file, and asks components that can check their options.
BuiltGraph build_graph(const ParsedManifest& parsed, const Registry& registry);

/// A column of a protocol's rows that a metric may ask for.
struct RowColumn {
  std::string_view name;
  assay_type type;
};

/// The fixed table of architecture.md section 7.
const std::vector<RowColumn>& row_columns(Protocol protocol);

/// What `assay graph` prints: nodes and edges as indented text, or as DOT.
std::string graph_text(const Graph& graph);
std::string graph_dot(const Graph& graph);

}  // namespace assay::host
