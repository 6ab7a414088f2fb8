// How far long work is: one line that redraws itself on a terminal, a plain line now and then
// elsewhere. Goes to standard error and holds no results.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace assay::host {

enum class ProgressStyle { kNone, kPlain, kTerminal };

/// kTerminal when standard error is one, else kPlain.
ProgressStyle progress_style();

/// "3 m 05 s", "42 s", "0.8 s".
std::string duration_text(double seconds);

/// "scoring rtn4 on stories  120/231 items  52 %  310 items/s  0.4 s left"
std::string progress_text(std::string_view what, std::uint64_t done, std::uint64_t total,
                          double seconds);

/// One piece of work whose end is known. Threads  advance [any-thread] one call at a time
class Progress {
 public:
  Progress(ProgressStyle style, std::string what, std::uint64_t total);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Clears the line on a terminal; says how long it took elsewhere.
  ~Progress();

  void advance(std::uint64_t n = 1);

 private:
  double seconds() const;
  void draw();

  ProgressStyle style_;
  std::string what_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point drawn_ = start_;
};

}  // namespace assay::host
