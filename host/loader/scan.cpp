#include "host/loader/scan.hpp"

#include <assay/ext.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

#include "host/core/utf8.hpp"
#include "host/loader/constants.hpp"
#include "host/loader/open.hpp"
#include "host/loader/paths.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr char kSchema[] = "assay.scan/1";
constexpr std::uint64_t kMostListed = 10'000;

// ---- constants to JSON ----

Json text_or_null(const char* text) {
  return text != nullptr ? Json(mended_utf8(text)) : Json(nullptr);
}

/// JSON has no infinities.
Json number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

Json option_json(const assay_option& option) {
  Json choices = nullptr;
  if (option.type == ASSAY_CHOICE) {
    choices = Json::array();
    for (const char* const* choice = option.choices; *choice != nullptr; ++choice) {
      if (choices.size() == kMostListed) break;
      choices.push_back(mended_utf8(*choice));
    }
  }
  return {{"name", option.name},
          {"type", option.type},
          {"flags", option.flags},
          {"help", option.help},
          {"fallback", text_or_null(option.fallback)},
          {"choices", std::move(choices)},
          {"lo", number(option.lo)},
          {"hi", number(option.hi)}};
}

Json column_json(const assay_column& column) {
  return {{"name", column.name},
          {"type", column.type},
          {"flags", column.flags},
          {"help", column.help},
          {"unit", text_or_null(column.unit)},
          {"lo", number(column.lo)},
          {"hi", number(column.hi)}};
}

template <class T, class Make>
Json list_json(const T* const* list, std::uint64_t n, Make&& make) {
  Json array = Json::array();
  for (std::uint64_t i = 0; i < n; ++i) array.push_back(make(*list[i]));
  return array;
}

Json extension_json(const assay_extension& extension) {
  Json json{{"id", mended_utf8(extension.id)}};
  if (std::string_view(extension.id) != ASSAY_METRIC_SUMS_1) return json;
  const auto& sums = *static_cast<const assay_metric_sums_v1*>(extension.api);
  if (!ASSAY_HAS(assay_metric_sums_v1, &sums, n_terms) || sums.terms == nullptr) return json;
  json["terms"] = Json::array();
  for (std::uint64_t i = 0; i < std::min(sums.n_terms, kMostListed); ++i) {
    json["terms"].push_back(mended_utf8(sums.terms[i] != nullptr ? sums.terms[i] : ""));
  }
  return json;
}

/// Visits the functions that a kind's table had in ABI 1.0, by name.
template <class Visit>
void each_function(assay_backend_v1& api, Visit&& visit) {
  visit("estimate", api.estimate);
  visit("quantize", api.quantize);
  visit("load", api.load);
  visit("run", api.run);
}
template <class Visit>
void each_function(assay_dataset_v1& api, Visit&& visit) {
  visit("open", api.open);
}
template <class Visit>
void each_function(assay_metric_v1& api, Visit&& visit) {
  visit("update", api.update);
  visit("finish", api.finish);
}
template <class Visit>
void each_function(assay_reporter_v1& api, Visit&& visit) {
  visit("write", api.write);
}

template <class Api>
Json functions_json(const void* table) {
  Api api = *static_cast<const Api*>(table);
  Json names = Json::array();
  each_function(api, [&](const char* name, auto function) {
    if (function != nullptr) names.push_back(name);
  });
  return names;
}

Json functions_json(const assay_component& component) {
  switch (component.kind) {
    case ASSAY_BACKEND:
      return functions_json<assay_backend_v1>(component.api);
    case ASSAY_DATASET:
      return functions_json<assay_dataset_v1>(component.api);
    case ASSAY_METRIC:
      return functions_json<assay_metric_v1>(component.api);
    case ASSAY_REPORTER:
      return functions_json<assay_reporter_v1>(component.api);
    default:
      return Json::array();
  }
}

// ---- JSON to constants ----

/// Stands for a function that another process has.
template <class Function>
struct Elsewhere;
template <class Answer, class... Arguments>
struct Elsewhere<Answer (*)(Arguments...) noexcept> {
  static Answer call(Arguments... arguments) noexcept {
    (explain(arguments), ...);
    if constexpr (!std::is_void_v<Answer>) return ASSAY_FAILED_PRECONDITION;
  }

