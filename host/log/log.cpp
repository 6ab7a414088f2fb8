#include "host/log/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

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

}  // namespace

void start_log(LogLevel level) {
  Log& log = the_log();
  const std::scoped_lock hold(log.lock);
  log.logger = make_logger();
  log.logger->set_level(to_spdlog(level));
}

void log(LogLevel level, std::string_view text) {
  Log& log = the_log();
  const std::scoped_lock hold(log.lock);
  if (!log.logger->should_log(to_spdlog(level))) return;
  if (log.before != nullptr) log.before();
  log.logger->log(to_spdlog(level), as_lines(text));
  log.logger->flush();
  if (log.after != nullptr) log.after();
}

void log_from_plugin(std::string_view node, assay_level level, std::string_view text) {
  if (level <= ASSAY_TRACE) return;
  LogLevel known = LogLevel::kError;
  if (level == ASSAY_DEBUG) known = LogLevel::kDebug;
  if (level == ASSAY_INFO) known = LogLevel::kInfo;
  if (level == ASSAY_WARN) known = LogLevel::kWarn;
  log(known, std::string(node).append(": ").append(text));
}

void set_log_neighbour(void (*before)(), void (*after)()) {
  Log& log = the_log();
  const std::scoped_lock hold(log.lock);
  log.before = before;
  log.after = after;
}

}  // namespace assay::host
