#include "host/log/log.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace assay::host {
namespace {

using testing::MatchesRegex;

constexpr char kClock[] = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9] ";

/// What `body` wrote to standard error.
template <class Body>
std::string stderr_of(Body&& body) {
  testing::internal::CaptureStderr();
  body();
  return testing::internal::GetCapturedStderr();
}

class Log : public testing::Test {
 protected:
  void SetUp() override { start_log(LogLevel::kInfo); }
  void TearDown() override { set_log_neighbour(nullptr, nullptr); }
};

TEST_F(Log, BeginsALineWithTheClockAndTheLevel) {
  const std::string text = stderr_of([] { log(LogLevel::kWarn, "two words"); });
  EXPECT_THAT(text, MatchesRegex(std::string(kClock) + "warn  two words\n"));
}

TEST_F(Log, AlignsTheTextsOfAllLevels) {
  start_log(LogLevel::kDebug);
  const std::string text = stderr_of([] {
    log(LogLevel::kDebug, "a");
    log(LogLevel::kInfo, "b");
    log(LogLevel::kWarn, "c");
    log(LogLevel::kError, "d");
  });
  const std::string clock = kClock;
  EXPECT_THAT(text, MatchesRegex(clock + "debug a\n" + clock + "info  b\n" + clock + "warn  c\n" +
                                 clock + "error d\n"));
}

TEST_F(Log, LeavesOutWhatIsBelowItsLevel) {
  EXPECT_EQ(stderr_of([] { log(LogLevel::kDebug, "detail"); }), "");
}

TEST_F(Log, WritesNothingToStandardOutput) {
  testing::internal::CaptureStdout();
  stderr_of([] { log(LogLevel::kError, "elsewhere"); });
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST_F(Log, TakesBracesAsTheyAre) {
  const std::string text = stderr_of([] { log(LogLevel::kInfo, "{} {0} %s"); });
  EXPECT_THAT(text, testing::EndsWith("info  {} {0} %s\n"));
}

TEST_F(Log, PrefixesAPluginsLineWithItsNode) {
  const std::string text =
      stderr_of([] { log_from_plugin("model.int4", ASSAY_WARN, "weights are old"); });
  EXPECT_THAT(text, testing::EndsWith(" warn  model.int4: weights are old\n"));
}

TEST_F(Log, DropsAPluginsTrace) {
  start_log(LogLevel::kDebug);
  EXPECT_EQ(stderr_of([] { log_from_plugin("model.a", ASSAY_TRACE, "token 1"); }), "");
}

TEST_F(Log, TakesALevelItDoesNotKnowForAnError) {
  const std::string text = stderr_of([] { log_from_plugin("model.a", 7, "from tomorrow"); });
  EXPECT_THAT(text, testing::EndsWith(" error model.a: from tomorrow\n"));
}

TEST_F(Log, KeepsAPluginFromForgingALineOrSteeringTheTerminal) {
  const std::string text = stderr_of(
      [] { log_from_plugin("model.a", ASSAY_INFO, "one\n12:00:00 error two\x1b[31m\r\n"); });
  EXPECT_THAT(text, testing::EndsWith(" info  model.a: one\n"
                                      "               12:00:00 error two?[31m\n"));
}

/// How many lines of `node` are in `text`, and how many it says were left out.
std::pair<int, int> written_and_left_out(const std::string& text, const std::string& node) {
  std::pair<int, int> counts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto said = line.find(" further line");
    if (line.find(node + ": ") == std::string::npos) continue;
    if (said == std::string::npos) {
      ++counts.first;
    } else {
      counts.second += std::stoi(line.substr(line.rfind(' ', said - 1) + 1));
    }
  }
  return counts;
}

TEST_F(Log, LosesNoLineOfAFloodSilently) {
  constexpr int kLines = 5000;
  const std::string text = stderr_of([] {
    for (int i = 0; i < kLines; ++i) log_from_plugin("model.a", ASSAY_WARN, "again");
    log_left_out();
    log_left_out();
  });
  const auto [written, left_out] = written_and_left_out(text, "model.a");
  EXPECT_GE(written, 200);
  EXPECT_GT(left_out, 0) << "5000 lines took more than 48 s, or nothing is left out";
  EXPECT_EQ(written + left_out, kLines);
  EXPECT_THAT(text, testing::EndsWith(" further lines left out: more than 100 a second\n"));
}

TEST_F(Log, LeavesOutOfTheFloodingNodeAlone) {
  const std::string text = stderr_of([] {
    for (int i = 0; i < 5000; ++i) log_from_plugin("model.a", ASSAY_WARN, "again");
    log_from_plugin("model.b", ASSAY_WARN, "once");
    log(LogLevel::kWarn, "of the host");
  });
  EXPECT_THAT(text, testing::HasSubstr("model.b: once\n"));
  EXPECT_THAT(text, testing::HasSubstr("of the host\n"));
}

