// The markdown reporter: a run document as one page, every figure with its standard error, and how
// it was made. A pure function of the document; measures and decides nothing.
#include <algorithm>
#include <assay/sdk.hpp>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

// Keeps the order of the manifest's keys, which is printed at the end of the page.
using json = nlohmann::ordered_json;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

bool is_letter_or_digit(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalnum(byte) != 0 || byte >= 0x80;
}

/// Inside a word an underscore marks nothing up, and column names are easier to read without.
bool is_inside_word(std::string_view text, std::size_t i) {
  return i > 0 && i + 1 < text.size() && is_letter_or_digit(text[i - 1]) &&
         is_letter_or_digit(text[i + 1]);
}

/// The bytes at the front that form a control character or a direction mark; 0: none.
std::size_t control_at_front(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  if (byte(0) < 0x20 || byte(0) == 0x7F) return 1;
  if (byte(0) == 0xC2 && byte(1) < 0xA0) return 2;
  const bool is_mark = byte(1) == 0x80 && (byte(2) >= 0xA8 || byte(2) == 0x8E || byte(2) == 0x8F);
  const bool is_isolate = byte(1) == 0x81 && byte(2) >= 0xA6 && byte(2) <= 0xA9;
  return byte(0) == 0xE2 && (is_mark || is_isolate) && byte(2) <= 0xAE ? 3 : 0;
}

std::string spelled(std::string_view control) {
  if (control == "\n") return "\\\\n";
  if (control == "\t") return "\\\\t";
  std::string result;
  for (const char c : control) {
    char text[8];
    std::snprintf(text, sizeof text, "\\\\x%02x",
                  static_cast<unsigned int>(static_cast<unsigned char>(c)));
    result += text;
  }
  return result;
}

/// The text as the page shows it: markup characters escaped, control characters spelled, so that a
/// name can neither end a table cell nor become HTML. Expects UTF-8.
///
/// Source   CommonMark 0.31, sections 2.4 (backslash escapes) and 6.6 (raw HTML)
std::string escaped(std::string_view text) {
  constexpr std::string_view kMarkup = "\\`*[]<>|#~&";
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t size = control_at_front(text.substr(i)); size > 0) {
      result += spelled(text.substr(i, size));
      i += size;
      continue;
    }
    const bool is_markup = kMarkup.find(text[i]) != std::string_view::npos ||
                           (text[i] == '_' && !is_inside_word(text, i));
    if (is_markup) result += '\\';
    result += text[i++];
  }
  return result;
}

const json& list_of(const json& object, const char* key) {
  static const json kEmpty = json::array();
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : kEmpty;
}

std::string raw_text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string text_of(const json& object, const char* key) { return escaped(raw_text(object, key)); }

double number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : kUnknown;
}

std::uint64_t count_of(const json& object, const char* key) {
  const double value = number_of(object, key);
  return value > 0 ? static_cast<std::uint64_t>(value) : 0;
}

