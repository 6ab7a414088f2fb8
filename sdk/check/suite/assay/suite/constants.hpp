// The constants of a plugin as one run of bytes, to be compared. Judges nothing.
#pragma once

#include <assay/abi.h>

#include <string>

namespace assay::suite {

/// Everything that describes the plugin; addresses of functions and tables included.
inline std::string description_bytes(const assay_plugin& plugin) {
  std::string bytes;
  const auto add_text = [&](const char* text) {
    bytes += text == nullptr ? "<NULL>" : text;
    bytes += '\0';
  };
  const auto add_raw = [&](const auto& value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  const auto add_columns = [&](const assay_column* const* columns, std::uint64_t n) {
    for (std::uint64_t i = 0; i < n; ++i) {
      add_raw(*columns[i]);
      add_text(columns[i]->name);
      add_text(columns[i]->help);
      add_text(columns[i]->unit);
    }
  };
  add_raw(plugin);
  for (const char* text :
       {plugin.id, plugin.version, plugin.vendor, plugin.license, plugin.built_with}) {
    add_text(text);
  }
  for (std::uint64_t c = 0; c < plugin.n_components; ++c) {
    const assay_component& component = *plugin.components[c];
    add_raw(component);
    for (const char* text : {component.id, component.version, component.summary}) add_text(text);
    for (std::uint64_t i = 0; i < component.n_options; ++i) {
      const assay_option& option = *component.options[i];
      add_raw(option);
      for (const char* text : {option.name, option.help, option.fallback}) add_text(text);
      if (option.type != ASSAY_CHOICE || option.choices == nullptr) continue;
      for (const char* const* choice = option.choices; *choice != nullptr; ++choice) {
        add_text(*choice);
      }
    }
    add_columns(component.columns, component.n_columns);
    add_columns(component.outputs, component.n_outputs);
    for (std::uint64_t i = 0; i < component.n_extensions; ++i) {
      add_raw(component.extensions[i]);
      add_text(component.extensions[i].id);
    }
  }
  return bytes;
}

}  // namespace assay::suite
