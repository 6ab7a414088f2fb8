#include "host/manifest/manifest.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "host/manifest/fields.hpp"
#include "host/manifest/files.hpp"
#include "host/manifest/quantity.hpp"
#include "host/manifest/sections.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr auto kMaxSeed = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
constexpr std::uint64_t kMaxThreads = 4096;
constexpr std::size_t kMaxNameBytes = 100;

const std::vector<LaterKey> kLaterTables = {
    {"gate_policy", "leave it out: a gate compares the figure with its threshold"}};

const std::vector<std::string> kTables = {"model",   "dataset", "calibration", "task",
                                          "compare", "gate",    "report"};

/// Can it name a folder of the results, and stand in a file's name and in "model.x"?
bool is_name(const std::string& name) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' &&
         name.find_first_not_of(kLetters) == std::string::npos;
}

bool is_device(const std::string& device) {
  if (device == "cpu") return true;
  constexpr std::string_view kCuda = "cuda:";
  const std::string index = device.starts_with(kCuda) ? device.substr(kCuda.size()) : "";
  return !index.empty() && index.size() <= 3 &&
         index.find_first_not_of("0123456789") == std::string::npos;
}

class Reader {
 public:
  Reader(Manifest& manifest, std::vector<Diagnostic>& errors)
      : manifest_(manifest), errors_(errors) {}

  void read(const Table& root) {
    Fields fields(root, "the manifest", Place{}, errors_);
    read_root(fields);
    each_table(fields, "model", [&](Fields& own, const std::string& name) {
      manifest_.models.push_back(read_model(own, name));
    });
    each_table(fields, "dataset", [&](Fields& own, const std::string& name) {
      manifest_.datasets.push_back(read_dataset(own, name));
    });
    each_table(fields, "calibration", [&](Fields& own, const std::string& name) {
      manifest_.calibrations.push_back(read_calibration(own, name, errors_));
    });
    each_table(fields, "task", [&](Fields& own, const std::string& name) {
      manifest_.tasks.push_back(read_task(own, name, manifest_.datasets, errors_));
    });
    read_compare_table(fields);
    each_element(fields, "gate", [&](Fields& own) { manifest_.gates.push_back(read_gate(own)); });
    each_element(fields, "report",
                 [&](Fields& own) { manifest_.reports.push_back(read_report(own)); });
    fields.refuse_later(kLaterTables);
    fields.refuse_unknown("a manifest has assay, name, seed, include and the tables " +
                          joined(kTables));
  }

 private:
  void read_root(Fields& fields) {
    if (fields.take("assay") == nullptr) {
      fields.error({0, 1, 1, 1}, "the manifest lacks \"assay\"",
                   "begin it with assay = 1, the format of manifests");
    }
    manifest_.name = fields.text("name", manifest_.sources.front().path.stem().string()).value;
    manifest_.seed = fields.whole("seed", 0, kMaxSeed, manifest_.seed).value;
    fields.take("include");
  }

  /// Calls `read` for each [kind.x].
  template <class Read>
  void each_table(Fields& root, std::string_view kind, Read&& read) {
    const Value* value = root.take(kind);
    if (value == nullptr) return;
    const std::string header = "[" + std::string(kind) + ".x]";
    const auto* tables = get_if<Table>(*value);
    if (tables == nullptr) return root.wrong_type(kind, "tables " + header, *value);
    for (const Entry& entry : *tables) {
      const std::string name = std::string(kind) + "." + entry.key;
      const auto* table = get_if<Table>(entry.value);
      if (table == nullptr) {
        errors_.push_back({entry.key_place, name + " must be a table, got " + found(entry.value),
                           "keys stand under a header " + header + " with a name for x"});
        continue;
      }
      if (!is_name(entry.key)) {
        errors_.push_back({entry.key_place,
                           in_quotes(entry.key) + " cannot be the name of a " + std::string(kind),
                           "use letters, digits, \"_\", \"-\" and \".\", not first, at most " +
                               std::to_string(kMaxNameBytes) + " of them"});
      }
      Fields own(*table, name, entry.value.place, errors_);
      read(own, entry.key);
    }
  }

  /// Calls `read` for each [[kind]].
  template <class Read>
  void each_element(Fields& root, const std::string& kind, Read&& read) {
    const Value* value = root.take(kind);
    if (value == nullptr) return;
    const auto* list = get_if<std::vector<Value>>(*value);
    if (list == nullptr) {
      const bool is_table = get_if<Table>(*value) != nullptr;
      return root.wrong_type(kind, "a list of tables", *value,
                             is_table ? "write [[" + kind + "]] with two brackets" : "");
    }
    for (const Value& element : *list) {
      const auto* table = get_if<Table>(element);
      if (table == nullptr) {
        root.wrong_type("each of " + kind, "a table", element);
        continue;
      }
      Fields own(*table, kind, element.place, errors_);
      read(own);
    }
  }

