#include "host/loader/constants.hpp"

#include <set>
#include <string>
#include <string_view>

#include "host/core/utf8.hpp"

namespace assay::host {
namespace {

// What each struct measured in ABI 1.0; a later header's sizeof may be larger.
constexpr std::uint32_t kPluginSize = 64;
constexpr std::uint32_t kComponentSize = 128;
constexpr std::uint32_t kOptionSize = 64;
constexpr std::uint32_t kColumnSize = 56;

constexpr std::uint64_t kMaxListed = 10'000;  // no plugin has as many; a wild count does

Failure broken(std::string text) {
  return {ASSAY_FAILED_PRECONDITION, "breaks the plugin contract: " + std::move(text)};
}

std::string quoted(std::string_view text) { return '"' + mended_utf8(text.substr(0, 100)) + '"'; }

/// A text that is never NULL (ruling 6), well-formed and without line breaks.
Result<void> check_text(const char* text, const std::string& what) {
  if (text == nullptr) return broken(what + " is NULL (\"\" where there is nothing to say)");
  if (utf8_fault(text)) return broken(what + " is not UTF-8");
  return {};
}

/// vendor/name in letters, digits and -_. : what a manifest, a folder and a file can be called.
bool is_id(std::string_view id) {
  const std::size_t slash = id.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash + 1 == id.size()) return false;
  for (std::size_t i = 0; i < id.size(); ++i) {
    const char letter = id[i];
    const bool is_plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                          (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' ||
                          letter == '.';
    if (!is_plain && i != slash) return false;
  }
  return true;
}

Result<void> check_id(const char* id, const std::string& what) {
  if (id == nullptr) return broken(what + " is NULL");
  if (!is_id(id)) return broken(what + " " + quoted(id) + " is not of the form vendor/name");
  return {};
}

Result<void> check_size(std::uint32_t size, std::uint32_t least, const std::string& what) {
  if (size >= least) return {};
  return broken(what + " says it has " + std::to_string(size) + " bytes; ABI 1.0 has " +
                std::to_string(least));
}

/// A list of pointers: there when counted, every element there.
template <class T>
Result<void> check_list(const T* const* list, std::uint64_t n, const std::string& what) {
  if (n == 0) return {};
  if (list == nullptr)
    return broken("its " + what + "s are NULL, but n_" + what + "s is " + std::to_string(n));
  if (n > kMaxListed) return broken("n_" + what + "s is " + std::to_string(n));
  for (std::uint64_t i = 0; i < n; ++i) {
    if (list[i] == nullptr) return broken(what + " " + std::to_string(i) + " is NULL");
  }
  return {};
}

/// Says which component a sentence is about.
Result<void> of_component(const assay_component& component, Result<void> result) {
  if (result) return result;
  Failure failure = std::move(result).error();
  failure.text += ", in component " + quoted(component.id);
  return failure;
}

struct Reader {
  bool is_newer = false;  ///< the plugin's minor is above ours: it may hold what we do not know

  Result<void> check_type(assay_type type, const std::string& what) const {
    if ((type >= ASSAY_BOOL && type <= ASSAY_MODEL) || is_newer) return {};
    return broken(what + " has the unknown type " + std::to_string(type));
  }

  Result<void> check_option(const assay_option& option, std::set<std::string_view>& names) const {
    auto checked = check_size(option.struct_size, kOptionSize, "one of its options");
    if (!checked) return checked;
    if (option.name == nullptr || *option.name == '\0')
      return broken("one of its options has no name");
    const std::string what = "option " + quoted(option.name);
    if (utf8_fault(option.name)) return broken(what + " is not UTF-8");
    if (!names.insert(option.name).second) return broken(what + " is declared twice");
    checked = check_text(option.help, "the help of " + what);
    if (!checked) return checked;
    if (option.fallback != nullptr) {
      checked = check_text(option.fallback, "the default of " + what);
      if (!checked) return checked;
      if ((option.flags & ASSAY_OPT_REQUIRED) != 0) {
        return broken(what + " is required and has a default");
      }
    }
    if (option.type == ASSAY_CHOICE && (option.choices == nullptr || *option.choices == nullptr)) {
      return broken(what + " is a choice without choices");
    }
    return check_type(option.type, what);
  }

  Result<void> check_column(const assay_column& column, const std::string& kind,
                            std::set<std::string_view>& names) const {
    auto checked = check_size(column.struct_size, kColumnSize, "one of its " + kind + "s");
    if (!checked) return checked;
    if (column.name == nullptr || *column.name == '\0')
      return broken("one of its " + kind + "s has no name");
    const std::string what = kind + " " + quoted(column.name);
    if (utf8_fault(column.name)) return broken(what + " is not UTF-8");
    if (!names.insert(column.name).second) return broken(what + " is declared twice");
    checked = check_text(column.help, "the help of " + what);
    if (!checked) return checked;
    if (column.unit != nullptr && utf8_fault(column.unit)) {
      return broken("the unit of " + what + " is not UTF-8");
    }
    return check_type(column.type, what);
  }

  Result<void> check_lists(const assay_component& component) const {
    auto checked = check_list(component.options, component.n_options, "option");
    if (!checked) return checked;
    checked = check_list(component.columns, component.n_columns, "column");
    if (!checked) return checked;
    checked = check_list(component.outputs, component.n_outputs, "output");
    if (!checked) return checked;

    std::set<std::string_view> options, columns, outputs;
    for (std::uint64_t i = 0; i < component.n_options && checked; ++i) {
      checked = check_option(*component.options[i], options);
    }
    for (std::uint64_t i = 0; i < component.n_columns && checked; ++i) {
      checked = check_column(*component.columns[i], "column", columns);
    }
    for (std::uint64_t i = 0; i < component.n_outputs && checked; ++i) {
      checked = check_column(*component.outputs[i], "output", outputs);
    }
    return checked;
  }

