#include "triage.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

std::optional<int> level_in(std::string_view answer) {
  const auto is_digit = [&](std::size_t i) {
    return i < answer.size() && answer[i] >= '0' && answer[i] <= '9';
  };
  for (std::size_t i = 0; i < answer.size(); ++i) {
    const bool stands_alone = is_digit(i) && !(i > 0 && is_digit(i - 1)) && !is_digit(i + 1);
    if (stands_alone && answer[i] >= '1' && answer[i] <= '5') return answer[i] - '0';
  }
  return std::nullopt;
}

void Triage::score(const assay::Sample& item, assay::Values values) const {
  const auto right = level_in(item.text("target"));
  if (!right) {
    throw assay::Error(
        ASSAY_INVALID_ARGUMENT, "target",
        "the target \"" + std::string(item.text("target")) + "\" is no level from 1 to 5");
  }
  const auto said = level_in(item.text("output"));
  const double cost = said ? per_level * std::abs(*said - *right) : 1;
  values.sample("agreement", std::max(0.0, 1 - cost));
  values.sample("under_triage", !said || *said > *right ? 1 : 0);
  values.sample("unreadable", said ? 0 : 1);
}
