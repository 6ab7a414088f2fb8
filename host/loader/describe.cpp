#include "host/loader/describe.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "host/core/utf8.hpp"
#include "host/loader/scan.hpp"
#include "host/loader/trust.hpp"

namespace assay::host {
namespace {

using Cells = std::vector<std::string>;

/// Characters of a UTF-8 text: what a terminal shows, but for wide and combining ones.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char letter) {
    return (static_cast<unsigned char>(letter) & 0xC0) != 0x80;
  }));
}

/// A plugin's words on one line, and nothing that a terminal would obey.
std::string printable(std::string_view text) {
  std::string line = mended_utf8(text);
  for (char& letter : line) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x20 || byte == 0x7f) letter = ' ';
  }
  return line;
}

std::string text_or_none(const char* text) {
  return text != nullptr ? printable(text) : std::string();
}

/// Rows with their columns under one another, two spaces apart; empty columns are left out.
std::string aligned(const std::vector<Cells>& rows, std::string_view indent) {
  std::vector<std::size_t> widths;
  for (const Cells& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const Cells& row : rows) {
    std::string line(indent);
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths[i] == 0) continue;
      line += row[i];
      line.append(widths[i] - width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string type_name(assay_type type) {
  constexpr const char* kNames[] = {"",       "bool",   "int",      "float", "text",
                                    "choice", "path",   "path out", "size",  "duration",
                                    "ints",   "floats", "texts",    "model"};
  if (type >= ASSAY_BOOL && type <= ASSAY_MODEL) return kNames[type];
  return "type " + std::to_string(type);
}

std::string number(double value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  // 1048576 rather than 1.048576e+06
  if (value == std::floor(value) && std::abs(value) < 1e15) {
    return std::to_string(static_cast<long long>(value));
  }
  return std::string(digits, end);
}

std::string range(double lo, double hi) {
  if (!(lo <= hi)) return "";
  if (std::isinf(lo) && std::isinf(hi)) return "";
  if (std::isinf(hi)) return "at least " + number(lo);
  if (std::isinf(lo)) return "at most " + number(hi);
  return number(lo) + " to " + number(hi);
}

bool is_numeric(assay_type type) {
  return type == ASSAY_INT || type == ASSAY_FLOAT || type == ASSAY_SIZE || type == ASSAY_DURATION ||
         type == ASSAY_INTS || type == ASSAY_FLOATS;
}

std::string allowed(const assay_option& option) {
  if (option.type != ASSAY_CHOICE) {
    return is_numeric(option.type) ? range(option.lo, option.hi) : "";
  }
  std::string choices;
  for (const char* const* choice = option.choices; *choice != nullptr; ++choice) {
    if (!choices.empty()) choices += ", ";
    choices += printable(*choice);
  }
  return choices;
}

std::string option_help(const assay_option& option) {
  std::string help = printable(option.help);
  if ((option.flags & ASSAY_OPT_SECRET) != 0) help += " (secret)";
  if ((option.flags & ASSAY_OPT_DEPRECATED) != 0) help += " (deprecated)";
  return help;
}

std::string default_of(const assay_option& option) {
  if (option.fallback != nullptr) return printable(option.fallback);
  return (option.flags & ASSAY_OPT_REQUIRED) != 0 ? "(required)" : "(optional)";
}

std::string options_text(const assay_component& component) {
  std::vector<Cells> rows;
  for (std::uint64_t i = 0; i < component.n_options; ++i) {
    const assay_option& option = *component.options[i];
    rows.push_back({printable(option.name), type_name(option.type), default_of(option),
                    allowed(option), option_help(option)});
  }
  return rows.empty() ? "  (no options)\n" : aligned(rows, "  ");
}

std::string columns_text(const assay_component& component) {
  const bool is_dataset = component.kind == ASSAY_DATASET;
  if (component.n_columns == 0) {
    return is_dataset ? "\ncolumns\n  (known when its file is open)\n" : "";
  }
  std::vector<Cells> rows;
  for (std::uint64_t i = 0; i < component.n_columns; ++i) {
    const assay_column& column = *component.columns[i];
    rows.push_back({printable(column.name), type_name(column.type),
                    (column.flags & ASSAY_COL_OPTIONAL) != 0 ? "(optional)" : "",
                    printable(column.help)});
  }
  return (is_dataset ? "\ncolumns\n" : "\ncolumns it needs\n") + aligned(rows, "  ");
}

std::string outputs_text(const assay_component& component) {
  if (component.n_outputs == 0) {
    return component.kind == ASSAY_METRIC ? "\noutputs\n  (known after a run)\n" : "";
  }
  std::vector<Cells> rows;
  for (std::uint64_t i = 0; i < component.n_outputs; ++i) {
    const assay_column& output = *component.outputs[i];
    const auto has = [&](std::uint64_t flag) { return (output.flags & flag) != 0; };
    rows.push_back({printable(output.name), text_or_none(output.unit),
                    has(ASSAY_COL_LESS_IS_BETTER) ? "less is better" : "more is better",
                    has(ASSAY_COL_MEAN) ? "mean" : "total", range(output.lo, output.hi),
                    has(ASSAY_COL_PRIMARY) ? "primary" : "", printable(output.help)});
  }
  return "\noutputs\n" + aligned(rows, "  ");
}

std::string capabilities(std::uint64_t caps) {
  constexpr std::pair<std::uint64_t, const char*> kNames[] = {
      {ASSAY_CAP_CONCURRENT, "concurrent"}, {ASSAY_CAP_DETERMINISTIC, "deterministic"},
      {ASSAY_CAP_SCORE, "score"},           {ASSAY_CAP_LOGITS, "logits"},
      {ASSAY_CAP_GENERATE, "generate"},     {ASSAY_CAP_QUANTIZE, "quantize"},
      {ASSAY_CAP_STREAMS, "streams"}};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((caps & bit) != 0) text += (text.empty() ? "" : ", ") + std::string(name);
  }
  return text;
}

std::string extensions(const assay_component& component) {
  std::string text;
  for (std::uint64_t i = 0; i < component.n_extensions; ++i) {
    text += (text.empty() ? "" : ", ") + printable(component.extensions[i].id);
  }
  return text;
}

std::string origin_text(const Component& component) {
  const assay_plugin& plugin = *component.plugin->constants;
  std::vector<Cells> rows;
  const auto add = [&rows](const char* what, std::string value) {
    if (!value.empty()) rows.push_back({what, std::move(value)});
  };
  add("capabilities", capabilities(component.constants->caps));
  add("extensions", extensions(*component.constants));
  add("plugin", printable(plugin.id) + " " + printable(plugin.version));
  add("abi", std::to_string(plugin.abi_major) + "." + std::to_string(plugin.abi_minor));
  add("built with", printable(plugin.built_with));
  add("file", printable(component.plugin->path.string()));
  add("sha256", component.plugin->sha256);
  add("build id", component.plugin->build_id);
  if (const std::string refusal = refusal_of(component); !refusal.empty()) {
    add("trust", printable(refusal));
  } else if (component.plugin->trust.source != TrustSource::kBundled) {
    add("trust", std::string(trust_name(component.plugin->trust)));
  }
  add("in a worker", printable(component.plugin->worker_only));
  return "\n" + aligned(rows, "");
}

/// "Acme, Proprietary", without the part that is empty.
std::string owner(const assay_plugin& plugin) {
  const std::string vendor = printable(plugin.vendor);
  const std::string license = printable(plugin.license);
  return vendor + (vendor.empty() || license.empty() ? "" : ", ") + license;
}

std::string rejected_text(const std::vector<Rejected>& rejected) {
  std::string text;
  for (const Rejected& file : rejected) {
    text += "  " + printable(file.path.string()) + ": " + printable(file.reason) + '\n';
  }
  return text;
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(mended_utf8(text));
}

/// What both documents say of a component.
Json entry(const Component& component) {
  const Plugin& plugin = *component.plugin;
  return {{"id", component.constants->id},
          {"kind", std::string(to_string(component.constants->kind))},
          {"version", component.constants->version},
          {"summary", component.constants->summary},
          {"trust", std::string(trust_name(plugin.trust))},
          {"isolation", std::string(isolation_name(component))},
          {"refusal", text_or_null(refusal_of(component))},
          {"worker_only", text_or_null(plugin.worker_only)},
          {"path", mended_utf8(plugin.path.string())},
          {"sha256", plugin.sha256},
          {"build_id", text_or_null(plugin.build_id)}};
}

}  // namespace

