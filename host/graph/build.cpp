#include "host/graph/build.hpp"

#include <assay/ext.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "host/graph/options.hpp"
#include "host/loader/instance.hpp"
#include "host/loader/trust.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

template <class Node>
std::vector<std::string> names_of(const std::vector<Node>& nodes) {
  std::vector<std::string> names;
  for (const Node& node : nodes) names.push_back(node.name);
  return names;
}

bool is_nested(assay_type type) {
  return type == ASSAY_INTS || type == ASSAY_FLOATS || type == ASSAY_TEXTS;
}

/// "cpu" or "cuda:N", as the parser let through.
assay_device device_of(const std::string& device) {
  if (device == "cpu") return {1, 0};
  return {2, std::stoi(device.substr(device.find(':') + 1))};
}

/// Does the host read nothing of the model's directory?
bool needs_no_path(const Component* backend) {
  return backend != nullptr &&
         (is_text_only(*backend) || offers(*backend, ASSAY_BACKEND_TOKENIZER_1));
}

void check_model_path(Building& b, const ModelNode& node, const Component* backend) {
  if (!node.path.given()) {
    if (needs_no_path(backend)) return;
    return b.error(node.place, "model." + node.name + " lacks \"path\"",
                   "path: the model's directory");
  }
  std::error_code error;
  const std::string help = "input paths are relative to the manifest";
  if (!fs::exists(node.path.value, error)) {
    b.error(node.path.place, "model directory " + node.path.value.string() + " does not exist",
            help);
  } else if (!fs::is_directory(node.path.value, error)) {
    b.error(node.path.place, node.path.value.string() + " is a file, expected a model directory",
            "path names the directory that holds config.json");
  }
}

/// A manifest cannot bring into the host what the host does not trust.
void check_isolation(Building& b, const ModelNode& node, const ModelSpec& spec) {
  if (spec.backend.component == nullptr || node.isolation.value != Isolated::kNone) return;
  const std::string refusal = host_refusal_of(*spec.backend.component);
  if (refusal.empty()) return;
  b.error(node.isolation.place, node.backend.value + " " + refusal);
}

void wire_model(Building& b, const ModelNode& node) {
  ModelSpec spec;
  spec.name = node.name;
  spec.backend =
      use_component(b, node.backend, ASSAY_BACKEND, node.options, "model." + node.name, node.place,
                    {"backend", "path", "device", "threads", "isolation", "memory_budget",
                     "quantize", "simulate", "timeout"},
                    node.isolation.value == Isolated::kWorker);
  spec.path = node.path.value;
  spec.device = device_of(node.device.value);
  spec.threads = node.threads.value;
  spec.memory_budget_bytes = node.memory_budget_bytes.value;
  spec.isolation = node.isolation.value;
  spec.timeout_seconds = node.timeout_seconds.value;
  wire_quantization(b, node, spec);
  check_isolation(b, node, spec);
  check_model_path(b, node, spec.backend.component);
  b.graph.models.push_back(std::move(spec));
}

/// A component's complaint, at the option it names, else at the node.
Diagnostic diagnostic_of(const DatasetNode& node, const Failure& failure) {
  Diagnostic said{node.place, "dataset." + node.name + ": " + failure.text};
  for (const Entry& entry : node.options) {
    if (entry.key == failure.where) said.place = entry.value.place;
  }
  if (failure.where == "split" && node.split.given()) said.place = node.split.place;
  // The caret says already which option it is.
  const std::string where = " (" + failure.where + ")";
  if (said.text.ends_with(where)) said.text.resize(said.text.size() - where.size());
  return said;
}

bool names_splits(const Component& component) {
  const assay_component& constants = *component.constants;
  return std::any_of(constants.extensions, constants.extensions + constants.n_extensions,
                     [](const assay_extension& extension) {
                       return std::string_view(extension.id) == ASSAY_DATASET_ROWS_1;
                     });
}

KnownColumns declared_columns(const assay_component& constants) {
  KnownColumns known;
  known.is_known = true;
  for (std::uint64_t i = 0; i < constants.n_columns; ++i) {
    known.columns.push_back({constants.columns[i]->name, is_nested(constants.columns[i]->type)});
  }
  return known;
}

/// Says that the split of a node is none of those there are.
void check_split(Building& b, const DatasetNode& node, const std::vector<DatasetSplit>& splits) {
  std::vector<std::string> names;
  for (const DatasetSplit& split : splits) {
    if (split.name == node.split.value) return;
    if (!split.name.empty()) names.push_back(split.name);
  }
  std::string help = did_you_mean(node.split.value, names);
  if (!help.empty()) help += " ";
  help += names.empty() ? "it has no splits; leave split out" : "the splits are " + joined(names);
  b.error(node.split.place, "dataset." + node.name + " has no split " + in_quotes(node.split.value),
          std::move(help));
}