  ModelNode read_model(Fields& fields, const std::string& name) {
    ModelNode model;
    model.name = name;
    model.place = fields.place();
    fields.require({{"backend", "backend: the id of a backend, such as \"assay/torch\""}});
    model.backend = fields.text("backend");
    const Located<std::string> path = fields.text("path");
    if (path.given()) {
      model.path = {resolved(manifest_.sources, path.place, path.value), path.place};
    }
    model.device = read_device(fields);
    const auto threads = fields.whole("threads", 1, kMaxThreads);
    model.threads = {static_cast<std::uint32_t>(threads.value), threads.place};
    model.memory_budget_bytes = read_memory_budget(fields);
    model.isolation = read_isolation(fields);
    model.timeout_seconds = read_timeout(fields);
    read_quantization(fields, model, errors_);
    return model;
  }

  Located<std::string> read_device(Fields& fields) {
    const auto device = fields.text("device", "cpu");
    if (!device.given() || is_device(device.value)) return device;
    fields.error(device.place,
                 "device must be \"cpu\" or \"cuda:N\", got " + in_quotes(device.value),
                 device.value == "cuda" || device.value == "gpu" ? "did you mean \"cuda:0\"?" : "");
    return {"cpu", device.place};
  }

  Located<std::uint64_t> read_memory_budget(Fields& fields) {
    const Value* value = fields.take("memory_budget");
    if (value == nullptr) return {};
    if (const auto* bytes = get_if<std::int64_t>(*value); bytes != nullptr && *bytes > 0) {
      return {static_cast<std::uint64_t>(*bytes), value->place};
    }
    if (const auto* text = get_if<std::string>(*value)) {
      if (const auto bytes = parse_size(*text); bytes && *bytes > 0) return {*bytes, value->place};
    }
    fields.wrong_type("memory_budget", "a size such as \"4GiB\"", *value);
    return {};
  }

  Located<Isolated> read_isolation(Fields& fields) {
    const auto isolation = fields.text("isolation", "worker");
    if (isolation.value == "none") return {Isolated::kNone, isolation.place};
    if (isolation.value != "worker") {
      fields.error(isolation.place,
                   "isolation must be \"worker\" or \"none\", got " + in_quotes(isolation.value));
    }
    return {Isolated::kWorker, isolation.place};
  }

  Located<double> read_timeout(Fields& fields) {
    constexpr double kMostSeconds = 7 * 24 * 3600;
    const Located<double> fallback{kDefaultTimeoutSeconds};
    const Value* value = fields.take("timeout");
    if (value == nullptr) return fallback;
    if (const auto* text = get_if<std::string>(*value)) {
      const auto seconds = parse_duration(*text);
      if (seconds && *seconds > 0 && *seconds <= kMostSeconds) return {*seconds, value->place};
    }
    fields.wrong_type("timeout", "a duration such as \"90s\" or \"10min\", at most 7 days", *value,
                      "a backend that gives no sign of life for that long is ended");
    return fallback;
  }

  void read_compare_table(Fields& root) {
    const Value* value = root.take("compare");
    if (value == nullptr) return;
    const auto* table = get_if<Table>(*value);
    if (table == nullptr) {
      return root.wrong_type("compare", "a table", *value,
                             "write [compare] and below it baseline = \"...\"");
    }
    Fields own(*table, "compare", value->place, errors_);
    manifest_.compare = read_compare(own);
  }

  ReportNode read_report(Fields& fields) {
    ReportNode report;
    report.place = fields.place();
    fields.require({{"use", "use: the id of a reporter, such as \"assay/console\""}});
    report.use = fields.text("use");
    report.file = fields.text("file");
    report.options = fields.rest();
    return report;
  }

  Manifest& manifest_;
  std::vector<Diagnostic>& errors_;
};

}  // namespace

fs::path resolved(const std::vector<Source>& sources, const Place& place, const std::string& path) {
  std::error_code error;
  const fs::path folder = sources.at(place.file).path.parent_path();
  const fs::path whole = fs::absolute(folder / path, error);
  return (error ? folder / path : whole).lexically_normal();
}

Result<ParsedManifest> read_manifest(const fs::path& path) {
  auto files = read_files(path);
  if (!files) return std::move(files).error();
  ParsedManifest parsed;
  parsed.manifest.sources = std::move(files->sources);
  parsed.errors = std::move(files->errors);
  parsed.is_whole = files->is_whole;
  // What a broken file would have said is not known, so nothing is said about what is missing.
  if (files->is_whole) Reader(parsed.manifest, parsed.errors).read(files->root);
  put_in_file_order(parsed.errors);
  return parsed;
}

std::string_view to_string(Protocol protocol) {
  constexpr std::array<std::string_view, 4> kNames = {"perplexity", "continuation",
                                                      "multiple_choice", "generate"};
  return kNames.at(static_cast<std::size_t>(protocol));
}

std::string_view to_string(Bos bos) {
  constexpr std::array<std::string_view, 3> kNames = {"auto", "always", "never"};
  return kNames.at(static_cast<std::size_t>(bos));
}

std::string_view to_string(Isolated isolation) {
  return isolation == Isolated::kWorker ? "worker" : "none";
}

std::string_view to_string(Threshold threshold) {
  constexpr std::array<std::string_view, 5> kNames = {"max_increase", "max_drop", "min_retained",
                                                      "min", "max"};
  return kNames.at(static_cast<std::size_t>(threshold));
}

}  // namespace assay::host