std::string_view to_string(assay_kind kind) {
  switch (kind) {
    case ASSAY_BACKEND:
      return "backend";
    case ASSAY_DATASET:
      return "dataset";
    case ASSAY_METRIC:
      return "metric";
    case ASSAY_REPORTER:
      return "reporter";
    default:
      return "component";
  }
}

std::string list_text(const Registry& registry) {
  std::vector<Cells> rows = {
      {"id", "kind", "version", "trust", "isolation", "plugin file", "summary"}};
  std::vector<std::filesystem::path> folders;  // of each row but the first
  for (const Component& component : registry.components()) {
    const std::filesystem::path& path = component.plugin->path;
    folders.push_back(path.parent_path());
    rows.push_back({printable(component.id()), std::string(to_string(component.constants->kind)),
                    printable(component.version()),
                    std::string(trust_name(component.plugin->trust)),
                    std::string(isolation_name(component)), printable(path.filename().string()),
                    printable(component.constants->summary)});
  }
  std::string text;
  if (folders.empty()) {
    text = "no plugins found; looked in\n";
    for (const auto& folder : registry.folders()) text += "  " + folder.string() + '\n';
    if (registry.folders().empty()) text = "no plugins found; there is no folder to look in\n";
  } else {
    std::string table = aligned(rows, "  ");
    std::size_t end = table.find('\n') + 1;
    text = table.substr(0, end);
    for (std::size_t i = 0; i < folders.size(); ++i) {
      if (i == 0 || folders[i] != folders[i - 1]) text += printable(folders[i].string()) + '\n';
      const std::size_t begin = end;
      end = table.find('\n', begin) + 1;
      text += table.substr(begin, end - begin);
    }
  }
  if (!registry.rejected().empty()) text += "not used\n" + rejected_text(registry.rejected());
  return text;
}