bool flag_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::string figure(double value, int digits) {
  if (std::isnan(value)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
}

/// Enough to compare pages; run.json has all digits.
std::string figure(double value) { return figure(value, 6); }

/// For errors, which are estimates themselves.
std::string error_figure(double value) { return figure(value, 2); }

/// For sizes and durations.
std::string size_figure(double value) { return figure(value, 4); }

std::string percent(double ratio, const char* format) {
  if (!std::isfinite(ratio)) return "-";
  char text[64];
  std::snprintf(text, sizeof text, format, ratio * 100);
  return text;
}

using Cells = std::initializer_list<std::string>;

void add_row(std::string& page, Cells cells) {
  for (const std::string& cell : cells) page += "| " + (cell.empty() ? "-" : cell) + " ";
  page += "|\n";
}

/// The heading of a table; a name that ends in ':' is of a column of numbers.
void add_heading(std::string& page, std::initializer_list<std::string_view> names) {
  std::string rule;
  page += "\n";
  for (std::string_view name : names) {
    const bool is_number = name.ends_with(':');
    if (is_number) name.remove_suffix(1);
    page += "| " + std::string(name) + " ";
    rule += is_number ? "|---:" : "|---";
  }
  page += "|\n" + rule + "|\n";
}

void write_summary(std::string& page, const json& run) {
  page += "# " + text_of(run, "name") + "\n\n";
  const std::string verdict = raw_text(run, "verdict");
  page += verdict == "NONE" ? "Nothing is gated" : "Verdict: **" + escaped(verdict) + "**";
  page += " (exit code " + std::to_string(count_of(run, "exit_code")) + "). The run is " +
          text_of(run, "status") + "; it started " + text_of(run, "started") + " and took " +
          size_figure(number_of(run, "seconds")) + " s.\n";
}

void write_gate(std::string& page, const json& run) {
  const json& verdicts = list_of(run, "verdicts");
  if (verdicts.empty()) return;
  page += "\n## Gate\n";
  add_heading(page, {"verdict", "variant", "task", "metric", "group", "rule",
                     "observed:", "allowed:", "evidence"});
  for (const json& verdict : verdicts) {
    const std::string group = text_of(verdict, "group");
    const std::string subset = text_of(verdict, "subset");
    add_row(page, {"**" + text_of(verdict, "verdict") + "**", text_of(verdict, "variant"),
                   text_of(verdict, "task"), text_of(verdict, "metric"),
                   (group.empty() ? "whole task" : group) +
                       (subset.empty() ? "" : ", " + subset + " subset"),
                   text_of(verdict, "threshold"), figure(number_of(verdict, "observed")),
                   figure(number_of(verdict, "allowed")), text_of(verdict, "text")});
  }
}

void write_variants(std::string& page, const json& run) {
  const json& variants = list_of(run, "variants");
  if (variants.empty()) return;
  page += "\n## Variants\n";
  add_heading(page, {"variant", "backend", "path", "weights",
                     "bits per weight:", "MiB:", "context:", "load s:", "score s:", "status"});
  for (const json& variant : variants) {
    const std::string simulated = text_of(variant, "simulated");
    std::string weights = simulated.empty() ? "as stored" : "simulated: " + simulated;
    if (flag_of(variant, "is_baseline")) weights += " (baseline)";
    add_row(page, {text_of(variant, "name"), text_of(variant, "backend"), text_of(variant, "path"),
                   weights, size_figure(number_of(variant, "bits_per_weight")),
                   size_figure(number_of(variant, "weight_bytes") / (1 << 20)),
                   figure(number_of(variant, "max_context")),
                   size_figure(number_of(variant, "load_seconds")),
                   size_figure(number_of(variant, "score_seconds")), text_of(variant, "status")});
  }
}

/// What backends say they keep.
void write_memory(std::string& page, const json& run) {
  bool has_heading = false;
  for (const json& variant : list_of(run, "variants")) {
    const auto memory = variant.find("memory");
    if (memory == variant.end() || !memory->is_object()) continue;
    for (const json& device : list_of(*memory, "devices")) {
      if (!has_heading) {
        page += "\n## Memory\n\nMiB, as the backends tell; peaks over all tasks.\n";
        add_heading(page, {"variant", "device",
                           "weights:", "cache:", "allocated:", "held:", "cache bytes per token:"});
        has_heading = true;
      }
      const auto mib = [&](const char* key) {
        return size_figure(number_of(device, key) / (1 << 20));
      };
      add_row(page,
              {text_of(variant, "name"), text_of(device, "device"), mib("weights"), mib("kv_peak"),
               mib("allocated_peak"), mib("held_peak"), figure(number_of(device, "kv_per_token"))});
    }
  }
}

/// A quantized variant's calibration: "mixed: 128 samples of 512 tokens: wiki 70 %, faq 30 %".
std::string calibration_text(const json& calibration) {
  std::string text = text_of(calibration, "name") + ": " +
                     std::to_string(count_of(calibration, "samples")) + " samples of " +
                     std::to_string(count_of(calibration, "length")) + " tokens";
  std::string separator = ": ";
  for (const json& source : list_of(calibration, "sources")) {
    text += separator + text_of(source, "dataset") + " " +
            percent(number_of(source, "share"), "%.3g %%");
    separator = ", ";
  }
  return text + "; digest " + text_of(calibration, "digest").substr(0, 16);
}

void write_layers(std::string& page, const json& run) {
  for (const json& variant : list_of(run, "variants")) {
    const auto quantization = variant.find("quantization");
    if (quantization == variant.end() || !quantization->is_object()) continue;
    const json& layers = list_of(*quantization, "layers");
    const auto calibration = quantization->find("calibration");
    const bool is_calibrated = calibration != quantization->end() && calibration->is_object();
    if (layers.empty() && !is_calibrated) continue;
    page += "\n## Layers of " + text_of(variant, "name") + "\n\n";
    page += is_calibrated ? "Calibrated on " + calibration_text(*calibration) + ".\n"
                          : "Not calibrated.\n";
    if (layers.empty()) continue;
    page +=
        "\nWeight error: |D| / |W| of the change D of the weights W. Output error: tr(D H D^T) / "
        "tr(W H W^T), H the second moments of the layer's input in the calibration.\n";
    add_heading(page, {"layer", "bits per weight:", "KiB:", "weight error:", "output error:",
                       "SQNR dB:", "outliers:", "besides"});
    for (const json& layer : layers) {
      const auto found = layer.find("values");
      const json values = found != layer.end() && found->is_object() ? *found : json::object();
      std::string besides;
      for (const auto& [key, value] : values.items()) {
        constexpr std::string_view kShown[] = {"bits",         "bytes",   "weight_error",
                                               "output_error", "sqnr_db", "outlier_share"};
        if (std::ranges::find(kShown, key) != std::end(kShown) || !value.is_number()) continue;
        besides +=
            (besides.empty() ? "" : ", ") + escaped(key) + " " + figure(value.get<double>(), 4);
      }
      add_row(page, {text_of(layer, "layer"), figure(number_of(values, "bits"), 4),
                     size_figure(number_of(values, "bytes") / 1024),
                     figure(number_of(values, "weight_error"), 4),
                     figure(number_of(values, "output_error"), 4),
                     figure(number_of(values, "sqnr_db"), 4),
                     percent(number_of(values, "outlier_share"), "%.3g %%"), besides});
    }
  }
}

const json* comparison_of(const json& run, const json& record) {
  for (const json& comparison : list_of(run, "comparisons")) {
    const bool is_same = std::ranges::all_of(
        std::initializer_list<const char*>{"variant", "task", "metric", "group"},
        [&](const char* key) { return raw_text(comparison, key) == raw_text(record, key); });
    if (is_same) return &comparison;
  }
  return nullptr;
}

std::string reading_of(const json& comparison, bool less_is_better) {
  const auto is_real = comparison.find("is_real");
  if (is_real == comparison.end() || !is_real->is_boolean()) return "-";
  if (!is_real->get<bool>()) return "noise";
  return (number_of(comparison, "delta") > 0) == less_is_better ? "worse" : "better";
}

void write_record(std::string& page, const json& run, const json& record) {
  const std::string group = text_of(record, "group");
  const std::string item_count = std::to_string(count_of(record, "n"));
  const std::string value = figure(number_of(record, "value"));
  const std::string error = error_figure(number_of(record, "std_error"));
  const std::string place = group.empty() ? "whole task" : group;
  const json* comparison = comparison_of(run, record);
  if (comparison == nullptr) {
    add_row(page,
            {text_of(record, "variant"), place, value, error, item_count, "", "", "", "", ""});
    return;
  }
  const double delta = number_of(*comparison, "delta");
  const double baseline = number_of(*comparison, "baseline_value");
  const double relative = baseline == 0 ? kUnknown : delta / std::abs(baseline);
  add_row(page, {text_of(record, "variant"), place, value, error, item_count, figure(delta),
                 error_figure(number_of(*comparison, "std_error")), percent(relative, "%+.2f %%"),
                 percent(number_of(*comparison, "retained"), "%.1f %%"),
                 reading_of(*comparison, flag_of(record, "less_is_better"))});
}

/// The outputs of a task in the order of their records, the primary one first.
std::vector<std::string> metrics_of(const json& run, const json& task) {
  std::vector<std::string> metrics;
  for (const json& record : list_of(run, "records")) {
    if (raw_text(record, "task") != raw_text(task, "name")) continue;
    std::string metric = raw_text(record, "metric");
    if (std::ranges::find(metrics, metric) == metrics.end()) metrics.push_back(std::move(metric));
  }
  std::stable_partition(metrics.begin(), metrics.end(), [&](const std::string& metric) {
    return metric == raw_text(task, "primary");
  });
  return metrics;
}

void write_metric(std::string& page, const json& run, const json& task, const std::string& metric) {
  const json& records = list_of(run, "records");
  const auto is_of_metric = [&](const json& record) {
    return raw_text(record, "task") == raw_text(task, "name") &&
           raw_text(record, "metric") == metric;
  };
  const auto first = std::ranges::find_if(records, is_of_metric);
  page += "\n### " + text_of(task, "name") + ": " + escaped(metric) + "\n\n";
  page += flag_of(*first, "less_is_better") ? "Less is better.\n" : "More is better.\n";
  add_heading(page, {"variant", "group", "value:", "std error:", "items:", "change:", "std error:",
                     "relative:", "retained:", "reading"});
  for (const json& record : records) {
    if (is_of_metric(record)) write_record(page, run, record);
  }
}

/// Says of which variants among these figures the host did not tokenize.
std::string tokenization_of(const json& run, const json& figures, const std::string& task) {
  std::string names;
  for (const json& variant : list_of(run, "variants")) {
    const std::string name = raw_text(variant, "name");
    const bool is_shown = std::ranges::any_of(figures, [&](const json& figure) {
      return raw_text(figure, "variant") == name && raw_text(figure, "task") == task;
    });
    if (!is_shown || raw_text(variant, "tokenization") != "not controlled") continue;
    names += (names.empty() ? "" : ", ") + text_of(variant, "name");
  }
  return names.empty() ? "" : "\nTokenization not controlled: " + names + ".\n";
}

void write_task(std::string& page, const json& run, const json& task) {
  page += "\n## Task " + text_of(task, "name") + "\n\n";
  page += "Protocol " + text_of(task, "protocol") + ", dataset " + text_of(task, "dataset") + ", " +
          std::to_string(count_of(task, "items")) + " items.";
  if (const auto settings = task.find("settings");
      settings != task.end() && settings->is_object()) {
    for (const auto& [key, value] : settings->items()) {
      page += " " + escaped(key) + " = " + escaped(value.dump()) + ";";
    }
    if (!settings->empty()) page.back() = '.';
  }
  page += "\n" + tokenization_of(run, list_of(run, "records"), raw_text(task, "name"));
  const std::vector<std::string> metrics = metrics_of(run, task);
  if (metrics.empty()) page += "\nNothing was measured on this task.\n";
  for (const std::string& metric : metrics) write_metric(page, run, task, metric);
}

void write_quality(std::string& page, const json& run) {
  const json& quality = list_of(run, "quality");
  if (quality.empty()) return;
  page += "\n## Quality score\n\n";
  page += "The mean, over tasks where more is better, of the share of the primary figure that is ";
  page += "retained.\n";
  add_heading(page, {"variant", "score:", "why none"});
  for (const json& entry : quality) {
    add_row(page, {text_of(entry, "variant"), percent(number_of(entry, "score"), "%.1f %%"),
                   text_of(entry, "reason")});
  }
  page += tokenization_of(run, quality, "");
}

void write_counts(std::string& page, const json& run) {
  const json& counts = list_of(run, "counts");
  if (counts.empty()) return;
  page += "\n## Items\n\n";
  page += "Truncated: cut on the left to fit the model's context. Empty: nothing to score. ";
  page += "Boundary differs: the prompt is tokenized otherwise when the answer follows.\n";
  add_heading(page, {"task", "variant",
                     "items:", "scored:", "truncated:", "failed:", "empty:", "boundary differs:"});
  for (const json& count : counts) {
    const auto shown = [&count](const char* key) { return std::to_string(count_of(count, key)); };
    add_row(page,
            {text_of(count, "task"), text_of(count, "variant"), shown("items"), shown("scored"),
             shown("truncated"), shown("failed"), shown("empty"), shown("boundary_differs")});
  }
}

bool has_simulated(const json& run) {
  return std::ranges::any_of(list_of(run, "variants"), [](const json& variant) {
    return !raw_text(variant, "simulated").empty();
  });
}

/// "rtn4, ledger: " from what the entry names of it.
std::string place_of(const json& entry) {
  std::string place = text_of(entry, "variant");
  const std::string task = text_of(entry, "task");
  if (!place.empty() && !task.empty()) place += ", ";
  place += task;
  return place.empty() ? place : place + ": ";
}

std::string gap_notes(const json& run) {
  std::string notes;
  for (const json& entry : list_of(run, "partial")) {
    const bool is_begun = entry.contains("items") && entry.at("items").is_number();
    notes += "- Partial: " + place_of(entry);
    notes += is_begun ? "only " + std::to_string(count_of(entry, "scored")) + " of " +
                            std::to_string(count_of(entry, "items")) + " items scored\n"
                      : "not run\n";
  }
  return notes;
}

void write_notes(std::string& page, const json& run) {
  std::string notes = gap_notes(run);
  for (const json& variant : list_of(run, "variants")) {
    const std::string note = text_of(variant, "note");
    if (!note.empty()) notes += "- " + text_of(variant, "name") + ": " + note + ".\n";
  }
  for (const json& warning : list_of(run, "warnings")) {
    notes += "- Warning: " + text_of(warning, "text") + "\n";
  }
  for (const json& failure : list_of(run, "failures")) {
    notes += "- Failed: " + place_of(failure) + text_of(failure, "text") + "\n";
  }
  if (has_simulated(run)) {
    notes +=
        "- Simulated: weights were rounded when loaded and computed with as dense numbers; bits "
        "and "
        "MiB are what the form would take.\n";
  }
  if (!list_of(run, "comparisons").empty()) {
    notes +=
        "- Reading: \"noise\" where the change is within two of its standard errors or below the "
        "noise floor.\n";
  }
  if (!notes.empty()) page += "\n## Notes\n\n" + notes;
}

/// JSON in a fence. No line of it can end the fence: each begins with a space, quote or bracket.
void write_json(std::string& page, const json& value) {
  page += "\n```json\n" + value.dump(2) + "\n```\n";
}

void write_origin(std::string& page, const json& run) {
  page += "\n## How it was made\n";
  const json& components = list_of(run, "components");
  if (!components.empty()) {
    add_heading(page, {"component", "kind", "version", "plugin", "sha256"});
    for (const json& component : components) {
      add_row(page,
              {text_of(component, "id"), text_of(component, "kind"), text_of(component, "version"),
               text_of(component, "plugin"), text_of(component, "sha256").substr(0, 16)});
    }
  }
  for (const auto& [key, title] : {std::pair{"versions", "Versions"}, std::pair{"host", "Machine"},
                                   std::pair{"manifest", "Manifest, defaults included"}}) {
    const auto found = run.find(key);
    if (found == run.end() || found->is_null()) continue;
    page += "\n" + std::string(title) + ":\n";
    write_json(page, *found);
  }
}

std::string page_of(const json& run) {
  std::string page;
  write_summary(page, run);
  write_gate(page, run);
  write_variants(page, run);
  write_memory(page, run);
  if (list_of(run, "records").empty()) {
    page += "\nNothing was measured.\n";
  } else {
    for (const json& task : list_of(run, "tasks")) write_task(page, run, task);
    write_quality(page, run);
  }
  write_layers(page, run);
  write_counts(page, run);
  write_notes(page, run);
  write_origin(page, run);
  return page;
}

struct Markdown : assay::Reporter {
  static constexpr assay::Info info{"assay/markdown", "1.0.0", "A Markdown page of the whole run",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::path_out("file", "\"report.md\"", "Where to write the page.")};

  std::string path;
  explicit Markdown(assay::Context context) : path(context.text("file")) {}

  void write(const assay::Report& report) {
    const std::string page = page_of(json::parse(report.run_json()));
    errno = 0;
    std::ofstream out(path, std::ios::binary);
    out << page;
    out.close();
    if (!out) {
      throw assay::Error(ASSAY_UNAVAILABLE, "file",
                         path + ": cannot be written: " + std::strerror(errno));
    }
  }
};

}  // namespace

ASSAY_PLUGIN("assay/markdown", "1.0.0", "assay", "Apache-2.0", Markdown)