 private:
  template <class Other>
  static void explain(const Other&) {}
  static void explain(assay_error* error) {
    if (error == nullptr) return;
    error->code = ASSAY_FAILED_PRECONDITION;
    std::snprintf(error->where, sizeof error->where, "%s", "");
    std::snprintf(error->text, sizeof error->text, "%s",
                  "was described, and is not loaded in this process");
  }
};

template <class Function>
constexpr Function elsewhere() {
  return &Elsewhere<Function>::call;
}

/// The table of an extension without its functions: larger than any, and all NULL behind its size.
struct EmptyTable {
  std::uint32_t struct_size = 8;
  std::uint32_t reserved = 0;
  std::array<void*, 31> slots{};
};

/// Constants and everything they point to. Addresses stay.
struct Rebuilt {
  assay_plugin plugin{};
  std::deque<std::string> texts;
  std::deque<std::vector<const char*>> text_lists;
  std::deque<assay_option> options;
  std::deque<std::vector<const assay_option*>> option_lists;
  std::deque<assay_column> columns;
  std::deque<std::vector<const assay_column*>> column_lists;
  std::deque<assay_component> components;
  std::vector<const assay_component*> component_list;
  std::deque<assay_backend_v1> backends;
  std::deque<assay_dataset_v1> datasets;
  std::deque<assay_metric_v1> metrics;
  std::deque<assay_reporter_v1> reporters;
  std::deque<std::vector<assay_extension>> extension_lists;
  std::deque<assay_metric_sums_v1> sums;
  EmptyTable empty;
};

/// Reads a document that may be damaged: a wrong value leaves its name in `fault`.
class Reader {
 public:
  Reader(Rebuilt& made, std::string& fault) : made_(made), fault_(fault) {}

  void read_plugin(const Json& json) {
    assay_plugin& plugin = made_.plugin;
    plugin.struct_size = sizeof plugin;
    plugin.abi_major = whole<std::uint16_t>(json, "abi_major");
    plugin.abi_minor = whole<std::uint16_t>(json, "abi_minor");
    plugin.id = text(json, "id");
    plugin.version = text(json, "version");
    plugin.vendor = text(json, "vendor");
    plugin.license = text(json, "license");
    plugin.built_with = text(json, "built_with");
    for (const Json& component : list(json, "components")) {
      made_.component_list.push_back(&made_.components.emplace_back());
      read_component(component, made_.components.back());
    }
    plugin.components = made_.component_list.data();
    plugin.n_components = made_.component_list.size();
  }

 private:
  const Json& at(const Json& json, const char* key) {
    static const Json kNone;
    const auto found = json.find(key);
    if (found != json.end()) return *found;
    fault_ = key;
    return kNone;
  }

  const Json& list(const Json& json, const char* key) {
    static const Json kEmpty = Json::array();
    const Json& value = at(json, key);
    if (value.is_array()) return value;
    fault_ = key;
    return kEmpty;
  }

  template <class T>
  T whole(const Json& json, const char* key) {
    const Json& value = at(json, key);
    if (value.is_number_unsigned() || (value.is_number_integer() && value >= 0)) {
      const auto number = value.get<std::uint64_t>();
      if (number <= static_cast<std::uint64_t>(std::numeric_limits<T>::max())) {
        return static_cast<T>(number);
      }
    }
    fault_ = key;
    return 0;
  }

  double real(const Json& json, const char* key) {
    const Json& value = at(json, key);
    if (value.is_number()) return value.get<double>();
    if (value == "inf") return std::numeric_limits<double>::infinity();
    if (value == "-inf") return -std::numeric_limits<double>::infinity();
    if (value != "nan") fault_ = key;
    return std::numeric_limits<double>::quiet_NaN();
  }

  const char* keep(const Json& value, const char* key) {
    if (!value.is_string()) {
      fault_ = key;
      return "";
    }
    return made_.texts.emplace_back(value.get<std::string>()).c_str();
  }
  const char* text(const Json& json, const char* key) { return keep(at(json, key), key); }
  const char* text_or_null(const Json& json, const char* key) {
    const Json& value = at(json, key);
    return value.is_null() ? nullptr : keep(value, key);
  }