/// The columns the constants declare, or those of the opened file; and is there such a split?
KnownColumns columns_of(Building& b, const DatasetNode& node, const Use& use) {
  KnownColumns known;
  if (use.component == nullptr) return known;
  const assay_component& constants = *use.component->constants;
  if (constants.n_columns > 0) known = declared_columns(constants);
  const bool asks_for_split = node.split.given() && names_splits(*use.component);
  if (known.is_known && !asks_for_split) return known;

  Lease lease;
  lease.node = "dataset." + node.name;
  lease.seed = b.manifest.seed;
  const auto fail = [&](const Failure& failure) {
    b.errors.push_back(diagnostic_of(node, failure));
    return known;
  };
  auto instance = Instance::create(*use.component, use.options, lease);
  if (!instance) return fail(instance.error());
  if (asks_for_split) {
    const auto splits = splits_of(*instance);
    if (!splits) return fail(splits.error());
    const std::size_t before = b.errors.size();
    if (*splits) check_split(b, node, **splits);
    if (known.is_known || b.errors.size() > before) return known;
  }
  auto reader = DatasetReader::open(*instance, node.split.value);
  if (!reader) return fail(reader.error());
  if (reader->columns().empty()) {
    return fail({ASSAY_INVALID_ARGUMENT, "no records were found; is its file empty?", "path"});
  }
  known.is_known = true;
  known.columns = reader->columns();
  return known;
}

void wire_dataset(Building& b, const DatasetNode& node) {
  DatasetSpec spec;
  spec.name = node.name;
  spec.use = use_component(b, node.use, ASSAY_DATASET, node.options, "dataset." + node.name,
                           node.place, {"use", "split", "limit"});
  spec.split = node.split.value;
  spec.limit = node.limit.value;
  b.columns.push_back(columns_of(b, node, spec.use));
  spec.columns = b.columns.back().names();
  b.graph.datasets.push_back(std::move(spec));
}

void wire_compare(Building& b) {
  if (!b.manifest.compare) return;
  const CompareNode& node = *b.manifest.compare;
  b.graph.noise_floor = node.noise_floor.value;
  if (node.baseline.given()) {
    b.graph.baseline = position(b, b.models, "model", node.baseline);
  }
}

/// The key `file` is a host key; a reporter that writes one declares it as an option.
std::string report_file(Building& b, const ReportNode& node, const Component& component) {
  const assay_option* option = find_declared(component, "file");
  const bool is_ours = option != nullptr && option->type == ASSAY_PATH_OUT;
  if (!is_ours) {
    if (node.file.given()) {
      b.error(node.file.place, std::string(component.id()) + " writes no file", "leave file out");
    }
    return "";
  }
  if (node.file.given()) return node.file.value;
  if (option->fallback == nullptr) return "";
  const auto fallback = parse_value(option->fallback);
  const auto* text = fallback ? get_if<std::string>(*fallback) : nullptr;
  return text != nullptr ? *text : "";
}

void wire_reports(Building& b) {
  std::map<std::string, std::size_t> files;
  for (std::size_t i = 0; i < b.manifest.reports.size(); ++i) {
    const ReportNode& node = b.manifest.reports[i];
    const Component* component = find_component(b, node.use, ASSAY_REPORTER);
    ReportSpec spec;
    if (component != nullptr) {
      Table options = node.options;
      spec.file = report_file(b, node, *component);
      const assay_option* option = find_declared(*component, "file");
      if (node.file.given() && option != nullptr && option->type == ASSAY_PATH_OUT) {
        options.push_back({"file", node.file.place, {node.file.place, node.file.value}});
      }
      spec.use = use_component(b, node.use, ASSAY_REPORTER, options, "report", node.place,
                               {"use", "file"});
    }
    if (!spec.file.empty()) {
      const std::string key = fs::path(spec.file).lexically_normal().string();
      const auto [first, is_new] = files.emplace(key, i);
      if (!is_new) {
        b.error(node.file.given() ? node.file.place : node.place,
                "two reports write " + in_quotes(spec.file), "give each its own file");
      }
    }
    b.graph.reports.push_back(std::move(spec));
  }
}

