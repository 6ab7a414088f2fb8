#include "host/manifest/fields.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

std::string range_text(std::uint64_t lo, std::uint64_t hi) {
  const bool is_open = hi >= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (is_open) return "at least " + std::to_string(lo);
  return "between " + std::to_string(lo) + " and " + std::to_string(hi);
}

bool is_whole(std::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool is_flag(std::string_view text) { return text == "true" || text == "false"; }

/// `"512"` where a number belongs: the quotes are the mistake.
std::string without_quotes(std::string_view key, const Value& value,
                           bool (*is_right)(std::string_view)) {
  const auto* text = get_if<std::string>(value);
  if (text == nullptr || !is_right(*text)) return "";
  return "write it without quotes: " + std::string(key) + " = " + *text;
}

}  // namespace

std::string not_supported(std::string_view what) {
  return std::string(what) + " is not supported by this version";
}

const Value* Fields::take(std::string_view key) {
  known_.emplace(key);
  return find(table_, key);
}

bool Fields::has(std::string_view key) const { return find(table_, key) != nullptr; }

Place Fields::key_place(std::string_view key) const {
  for (const Entry& entry : table_) {
    if (entry.key == key) return entry.key_place;
  }
  return place_;
}

void Fields::wrong_type(std::string_view key, std::string_view expected, const Value& value,
                        std::string help) const {
  error(value.place,
        std::string(key) + " must be " + std::string(expected) + ", got " + found(value),
        std::move(help));
}

Located<std::string> Fields::text(std::string_view key, std::string fallback) {
  const Value* value = take(key);
  if (value == nullptr) return {std::move(fallback)};
  auto text = text_of(*this, key, *value);
  return {text ? std::move(*text) : std::move(fallback), value->place};
}

Located<std::uint64_t> Fields::whole(std::string_view key, std::uint64_t lo, std::uint64_t hi,
                                     std::uint64_t fallback) {
  const Value* value = take(key);
  if (value == nullptr) return {fallback};
  const auto* number = get_if<std::int64_t>(*value);
  if (number == nullptr) {
    wrong_type(key, "a whole number", *value, without_quotes(key, *value, is_whole));
    return {fallback};
  }
  if (*number < 0 || static_cast<std::uint64_t>(*number) < lo ||
      static_cast<std::uint64_t>(*number) > hi) {
    error(value->place,
          std::string(key) + " must be " + range_text(lo, hi) + ", got " + std::to_string(*number));
    return {fallback};
  }
  return {static_cast<std::uint64_t>(*number), value->place};
}

Located<double> Fields::number(std::string_view key, std::string_view range,
                               const std::function<bool(double)>& is_inside, double fallback) {
  const Value* value = take(key);
  if (value == nullptr) return {fallback};
  double number = 0;
  if (const auto* whole = get_if<std::int64_t>(*value)) {
    number = static_cast<double>(*whole);
  } else if (const auto* fraction = get_if<double>(*value)) {
    number = *fraction;
  } else {
    wrong_type(key, "a number", *value, without_quotes(key, *value, is_number));
    return {fallback};
  }
  if (!std::isfinite(number) || !is_inside(number)) {
    error(value->place,
          std::string(key) + " must be " + std::string(range) + ", got " + digits(number));
    return {fallback};
  }
  return {number, value->place};
}

Located<bool> Fields::flag(std::string_view key, bool fallback) {
  const Value* value = take(key);
  if (value == nullptr) return {fallback};
  if (const auto* flag = get_if<bool>(*value)) return {*flag, value->place};
  wrong_type(key, "true or false", *value, without_quotes(key, *value, is_flag));
  return {fallback};
}

std::vector<Located<std::string>> Fields::texts(std::string_view key) {
  const Value* value = take(key);
  if (value == nullptr) return {};
  return texts_of(*this, key, *value);
}

void Fields::require(const std::vector<RequiredKey>& keys) {
  for (const RequiredKey& required : keys) {
    if (has(required.key)) continue;
    error(place_, name_ + " lacks " + in_quotes(required.key), std::string(required.what));
  }
}

void Fields::refuse_later(const std::vector<LaterKey>& keys) {
  for (const LaterKey& later : keys) {
    if (!has(later.key)) continue;
    known_.emplace(later.key);
    error(key_place(later.key), not_supported(later.key), std::string(later.instead));
  }
}

void Fields::refuse_unknown(std::string help) {
  for (const Entry& entry : rest()) {
    std::string near = did_you_mean(entry.key, known());
    error(entry.key_place, "unknown key " + in_quotes(entry.key) + " in " + name_,
          near.empty() ? help : std::move(near));
  }
}

Table Fields::rest() const {
  Table others;
  for (const Entry& entry : table_) {
    if (known_.find(entry.key) == known_.end()) others.push_back(entry);
  }
  return others;
}

std::optional<std::string> text_of(const Fields& fields, std::string_view key, const Value& value) {
  if (const auto* text = get_if<std::string>(value)) return *text;
  std::string help;
  if (get_if<std::int64_t>(value) != nullptr || get_if<bool>(value) != nullptr) {
    const auto* flag = get_if<bool>(value);
    const std::string shown =
        flag != nullptr ? (*flag ? "true" : "false") : std::to_string(*get_if<std::int64_t>(value));
    help = "write it in quotes: \"" + shown + "\"";
  }
  fields.wrong_type(key, "a text", value, std::move(help));
  return std::nullopt;
}

std::vector<Located<std::string>> texts_of(const Fields& fields, std::string_view key,
                                           const Value& value) {
  const auto* list = get_if<std::vector<Value>>(value);
  if (list == nullptr) {
    const auto* text = get_if<std::string>(value);
    fields.wrong_type(key, "a list of texts", value,
                      text != nullptr ? "write it in brackets: " + std::string(key) + " = [" +
                                            in_quotes(*text) + "]"
                                      : "");
    return {};
  }
  std::vector<Located<std::string>> texts;
  for (const Value& element : *list) {
    auto text = text_of(fields, "each of " + std::string(key), element);
    if (text) texts.push_back({std::move(*text), element.place});
  }
  if (list->empty()) {
    fields.error(value.place, std::string(key) + " is an empty list",
                 "leave it out, or name at least one");
  }
  return texts;
}

}  // namespace assay::host
