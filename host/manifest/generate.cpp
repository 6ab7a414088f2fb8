#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/manifest/sections.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

constexpr std::uint64_t kMaxNewTokens = 1U << 20;
constexpr std::uint64_t kMaxTopK = std::numeric_limits<std::uint32_t>::max();
constexpr double kMaxTemperature = 100;
constexpr double kMinPositive = 1e-6;  // backends get float32, in which less could become 0

const std::vector<std::string> kPlainFilters = {"strip", "first_line", "number"};
constexpr std::string_view kFilterList =
    "the filters are \"strip\", \"first_line\", \"number\", { number = \"first\" }, "
    "{ regex = \"...\" } and { replace = \"...\", with = \"...\" }";

/// A text or a list of texts, none of them empty: an empty one would stand in every output.
std::vector<Located<std::string>> read_stop(Fields& fields) {
  const Value* value = fields.take("stop");
  if (value == nullptr) return {};
  std::vector<Located<std::string>> stop;
  if (const auto* text = get_if<std::string>(*value)) {
    stop = {{*text, value->place}};
  } else if (get_if<std::vector<Value>>(*value) != nullptr) {
    stop = texts_of(fields, "stop", *value);
  } else {
    fields.wrong_type("stop", "a text or a list of texts", *value);
  }
  for (const auto& text : stop) {
    if (!text.value.empty()) continue;
    fields.error(text.place, "a stop text is empty, which would end every answer before it begins",
                 "name what ends an answer, such as stop = [\"\\n\"], or leave it out");
  }
  return stop;
}

Filter filter_of(Filter::Kind kind) {
  Filter filter;
  filter.kind = kind;
  filter.takes_last = kind == Filter::Kind::kNumber;
  return filter;
}

/// "first" or "last"; nothing, and an error said, where it is neither.
std::optional<bool> read_takes_last(Fields& fields, std::string_view key, bool fallback) {
  const Value* value = fields.take(key);
  if (value == nullptr) return fallback;
  const auto* text = get_if<std::string>(*value);
  if (text != nullptr && (*text == "first" || *text == "last")) return *text == "last";
  fields.wrong_type(key, "\"first\" or \"last\"", *value,
                    text != nullptr ? did_you_mean(*text, {"first", "last"}) : "");
  return std::nullopt;
}

/// The pattern of a filter; nothing, and an error said, where it is none.
std::optional<Located<std::string>> read_pattern(Fields& fields, std::string_view key) {
  const Value* value = fields.take(key);
  auto text = text_of(fields, key, *value);
  if (!text) return std::nullopt;
  if (!text->empty()) return Located<std::string>{std::move(*text), value->place};
  fields.error(value->place, std::string(key) + " is an empty pattern, which matches everywhere");
  return std::nullopt;
}

std::optional<Located<Filter>> read_number(Fields& fields) {
  Filter filter = filter_of(Filter::Kind::kNumber);
  const auto takes_last = read_takes_last(fields, "number", filter.takes_last);
  filter.otherwise = fields.text("otherwise", filter.otherwise).value;
  fields.refuse_unknown("a number filter has number and otherwise");
  if (!takes_last) return std::nullopt;
  filter.takes_last = *takes_last;
  return Located<Filter>{std::move(filter), fields.place()};
}

std::optional<Located<Filter>> read_regex(Fields& fields) {
  Filter filter = filter_of(Filter::Kind::kRegex);
  auto pattern = read_pattern(fields, "regex");
  const auto takes_last = read_takes_last(fields, "match", filter.takes_last);
  filter.otherwise = fields.text("otherwise", filter.otherwise).value;
  fields.refuse_unknown("a regex filter has regex, match and otherwise");
  if (!pattern || !takes_last) return std::nullopt;
  filter.pattern = std::move(pattern->value);
  filter.takes_last = *takes_last;
  return Located<Filter>{std::move(filter), pattern->place};
}

std::optional<Located<Filter>> read_replace(Fields& fields) {
  Filter filter = filter_of(Filter::Kind::kReplace);
  fields.require({{"with", "with: what every match becomes, \"\" to take it out"}});
  auto pattern = read_pattern(fields, "replace");
  filter.with = fields.text("with").value;
  fields.refuse_unknown("a replace filter has replace and with");
  if (!pattern) return std::nullopt;
  filter.pattern = std::move(pattern->value);
  return Located<Filter>{std::move(filter), pattern->place};
}

/// A table that is none of the filters: a key is misspelt, or the one that counts is missing.
void refuse_table(Fields& fields) {
  for (const char* key : {"number", "regex", "replace", "match", "otherwise", "with"}) {
    fields.take(key);
  }
  if (!fields.rest().empty()) return fields.refuse_unknown(std::string(kFilterList));
  fields.error(fields.place(), "a filter has number, regex or replace, this one has none",
               std::string(kFilterList));
}