std::string describe_text(const Component& component) {
  const assay_component& constants = *component.constants;
  std::string text = printable(constants.id) + " " + printable(constants.version) + "   " +
                     std::string(to_string(constants.kind)) + "   " + printable(constants.summary);
  const std::string who = owner(*component.plugin->constants);
  if (!who.empty()) text += "        " + who;
  return text + "\n" + options_text(constants) + columns_text(constants) + outputs_text(constants) +
         origin_text(component);
}

Json list_json(const Registry& registry) {
  Json folders = Json::array(), components = Json::array(), rejected = Json::array();
  for (const auto& folder : registry.folders()) folders.push_back(mended_utf8(folder.string()));
  for (const Component& component : registry.components()) components.push_back(entry(component));
  for (const Rejected& file : registry.rejected()) {
    rejected.push_back(
        {{"path", mended_utf8(file.path.string())}, {"reason", mended_utf8(file.reason)}});
  }
  return {{"schema", "assay.plugins/1"},
          {"folders", std::move(folders)},
          {"components", std::move(components)},
          {"rejected", std::move(rejected)}};
}

Json describe_json(const Component& component) {
  const assay_plugin& plugin = *component.plugin->constants;
  Json json = {{"schema", "assay.component/1"}};
  json.update(component_json(*component.constants));
  for (const char* list : {"options", "columns", "outputs"}) {
    for (Json& one : json[list]) one["type"] = type_name(one["type"].get<assay_type>());
  }
  json.update(entry(component));
  json["capabilities"] = capabilities(component.constants->caps);
  json["plugin"] = {
      {"id", plugin.id},
      {"version", plugin.version},
      {"vendor", plugin.vendor},
      {"license", plugin.license},
      {"abi", std::to_string(plugin.abi_major) + "." + std::to_string(plugin.abi_minor)},
      {"built_with", plugin.built_with}};
  return json;
}

}  // namespace assay::host
