// The console reporter: a run document as aligned tables on standard output. A pure function of the
// document; measures and decides nothing.
#include <unistd.h>

#include <algorithm>
#include <assay/sdk.hpp>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "figures.hpp"
#include "layout.hpp"

namespace {

using nlohmann::json;
using namespace console;

constexpr std::size_t kIndent = 2;
constexpr std::size_t kMaxName = 24;
constexpr std::size_t kMaxMaking = 40;
constexpr std::size_t kMaxFigure = 34;
constexpr std::size_t kMaxListed = 5;
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// A key that is absent, null or of another type is no value.

const json& list_of(const json& object, const char* key) {
  static const json kEmpty = json::array();
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : kEmpty;
}

std::string raw_text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string text_of(const json& object, const char* key) { return safe(raw_text(object, key)); }

std::string name_of(const json& object, const char* key) {
  return fit(text_of(object, key), kMaxName);
}

double number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : kUnknown;
}

std::uint64_t count_of(const json& object, const char* key) {
  const double value = number_of(object, key);
  return value > 0 ? static_cast<std::uint64_t>(value) : 0;
}

bool has_flag(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean();
}

bool flag_of(const json& object, const char* key) {
  return has_flag(object, key) && object.at(key).get<bool>();
}

std::string counted(std::uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

struct Page {
  const json& run;
  bool has_colour = false;
  std::string text = {};

  void heading(const std::string& title) {
    text += "\n" + paint(title, Tone::kStrong, has_colour) + "\n";
  }
  void line(const std::string& sentence) { text += paragraph(sentence, kIndent); }
  void table(const Table& rows) { text += render(rows, kIndent, has_colour); }
};

Tone tone_of_verdict(const std::string& verdict) {
  if (verdict == "PASS") return Tone::kGood;
  if (verdict == "FAIL") return Tone::kBad;
  return verdict == "NONE" ? Tone::kPlain : Tone::kDoubtful;
}

void write_header(Page& page) {
  const json& run = page.run;
  page.text += paint(fit(text_of(run, "name"), kLineWidth), Tone::kStrong, page.has_colour) + "\n";
  std::string facts = "assay";
  if (const auto versions = run.find("versions"); versions != run.end() && versions->is_object()) {
    facts += " " + text_of(*versions, "assay");
  }
  facts += ", started " + text_of(run, "started");
  facts += ", " + seconds(number_of(run, "seconds")) + " s";
  if (raw_text(run, "status") != "complete") facts += ", " + text_of(run, "status");
  page.text += facts + "\n";
}

std::string making_of(const json& variant) {
  const std::string simulated = text_of(variant, "simulated");
  std::string text = simulated.empty() ? "as stored" : "simulated: " + simulated;
  if (flag_of(variant, "is_baseline")) text += ", baseline";
  return fit(text, kMaxMaking);
}

void write_variants(Page& page) {
  Table table{{{"variant", Align::kLeft},
               {"weights", Align::kLeft},
               {"bits/weight"},
               {"MiB"},
               {"load s"},
               {"score s"}},
              {}};
  for (const json& variant : list_of(page.run, "variants")) {
    const double bits = number_of(variant, "bits_per_weight");
    const double mib = number_of(variant, "weight_bytes") / (1 << 20);
    table.rows.push_back({{name_of(variant, "name"), Tone::kStrong},
                          {making_of(variant)},
                          {bits > 0 ? significant(bits, 3) : kNothing},
                          {mib > 0 ? significant(mib, 3) : kNothing},
                          {seconds(number_of(variant, "load_seconds"))},
                          {seconds(number_of(variant, "score_seconds"))}});
  }
  if (table.rows.empty()) return;
  page.heading("Variants");
  page.table(table);
}

std::string mebibytes(const json& memory, const char* key) {
  const double mib = number_of(memory, key) / (1 << 20);
  return mib >= 0 ? significant(mib, 3) : kNothing;
}

/// What backends say they keep; a column that nobody knows is left out.
void write_memory(Page& page) {
  constexpr std::pair<const char*, const char*> kColumns[] = {{"weights", "weights MiB"},
                                                              {"kv_peak", "cache MiB"},
                                                              {"allocated_peak", "allocated MiB"},
                                                              {"held_peak", "held MiB"}};
  Table table{{{"variant", Align::kLeft}, {"device", Align::kLeft}}, {}};
  std::vector<std::pair<const json*, const json*>> devices;  // variant, one of its devices
  for (const json& variant : list_of(page.run, "variants")) {
    const auto memory = variant.find("memory");
    if (memory == variant.end() || !memory->is_object()) continue;
    for (const json& device : list_of(*memory, "devices")) devices.emplace_back(&variant, &device);
  }
  for (const auto& [variant, device] : devices) {
    table.rows.push_back(
        {{name_of(*variant, "name"), Tone::kStrong}, {text_of(*device, "device")}});
  }
  for (const auto& [key, heading] : kColumns) {
    if (std::ranges::none_of(
            devices, [key = key](const auto& each) { return number_of(*each.second, key) >= 0; })) {
      continue;
    }
    table.columns.push_back({heading});
    for (std::size_t i = 0; i < devices.size(); ++i) {
      table.rows[i].push_back({mebibytes(*devices[i].second, key)});
    }
  }
  if (table.columns.size() == 2) return;
  page.heading("Memory, as the backends tell: peaks over all tasks");
  page.table(table);
}

/// What quantization cost a layer, under the names that backends tell it by.
struct LayerColumn {
  const char* key;
  const char* heading;
};
constexpr LayerColumn kLayerColumns[] = {
    {"bits", "bits/weight"},          {"bytes", "KiB"},       {"weight_error", "weight error"},
    {"output_error", "output error"}, {"sqnr_db", "SQNR dB"}, {"outlier_share", "outliers"}};

std::string layer_figure(const std::string& key, double value) {
  if (key == "bytes") return significant(value / 1024, 3);
  if (key == "outlier_share") return percent(value);
  return significant(value, 3);
}

double value_of(const json& layer, const std::string& key) {
  const auto values = layer.find("values");
  return values != layer.end() && values->is_object() ? number_of(*values, key.c_str()) : kUnknown;
}

bool is_told(const std::vector<const json*>& layers, const std::string& key) {
  return std::ranges::any_of(layers,
                             [&](const json* layer) { return !std::isnan(value_of(*layer, key)); });
}

/// The layers that lost most, by the error of what they give where that is known.
void write_layers_of(Page& page, const json& variant, const json& quantization) {
  std::vector<const json*> layers;
  for (const json& layer : list_of(quantization, "layers")) layers.push_back(&layer);
  if (layers.empty()) return;
  const std::string by = is_told(layers, "output_error") ? "output_error" : "weight_error";
  std::ranges::stable_sort(
      layers, [&](const json* a, const json* b) { return value_of(*a, by) > value_of(*b, by); });
  Table table{{{"layer", Align::kLeft}}, {}};
  for (const LayerColumn& column : kLayerColumns) {
    if (is_told(layers, column.key)) table.columns.push_back({column.heading});
  }
  for (const json* layer : layers) {
    if (table.rows.size() == kMaxListed) break;
    std::vector<Cell> row = {{fit(text_of(*layer, "layer"), kLineWidth / 2), Tone::kStrong}};
    for (const LayerColumn& column : kLayerColumns) {
      if (!is_told(layers, column.key)) continue;
      const double value = value_of(*layer, column.key);
      row.push_back({std::isnan(value) ? kNothing : layer_figure(column.key, value)});
    }
    table.rows.push_back(std::move(row));
  }
  const std::string which = by == "output_error" ? "output error" : "weight error";
  page.heading("Layers of " + name_of(variant, "name") + ", largest " + which + " first");
  page.table(table);
  if (layers.size() > kMaxListed) {
    page.line(std::to_string(layers.size() - kMaxListed) + " more are in run.json");
  }
}

void write_layers(Page& page) {
  for (const json& variant : list_of(page.run, "variants")) {
    const auto quantization = variant.find("quantization");
    if (quantization == variant.end() || !quantization->is_object()) continue;
    write_layers_of(page, variant, *quantization);
  }
}

/// One task with what was measured and compared on it.
struct TaskView {
  const json& task;
  std::string name;
  std::string primary;
  std::vector<const json*> records;      ///< of this task
  std::vector<const json*> comparisons;  ///< of this task
};

std::vector<const json*> of_task(const json& list, const std::string& task) {
  std::vector<const json*> result;
  for (const json& element : list) {
    if (raw_text(element, "task") == task) result.push_back(&element);
  }
  return result;
}

const json* find_in(const std::vector<const json*>& list, const std::string& variant,
                    const std::string& metric, const std::string& group) {
  for (const json* element : list) {
    if (raw_text(*element, "variant") == variant && raw_text(*element, "metric") == metric &&
        raw_text(*element, "group") == group) {
      return element;
    }
  }
  return nullptr;
}

bool less_is_better(const TaskView& view, const std::string& metric) {
  for (const json* record : view.records) {
    if (raw_text(*record, "metric") == metric) return flag_of(*record, "less_is_better");
  }
  return false;
}

Cell reading_of(const json& comparison, bool lower_wins) {
  if (!has_flag(comparison, "is_real")) return {kNothing};
  if (!flag_of(comparison, "is_real")) return {"noise", Tone::kFaint};
  const bool is_worse = (number_of(comparison, "delta") > 0) == lower_wins;
  return is_worse ? Cell{"worse", Tone::kBad} : Cell{"better", Tone::kGood};
}

/// Change against the baseline: absolute, relative, what is retained, whether it is real.
std::vector<Cell> change_cells(const json* comparison, bool is_baseline, bool lower_wins) {
  if (comparison == nullptr) {
    return {{is_baseline ? "baseline" : kNothing, Tone::kFaint}, {""}, {""}, {""}};
  }
  const double delta = number_of(*comparison, "delta");
  const double baseline = number_of(*comparison, "baseline_value");
  return {{change(delta, number_of(*comparison, "std_error"))},
          {signed_percent(baseline == 0 ? kUnknown : delta / std::abs(baseline))},
          {percent(number_of(*comparison, "retained"))},
          reading_of(*comparison, lower_wins)};
}

void write_primary(Page& page, const TaskView& view) {
  const bool is_compared = !view.comparisons.empty();
  const bool lower_wins = less_is_better(view, view.primary);
  Table table{{{"variant", Align::kLeft}, {safe(view.primary)}}, {}};
  if (is_compared) {
    table.columns.insert(table.columns.end(),
                         {{"change"}, {"relative"}, {"retained"}, {"reading", Align::kLeft}});
  }
  for (const json& variant : list_of(page.run, "variants")) {
    const std::string name = raw_text(variant, "name");
    const json* record = find_in(view.records, name, view.primary, "");
    if (record == nullptr) continue;
    std::vector<Cell> row = {
        {name_of(variant, "name"), Tone::kStrong},
        {with_error(number_of(*record, "value"), number_of(*record, "std_error"))}};
    if (is_compared) {
      const json* comparison = find_in(view.comparisons, name, view.primary, "");
      const auto cells = change_cells(comparison, flag_of(variant, "is_baseline"), lower_wins);
      row.insert(row.end(), cells.begin(), cells.end());
    }
    table.rows.push_back(std::move(row));
  }
  page.table(table);
}

/// Says of which variants among these figures the host did not tokenize.
void write_tokenization(Page& page, const std::vector<const json*>& figures) {
  std::string names;
  for (const json& variant : list_of(page.run, "variants")) {
    const std::string name = raw_text(variant, "name");
    const bool is_shown = std::ranges::any_of(
        figures, [&](const json* figure) { return raw_text(*figure, "variant") == name; });
    if (!is_shown || raw_text(variant, "tokenization") != "not controlled") continue;
    names += (names.empty() ? "" : ", ") + name_of(variant, "name");
  }
  if (!names.empty()) page.line("tokenization not controlled: " + names);
}

std::vector<std::string> distinct(const std::vector<const json*>& records, const char* key) {
  std::vector<std::string> values;
  for (const json* record : records) {
    std::string value = raw_text(*record, key);
    if (std::find(values.begin(), values.end(), value) == values.end()) {
      values.push_back(std::move(value));
    }
  }
  return values;
}

/// Rows are variants, columns the values of one key of group_by.
void write_groups(Page& page, const TaskView& view, const std::string& key) {
  const std::string prefix = key + "=";
  Table table{{{"by " + fit(safe(key), kMaxName), Align::kLeft}}, {}};
  std::vector<std::string> groups;
  for (const std::string& group : distinct(view.records, "group")) {
    if (!group.starts_with(prefix)) continue;
    groups.push_back(group);
    table.columns.push_back({fit(safe(group.substr(prefix.size())), kMaxName)});
  }
  if (groups.empty()) return;
  bool has_real = false;
  for (const json& variant : list_of(page.run, "variants")) {
    const std::string name = raw_text(variant, "name");
    std::vector<Cell> row = {{name_of(variant, "name"), Tone::kStrong}};
    bool has_value = false;
    for (const std::string& group : groups) {
      const json* record = find_in(view.records, name, view.primary, group);
      const json* comparison = find_in(view.comparisons, name, view.primary, group);
      const bool is_real = comparison != nullptr && flag_of(*comparison, "is_real");
      has_value = has_value || record != nullptr;
      has_real = has_real || is_real;
      // A space keeps the digits of marked and unmarked figures under each other.
      const double value = record == nullptr ? kUnknown : number_of(*record, "value");
      row.push_back({share(value) + (is_real ? "*" : " "), is_real ? Tone::kStrong : Tone::kPlain});
    }
    if (has_value) table.rows.push_back(std::move(row));
  }
  page.text += "\n";
  page.table(table);
  if (has_real) page.line("* differs from the baseline by more than noise");
}

/// Rows are the other figures, columns the variants.
void write_others(Page& page, const TaskView& view) {
  Table table{{{"other figures", Align::kLeft}}, {}};
  std::vector<std::string> names;
  for (const json& variant : list_of(page.run, "variants")) {
    names.push_back(raw_text(variant, "name"));
    table.columns.push_back({name_of(variant, "name")});
  }
  for (const std::string& metric : distinct(view.records, "metric")) {
    if (metric == view.primary) continue;
    std::vector<Cell> row = {{fit(safe(metric), kLineWidth / 2)}};
    for (const std::string& name : names) {
      const json* record = find_in(view.records, name, metric, "");
      row.push_back({record == nullptr ? kNothing : significant(number_of(*record, "value"), 4)});
    }
    table.rows.push_back(std::move(row));
  }
  if (table.rows.empty()) return;
  page.text += "\n";
  page.table(table);
}

void write_task(Page& page, const json& task) {
  const std::string name = raw_text(task, "name");
  const TaskView view{task, name, raw_text(task, "primary"),
                      of_task(list_of(page.run, "records"), name),
                      of_task(list_of(page.run, "comparisons"), name)};
  const std::string direction =
      less_is_better(view, view.primary) ? ", less is better" : ", more is better";
  page.heading(name_of(task, "name") + ": " + text_of(task, "protocol") + ", " +
               counted(count_of(task, "items"), "item") + " of " + text_of(task, "dataset") +
               (view.records.empty() ? "" : direction));
  if (view.records.empty()) {
    page.line("nothing was measured on this task");
    return;
  }
  write_primary(page, view);
  write_tokenization(page, view.records);
  for (const json& key : list_of(task, "group_by")) {
    if (key.is_string()) write_groups(page, view, key.get<std::string>());
  }
  write_others(page, view);
}

void write_quality(Page& page) {
  Table table{{{"variant", Align::kLeft}, {"score"}, {"", Align::kLeft}}, {}};
  std::vector<const json*> scores;
  for (const json& entry : list_of(page.run, "quality")) {
    scores.push_back(&entry);
    table.rows.push_back({{name_of(entry, "variant"), Tone::kStrong},
                          {percent(number_of(entry, "score"))},
                          {fit(text_of(entry, "reason"), kLineWidth / 2), Tone::kFaint}});
  }
  if (table.rows.empty()) return;
  page.heading("Quality score: mean share retained of the tasks where more is better");
  page.table(table);
  write_tokenization(page, scores);
}

/// What a verdict says, a line for each part.
std::vector<std::string> parts_of(const std::string& evidence) {
  std::vector<std::string> parts;
  for (std::size_t from = 0, end = 0; end != std::string::npos; from = end + 2) {
    end = evidence.find("; ", from);
    parts.push_back(evidence.substr(from, end - from));
  }
  return parts;
}

void write_gate(Page& page) {
  Table table{{{"gate", Align::kLeft},
               {"variant", Align::kLeft},
               {"figure", Align::kLeft},
               {"evidence", Align::kLeft}},
              {}};
  for (const json& verdict : list_of(page.run, "verdicts")) {
    const std::string word = text_of(verdict, "verdict");
    std::string figure = text_of(verdict, "task") + " " + text_of(verdict, "metric");
    if (!raw_text(verdict, "group").empty()) figure += " " + text_of(verdict, "group");
    if (!raw_text(verdict, "subset").empty()) {
      figure += " (" + text_of(verdict, "subset") + ")";
    }
    std::vector<Cell> row{{word, tone_of_verdict(word)},
                          {name_of(verdict, "variant"), Tone::kStrong},
                          {fit(figure, kMaxFigure)}};
    for (std::string& part : parts_of(text_of(verdict, "text"))) {
      row.push_back({std::move(part)});
      table.rows.push_back(std::move(row));
      row = std::vector<Cell>(3);
    }
  }
  if (table.rows.empty()) return;
  page.heading("Gate");
  page.table(table);
}

/// Variants of which the same can be said about a task.
struct Note {
  std::string text;
  std::vector<std::string> variants;
};

/// What happened to items, said once for all variants where it is the same.
std::vector<Note> item_notes(const json& run) {
  constexpr std::pair<const char*, const char*> kCounts[] = {
      {"truncated", "with the prompt cut on the left to fit the model's context"},
      {"failed", "that failed"},
      {"empty", "with nothing to score"},
      {"boundary_differs", "whose prompt is tokenized otherwise when the answer follows"},
      {"straddles", "whose answer is scored with the end of its prompt"}};
  std::vector<Note> notes;
  for (const json& count : list_of(run, "counts")) {
    for (const auto& [key, meaning] : kCounts) {
      if (count_of(count, key) == 0) continue;
      const std::string text = text_of(count, "task") + ": " +
                               std::to_string(count_of(count, key)) + " of " +
                               counted(count_of(count, "items"), "item") + " " + meaning;
      auto note = std::ranges::find(notes, text, &Note::text);
      if (note == notes.end()) note = notes.insert(notes.end(), Note{text, {}});
      note->variants.push_back(text_of(count, "variant"));
    }
  }
  return notes;
}

std::string sentence_of(const Note& note, std::size_t n_variants) {
  if (note.variants.size() == n_variants) return note.text;
  std::string names;
  for (const std::string& name : note.variants) names += (names.empty() ? "" : ", ") + name;
  return note.text + " (" + names + ")";
}

/// "rtn4, ledger: " from what the entry names of it.
std::string place_of(const json& entry) {
  std::string place = text_of(entry, "variant");
  const std::string task = text_of(entry, "task");
  if (!place.empty() && !task.empty()) place += ", ";
  place += task;
  return place.empty() ? place : place + ": ";
}

std::vector<std::string> gap_notes(const json& run) {
  std::vector<std::string> notes;
  for (const json& entry : list_of(run, "partial")) {
    const bool is_begun = entry.contains("items") && entry.at("items").is_number();
    notes.push_back(place_of(entry) +
                    (is_begun ? "only " + std::to_string(count_of(entry, "scored")) + " of " +
                                    counted(count_of(entry, "items"), "item") + " scored"
                              : "not run"));
  }
  return notes;
}

std::vector<std::string> warning_notes(const json& run) {
  std::vector<std::string> notes;
  for (const json& warning : list_of(run, "warnings"))
    notes.push_back("warning: " + text_of(warning, "text"));
  return notes;
}

std::vector<std::string> failure_notes(const json& run) {
  std::vector<std::string> notes;
  const json& failures = list_of(run, "failures");
  for (std::size_t i = 0; i < std::min(failures.size(), kMaxListed); ++i) {
    notes.push_back("failed: " + place_of(failures[i]) + text_of(failures[i], "text"));
  }
  if (failures.size() > kMaxListed) {
    notes.push_back("and " + counted(failures.size() - kMaxListed, "further failure"));
  }
  return notes;
}

std::vector<std::string> simulation_notes(const json& run) {
  const bool has_simulated = std::ranges::any_of(list_of(run, "variants"), [](const json& variant) {
    return !raw_text(variant, "simulated").empty();
  });
  if (!has_simulated) return {};
  return {
      "simulated: weights were rounded when loaded and computed with as dense numbers; bits and "
      "MiB are what the form would take"};
}

/// What the document says of single variants.
std::vector<std::string> variant_notes(const json& run) {
  std::vector<std::string> notes;
  for (const json& variant : list_of(run, "variants")) {
    const std::string note = text_of(variant, "note");
    if (!note.empty()) notes.push_back(text_of(variant, "name") + ": " + note);
  }
  return notes;
}

void write_notes(Page& page) {
  std::vector<std::string> notes;
  const std::size_t n_variants = list_of(page.run, "variants").size();
  for (const Note& note : item_notes(page.run)) notes.push_back(sentence_of(note, n_variants));
  for (const auto& more : {gap_notes(page.run), warning_notes(page.run), failure_notes(page.run),
                           variant_notes(page.run), simulation_notes(page.run)}) {
    notes.insert(notes.end(), more.begin(), more.end());
  }
  if (notes.empty()) return;
  page.heading("Notes");
  for (const std::string& note : notes) page.line("- " + note);
}

void write_verdict(Page& page) {
  const std::string verdict = raw_text(page.run, "verdict");
  const std::string text = verdict == "NONE"
                               ? "nothing is gated"
                               : paint(safe(verdict), tone_of_verdict(verdict), page.has_colour);
  page.text += "\nVerdict: " + text + " (exit code " +
               std::to_string(count_of(page.run, "exit_code")) + ")\n";
}

std::string page_of(const json& run, bool has_colour) {
  Page page{run, has_colour};
  write_header(page);
  write_variants(page);
  write_memory(page);
  if (list_of(run, "records").empty()) {
    page.text += "\nNothing was measured.\n";
  } else {
    for (const json& task : list_of(run, "tasks")) write_task(page, task);
    write_quality(page);
  }
  write_layers(page);
  write_gate(page);
  write_notes(page);
  write_verdict(page);
  return page.text;
}

/// Source   no-color.org: any value that is not empty turns colour off
bool terminal_wants_colour() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0') &&
         (term == nullptr || std::string_view(term) != "dumb");
}

struct Console : assay::Reporter {
  static constexpr assay::Info info{"assay/console", "1.0.0", "Aligned tables on standard output",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr const char* kColors[] = {"auto", "always", "never", nullptr};
  static constexpr assay::Option options[] = {assay::choice(
      "color", "\"auto\"", kColors, "Colour: auto means only on a terminal and without NO_COLOR.")};

  std::string color;
  explicit Console(assay::Context context) : color(context.text("color")) {}

  void write(const assay::Report& report) {
    const json run = json::parse(report.run_json());
    const bool has_colour = color == "always" || (color == "auto" && terminal_wants_colour());
    const std::string page = page_of(run, has_colour);
    errno = 0;
    const bool is_written = std::fwrite(page.data(), 1, page.size(), stdout) == page.size();
    if (!is_written || std::fflush(stdout) != 0) {
      throw assay::Error(ASSAY_UNAVAILABLE, "standard output",
                         std::string("cannot write to standard output: ") + std::strerror(errno));
    }
  }
};

}  // namespace

ASSAY_PLUGIN("assay/console", "1.0.0", "assay", "Apache-2.0", Console)