  Result<void> check_extensions(const assay_component& component) const {
    if (component.n_extensions == 0) return {};
    if (component.extensions == nullptr || component.n_extensions > kMaxListed) {
      return broken("its extensions are not there");
    }
    for (std::uint64_t i = 0; i < component.n_extensions; ++i) {
      const assay_extension& extension = component.extensions[i];
      if (extension.id == nullptr) return broken("extension " + std::to_string(i) + " has no id");
      if (extension.api == nullptr) {
        return broken("extension " + quoted(extension.id) + " has no table");
      }
    }
    return {};
  }

  Result<void> check_component(const assay_component& component) const;
  Result<void> check_plugin(const assay_plugin& plugin) const;
};

template <class T>
bool is_whole(const void* api) {
  return *static_cast<const std::uint32_t*>(api) >= sizeof(T);
}

/// The table of its kind is there, whole, and has the functions that are not optional.
Result<void> check_api(const assay_component& component) {
  const void* api = component.api;
  if (api == nullptr) return broken("its api table is NULL");
  bool is_table_whole = true;
  bool has_functions = true;
  switch (component.kind) {
    case ASSAY_BACKEND: {
      is_table_whole = is_whole<assay_backend_v1>(api);
      if (!is_table_whole) break;
      const auto& backend = *static_cast<const assay_backend_v1*>(api);
      has_functions = backend.quantize != nullptr || backend.load != nullptr;
      if (backend.run != nullptr && backend.load == nullptr) has_functions = false;
      break;
    }
    case ASSAY_DATASET:
      is_table_whole = is_whole<assay_dataset_v1>(api);
      has_functions = is_table_whole && static_cast<const assay_dataset_v1*>(api)->open != nullptr;
      break;
    case ASSAY_METRIC: {
      is_table_whole = is_whole<assay_metric_v1>(api);
      if (!is_table_whole) break;
      const auto& metric = *static_cast<const assay_metric_v1*>(api);
      has_functions = metric.update != nullptr && metric.finish != nullptr;
      break;
    }
    case ASSAY_REPORTER:
      is_table_whole = is_whole<assay_reporter_v1>(api);
      has_functions =
          is_table_whole && static_cast<const assay_reporter_v1*>(api)->write != nullptr;
      break;
    default:
      return {};  // a kind of a newer minor: nobody here calls it
  }
  if (!is_table_whole) return broken("its api table is smaller than that of ABI 1.0");
  if (!has_functions) return broken("its api table lacks a function that its kind must have");
  return {};
}

Result<void> Reader::check_component(const assay_component& component) const {
  auto checked = check_size(component.struct_size, kComponentSize, "one of its components");
  if (!checked) return checked;
  checked = check_id(component.id, "a component's id");
  if (!checked) return checked;
  checked = [&]() -> Result<void> {
    auto text = check_text(component.version, "its version");
    if (text) text = check_text(component.summary, "its summary");
    if (!text) return text;
    if (!is_known(component.kind) && !is_newer) {
      return broken("its kind " + std::to_string(component.kind) +
                    " is none of backend (1), dataset (2), metric (3), reporter (4)");
    }
    if (component.create == nullptr) return broken("it has no create function");
    if (component.destroy == nullptr) return broken("it has no destroy function");
    auto rest = check_api(component);
    if (rest) rest = check_lists(component);
    if (rest) rest = check_extensions(component);
    return rest;
  }();
  return of_component(component, std::move(checked));
}

Result<void> Reader::check_plugin(const assay_plugin& plugin) const {
  auto checked = check_size(plugin.struct_size, kPluginSize, "assay_plugin_v1");
  if (checked) checked = check_id(plugin.id, "the plugin's id");
  if (checked) checked = check_text(plugin.version, "the plugin's version");
  if (checked) checked = check_text(plugin.vendor, "the plugin's vendor");
  if (checked) checked = check_text(plugin.license, "the plugin's license");
  if (checked) checked = check_text(plugin.built_with, "the plugin's built_with");
  if (!checked) return checked;
  if (plugin.n_components == 0) return broken("it holds no components");
  checked = check_list(plugin.components, plugin.n_components, "component");
  std::set<std::string_view> ids;
  for (std::uint64_t i = 0; i < plugin.n_components && checked; ++i) {
    checked = check_component(*plugin.components[i]);
    if (checked && !ids.insert(plugin.components[i]->id).second) {
      return broken("component " + quoted(plugin.components[i]->id) + " is there twice");
    }
  }
  return checked;
}

}  // namespace

bool is_known(assay_kind kind) { return kind >= ASSAY_BACKEND && kind <= ASSAY_REPORTER; }

Result<void> check_constants(const assay_plugin& plugin) {
  if (plugin.abi_major != ASSAY_ABI_MAJOR) {
    return Failure{ASSAY_FAILED_PRECONDITION,
                   "was built for ABI " + std::to_string(plugin.abi_major) +
                       ", this assay speaks ABI " + std::to_string(ASSAY_ABI_MAJOR) +
                       "; get a build of the plugin for ABI " + std::to_string(ASSAY_ABI_MAJOR)};
  }
  return Reader{plugin.abi_minor > ASSAY_ABI_MINOR}.check_plugin(plugin);
}

}  // namespace assay::host
