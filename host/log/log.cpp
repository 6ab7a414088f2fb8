#include "host/log/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "host/log/line_budget.hpp"

namespace assay::host {
namespace {

/// The level in five columns: the texts of all levels begin under one another.
class LevelName : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    static constexpr std::array<std::string_view, 7> kNames = {"trace", "debug", "info ", "warn ",
                                                               "error", "error", "     "};
    const std::string_view name = kNames[static_cast<std::size_t>(message.level)];
    out.append(name.data(), name.data() + name.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<LevelName>();
  }
};

using StderrSink = spdlog::sinks::ansicolor_stderr_sink_mt;

std::unique_ptr<spdlog::logger> make_logger() {
  const char* no_color = std::getenv("NO_COLOR");
  const bool is_plain = (no_color != nullptr && *no_color != '\0') || isatty(STDERR_FILENO) == 0;
  auto sink = std::make_shared<StderrSink>(is_plain ? spdlog::color_mode::never
                                                    : spdlog::color_mode::always);
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<LevelName>('*').set_pattern("%H:%M:%S %^%*%$ %v");
  sink->set_formatter(std::move(formatter));
  return std::make_unique<spdlog::logger>("assay", std::move(sink));
}

/// Everything the log keeps between lines. One lock around a line and its neighbours, so that a
/// progress line is never redrawn between two halves of another thread's line.
struct Log {
  std::mutex lock;
  std::unique_ptr<spdlog::logger> logger = make_logger();
  void (*before)() = nullptr;
  void (*after)() = nullptr;
  std::map<std::string, LineBudget, std::less<>> nodes;
};

Log& the_log() {
  // Never destroyed: a plugin's thread may log while the process ends.
  static Log& log = *new Log;
  return log;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

/// One line of text per line of log, and nothing that a terminal would obey.
std::string as_lines(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  std::string lines;
  lines.reserve(text.size());
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '\n') {
      lines += "\n               ";  // as wide as "12:31:02 warn  "
    } else if (letter != '\t' && (byte < 0x20 || byte == 0x7f)) {
      lines += '?';
    } else {
      lines += letter;
    }
  }
  return lines;
}

// What follows is called with the lock held.

void write(Log& log, LogLevel level, std::string_view text) {
  if (log.before != nullptr) log.before();
  log.logger->log(to_spdlog(level), as_lines(text));
  log.logger->flush();
  if (log.after != nullptr) log.after();
}

void say_left_out(Log& log, std::string_view node, std::uint64_t lines) {
  if (lines == 0) return;
  write(log, LogLevel::kWarn,
        std::string(node) + ": " + std::to_string(lines) +
            (lines == 1 ? " further line" : " further lines") + " left out: more than " +
            std::to_string(static_cast<int>(LineBudget::kLinesPerSecond)) + " a second");
}

void say_left_out_until(Log& log, LineBudget::Time now) {
  for (auto& [node, budget] : log.nodes) say_left_out(log, node, budget.left_out_until(now));
}

}  // namespace

void start_log(LogLevel level) {
  Log& log = the_log();
  const std::scoped_lock hold(log.lock);
  log.logger = make_logger();
  log.logger->set_level(to_spdlog(level));
  log.nodes.clear();
  [[maybe_unused]] static const int is_said_at_exit = std::atexit(log_left_out);
}

void log(LogLevel level, std::string_view text) {
  Log& log = the_log();
  const std::scoped_lock hold(log.lock);
  if (!log.logger->should_log(to_spdlog(level))) return;
  say_left_out_until(log, std::chrono::steady_clock::now());
  write(log, level, text);
}

void log_from_plugin(std::string_view node, assay_level level, std::string_view text) {
  if (level <= ASSAY_TRACE) return;
  LogLevel known = LogLevel::kError;
  if (level == ASSAY_DEBUG) known = LogLevel::kDebug;
  if (level == ASSAY_INFO) known = LogLevel::kInfo;
  if (level == ASSAY_WARN) known = LogLevel::kWarn;

  Log& log = the_log();
  const std::scoped_lock hold(log.lock);
  if (!log.logger->should_log(to_spdlog(known))) return;
  const auto now = std::chrono::steady_clock::now();
  say_left_out_until(log, now);
  const std::string_view kept = text.substr(0, kMaxPluginText);
  auto budget = log.nodes.find(node);
  if (budget == log.nodes.end()) budget = log.nodes.emplace(node, LineBudget()).first;
  const auto breaks = std::count(kept.begin(), kept.end(), '\n');
  if (!budget->second.takes(1 + static_cast<std::uint64_t>(breaks), now)) return;
  std::string line = std::string(node).append(": ").append(kept);
  if (kept.size() < text.size()) {
    line += " ... " + std::to_string(text.size() - kept.size()) + " more bytes";
  }
  write(log, known, line);
}

void log_left_out() {
  Log& log = the_log();
  const std::scoped_lock hold(log.lock);
  for (auto& [node, budget] : log.nodes) say_left_out(log, node, budget.left_out());
}

void set_log_neighbour(void (*before)(), void (*after)()) {
  Log& log = the_log();
  const std::scoped_lock hold(log.lock);
  log.before = before;
  log.after = after;
}

}  // namespace assay::host