/// What the component says of options that are valid one by one, at their places.
void check_config(Building& b, const Component& component, const Json& options, const Table& given,
                  const OptionOwner& owner, bool in_worker) {
  Lease lease;
  lease.node = owner.name;
  lease.seed = b.manifest.seed;
  lease.in_worker = in_worker;
  const auto complaints = Instance::check(component, options, lease);
  if (!complaints) {
    b.error(owner.place,
            owner.name + ": the options cannot be checked: " + complaints.error().text);
    return;
  }
  for (const ConfigComplaint& complaint : *complaints) {
    const std::optional<Place> place = place_of_option(given, complaint.key);
    Diagnostic said{place.value_or(owner.place),
                    place ? complaint.text : owner.name + ": " + complaint.text,
                    {},
                    complaint.is_error ? Severity::kError : Severity::kWarning};
    (complaint.is_error ? b.errors : b.warnings).push_back(std::move(said));
  }
}

void require_nodes(Building& b) {
  if (b.manifest.models.empty()) {
    b.error({}, "the manifest has no model", "write [model.base] with backend and path");
  }
  if (b.manifest.tasks.empty()) {
    b.error({}, "the manifest has no task",
            "write [task.x] with protocol and dataset; a task is what is measured");
  }
}

}  // namespace

const DatasetColumn* KnownColumns::find(std::string_view name) const {
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [name](const DatasetColumn& c) { return c.name == name; });
  return found != columns.end() ? &*found : nullptr;
}

std::vector<std::string> KnownColumns::names() const { return names_of(columns); }

const Component* find_component(Building& b, const Located<std::string>& use, assay_kind kind) {
  if (!use.given()) return nullptr;
  if (const Component* component = b.registry.find(use.value, kind)) {
    const std::string refusal = refusal_of(*component);
    if (refusal.empty()) return component;
    b.error(use.place, use.value + " " + refusal);
    return nullptr;
  }
  const std::string list = "`assay plugins list` shows all components found";
  if (const Component* other = b.registry.find(use.value)) {
    b.error(use.place,
            in_quotes(use.value) + " is a " + std::string(to_string(other->constants->kind)) +
                ", expected a " + std::string(to_string(kind)),
            "the " + std::string(to_string(kind)) + "s found are " + joined(b.registry.ids(kind)));
    return nullptr;
  }
  const std::string near = did_you_mean(use.value, b.registry.ids(kind));
  b.error(use.place, "unknown component " + in_quotes(use.value),
          near.empty() ? list : near + " " + list);
  return nullptr;
}

Use use_component(Building& b, const Located<std::string>& use, assay_kind kind,
                  const Table& options, const std::string& node, const Place& place,
                  std::vector<std::string> host_keys, bool in_worker) {
  Use made;
  const Component* component = find_component(b, use, kind);
  if (component == nullptr) return made;
  const OptionOwner owner{node, place, std::move(host_keys), b.manifest.sources, b.models};
  const std::size_t before = b.errors.size();
  made.options = check_options(*component, options, owner, b.errors);
  if (b.errors.size() == before)
    check_config(b, *component, made.options, options, owner, in_worker);
  if (b.errors.size() == before) made.component = component;
  return made;
}

std::optional<std::size_t> position(Building& b, const std::vector<std::string>& names,
                                    std::string_view kind, const Located<std::string>& name) {
  const auto found = std::find(names.begin(), names.end(), name.value);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  std::string help = did_you_mean(name.value, names);
  if (help.empty() && !names.empty()) help = "the " + std::string(kind) + "s are " + joined(names);
  b.error(name.place, "there is no [" + std::string(kind) + "." + name.value + "]",
          std::move(help));
  return std::nullopt;
}

BuiltGraph build_graph(const ParsedManifest& parsed, const Registry& registry) {
  BuiltGraph built;
  built.errors = parsed.errors;
  if (!parsed.is_whole) return built;
  const Manifest& manifest = parsed.manifest;
  Building b{manifest, registry, built.graph, built.errors, built.warnings};
  b.models = names_of(manifest.models);
  b.datasets = names_of(manifest.datasets);
  b.calibrations = names_of(manifest.calibrations);
  b.tasks = names_of(manifest.tasks);
  built.graph.name = manifest.name;
  built.graph.seed = manifest.seed;
  require_nodes(b);
  for (const ModelNode& node : manifest.models) wire_model(b, node);
  for (const DatasetNode& node : manifest.datasets) wire_dataset(b, node);
  wire_calibrations(b);
  wire_compare(b);
  wire_tasks(b);
  wire_gates(b);
  wire_reports(b);
  put_in_file_order(built.errors);
  put_in_file_order(built.warnings);
  if (built.errors.empty()) built.graph.effective = effective_manifest(manifest, built.graph);
  return built;
}

}  // namespace assay::host
