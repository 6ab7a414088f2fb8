// The logger: spdlog to standard error, and the callback lent to plugins. Results never come here.
#pragma once

#include <assay/abi.h>

#include <cstddef>
#include <string_view>

namespace assay::host {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

/// Sets up the logger once. Colour only when standard error is a terminal and NO_COLOR is unset.
void start_log(LogLevel level);

void log(LogLevel level, std::string_view text);

/// A line a plugin asked to log, prefixed with its node. A node that floods the log is held to the
/// LineBudget, a text to kMaxPluginText bytes; how much was left out is said in the log, once a
/// second and when this process exits. Threads [any-thread]
void log_from_plugin(std::string_view node, assay_level level, std::string_view text);

constexpr std::size_t kMaxPluginText = 16u << 10;

/// Says now how many lines were left out. Threads [any-thread]
void log_left_out();

/// Called before and after every log line, so that a progress line can step aside.
void set_log_neighbour(void (*before)(), void (*after)());

}  // namespace assay::host
