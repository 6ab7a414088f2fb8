// What the parts of the builder share while a graph is made. Nothing outside this folder sees it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/graph/graph.hpp"
#include "host/loader/dataset.hpp"

namespace assay::host {

/// The columns of a dataset, or that they are not known because something else is wrong with it.
struct KnownColumns {
  bool is_known = false;
  std::vector<DatasetColumn> columns;

  const DatasetColumn* find(std::string_view name) const;
  std::vector<std::string> names() const;
};

/// Nodes of the graph stand at the positions of the manifest's nodes, also those with errors.
struct Building {
  const Manifest& manifest;
  const Registry& registry;
  Graph& graph;
  std::vector<Diagnostic>& errors;
  std::vector<Diagnostic>& warnings;
  /// Names, by position.
  std::vector<std::string> models = {}, datasets = {}, calibrations = {}, tasks = {};
  std::vector<KnownColumns> columns = {};  ///< of each dataset

  void error(const Place& place, std::string text, std::string help = {}) {
    errors.push_back({place, std::move(text), std::move(help)});
  }
};

/// The component of an id and kind; NULL, and an error said, where there is none. NULL without an
/// error where no id was given, which the parser reported.
const Component* find_component(Building& building, const Located<std::string>& use,
                                assay_kind kind);

/// The component and its checked options, with what the component itself says of them.
/// `component` is NULL where anything is wrong with them. `in_worker`: where it will run.
Use use_component(Building& building, const Located<std::string>& use, assay_kind kind,
                  const Table& options, const std::string& node, const Place& place,
                  std::vector<std::string> host_keys, bool in_worker = false);

/// The position of a name, or nothing and an error.
std::optional<std::size_t> position(Building& building, const std::vector<std::string>& names,
                                    std::string_view kind, const Located<std::string>& name);

/// Checks a template that makes one text of a record: it compiles, and reads columns of the
/// dataset, at least one. `owner` and `key` say in sentences whose it is: "task.faq", "text".
void check_text(Building& building, const std::string& owner, const std::string& key,
                const Located<std::string>& text, const Place& fallback, std::size_t dataset);

/// What `quantize` and `simulate` of a model ask of its backend and of its calibration.
void wire_quantization(Building& building, const ModelNode& node, ModelSpec& spec);
/// After datasets and models.
void wire_calibrations(Building& building);

void wire_tasks(Building& building);
/// The metrics of a task and its primary output. `columns` are its dataset's, NULL where it has
/// none.
void wire_metrics(Building& building, const TaskNode& node, TaskSpec& spec,
                  const KnownColumns* columns);
void wire_gates(Building& building);

/// The manifest as it was understood: every key with its value or default, no secrets.
Json effective_manifest(const Manifest& manifest, const Graph& graph);

}  // namespace assay::host
