// A manifest as plain structs: TOML text in, host keys typed, everything else kept as values with
// their places. Knows no plugin: what a component's options mean is decided in host/graph.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "host/core/result.hpp"

namespace assay::host {

/// A stretch of one line of a manifest file. line 0: no place (a default).
struct Place {
  std::uint32_t file = 0;  ///< index into Manifest::sources
  std::uint32_t line = 0;
  std::uint32_t column = 0;  ///< counts from 1, in characters
  std::uint32_t length = 1;
};

/// One file a manifest was read from.
struct Source {
  std::filesystem::path path;
  std::string text;
};

/// A warning does not keep the manifest from running.
enum class Severity { kError, kWarning };

/// What is wrong with a manifest, and what to do about it.
struct Diagnostic {
  Place place;
  std::string text;
  std::string help = {};
  Severity severity = Severity::kError;
};

/// `file:line:column: text`, the line, a caret under the place, and a help line where there is one.
/// "warning: " stands before the text of a warning.
std::string render(const std::vector<Source>& sources, const Diagnostic& diagnostic);

struct Entry;
using Table = std::vector<Entry>;  // in file order; keys are unique

/// A TOML value with its place. Dates are refused when read.
struct Value {
  Place place;
  std::variant<bool, std::int64_t, double, std::string, std::vector<Value>, Table> data;
  bool is_inline = false;  ///< a table in braces: a later file replaces it whole
};

struct Entry {
  std::string key;
  Place key_place;
  Value value;
};

/// A host key's value and where it stands. `given()` is false for a default.
template <class T>
struct Located {
  T value{};
  Place place{};
  bool given() const { return place.line != 0; }
};

/// Where a backend runs: a process of its own, or the host's.
enum class Isolated { kWorker, kNone };

/// A backend that gives no sign of life for that long is ended, where the manifest names no other
/// timeout. Source   abi.h, Liveness
constexpr double kDefaultTimeoutSeconds = 60;

struct ModelNode {
  std::string name;
  Place place;
  Located<std::string> backend;
  Located<std::filesystem::path> path;  ///< absolute
  Located<std::string> device{"cpu"};
  Located<std::uint32_t> threads;              ///< 0: all of the machine's
  Located<std::uint64_t> memory_budget_bytes;  ///< 0: not limited
  Located<Isolated> isolation{Isolated::kWorker};
  Located<double> timeout_seconds{kDefaultTimeoutSeconds};
  Located<bool> is_quantized;  ///< a `quantize` table is there: a new model directory is written
  Located<bool> is_simulated;  ///< a `simulate` table is there: weights are rounded on load
  Located<std::string> calibration;  ///< of either table
  /// `quantize` and `simulate` are kept here as tables: their keys are options "simulate.bits", ...
  Table options;
};

/// Texts of a dataset that a calibration is made of.
struct CalibrationSourceNode {
  Place place;
  Located<std::string> dataset;
  Located<double> share{1};  ///< relative to the other sources' shares
  Located<std::string> text{"{{ text }}"};
};

/// What a method that quantizes looks at: samples x length tokens.
struct CalibrationNode {
  std::string name;
  Place place;
  std::vector<CalibrationSourceNode> sources;
  Located<std::uint64_t> samples;
  Located<std::uint64_t> length;  ///< tokens of each sample
  Located<std::uint64_t> seed;    ///< the root's when not given
  Located<bool> shuffle{true};
  Located<bool> chat;
  Located<double> max_overlap;  ///< share of an item's 13-grams that the texts may hold
  Located<bool> allow_overlap;
};

struct DatasetNode {
  std::string name;
  Place place;
  Located<std::string> use;
  Located<std::string> split;
  Located<std::uint64_t> limit;  ///< 0: all
  Table options;
};

struct MetricUse {
  Located<std::string> use;
  Table options;
};

enum class Protocol { kPerplexity, kContinuation, kMultipleChoice, kGenerate };
enum class Bos { kAuto, kAlways, kNever };

/// One step from a model's output to what is compared with the target. In a manifest "strip",
/// "first_line", "number", { number = "first" }, { regex = "...", match = "last", otherwise = "" }
/// or { replace = "...", with = "" }.
struct Filter {
  enum class Kind { kStrip, kFirstLine, kNumber, kRegex, kReplace };
  Kind kind = Kind::kStrip;
  std::string pattern = {};  ///< kRegex, kReplace
  std::string with = {};     ///< kReplace: what every match becomes
  bool takes_last = false;   ///< kRegex: the last match, not the first; kNumber: true unless said
  std::string otherwise = "[invalid]";  ///< kRegex, kNumber: the result where nothing matches