TEST_F(Log, CountsNoLineThatIsBelowItsLevel) {
  const std::string text = stderr_of([] {
    for (int i = 0; i < 5000; ++i) log_from_plugin("model.a", ASSAY_DEBUG, "detail");
    log_from_plugin("model.a", ASSAY_INFO, "seen");
    log_left_out();
  });
  EXPECT_THAT(text, MatchesRegex(std::string(kClock) + "info  model.a: seen\n"));
}

TEST_F(Log, CountsTheLinesWithinAText) {
  std::string many;
  for (int i = 0; i < 300; ++i) many += "line\n";
  const std::string text = stderr_of([&] {
    log_from_plugin("model.a", ASSAY_INFO, many);
    log_from_plugin("model.a", ASSAY_INFO, "one more");
    log_left_out();
  });
  EXPECT_THAT(text, testing::HasSubstr("model.a: 1 further line left out"));
}

TEST_F(Log, CutsATextOfAPluginThatHasNoEnd) {
  const std::string text =
      stderr_of([] { log_from_plugin("model.a", ASSAY_INFO, std::string(20'000, 'x')); });
  EXPECT_THAT(text, testing::EndsWith("x ... 3616 more bytes\n"));
  EXPECT_LT(text.size(), kMaxPluginText + 100);
}

using LogDeathTest = Log;

TEST_F(LogDeathTest, SaysWhatWasLeftOutWhenTheProcessExits) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        start_log(LogLevel::kInfo);
        for (int i = 0; i < 5000; ++i) log_from_plugin("model.a", ASSAY_WARN, "again");
        std::exit(0);
      },
      testing::ExitedWithCode(0), " further lines? left out");
}

int steps_aside = 0;
int comes_back = 0;

TEST_F(Log, LetsTheProgressLineStepAsideForEachLineWritten) {
  steps_aside = comes_back = 0;
  set_log_neighbour([] { ++steps_aside; }, [] { ++comes_back; });
  stderr_of([] {
    log(LogLevel::kInfo, "written");
    log(LogLevel::kDebug, "not written");
  });
  EXPECT_EQ(steps_aside, 1);
  EXPECT_EQ(comes_back, 1);
}

TEST_F(Log, KeepsLinesOfManyThreadsWhole) {
  constexpr int kThreads = 4, kLines = 50;
  const std::string text = stderr_of([] {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([] {
        for (int line = 0; line < kLines; ++line) log_from_plugin("model.a", ASSAY_INFO, "whole");
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  std::size_t whole = 0;
  for (std::size_t at = text.find("model.a: whole\n"); at != std::string::npos;
       at = text.find("model.a: whole\n", at + 1)) {
    ++whole;
  }
  EXPECT_EQ(whole, static_cast<std::size_t>(kThreads * kLines));
  EXPECT_EQ(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')), whole);
}

/// Standard error on a terminal of our own, for as long as it lives.
class Terminal {
 public:
  Terminal() : kept_(dup(STDERR_FILENO)), master_(posix_openpt(O_RDWR | O_NOCTTY)) {
    if (master_ < 0 || grantpt(master_) != 0 || unlockpt(master_) != 0) return;
    const int slave = open(ptsname(master_), O_RDWR | O_NOCTTY);
    if (slave < 0) return;
    dup2(slave, STDERR_FILENO);
    close(slave);
    is_open_ = true;
  }
  ~Terminal() {
    dup2(kept_, STDERR_FILENO);
    close(kept_);
    if (master_ >= 0) close(master_);
  }
  bool is_open() const { return is_open_; }
  /// Up to the line's end: a terminal may hand it over in pieces.
  std::string read_line() const {
    std::string line;
    while (!line.ends_with('\n')) {
      std::array<char, 512> bytes{};
      const ssize_t n = read(master_, bytes.data(), bytes.size());
      if (n <= 0) break;
      line.append(bytes.data(), static_cast<std::size_t>(n));
    }
    return line;
  }

 private:
  int kept_;
  int master_;
  bool is_open_ = false;
};

TEST_F(Log, ColoursTheLevelOnATerminal) {
  unsetenv("NO_COLOR");
  std::string text;
  {
    const Terminal terminal;
    if (!terminal.is_open()) GTEST_SKIP() << "no pseudo terminal to be had here";
    start_log(LogLevel::kInfo);
    log(LogLevel::kError, "red");
    text = terminal.read_line();
  }
  EXPECT_THAT(text, testing::HasSubstr("\x1b["));
  EXPECT_THAT(text, testing::EndsWith(" red\r\n"));
}

TEST_F(Log, WritesNoColourOnATerminalWhereNoColorIsSet) {
  setenv("NO_COLOR", "1", 1);
  std::string text;
  {
    const Terminal terminal;
    if (!terminal.is_open()) GTEST_SKIP() << "no pseudo terminal to be had here";
    start_log(LogLevel::kInfo);
    log(LogLevel::kError, "plain");
    text = terminal.read_line();
  }
  unsetenv("NO_COLOR");
  EXPECT_THAT(text, MatchesRegex(std::string(kClock) + "error plain\r\n"));
}

}  // namespace
}  // namespace assay::host