  const std::vector<const char*>& texts(const Json& values, const char* key) {
    std::vector<const char*>& kept = made_.text_lists.emplace_back();
    for (const Json& value : values) kept.push_back(keep(value, key));
    return kept;
  }

  const assay_option* read_option(const Json& json) {
    assay_option& option = made_.options.emplace_back();
    option.struct_size = sizeof option;
    option.type = whole<assay_type>(json, "type");
    option.flags = whole<std::uint64_t>(json, "flags");
    option.name = text(json, "name");
    option.help = text(json, "help");
    option.fallback = text_or_null(json, "fallback");
    const Json& choices = at(json, "choices");
    if (choices.is_array()) {
      texts(choices, "choices");
      made_.text_lists.back().push_back(nullptr);
      option.choices = made_.text_lists.back().data();
    }
    option.lo = real(json, "lo");
    option.hi = real(json, "hi");
    return &option;
  }

  const assay_column* read_column(const Json& json) {
    assay_column& column = made_.columns.emplace_back();
    column.struct_size = sizeof column;
    column.type = whole<assay_type>(json, "type");
    column.flags = whole<std::uint64_t>(json, "flags");
    column.name = text(json, "name");
    column.help = text(json, "help");
    column.unit = text_or_null(json, "unit");
    column.lo = real(json, "lo");
    column.hi = real(json, "hi");
    return &column;
  }

  const std::vector<const assay_column*>& columns(const Json& json, const char* key) {
    auto& kept = made_.column_lists.emplace_back();
    for (const Json& column : list(json, key)) kept.push_back(read_column(column));
    return kept;
  }

  template <class Api>
  const void* table(std::deque<Api>& tables, const Json& names) {
    Api& api = tables.emplace_back();
    api.struct_size = sizeof api;
    each_function(api, [&](const char* name, auto& function) {
      for (const Json& given : names) {
        if (given == name) function = elsewhere<std::remove_reference_t<decltype(function)>>();
      }
    });
    return &api;
  }

  const void* read_table(assay_kind kind, const Json& names) {
    switch (kind) {
      case ASSAY_BACKEND:
        return table(made_.backends, names);
      case ASSAY_DATASET:
        return table(made_.datasets, names);
      case ASSAY_METRIC:
        return table(made_.metrics, names);
      case ASSAY_REPORTER:
        return table(made_.reporters, names);
      default:
        return &made_.empty;
    }
  }

  assay_extension read_extension(const Json& json) {
    const char* id = text(json, "id");
    const auto terms = json.find("terms");
    if (terms == json.end() || !terms->is_array()) return {id, &made_.empty};
    assay_metric_sums_v1& sums = made_.sums.emplace_back();
    sums.struct_size = sizeof sums;
    sums.terms = texts(*terms, "terms").data();
    sums.n_terms = terms->size();
    sums.totals = elsewhere<decltype(sums.totals)>();
    return {id, &sums};
  }

  void read_component(const Json& json, assay_component& component) {
    component.struct_size = sizeof component;
    component.id = text(json, "id");
    component.kind = whole<assay_kind>(json, "kind");
    component.version = text(json, "version");
    component.summary = text(json, "summary");
    component.caps = whole<std::uint64_t>(json, "caps");
    auto& options = made_.option_lists.emplace_back();
    for (const Json& option : list(json, "options")) options.push_back(read_option(option));
    component.options = options.data();
    component.n_options = options.size();
    const auto& given = columns(json, "columns");
    component.columns = given.data();
    component.n_columns = given.size();
    const auto& outputs = columns(json, "outputs");
    component.outputs = outputs.data();
    component.n_outputs = outputs.size();
    component.create = elsewhere<decltype(component.create)>();
    component.destroy = elsewhere<decltype(component.destroy)>();
    component.api = read_table(component.kind, list(json, "functions"));
    auto& extensions = made_.extension_lists.emplace_back();
    for (const Json& extension : list(json, "extensions")) {
      extensions.push_back(read_extension(extension));
    }
    component.extensions = extensions.data();
    component.n_extensions = extensions.size();
  }

  Rebuilt& made_;
  std::string& fault_;
};

Failure damaged(const std::string& what) {
  return {ASSAY_INVALID_ARGUMENT, "gave a scan without a usable \"" + what + "\"", what};
}

}  // namespace

