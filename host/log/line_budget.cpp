#include "host/log/line_budget.hpp"

#include <algorithm>
#include <utility>

namespace assay::host {

bool LineBudget::takes(std::uint64_t lines, Time now) {
  const double seconds = std::chrono::duration<double>(now - filled_).count();
  lines_ = std::min(kLines, lines_ + seconds * kLinesPerSecond);
  filled_ = now;
  if (lines_ >= 1) {
    lines_ -= static_cast<double>(lines);
    return true;
  }
  if (left_out_ == 0) first_left_out_ = now;
  left_out_ += lines;
  return false;
}

std::uint64_t LineBudget::left_out_until(Time now) {
  return now - first_left_out_ < std::chrono::seconds(1) ? 0 : left_out();
}

std::uint64_t LineBudget::left_out() { return std::exchange(left_out_, 0); }

}  // namespace assay::host
