// How far long work is: one line that redraws itself on a terminal, a plain line now and then
// elsewhere. Goes to standard error and holds no results.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <optional>
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

/// "quantizing gptq4  model.layers.3  52 %  3 m 05 s left". Where it began at `from`, as resumed
/// work does, only what came after tells how long the rest takes.
std::string progress_text(std::string_view what, std::string_view detail, double from,
                          double fraction, double seconds);

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

/// One piece of work that tells itself how far it is. Threads  all [any-thread]
class Meter {
 public:
  Meter(ProgressStyle style, std::string what);
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;
  /// As ~Progress.
  ~Meter();

  void reach(double fraction, std::string_view detail);

 private:
  void draw();

  std::mutex mutex_;
  ProgressStyle style_;
  std::string what_, detail_;
  std::optional<double> from_;
  double fraction_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point drawn_ = start_;
};

}  // namespace assay::host