  bool operator==(const Filter&) const = default;
};

struct TaskNode {
  std::string name;
  Place place;
  Located<Protocol> protocol;
  Located<std::string> dataset;
  std::vector<Located<std::string>> models;  ///< empty: all
  Located<std::uint64_t> limit;              ///< 0: all
  Located<std::uint64_t> seed;               ///< the root's when not given
  std::vector<Located<std::string>> group_by;
  std::vector<MetricUse> metrics;  ///< empty: every metric that fits the protocol
  Located<std::string> primary;
  Located<Bos> bos{Bos::kAuto};

  // perplexity
  Located<std::uint64_t> window;
  Located<std::uint64_t> stride;
  Located<std::string> text{"{{ text }}"};
  std::optional<Located<std::string>> join;

  // continuation, multiple_choice, generate
  std::vector<Located<std::string>>
      prompts;  ///< one (`prompt`), or several (`prompts`, multiple_choice)
  Located<std::string> target;
  Located<std::uint64_t> shots;
  Located<std::string> shots_from;  ///< a dataset; not given: the task's own, the item left out
  Located<std::string> description;
  Located<std::string> delimiter{" "};
  Located<std::string> separator{"\n\n"};
  Located<bool> chat;

  // multiple_choice
  std::vector<Located<std::string>> choices;
  bool choices_is_list = false;  ///< written as an array of templates

  // generate
  Located<std::uint64_t> max_new_tokens{256};
  Located<std::uint64_t> min_new_tokens;
  std::vector<Located<std::string>> stop;
  Located<double> temperature;   ///< 0: greedy
  Located<std::uint64_t> top_k;  ///< 0: all
  Located<double> top_p{1.0};
  std::vector<Located<Filter>> filters;  ///< one with a pattern stands where its pattern does
};

struct CompareNode {
  Place place;
  Located<std::string> baseline;
  Located<double> noise_floor;  ///< a relative difference at most this large is never called real
};

enum class Threshold { kMaxIncrease, kMaxDrop, kMinRetained, kMin, kMax };

/// A bound, absolute (0.5) or relative to the baseline ("5%", stored as 0.05).
struct Bound {
  double value = 0;
  bool is_relative = false;
};

struct GateNode {
  Place place;
  Located<std::string> task;
  Located<std::string> metric;
  /// "key=value", "key=value,other=value", "*" every group, "" the whole task
  Located<std::string> group;
  Located<std::string> subset;                   ///< "clean", or "": every item
  std::vector<Located<std::string>> candidates;  ///< empty: every variant but the baseline
  Located<Threshold> threshold;
  Bound bound;
};

struct ReportNode {
  Place place;
  Located<std::string> use;
  Located<std::string> file;  ///< relative to the output directory; "": the reporter's default
  Table options;
};

struct Manifest {
  std::vector<Source> sources;  ///< [0] is the file that was asked for
  std::string name;
  std::uint64_t seed = 1234;
  std::vector<ModelNode> models;
  std::vector<DatasetNode> datasets;
  std::vector<CalibrationNode> calibrations;
  std::vector<TaskNode> tasks;
  std::optional<CompareNode> compare;
  std::vector<GateNode> gates;
  std::vector<ReportNode> reports;
};

/// What reading a manifest gave. `manifest` is as complete as the text allows, also with errors,
/// so that host/graph can report its own errors together with these.
struct ParsedManifest {
  Manifest manifest;
  std::vector<Diagnostic> errors;  ///< in file order
  bool is_whole = true;  ///< false: a file was not TOML or not there, so only `sources` is filled
};

/// Reads a manifest and the files it includes. Paths become absolute, relative to their own file.
///
/// Fails    ASSAY_NOT_FOUND the file cannot be opened. Everything wrong inside it is in `errors`:
///          syntax, unknown keys (with the nearest name), wrong types and ranges, missing keys, and
///          keys of later work, refused by name.
Result<ParsedManifest> read_manifest(const std::filesystem::path& path);

/// Reads one TOML value, such as an option's default. Its place says nothing.
///
/// Fails    ASSAY_INVALID_ARGUMENT not a TOML value
Result<Value> parse_value(std::string_view toml);

/// Sorts by place, what has no place last, and leaves out what is said twice.
void put_in_file_order(std::vector<Diagnostic>& diagnostics);

/// The name of `known` nearest to `word`, or "" when none is near enough to suggest.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

std::string_view to_string(Protocol protocol);
std::string_view to_string(Bos bos);
std::string_view to_string(Threshold threshold);
std::string_view to_string(Isolated isolation);

}  // namespace assay::host
