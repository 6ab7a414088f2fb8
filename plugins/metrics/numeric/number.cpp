#include "number.hpp"

#include <assay/text.hpp>
#include <charconv>
#include <cstddef>
#include <string>
#include <system_error>

namespace numeric {
namespace {

using assay::Character;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t count_digits(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  return n;
}

/// Does the text begin with a comma and exactly three digits?
bool has_group(std::string_view text) {
  return text.starts_with(',') && count_digits(text.substr(1)) == 3;
}

/// Digits, thousands separators, a fraction and an exponent at the start of a text.
struct Digits {
  std::string plain;     ///< as from_chars reads it
  std::size_t size = 0;  ///< bytes of the text; 0: it does not begin with a number
};

Digits digits_at(std::string_view text) {
  std::size_t end = count_digits(text);
  Digits found{std::string(text.substr(0, end))};
  if (end >= 1 && end <= 3) {
    for (; has_group(text.substr(end)); end += 4) found.plain += text.substr(end + 1, 3);
  }
  const std::string_view behind = text.substr(end);
  if (behind.starts_with('.') && count_digits(behind.substr(1)) > 0) {
    const std::size_t size = 1 + count_digits(behind.substr(1));
    found.plain += behind.substr(0, size);
    end += size;
  }
  if (end == 0) return found;
  const std::string_view exponent = text.substr(end);
  if (exponent.starts_with('e') || exponent.starts_with('E')) {
    const bool has_sign = exponent.size() > 1 && (exponent[1] == '-' || exponent[1] == '+');
    const std::size_t start = has_sign ? 2 : 1;
    if (const std::size_t n = count_digits(exponent.substr(start)); n > 0) {
      found.plain += 'e';
      if (has_sign && exponent[1] == '-') found.plain += '-';
      found.plain += exponent.substr(start, n);
      end += start + n;
    }
  }
  found.size = end;
  return found;
}

/// Dollar, cent, pound, currency sign, yen; the block of currency symbols; full-width dollar and
/// yen.
bool is_currency(char32_t code) {
  return code == U'$' || (code >= 0xA2 && code <= 0xA5) || (code >= 0x20A0 && code <= 0x20CF) ||
         code == 0xFF04 || code == 0xFFE5;
}

bool is_minus(char32_t code) { return code == U'-' || code == 0x2212; }

/// Takes the last character off when it is one of those.
template <class Predicate>
bool take_last(std::string_view& text, Predicate is_one) {
  if (text.empty()) return false;
  const Character last = assay::last_character(text);
  if (!is_one(last.code)) return false;
  text.remove_suffix(last.bytes.size());
  return true;
}

bool ends_in_word(std::string_view text) {
  return !text.empty() && assay::is_word_character(assay::last_character(text).code);
}

/// Does a minus, or an accountant's bracket, belong to the number between the two?
bool is_negative(std::string_view before, std::string_view behind) {
  const auto is_bracket = [](char32_t code) { return code == U'('; };
  const bool has_currency = take_last(before, is_currency);
  const std::string_view inside = before;
  if (take_last(before, is_minus)) {
    if (!has_currency) take_last(before, is_currency);
    return !ends_in_word(before) && !before.ends_with(')');  // else it joins two: 10-20
  }
  before = inside;
  if (!take_last(before, is_bracket)) return false;
  if (behind.starts_with('%')) behind.remove_prefix(1);
  if (!behind.starts_with(')')) return false;
  behind.remove_prefix(1);
  if (behind.starts_with('%')) behind.remove_prefix(1);
  const bool is_whole_text = assay::stripped(before).empty() && assay::stripped(behind).empty();
  return is_whole_text || take_last(before, is_currency);
}

/// Bytes of the word a text begins with, decimal points and commas between digits counted in.
std::size_t word_size(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size()) {
    const Character character = assay::first_character(text.substr(size));
    const bool joins_digits = (character.code == U'.' || character.code == U',') && size > 0 &&
                              is_digit(text[size - 1]) && size + 1 < text.size() &&
                              is_digit(text[size + 1]);
    if (!joins_digits && !assay::is_word_character(character.code)) break;
    size += character.bytes.size();
  }
  return size;
}

}  // namespace

std::optional<double> find_number(std::string_view text, Which which) {
  std::optional<double> number;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const Digits digits = digits_at(rest);
    if (digits.size == 0) {
      const std::size_t word = word_size(rest);
      at += word > 0 ? word : assay::first_character(rest).bytes.size();
      continue;
    }
    double value = 0;
    const char* end = digits.plain.data() + digits.plain.size();
    const auto read = std::from_chars(digits.plain.data(), end, value);
    const std::string_view before = text.substr(0, at);
    at += digits.size;
    const std::string_view behind = text.substr(at);
    if (behind.starts_with('.')) ++at;  // of 1.2.3 or at the end of a sentence: no fraction follows
    if (read.ec != std::errc()) continue;  // beyond float64
    number = is_negative(before, behind) ? -value : value;
    if (which == Which::kFirst) break;
  }
  return number;
}

}  // namespace numeric
