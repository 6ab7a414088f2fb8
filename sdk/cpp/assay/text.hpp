// Text as plugins compare it: characters of UTF-8, white space, words and lower case, the same
// under every locale of the process. No patterns, no normalisation forms, no tokens.
#pragma once

#include <locale.h>
#include <wctype.h>

#include <assay/namespace.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// A character and the bytes that spell it. A byte that belongs to no character stands for itself:
/// code is U+FFFD, bytes is that byte.
struct Character {
  char32_t code = 0;
  std::string_view bytes;
};

namespace detail {

/// What may follow a lead byte: how many bytes in all, and the bounds of the second.
struct Utf8Form {
  std::size_t n_bytes;
  unsigned char lo, hi;
};

/// Source   Unicode 15, table 3-7 (well-formed UTF-8 byte sequences); RFC 3629, section 4
constexpr std::optional<Utf8Form> utf8_form(unsigned char lead) {
  if (lead < 0x80) return Utf8Form{1, 0, 0};
  if (lead < 0xC2 || lead > 0xF4) return std::nullopt;
  if (lead < 0xE0) return Utf8Form{2, 0x80, 0xBF};
  if (lead == 0xE0) return Utf8Form{3, 0xA0, 0xBF};
  if (lead == 0xED) return Utf8Form{3, 0x80, 0x9F};
  if (lead < 0xF0) return Utf8Form{3, 0x80, 0xBF};
  if (lead == 0xF0) return Utf8Form{4, 0x90, 0xBF};
  if (lead == 0xF4) return Utf8Form{4, 0x80, 0x8F};
  return Utf8Form{4, 0x80, 0xBF};
}

/// Bytes of the character `text` begins with; 0 where it begins with none.
constexpr std::size_t utf8_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::optional<Utf8Form> form = utf8_form(byte(0));
  if (!form || form->n_bytes > text.size()) return 0;
  if (form->n_bytes > 1 && (byte(1) < form->lo || byte(1) > form->hi)) return 0;
  for (std::size_t i = 2; i < form->n_bytes; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  return form->n_bytes;
}

/// Unicode's character classes and lower case; null where the C library lacks them.
inline locale_t unicode_locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{});
  return locale;
}

inline char32_t lower_of(char32_t code, locale_t locale) {
  if (code < 0x80) return code >= U'A' && code <= U'Z' ? code + 32 : code;
  return locale == locale_t{} ? code : char32_t{towlower_l(wint_t{code}, locale)};
}

inline bool is_word(char32_t code, locale_t locale) {
  if (code < 0x80) {
    return (code >= U'a' && code <= U'z') || (code >= U'A' && code <= U'Z') ||
           (code >= U'0' && code <= U'9') || code == U'_';
  }
  return locale == locale_t{} || iswalnum_l(wint_t{code}, locale) != 0;
}

inline void append_utf8(std::string& text, char32_t code) {
  const auto continuation = [code](int shift) {
    return static_cast<char>(0x80U | ((code >> shift) & 0x3FU));
  };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += {static_cast<char>(0xC0U | (code >> 6)), continuation(0)};
  } else if (code < 0x10000) {
    text += {static_cast<char>(0xE0U | (code >> 12)), continuation(6), continuation(0)};
  } else {
    text += {static_cast<char>(0xF0U | (code >> 18)), continuation(12), continuation(6),
             continuation(0)};
  }
}

}  // namespace detail

/// The place of the first byte that does not belong to a character; none in UTF-8.
///
/// Units    bytes from the start
constexpr std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  const char* bytes = text.data();
  for (std::size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(bytes[i]) < 0x80) {  // most of most texts
      ++i;
      continue;
    }
    const std::size_t n_bytes = detail::utf8_length(text.substr(i));
    if (n_bytes == 0) return i;
    i += n_bytes;
  }
  return std::nullopt;
}

constexpr bool is_utf8(std::string_view text) { return !find_invalid_utf8(text); }

/// The first character of a text that is not empty.
constexpr Character first_character(std::string_view text) {
  const std::size_t n_bytes = detail::utf8_length(text);
  if (n_bytes == 0) return {U'\uFFFD', text.substr(0, 1)};
  const auto lead = static_cast<unsigned char>(text[0]);
  char32_t code = n_bytes == 1 ? lead : lead & (0x7FU >> n_bytes);
  for (std::size_t i = 1; i < n_bytes; ++i) {
    code = (code << 6) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  }
  return {code, text.substr(0, n_bytes)};
}

/// The last character of a text that is not empty.
constexpr Character last_character(std::string_view text) {
  for (std::size_t n_bytes = 1; n_bytes <= 4 && n_bytes <= text.size(); ++n_bytes) {
    const std::string_view end = text.substr(text.size() - n_bytes);
    if (detail::utf8_length(end) == n_bytes) return first_character(end);
  }
  return {U'\uFFFD', text.substr(text.size() - 1)};
}

/// Takes the first character off a text that is not empty.
constexpr Character take_character(std::string_view& text) {
  const Character first = first_character(text);
  text.remove_prefix(first.bytes.size());
  return first;
}

/// Source   the characters of Python's str.isspace: Unicode's White_Space and U+001C to U+001F
constexpr bool is_white_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
         code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

/// The text without white space at both ends.
constexpr std::string_view stripped(std::string_view text) {
  while (!text.empty()) {
    const Character first = first_character(text);
    if (!is_white_space(first.code)) break;
    text.remove_prefix(first.bytes.size());
  }
  while (!text.empty()) {
    const Character last = last_character(text);
    if (!is_white_space(last.code)) break;
    text.remove_suffix(last.bytes.size());
  }
  return text;
}

/// Is it a letter, a digit or an underscore? Without the C library's C.UTF-8 locale every character
/// beyond ASCII is taken for a letter.
///
/// Threads  [any-thread]
/// Source   Unicode's Alphabetic and Nd, as glibc's C.UTF-8 has them
inline bool is_word_character(char32_t code) {
  return detail::is_word(code, detail::unicode_locale());
}

/// The text in lower case, character by character. Without the C library's C.UTF-8 locale only
/// ASCII letters change.
///
/// Threads  [any-thread]
/// Source   Unicode's Simple_Lowercase_Mapping, as glibc's C.UTF-8 has it: no mapping depends on
///          neighbours or language, and none changes the number of characters
inline std::string lower(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Character character = take_character(text);
    const char32_t code = detail::lower_of(character.code, detail::unicode_locale());
    if (code == character.code) {
      result += character.bytes;
    } else {
      detail::append_utf8(result, code);
    }
  }
  return result;
}

/// The text without ASCII punctuation.
///
/// Source   Python's string.punctuation, by which SQuAD and exact_match of Hugging Face normalise
inline std::string without_punctuation(std::string_view text) {
  constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    if (kPunctuation.find(c) == std::string_view::npos) result += c;
  }
  return result;
}

}  // namespace v1
}  // namespace assay
