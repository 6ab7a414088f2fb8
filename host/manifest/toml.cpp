#include "host/manifest/toml.hpp"

// toml++ 3.3 asserts, or in a release build has the compiler assume, that a table's header begins
// with a key. A file may hold "[{"; the code below the assertion reports it.
#undef NDEBUG
#define TOML_ASSERT(expression) static_assert(true)
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

#include <algorithm>
#include <string>
#include <utility>

#include "host/manifest/lines.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

constexpr std::size_t kMaxKeyParts = 16;

/// Walks TOML text and counts the parts of its dotted keys. Each part is a table in a table, and
/// the parser and the tables it makes recurse over them: a key of a million parts would take the
/// stack with it.
class KeyLengths {
 public:
  explicit KeyLengths(std::string_view text) : text_(text) {}

  /// Where the first key of too many parts begins to be too long.
  std::optional<std::size_t> first_too_long() {
    std::size_t dots = 0;
    while (at_ < text_.size()) {
      const char letter = text_[at_];
      if (letter == '"' || letter == '\'') {
        skip_string(letter);
        continue;
      }
      if (letter == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (letter == '.') {
        if (++dots >= kMaxKeyParts) return at_;
      } else if (std::string_view("\n=,[]{}").find(letter) != std::string_view::npos) {
        dots = 0;
      }
      ++at_;
    }
    return std::nullopt;
  }

 private:
  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool is_multi_line = text_.substr(at_).starts_with(three);
    at_ += is_multi_line ? 3U : 1U;
    while (at_ < text_.size()) {
      if (text_[at_] == '\\' && quote == '"') {
        at_ = std::min(at_ + 2, text_.size());
      } else if (is_multi_line && text_.substr(at_).starts_with(three)) {
        at_ += 3;
        return;
      } else if (!is_multi_line && (text_[at_] == quote || text_[at_] == '\n')) {
        at_ += text_[at_] == quote ? 1U : 0U;
        return;
      } else {
        ++at_;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

class Converter {
 public:
  Converter(std::string_view text, std::uint32_t file, std::vector<Diagnostic>& errors)
      : text_(text), file_(file), errors_(errors) {}

  Table table(const toml::table& from) {
    Table to;
    to.reserve(from.size());
    for (auto&& [key, node] : from) {
      const Place place = place_of(key.source());
      to.push_back({std::string(key.str()), place, value(node)});
    }
    // toml++ sorts keys by name.
    std::stable_sort(to.begin(), to.end(), [](const Entry& a, const Entry& b) {
      return std::pair(a.key_place.line, a.key_place.column) <
             std::pair(b.key_place.line, b.key_place.column);
    });
    return to;
  }

 private:
  Place place_of(const toml::source_region& region) const {
    Place place{file_, region.begin.line, region.begin.column, 1};
    if (region.end.line == region.begin.line) {
      place.length = std::max(region.end.column, region.begin.column + 1) - region.begin.column;
    } else {
      const std::uint32_t whole = characters(line_at(text_, region.begin.line));
      place.length = std::max(whole + 1, region.begin.column + 1) - region.begin.column;
    }
    return place;
  }

  Value value(const toml::node& node) {
    Value to;
    to.place = place_of(node.source());
    if (const auto* table_node = node.as_table()) {
      to.data = table(*table_node);
      to.is_inline = table_node->is_inline();
    } else if (const auto* array = node.as_array()) {
      std::vector<Value> list;
      list.reserve(array->size());
      for (const toml::node& element : *array) list.push_back(value(element));
      to.data = std::move(list);
    } else if (const auto* text = node.as_string()) {
      to.data = text->get();
    } else if (const auto* whole = node.as_integer()) {
      to.data = whole->get();
    } else if (const auto* number = node.as_floating_point()) {
      to.data = number->get();
    } else if (const auto* flag = node.as_boolean()) {
      to.data = flag->get();
    } else {
      errors_.push_back({to.place, "dates and times have no use in a manifest",
                         "write it in quotes to have a text"});
    }
    return to;
  }

  std::string_view text_;
  std::uint32_t file_;
  std::vector<Diagnostic>& errors_;
};

/// What toml++ calls the thing it was reading, in our words.
std::string_view inside(std::string_view what) {
  if (what == "root table") return "a line";
  if (what == "value") return "a value";
  if (what == "key" || what == "key-value pair") return "a key";
  if (what == "table header") return "a table's header";
  if (what == "array") return "a list";
  if (what == "inline table") return "a table in braces";
  if (what == "string" || what == "multi-line string") return "a text";
  if (what == "boolean") return "true or false";
  if (what == "decimal integer" || what == "floating-point" || what == "integer") {
    return "a number";
  }
  return what;
}

/// toml++ describes for the one who reads TOML's grammar; this is for the one who wrote the line.
class SyntaxError {
 public:
  SyntaxError(std::string_view text, std::uint32_t file, const toml::parse_error& error)
      : text_(text), reason_(error.description()) {
    constexpr std::string_view kWhile = "Error while parsing ";
    if (reason_.starts_with(kWhile)) {
      const std::size_t colon = reason_.find(": ");
      what_ = reason_.substr(kWhile.size(), colon - kWhile.size());
      reason_.remove_prefix(std::min(colon + 2, reason_.size()));
    }
    const auto& begin = error.source().begin;
    said_.place = {file, std::max(begin.line, 1U), std::max(begin.column, 1U), 1};
  }

  Diagnostic said() {
    line_ = line_at(text_, said_.place.line);
    is_at_end_ = said_.place.column > characters(line_);
    if (reason_.starts_with("cannot redefine existing ")) {
      say_redefined();
    } else if (what_.ends_with("string") && is_at_end_ &&
               reason_.starts_with("unescaped control")) {
      say("this text has no closing quote on its line",
          "close it, or write three quotes on both sides of a text of several lines");
    } else if (reason_ == "encountered end-of-file") {
      say("the file ends inside " + std::string(inside(what_)), "");
    } else if (reason_ == "could not determine value type") {
      say("expected a value here", "texts stand in quotes: backend = \"assay/torch\"");
    } else if (reason_.starts_with("exceeded maximum nested value depth")) {
      say("values nest more than 32 deep", "");
    } else {
      say_as_it_is();
    }
    return said_;
  }

 private:
  void say(std::string text, std::string help) {
    said_.text = "not TOML: " + std::move(text);
    said_.help = std::move(help);
  }

  void say_redefined() {
    const std::size_t open = reason_.find('\'');
    const std::size_t close = reason_.find('\'', open + 1);
    const std::string name(reason_.substr(open + 1, close - open - 1));
    point_at_key();
    say(in_quotes(name) + " is there twice", "keep one of them");
  }

  /// toml++ points behind the second value; the key is what the reader looks for.
  void point_at_key() {
    const std::size_t start = line_.find_first_not_of(" \t");
    std::size_t end = line_.find('=');
    if (start == std::string_view::npos || start + 1 > said_.place.column) return;
    if (line_[start] == '[') end = line_.rfind(']') + 1;
    if (end == std::string_view::npos || end <= start) return;
    const std::string_view key = line_.substr(start, end - start);
    const std::size_t last = key.find_last_not_of(" \t");
    said_.place.column = characters(line_.substr(0, start)) + 1;
    said_.place.length = characters(key.substr(0, last + 1));
  }

  void say_as_it_is() {
    std::string text(reason_);
    if (text.starts_with("Encountered")) text.front() = 'e';
    constexpr std::pair<std::string_view, std::string_view> kWords[] = {
        {"'\\n'", "the end of the line"},
        {"'\\r'", "the end of the line"},
        {"bare key starting character or string delimiter", "a key"},
        {"value-terminator", "the end of the value"}};
    for (const auto& [theirs, ours] : kWords) {
      if (const std::size_t at = text.find(theirs); at != std::string::npos) {
        text.replace(at, theirs.size(), ours);
      }
    }
    std::string help;
    if (text.ends_with("saw '%'")) help = "percentages stand in quotes: \"5%\"";
    say("in " + std::string(what_.empty() ? "the text" : inside(what_)) + ": " + text, help);
  }

  std::string_view text_, line_, what_;
  std::string_view reason_;
  bool is_at_end_ = false;
  Diagnostic said_;
};

}  // namespace

ParsedToml parse_toml(std::string_view text, std::uint32_t file) {
  ParsedToml parsed;
  if (const auto byte = KeyLengths(text).first_too_long()) {
    parsed.errors.push_back({place_of_byte(text, *byte, file),
                             "this key has more than " + std::to_string(kMaxKeyParts) + " parts",
                             "dots separate the parts of a key; other texts stand in quotes"});
    return parsed;
  }
  const toml::parse_result result = toml::parse(text);
  if (!result) {
    parsed.errors.push_back(SyntaxError(text, file, result.error()).said());
    return parsed;
  }
  parsed.table = Converter(text, file, parsed.errors).table(result.table());
  return parsed;
}

Result<Value> parse_value(std::string_view toml) {
  ParsedToml parsed = parse_toml("value = " + std::string(toml) + "\n", 0);
  if (!parsed.errors.empty()) {
    return Failure{ASSAY_INVALID_ARGUMENT, parsed.errors.front().text};
  }
  if (parsed.table.size() != 1) return Failure{ASSAY_INVALID_ARGUMENT, "not one TOML value"};
  Value value = std::move(parsed.table.front().value);
  value.place = Place{};
  return value;
}

}  // namespace assay::host
