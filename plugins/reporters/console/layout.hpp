// Text in columns for a terminal: safe characters, display width, colours, tables that fit. Knows
// nothing of runs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace console {

/// The columns a line may take.
constexpr std::size_t kLineWidth = 100;

enum class Tone { kPlain, kStrong, kFaint, kGood, kBad, kDoubtful };

/// Spells control characters and direction marks as escapes ("\n", "\x1b"), so that a name can
/// neither break a table nor steer a terminal. Expects UTF-8.
std::string safe(std::string_view text);

/// How many columns a terminal gives to the text: none to combining marks, two to East Asian wide
/// characters and emoji.
///
/// Source   Unicode 15 EastAsianWidth.txt, blocks W and F, and the combining blocks
std::size_t display_width(std::string_view text);

/// The text, or its beginning and "…" where it is wider than `width`.
std::string fit(std::string_view text, std::size_t width);

/// The text in the colour of its tone, or as it is when `has_colour` is false.
std::string paint(std::string_view text, Tone tone, bool has_colour);

enum class Align { kLeft, kRight };

struct Cell {
  std::string text;
  Tone tone = Tone::kPlain;
};

struct Column {
  std::string heading;
  Align align = Align::kRight;
};

/// Rows of cells under headings. Each row has one cell per column.
struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

/// The table in lines of at most kLineWidth: where the columns do not fit side by side, the first
/// one is repeated before the next ones.
std::string render(const Table& table, std::size_t indent, bool has_colour);

/// Words set in lines of at most kLineWidth, each indented; later lines by two more.
std::string paragraph(std::string_view text, std::size_t indent);

}  // namespace console
