// How many lines one source may log. It counts; it has no clock and writes nothing.
#pragma once

#include <chrono>
#include <cstdint>

namespace assay::host {

/// kLines at once and kLinesPerSecond for ever. Times never go back.
class LineBudget {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr double kLines = 200;
  static constexpr double kLinesPerSecond = 100;

  /// May a text of so many lines be written? If not, they are counted as left out. One text may go
  /// beyond the budget, at the cost of those that follow.
  bool takes(std::uint64_t lines, Time now);

  /// The lines left out, once a second has passed since the first of them; else 0.
  std::uint64_t left_out_until(Time now);
  /// The lines left out and not given yet.
  std::uint64_t left_out();

 private:
  double lines_ = kLines;
  Time filled_ = {};
  std::uint64_t left_out_ = 0;
  Time first_left_out_ = {};
};

}  // namespace assay::host