std::optional<Located<Filter>> read_filter_table(Fields& fields) {
  std::vector<std::string> kinds;
  for (const char* kind : {"number", "regex", "replace"}) {
    if (fields.has(kind)) kinds.emplace_back(kind);
  }
  if (kinds.size() > 1) {
    fields.error(fields.key_place(kinds[1]),
                 "a filter is one step, this one has " + kinds[0] + " and " + kinds[1],
                 "write two filters; they are applied one after the other");
  } else if (kinds.empty()) {
    refuse_table(fields);
  } else if (kinds[0] == "number") {
    return read_number(fields);
  } else {
    return kinds[0] == "regex" ? read_regex(fields) : read_replace(fields);
  }
  return std::nullopt;
}

std::optional<Located<Filter>> read_filter_name(const Fields& fields,
                                                const Located<std::string>& name) {
  using Kind = Filter::Kind;
  if (name.value == "strip") return Located<Filter>{filter_of(Kind::kStrip), name.place};
  if (name.value == "first_line") return Located<Filter>{filter_of(Kind::kFirstLine), name.place};
  if (name.value == "number") return Located<Filter>{filter_of(Kind::kNumber), name.place};
  if (name.value == "regex" || name.value == "replace") {
    fields.error(name.place, "filter " + in_quotes(name.value) + " needs a pattern",
                 name.value == "regex" ? "write { regex = \"...\" }"
                                       : "write { replace = \"...\", with = \"...\" }");
    return std::nullopt;
  }
  const std::string near = did_you_mean(name.value, kPlainFilters);
  fields.error(name.place, "unknown filter " + in_quotes(name.value),
               near.empty() ? std::string(kFilterList) : near);
  return std::nullopt;
}

/// A filter with a pattern stands where its pattern does, for what is wrong inside it.
std::vector<Located<Filter>> read_filters(Fields& fields, std::vector<Diagnostic>& errors) {
  const Value* value = fields.take("filters");
  if (value == nullptr) return {};
  const auto* list = get_if<std::vector<Value>>(*value);
  if (list == nullptr) {
    fields.wrong_type("filters", "a list", *value, "write filters = [\"strip\"]");
    return {};
  }
  if (list->empty()) {
    fields.error(value->place, "filters is an empty list",
                 "leave it out to take the output as it is, or name at least one");
  }
  std::vector<Located<Filter>> filters;
  for (const Value& element : *list) {
    std::optional<Located<Filter>> filter;
    if (const auto* name = get_if<std::string>(element)) {
      filter = read_filter_name(fields, {*name, element.place});
    } else if (const auto* table = get_if<Table>(element)) {
      Fields own(*table, fields.name() + ".filters", element.place, errors);
      filter = read_filter_table(own);
    } else {
      fields.wrong_type("each of filters", "a name or a table", element, std::string(kFilterList));
    }
    if (filter) filters.push_back(std::move(*filter));
  }
  return filters;
}

/// Keys that steer a draw say nothing where there is none.
void refuse_draws_without_temperature(Fields& fields, const TaskNode& task) {
  const bool is_wrong = fields.has("temperature") && !task.temperature.given();
  if (is_wrong || task.temperature.value > 0) return;
  for (const char* key : {"top_k", "top_p", "seed"}) {
    if (!fields.has(key)) continue;
    const bool has_use = std::string_view(key) == "seed" && task.shots.value > 0;
    if (has_use) continue;
    fields.error(fields.key_place(key),
                 std::string(key) + " has no effect: decoding is greedy, as temperature is 0",
                 "write temperature = 1.0 to draw tokens, or leave " + std::string(key) + " out");
  }
}

}  // namespace

void read_generate(Fields& fields, TaskNode& task, std::vector<Diagnostic>& errors) {
  task.max_new_tokens = fields.whole("max_new_tokens", 1, kMaxNewTokens, task.max_new_tokens.value);
  task.min_new_tokens = fields.whole("min_new_tokens", 0, task.max_new_tokens.value);
  task.stop = read_stop(fields);
  task.temperature =
      fields.number("temperature", "0, or between 0.000001 and 100", [](double number) {
        return number == 0 || (number >= kMinPositive && number <= kMaxTemperature);
      });
  task.top_k = fields.whole("top_k", 0, kMaxTopK);
  task.top_p = fields.number(
      "top_p", "between 0.000001 and 1",
      [](double number) { return number >= kMinPositive && number <= 1; }, task.top_p.value);
  task.filters = read_filters(fields, errors);
  refuse_draws_without_temperature(fields, task);
}

}  // namespace assay::host
