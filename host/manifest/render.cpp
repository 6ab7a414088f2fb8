#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "host/core/utf8.hpp"
#include "host/manifest/lines.hpp"
#include "host/manifest/manifest.hpp"

namespace assay::host {
namespace {

constexpr std::size_t kMaxShown = 160;  // characters of a line; more would wrap in a terminal
constexpr std::size_t kBeforePlace = 60;

std::u32string characters_of(const std::string& utf8) {
  std::u32string characters;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char32_t code = length == 1 ? lead : lead & (0xFFU >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      code = (code << 6) | (static_cast<unsigned char>(utf8[i + k]) & 0x3FU);
    }
    characters.push_back(code);
    i += length;
  }
  return characters;
}

void append(std::string& utf8, char32_t code) {
  const auto tail = [&utf8](char32_t bits) { utf8 += static_cast<char>(0x80U | (bits & 0x3FU)); };
  if (code < 0x80) {
    utf8 += static_cast<char>(code);
  } else if (code < 0x800) {
    utf8 += static_cast<char>(0xC0U | (code >> 6));
    tail(code);
  } else if (code < 0x10000) {
    utf8 += static_cast<char>(0xE0U | (code >> 12));
    tail(code >> 6);
    tail(code);
  } else {
    utf8 += static_cast<char>(0xF0U | (code >> 18));
    tail(code >> 12);
    tail(code >> 6);
    tail(code);
  }
}

struct Block {
  char32_t first, last;
};

// Source   Unicode Standard Annex 11, blocks whose characters are all wide
constexpr Block kWide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},  {0x3041, 0xA4CF},
                           {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},  {0xFE30, 0xFE6F},
                           {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F},
                           {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
constexpr Block kWithoutWidth[] = {
    {0x300, 0x36F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};

template <std::size_t N>
bool is_in(char32_t code, const Block (&blocks)[N]) {
  return std::any_of(std::begin(blocks), std::end(blocks),
                     [code](Block block) { return block.first <= code && code <= block.last; });
}

std::size_t cells(char32_t code) {
  if (is_in(code, kWithoutWidth)) return 0;
  return is_in(code, kWide) ? 2 : 1;
}

bool is_control(char32_t code) {
  return (code < 0x20 && code != '\t') || code == 0x7F || (code >= 0x80 && code < 0xA0);
}

/// One line of text that a terminal may be given.
std::string printable(std::string_view text) {
  std::string line;
  for (const char32_t code : characters_of(mended_utf8(text))) {
    append(line, is_control(code) || code == '\t' ? U' ' : code);
  }
  return line;
}

/// A line of the file and, below it, carets under the place.
struct Excerpt {
  std::string line, carets;
};

Excerpt excerpt(std::string_view text, const Place& place) {
  const std::u32string all = characters_of(mended_utf8(text));
  const std::size_t column = std::min<std::size_t>(std::max(place.column, 1U) - 1, all.size());
  const std::size_t from = all.size() <= kMaxShown ? 0 : column - std::min(column, kBeforePlace);
  const std::size_t to = std::min(all.size(), from + kMaxShown);

  Excerpt shown;
  if (from > 0) shown.line = shown.carets = "...";
  shown.carets.assign(shown.line.size(), ' ');
  for (std::size_t i = from; i < to; ++i) {
    const char32_t code = is_control(all[i]) ? U'\uFFFD' : all[i];
    append(shown.line, code);
    if (i < column) shown.carets += code == '\t' ? "\t" : std::string(cells(code), ' ');
  }
  if (to < all.size()) shown.line += "...";
  std::size_t width = 0;
  for (std::size_t i = column; i < std::min(column + place.length, to); ++i) width += cells(all[i]);
  shown.carets += std::string(std::max<std::size_t>(width, 1), '^');
  return shown;
}

std::tuple<bool, std::uint32_t, std::uint32_t, std::uint32_t> order(const Diagnostic& said) {
  const Place& place = said.place;
  return {place.line == 0, place.file, place.line, place.column};
}

}  // namespace

std::string render(const std::vector<Source>& sources, const Diagnostic& diagnostic) {
  const Place& place = diagnostic.place;
  std::string text;
  if (place.file < sources.size()) text = printable(sources[place.file].path.string()) + ":";
  if (place.line > 0) {
    text += std::to_string(place.line) + ":" + std::to_string(place.column) + ":";
  }
  if (!text.empty()) text += " ";
  if (diagnostic.severity == Severity::kWarning) text += "warning: ";
  text += printable(diagnostic.text);
  if (place.line > 0 && place.file < sources.size()) {
    const std::string number = "  " + std::to_string(place.line);
    const Excerpt shown = excerpt(line_at(sources[place.file].text, place.line), place);
    text += "\n" + number + " | " + shown.line;
    text += "\n" + std::string(number.size(), ' ') + " | " + shown.carets;
  }
  if (!diagnostic.help.empty()) text += "\nhelp: " + printable(diagnostic.help);
  return text;
}

void put_in_file_order(std::vector<Diagnostic>& diagnostics) {
  std::stable_sort(diagnostics.begin(), diagnostics.end(),
                   [](const Diagnostic& a, const Diagnostic& b) { return order(a) < order(b); });
  std::set<std::pair<decltype(order(diagnostics.front())), std::string>> said;
  const auto is_repeated = [&said](const Diagnostic& diagnostic) {
    return !said.emplace(order(diagnostic), diagnostic.text).second;
  };
  diagnostics.erase(std::remove_if(diagnostics.begin(), diagnostics.end(), is_repeated),
                    diagnostics.end());
}

}  // namespace assay::host
