#include "layout.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace console {
namespace {

struct Range {
  std::uint32_t first, last;
};

constexpr std::array kWide = {
    Range{0x1100, 0x115F},   Range{0x231A, 0x231B},   Range{0x2E80, 0x303E},
    Range{0x3041, 0x33FF},   Range{0x3400, 0x4DBF},   Range{0x4E00, 0xA4CF},
    Range{0xA960, 0xA97C},   Range{0xAC00, 0xD7A3},   Range{0xF900, 0xFAFF},
    Range{0xFE30, 0xFE6F},   Range{0xFF01, 0xFF60},   Range{0xFFE0, 0xFFE6},
    Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF}, Range{0x1F900, 0x1F9FF},
    Range{0x20000, 0x3FFFD}};
constexpr std::array kZeroWidth = {
    Range{0x0300, 0x036F}, Range{0x1AB0, 0x1AFF}, Range{0x1DC0, 0x1DFF}, Range{0x200B, 0x200D},
    Range{0x20D0, 0x20FF}, Range{0xFE00, 0xFE0F}, Range{0xFE20, 0xFE2F}};
// Marks that change the direction of what follows, and line ends outside ASCII.
constexpr std::array kUnsafe = {Range{0x0000, 0x001F}, Range{0x007F, 0x009F}, Range{0x061C, 0x061C},
                                Range{0x200E, 0x200F}, Range{0x2028, 0x202E}, Range{0x2066, 0x2069},
                                Range{0xFEFF, 0xFEFF}};

template <class Ranges>
bool holds(const Ranges& ranges, std::uint32_t point) {
  return std::ranges::any_of(
      ranges, [point](Range range) { return range.first <= point && point <= range.last; });
}

struct Character {
  std::uint32_t point = 0;
  std::size_t size = 1;
};

/// Reads one character of valid UTF-8; a cut one at the end counts as its first byte.
Character first_character(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t lead = byte(0);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (size == 1 || size > text.size()) return {lead, 1};
  std::uint32_t point = lead & (0xFFu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) point = (point << 6) | (byte(i) & 0x3Fu);
  return {point, size};
}

std::string spelled(std::uint32_t point) {
  if (point == '\n') return "\\n";
  if (point == '\t') return "\\t";
  if (point == '\r') return "\\r";
  char text[16];
  std::snprintf(text, sizeof text, point < 0x100 ? "\\x%02x" : "\\u%04x", point);
  return text;
}

std::size_t width_of(std::uint32_t point) {
  if (holds(kZeroWidth, point)) return 0;
  return holds(kWide, point) ? 2 : 1;
}

std::string padded(const Cell& cell, Align align, std::size_t width, bool has_colour) {
  const std::size_t used = display_width(cell.text);
  const std::string space(width > used ? width - used : 0, ' ');
  const std::string text = paint(cell.text, cell.tone, has_colour);
  return align == Align::kLeft ? text + space : space + text;
}

std::vector<std::size_t> widths_of(const Table& table) {
  std::vector<std::size_t> widths;
  for (const Column& column : table.columns) widths.push_back(display_width(column.heading));
  for (const auto& row : table.rows) {
    for (std::size_t c = 0; c < widths.size(); ++c) {
      widths[c] = std::max(widths[c], display_width(row[c].text));
    }
  }
  return widths;
}

constexpr std::size_t kGap = 2;

/// The columns after the first that fit beside it, from `begin` on; at least one.
std::size_t block_end(const std::vector<std::size_t>& widths, std::size_t begin,
                      std::size_t indent) {
  std::size_t used = indent + widths[0];
  std::size_t end = begin;
  while (end < widths.size() && (end == begin || used + kGap + widths[end] <= kLineWidth)) {
    used += kGap + widths[end++];
  }
  return end;
}

void trim_right(std::string& line) { line.erase(line.find_last_not_of(' ') + 1); }

std::string block(const Table& table, const std::vector<std::size_t>& widths, std::size_t begin,
                  std::size_t end, std::size_t indent, bool has_colour) {
  const auto line_of = [&](const auto& cell_at) {
    std::string line(indent, ' ');
    line += padded(cell_at(0), table.columns[0].align, widths[0], has_colour);
    for (std::size_t c = begin; c < end; ++c) {
      line += std::string(kGap, ' ');
      line += padded(cell_at(c), table.columns[c].align, widths[c], has_colour);
    }
    trim_right(line);
    return line + "\n";
  };
  std::string text = line_of([&](std::size_t c) {
    return Cell{table.columns[c].heading, Tone::kFaint};
  });
  for (const auto& row : table.rows) {
    text += line_of([&](std::size_t c) { return row[c]; });
  }
  return text;
}

}  // namespace

std::string safe(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Character character = first_character(text);
    result += holds(kUnsafe, character.point) ? spelled(character.point)
                                              : std::string(text.substr(0, character.size));
    text.remove_prefix(character.size);
  }
  return result;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character character = first_character(text);
    width += width_of(character.point);
    text.remove_prefix(character.size);
  }
  return width;
}

std::string fit(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  std::string result;
  std::size_t used = 0;
  while (!text.empty()) {
    const Character character = first_character(text);
    used += width_of(character.point);
    if (used + 1 > width) break;
    result += text.substr(0, character.size);
    text.remove_prefix(character.size);
  }
  return result + "…";
}

std::string paint(std::string_view text, Tone tone, bool has_colour) {
  if (!has_colour || tone == Tone::kPlain || text.empty()) return std::string(text);
  const char* code = "";
  switch (tone) {
    case Tone::kPlain:
      break;
    case Tone::kStrong:
      code = "1";
      break;
    case Tone::kFaint:
      code = "2";
      break;
    case Tone::kGood:
      code = "32";
      break;
    case Tone::kBad:
      code = "31";
      break;
    case Tone::kDoubtful:
      code = "33";
      break;
  }
  return std::string("\x1b[") + code + "m" + std::string(text) + "\x1b[0m";
}

std::string render(const Table& table, std::size_t indent, bool has_colour) {
  const std::vector<std::size_t> widths = widths_of(table);
  if (widths.size() == 1) return block(table, widths, 1, 1, indent, has_colour);
  std::string text;
  for (std::size_t begin = 1; begin < widths.size();) {
    const std::size_t end = block_end(widths, begin, indent);
    if (begin > 1) text += "\n";
    text += block(table, widths, begin, end, indent, has_colour);
    begin = end;
  }
  return text;
}

std::string paragraph(std::string_view text, std::size_t indent) {
  std::string result(indent, ' ');
  std::size_t used = indent;
  bool is_first = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    const std::size_t width = display_width(word);
    if (!is_first && used + 1 + width > kLineWidth) {
      result += "\n" + std::string(indent + 2, ' ');
      used = indent + 2;
    } else if (!is_first) {
      result += " ";
      ++used;
    }
    result += word;
    used += width;
    is_first = false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result + "\n";
}

}  // namespace console
