#include "host/run/progress.hpp"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "host/log/log.hpp"

namespace assay::host {
namespace {

constexpr std::chrono::milliseconds kTerminalPeriod{100};
constexpr std::chrono::seconds kPlainPeriod{10};

// The line that stands on the terminal now, so that a log line can step in front of it.
std::string g_line;  // NOLINT: one terminal, one line

void clear_line() {
  if (!g_line.empty()) std::fputs("\r\033[K", stderr);
}

void restore_line() {
  if (!g_line.empty()) std::fputs(g_line.c_str(), stderr);
  std::fflush(stderr);
}

void show(ProgressStyle style, const std::string& text) {
  if (style == ProgressStyle::kPlain) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return;
  }
  clear_line();
  g_line = text;
  restore_line();
}

std::string rate_text(double per_second) {
  char text[32];
  std::snprintf(text, sizeof(text), per_second < 10 ? "%.1f" : "%.0f", per_second);
  return text;
}

}  // namespace

ProgressStyle progress_style() {
  return ::isatty(STDERR_FILENO) != 0 ? ProgressStyle::kTerminal : ProgressStyle::kPlain;
}

std::string duration_text(double seconds) {
  char text[48];
  if (seconds < 10) {
    std::snprintf(text, sizeof(text), "%.1f s", seconds);
  } else if (seconds < 60) {
    std::snprintf(text, sizeof(text), "%.0f s", seconds);
  } else if (seconds < 3600) {
    const int whole = static_cast<int>(seconds + 0.5);
    std::snprintf(text, sizeof(text), "%d m %02d s", whole / 60, whole % 60);
  } else {
    const int minutes = static_cast<int>(seconds / 60 + 0.5);
    std::snprintf(text, sizeof(text), "%d h %02d m", minutes / 60, minutes % 60);
  }
  return text;
}

std::string progress_text(std::string_view what, std::uint64_t done, std::uint64_t total,
                          double seconds) {
  std::string text(what);
  text += "  " + std::to_string(done) + "/" + std::to_string(total);
  if (total > 0) text += "  " + std::to_string(done * 100 / total) + " %";
  if (done == 0 || seconds <= 0) return text;
  const double rate = static_cast<double>(done) / seconds;
  text += "  " + rate_text(rate) + " items/s";
  if (done < total) {
    text += "  " + duration_text(static_cast<double>(total - done) / rate) + " left";
  }
  return text;
}

std::string progress_text(std::string_view what, std::string_view detail, double from,
                          double fraction, double seconds) {
  std::string text(what);
  if (!detail.empty()) text += "  " + std::string(detail);
  text += "  " + std::to_string(static_cast<int>(100 * fraction)) + " %";
  if (fraction <= from || fraction >= 1 || seconds <= 0) return text;
  return text + "  " + duration_text((1 - fraction) / (fraction - from) * seconds) + " left";
}

Progress::Progress(ProgressStyle style, std::string what, std::uint64_t total)
    : style_(style), what_(std::move(what)), total_(total) {
  if (style_ != ProgressStyle::kTerminal) return;
  set_log_neighbour(&clear_line, &restore_line);
  draw();
}

Progress::~Progress() {
  if (style_ == ProgressStyle::kTerminal) {
    clear_line();
    g_line.clear();
    std::fflush(stderr);
  } else if (style_ == ProgressStyle::kPlain) {
    std::fprintf(stderr, "%s  %llu items in %s\n", what_.c_str(),
                 static_cast<unsigned long long>(done_), duration_text(seconds()).c_str());
  }
}

void Progress::advance(std::uint64_t n) {
  done_ += n;
  const auto now = std::chrono::steady_clock::now();
  const bool is_due = style_ == ProgressStyle::kTerminal ? now - drawn_ >= kTerminalPeriod
                                                         : now - drawn_ >= kPlainPeriod;
  if (style_ != ProgressStyle::kNone && is_due) draw();
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Progress::draw() {
  drawn_ = std::chrono::steady_clock::now();
  show(style_, progress_text(what_, done_, total_, seconds()));
}

Meter::Meter(ProgressStyle style, std::string what) : style_(style), what_(std::move(what)) {
  if (style_ != ProgressStyle::kTerminal) return;
  set_log_neighbour(&clear_line, &restore_line);
  draw();
}

Meter::~Meter() {
  if (style_ == ProgressStyle::kTerminal) {
    clear_line();
    g_line.clear();
    std::fflush(stderr);
  } else if (style_ == ProgressStyle::kPlain) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
    std::fprintf(stderr, "%s  %d %% in %s\n", what_.c_str(), static_cast<int>(100 * fraction_),
                 duration_text(spent.count()).c_str());
  }
}

void Meter::reach(double fraction, std::string_view detail) {
  const std::scoped_lock hold(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (!from_) {
    from_ = fraction;
    start_ = now;
  }
  fraction_ = fraction;
  detail_ = detail;
  const bool is_due = style_ == ProgressStyle::kTerminal ? now - drawn_ >= kTerminalPeriod
                                                         : now - drawn_ >= kPlainPeriod;
  if (style_ != ProgressStyle::kNone && is_due) draw();
}

void Meter::draw() {
  drawn_ = std::chrono::steady_clock::now();
  const std::chrono::duration<double> spent = drawn_ - start_;
  show(style_, progress_text(what_, detail_, from_.value_or(0), fraction_, spent.count()));
}

}  // namespace assay::host
