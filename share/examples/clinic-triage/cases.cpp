#include "cases.hpp"

#include <utility>

void Cases::rewind(std::string_view split) {
  if (!split.empty()) {
    throw assay::Error(ASSAY_NOT_FOUND, "split",
                       "there is no split \"" + std::string(split) + "\"; leave split out");
  }
  in = std::ifstream(path);
  if (!in) throw assay::Error(ASSAY_NOT_FOUND, "path", "cannot open " + path);
  line = 0;
}

bool Cases::next(assay::Row& row) {
  std::string text;
  if (!std::getline(in, text)) return false;
  ++line;
  const std::size_t first = text.find('\t');
  const std::size_t second = first == std::string::npos ? first : text.find('\t', first + 1);
  const std::string where = path + ":" + std::to_string(line);
  if (second == std::string::npos) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, where,
                       where + ": expected category, level and message, parted by tabs");
  }
  std::string level = text.substr(first + 1, second - first - 1);
  if (level.size() != 1 || level[0] < '1' || level[0] > '5') {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, where,
                       where + ": the level is \"" + level + "\"; expected 1 to 5");
  }
  row << text.substr(0, first) << text.substr(second + 1) << std::move(level);
  return true;
}