Json component_json(const assay_component& component) {
  Json extensions = Json::array();
  for (std::uint64_t i = 0; i < component.n_extensions; ++i) {
    extensions.push_back(extension_json(component.extensions[i]));
  }
  return {{"id", component.id},
          {"kind", component.kind},
          {"version", component.version},
          {"summary", component.summary},
          {"caps", component.caps},
          {"functions", functions_json(component)},
          {"options", list_json(component.options, component.n_options, option_json)},
          {"columns", list_json(component.columns, component.n_columns, column_json)},
          {"outputs", list_json(component.outputs, component.n_outputs, column_json)},
          {"extensions", std::move(extensions)}};
}

Result<Json> scan_plugin(const fs::path& path) {
  auto library = open_library(path, Into::kWorker);
  if (!library) return std::move(library).error();
  const assay_plugin& plugin = *library->constants;
  const ElfFacts& facts = library->facts;
  return Json{
      {"schema", kSchema},
      {"assay", ASSAY_VERSION},
      {"note",
       {{"abi_major", facts.note->abi_major},
        {"abi_minor_needed", facts.note->abi_minor_needed},
        {"plugin_id", mended_utf8(facts.note->plugin_id)}}},
      {"build_id", facts.build_id},
      {"changes", library->changes},
      {"worker_only", worker_only_reason(facts, library->changes)},
      {"load_seconds", library->load_seconds},
      {"plugin",
       {{"abi_major", plugin.abi_major},
        {"abi_minor", plugin.abi_minor},
        {"id", plugin.id},
        {"version", plugin.version},
        {"vendor", plugin.vendor},
        {"license", plugin.license},
        {"built_with", plugin.built_with},
        {"components", list_json(plugin.components, plugin.n_components, component_json)}}}};
}

Result<const assay_plugin*> constants_from_json(const Json& scan) {
  const auto plugin = scan.find("plugin");
  if (plugin == scan.end() || !plugin->is_object()) return damaged("plugin");
  auto made = std::make_unique<Rebuilt>();
  std::string fault;
  Reader(*made, fault).read_plugin(*plugin);
  if (!fault.empty()) return damaged(fault);
  if (auto checked = check_constants(made->plugin); !checked) return std::move(checked).error();
  static std::mutex lock;
  static auto& kept = *new std::vector<std::unique_ptr<Rebuilt>>;
  const std::scoped_lock hold(lock);
  kept.push_back(std::move(made));
  return &kept.back()->plugin;
}

Result<Scanned> read_scan(const Json& scan) {
  const auto text_at = [&](const char* key) -> const std::string* {
    const auto found = scan.find(key);
    return found != scan.end() ? found->get_ptr<const std::string*>() : nullptr;
  };
  for (const auto& [key, expected] : {std::pair("schema", kSchema), {"assay", ASSAY_VERSION}}) {
    const std::string* said = text_at(key);
    if (said == nullptr || *said != expected) return damaged(key);
  }
  Scanned scanned;
  for (const auto& [key, to] :
       {std::pair("build_id", &scanned.build_id), {"worker_only", &scanned.worker_only}}) {
    const std::string* said = text_at(key);
    if (said == nullptr) return damaged(key);
    *to = *said;
  }
  auto constants = constants_from_json(scan);
  if (!constants) return std::move(constants).error();
  scanned.constants = *constants;
  return scanned;
}

fs::path scan_cache_folder() {
  const fs::path folder = user_folder("XDG_CACHE_HOME", ".cache");
  return folder.empty() ? folder : folder / "assay" / "scan";
}

std::optional<Json> cached_scan(const fs::path& folder, std::string_view sha256) {
  if (folder.empty() || !is_private_folder(folder)) return std::nullopt;
  std::ifstream in(folder / (std::string(sha256) + ".json"), std::ios::binary);
  if (!in) return std::nullopt;
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  Json scan = Json::parse(text, nullptr, false);
  if (!scan.is_object()) return std::nullopt;
  return scan;
}

void keep_scan(const fs::path& folder, std::string_view sha256, const Json& scan) {
  if (folder.empty() || !make_private_folder(folder)) return;
  const fs::path path = folder / (std::string(sha256) + ".json");
  [[maybe_unused]] const auto written = replace_file(path, scan.dump() + "\n");
}

}  // namespace assay::host
