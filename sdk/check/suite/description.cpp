// Tests of the constants: what a component says about itself, without calling it.
#include <assay/suite/constants.hpp>
#include <assay/suite/probe.hpp>
#include <assay/text.hpp>
#include <cmath>
#include <cstring>
#include <set>

namespace assay::suite {
namespace {

bool is_name(std::string_view text, std::string_view further) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || further.find(c) != std::string_view::npos;
    if (!is_plain) return false;
  }
  return true;
}

bool is_component_id(std::string_view id) {
  const std::size_t slash = id.find('/');
  return slash != std::string_view::npos && is_name(id.substr(0, slash), "-_.") &&
         is_name(id.substr(slash + 1), "-_.");
}

/// "assay.<area>.<name>/<revision>" or "com.vendor.<name>/<revision>".
bool is_extension_id(std::string_view id) {
  const std::size_t slash = id.rfind('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view name = id.substr(0, slash), revision = id.substr(slash + 1);
  int n_dots = 0;
  for (const char c : name) n_dots += c == '.' ? 1 : 0;
  return is_name(name, "-_.") && n_dots >= 2 && name.find("..") == std::string_view::npos &&
         name.front() != '.' && name.back() != '.' && !revision.empty() && revision[0] != '0' &&
         revision.find_first_not_of("0123456789") == std::string_view::npos;
}

void ids_are_well_formed(Probe& probe) {
  const assay_plugin& plugin = *probe.settings().plugin;
  probe.expect(is_component_id(plugin.id),
               "the plugin's id is " + quoted(plugin.id) + "; expected vendor/name");
  std::set<std::string_view> seen;
  for (std::uint64_t i = 0; i < plugin.n_components; ++i) {
    const char* id = plugin.components[i]->id;
    probe.expect(is_component_id(id),
                 "a component's id is " + quoted(id) + "; expected vendor/name");
    probe.expect(seen.insert(id).second,
                 "two components have the id " + quoted(id) + "; expected each once");
  }
}

void expect_text(Probe& probe, const char* text, const std::string& what) {
  probe.expect(text != nullptr, what + " is NULL; expected \"\" where there is nothing to say");
  if (text != nullptr) probe.expect(is_utf8(text), what + " is not UTF-8");
}

void texts_are_there(Probe& probe) {
  const assay_plugin& plugin = *probe.settings().plugin;
  expect_text(probe, plugin.version, "the plugin's version");
  expect_text(probe, plugin.vendor, "the plugin's vendor");
  expect_text(probe, plugin.license, "the plugin's license");
  expect_text(probe, plugin.built_with, "the plugin's built_with");
  const assay_component& component = probe.component();
  expect_text(probe, component.version, "version");
  expect_text(probe, component.summary, "summary");
  const auto named = [](const char* name, const char* what) {
    return std::string(what) + " of " + quoted(name == nullptr ? "" : name);
  };
  for (std::uint64_t i = 0; i < component.n_options; ++i) {
    expect_text(probe, component.options[i]->help, named(component.options[i]->name, "the help"));
  }
  for (std::uint64_t i = 0; i < component.n_columns; ++i) {
    expect_text(probe, component.columns[i]->help, named(component.columns[i]->name, "the help"));
  }
  for (std::uint64_t i = 0; i < component.n_outputs; ++i) {
    expect_text(probe, component.outputs[i]->help, named(component.outputs[i]->name, "the help"));
  }
}

void describes_itself(Probe& probe) {
  const assay_component& component = probe.component();
  const auto is_said = [](const char* text) { return text != nullptr && *text != '\0'; };
  probe.expect(is_said(component.summary), "the summary is empty; expected one sentence");
  probe.expect(is_said(component.version), "the version is empty");
  for (std::uint64_t i = 0; i < component.n_options; ++i) {
    probe.expect(
        is_said(component.options[i]->help),
        "option " + quoted(component.options[i]->name) + " has no help; expected one sentence");
  }
  for (std::uint64_t i = 0; i < component.n_columns; ++i) {
    probe.expect(is_said(component.columns[i]->help),
                 "column " + quoted(component.columns[i]->name) + " has no help");
  }
  for (std::uint64_t i = 0; i < component.n_outputs; ++i) {
    probe.expect(is_said(component.outputs[i]->help),
                 "output " + quoted(component.outputs[i]->name) + " has no help");
  }
}

void names_a_license(Probe& probe) {
  const char* license = probe.settings().plugin->license;
  probe.expect(license != nullptr && *license != '\0', "the plugin names no license");
}

void options_are_declared_well(Probe& probe) {
  const assay_component& component = probe.component();
  if (component.n_options == 0) probe.skip("it has no options");
  for (const std::string& fault : probe.settings().option_faults) probe.expect(false, fault);
  std::set<std::string_view> names;
  for (std::uint64_t i = 0; i < component.n_options; ++i) {
    const assay_option& option = *component.options[i];
    const std::string what = "option " + quoted(option.name);
    probe.expect(names.insert(option.name).second, what + " is declared twice");
    probe.expect(is_name(option.name, "-_.[]"),
                 what + " has characters beyond letters, digits and -_.");
    probe.expect(!std::isnan(option.lo) && !std::isnan(option.hi), what + " has a bound of NaN");
    probe.expect((option.flags & ASSAY_OPT_REQUIRED) == 0 || option.fallback == nullptr,
                 what + " is required and has a default");
    probe.expect(
        option.type != ASSAY_CHOICE || (option.choices != nullptr && option.choices[0] != nullptr),
        what + " is a choice without choices");
    probe.expect(option.type >= ASSAY_BOOL && option.type <= ASSAY_MODEL,
                 what + " has the unknown type " + std::to_string(option.type));
  }
}

void columns_are_declared_well(Probe& probe) {
  const assay_component& component = probe.component();
  if (component.n_columns + component.n_outputs == 0) probe.skip("it declares no columns");
  std::set<std::string_view> names, outputs;
  for (std::uint64_t i = 0; i < component.n_columns; ++i) {
    const assay_column& column = *component.columns[i];
    const std::string what = "column " + quoted(column.name);
    probe.expect(names.insert(column.name).second, what + " is declared twice");
    const bool is_of_rows = (column.type >= ASSAY_BOOL && column.type <= ASSAY_TEXT) ||
                            (column.type >= ASSAY_INTS && column.type <= ASSAY_TEXTS);
    probe.expect(is_of_rows, what + " is of type " + std::to_string(column.type) +
                                 "; expected bool, int, float, text or a list of these");
  }
  int n_primary = 0;
  for (std::uint64_t i = 0; i < component.n_outputs; ++i) {
    const assay_column& output = *component.outputs[i];
    const std::string what = "output " + quoted(output.name);
    probe.expect(outputs.insert(output.name).second, what + " is declared twice");
    probe.expect(output.lo <= output.hi, what + " has bounds that hold nothing");
    n_primary += (output.flags & ASSAY_COL_PRIMARY) != 0 ? 1 : 0;
  }
  probe.expect(n_primary <= 1,
               std::to_string(n_primary) + " outputs are primary; expected at most one");
}

void extension_ids_are_well_formed(Probe& probe) {
  const assay_component& component = probe.component();
  if (component.n_extensions == 0) probe.skip("it has no extensions");
  std::set<std::string_view> seen;
  for (std::uint64_t i = 0; i < component.n_extensions; ++i) {
    const assay_extension& extension = component.extensions[i];
    probe.expect(is_extension_id(extension.id),
                 "the extension id " + quoted(extension.id) +
                     " is none of \"assay.<area>.<name>/<revision>\" and "
                     "\"com.vendor.<name>/<revision>\"");
    probe.expect(seen.insert(extension.id).second,
                 "the extension " + quoted(extension.id) + " is listed twice");
    if (probe.subject().is_remote() || extension.api == nullptr) continue;
    const std::uint32_t size = *static_cast<const std::uint32_t*>(extension.api);
    probe.expect(size >= 16 && size % 8 == 0 && size < (1u << 16),
                 "the table of " + quoted(extension.id) + " begins with " + std::to_string(size) +
                     "; expected struct_size");
  }
}

void capabilities_have_functions(Probe& probe) {
  probe.skip_if_remote();
  const auto& backend = *static_cast<const assay_backend_v1*>(probe.subject().api(nullptr));
  const bool has_text = probe.subject().extension(nullptr, ASSAY_BACKEND_TEXT_1) != nullptr;
  constexpr std::uint64_t kRuns = ASSAY_CAP_SCORE | ASSAY_CAP_LOGITS | ASSAY_CAP_GENERATE;
  probe.expect(!probe.has_cap(kRuns) || backend.run != nullptr || has_text,
               "it declares SCORE, LOGITS or GENERATE, and has neither run nor " +
                   quoted(ASSAY_BACKEND_TEXT_1));
  probe.expect(!probe.has_cap(ASSAY_CAP_LOGITS) || probe.has_cap(ASSAY_CAP_SCORE),
               "it declares LOGITS and not SCORE; logits are wanted of SCORE requests");
  probe.expect(!probe.has_cap(ASSAY_CAP_STREAMS) || probe.has_cap(ASSAY_CAP_GENERATE),
               "it declares STREAMS and not GENERATE");
  probe.expect(probe.has_cap(ASSAY_CAP_QUANTIZE) == (backend.quantize != nullptr),
               "expected QUANTIZE to be declared exactly when quantize is not NULL");
}

void same_bytes_after_use(Probe& probe) {
  const std::string before = description_bytes(*probe.settings().plugin);
  { const Made made(probe); }
  probe.expect(description_bytes(*probe.settings().plugin) == before,
               "the constants changed while an instance was made and destroyed; expected the same "
               "bytes");
}

constexpr Test kTests[] = {
    {"description.ids-are-well-formed", 0, nullptr, Level::kMust, 0, false,
     "Ids have the form vendor/name and are unique within the plugin.", ids_are_well_formed},
    {"description.texts-are-there", 0, nullptr, Level::kMust, 6, false,
     "id, version, summary, vendor, license, built_with and help are never NULL.", texts_are_there},
    {"description.describes-itself", 0, nullptr, Level::kShould, 0, false,
     "Summary, version and the help of every option and column say something.", describes_itself},
    {"description.names-a-license", 0, nullptr, Level::kNote, 0, false,
     "A plugin names its license.", names_a_license},
    {"description.options-are-declared-well", 0, nullptr, Level::kMust, 24, false,
     "Every option has a known type, and its default parses and fits.", options_are_declared_well},
    {"description.columns-are-declared-well", 0, nullptr, Level::kMust, 0, false,
     "Columns and outputs have unique names, known types and sound bounds.",
     columns_are_declared_well},
    {"description.extension-ids-are-well-formed", 0, nullptr, Level::kMust, 0, false,
     "Ids of extensions have the form <area>.<name>/<revision>, and each table begins with its "
     "size.",
     extension_ids_are_well_formed},
    {"description.capabilities-have-functions", ASSAY_BACKEND, nullptr, Level::kMust, 22, false,
     "What a backend declares it can do, it has functions for.", capabilities_have_functions},
    {"description.same-bytes-after-use", 0, nullptr, Level::kMust, 0, false,
     "What a plugin says about itself is constant.", same_bytes_after_use},
};

}  // namespace

std::span<const Test> description_tests() { return kTests; }

}  // namespace assay::suite
