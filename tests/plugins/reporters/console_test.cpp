#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "tests/plugins/plugin_host.hpp"
#include "tests/plugins/reporters/golden.hpp"

namespace plugin_test {
namespace {

std::string printed(const Json& run, const char* color = "never") {
  testing::internal::CaptureStdout();
  const Said said = report("assay/console", {{"color", color}}, run.dump());
  std::string text = testing::internal::GetCapturedStdout();
  EXPECT_EQ(said.text, "");
  return text;
}

TEST(ConsoleReporter, PrintsTheRunAsAlignedTables) {
  EXPECT_EQ(printed(golden_run()), golden_text("console.txt"));
}

TEST(ConsoleReporter, ShowsMemoryWhereBackendsTell) {
  Json run = golden_run();
  EXPECT_EQ(printed(run).find("Memory"), std::string::npos);
  // A column that nobody knows is left out, a figure that one does not know is "-".
  run["variants"][0]["memory"] = {{"devices",
                                   {{{"device", "cpu"},
                                     {"weights", 3805696},
                                     {"kv_peak", nullptr},
                                     {"allocated_peak", nullptr},
                                     {"held_peak", nullptr}}}}};
  run["variants"][1]["memory"] = {
      {"devices", {{{"device", "cuda:0"}, {"weights", 1048576}, {"kv_peak", 3 << 20}}}}};
  run["variants"][2]["memory"] = nullptr;
  EXPECT_NE(printed(run).find("\nMemory, as the backends tell: peaks over all tasks\n"
                              "  variant  device  weights MiB  cache MiB\n"
                              "  base     cpu            3.63          -\n"
                              "  rtn8     cuda:0         1.00       3.00\n\n"),
            std::string::npos)
      << printed(run);
}

/// A layer as backends tell it; NaN: not told.
Json layer(const std::string& name, double weight_error, double output_error) {
  Json values = {{"bits", 4.25}, {"bytes", 2176}, {"weight_error", weight_error}};
  if (output_error >= 0) values["output_error"] = output_error;
  return {{"layer", name}, {"values", values}};
}

TEST(ConsoleReporter, ShowsTheLayersThatLostMost) {
  Json run = golden_run();
  Json layers = Json::array();
  for (int i = 0; i < 7; ++i)
    layers.push_back(layer("blocks." + std::to_string(i), 0.1, 0.001 * i));
  run["variants"][1]["quantization"] = {{"simulated", true}, {"layers", layers}};
  EXPECT_NE(printed(run).find("\nLayers of rtn8, largest output error first\n"
                              "  layer     bits/weight   KiB  weight error  output error\n"
                              "  blocks.6         4.25  2.12         0.100       0.00600\n"),
            std::string::npos)
      << printed(run);
  EXPECT_NE(printed(run).find("2 more are in run.json"), std::string::npos);
  // Without calibration only the weights tell.
  run["variants"][1]["quantization"]["layers"] = {layer("a", 0.1, -1), layer("b", 0.2, -1)};
  const std::string page = printed(run);
  EXPECT_NE(page.find("largest weight error first\n"), std::string::npos) << page;
  EXPECT_LT(page.find("\n  b "), page.find("\n  a ")) << page;
  EXPECT_EQ(page.find("output error"), std::string::npos) << page;
}

TEST(ConsoleReporter, HasNoLineLongerThan100Columns) {
  Json run = golden_run();
  for (Json& variant : run["variants"]) {
    const std::string name = variant["name"].get<std::string>() + std::string(60, 'x');
    for (const char* list : {"records", "comparisons", "quality", "verdicts", "counts"}) {
      for (Json& entry : run[list]) {
        if (entry["variant"] == variant["name"]) entry["variant"] = name;
      }
    }
    variant["name"] = name;
  }
  std::istringstream lines(printed(run));
  for (std::string line; std::getline(lines, line);) {
    const auto width = std::count_if(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    });
    EXPECT_LE(width, 100) << line;
  }
}

TEST(ConsoleReporter, ColoursOnlyWhenToldOrOnATerminal) {
  EXPECT_EQ(printed(golden_run(), "auto").find('\x1b'), std::string::npos);  // a pipe or file here
  const std::string always = printed(golden_run(), "always");
  EXPECT_NE(always.find("\x1b[32mPASS\x1b[0m"), std::string::npos);
  EXPECT_NE(always.find("\x1b[31mFAIL\x1b[0m"), std::string::npos);
}

TEST(ConsoleReporter, SaysTheSameWithAndWithoutColour) {
  std::string always = printed(golden_run(), "always");
  for (std::size_t at; (at = always.find('\x1b')) != std::string::npos;) {
    always.erase(at, always.find('m', at) + 1 - at);
  }
  EXPECT_EQ(always, printed(golden_run()));
}

TEST(ConsoleReporter, SpellsCharactersThatWouldSteerATerminal) {
  Json run = golden_run();
  run["name"] = "a\x1b[2Jb\nc\xE2\x80\xAE";
  const std::string text = printed(run);
  EXPECT_EQ(text.substr(0, text.find('\n')), "a\\x1b[2Jb\\nc\\u202e");
}

TEST(ConsoleReporter, AlignsWideCharactersByWhatATerminalShows) {
  Json run = empty_run();
  run["variants"] = {{{"name", "日本"}, {"bits_per_weight", 4.0}},
                     {{"name", "abcd"}, {"bits_per_weight", 4.0}}};
  const std::string text = printed(run);
  EXPECT_NE(text.find("  日本     as stored"), std::string::npos) << text;
  EXPECT_NE(text.find("  abcd     as stored"), std::string::npos) << text;
}

TEST(ConsoleReporter, SaysThatNothingWasMeasured) {
  EXPECT_EQ(printed(empty_run()),
            "nothing\nassay 0.1.0, started 2026-01-02T03:04:05Z, 0.50 s, partial\n"
            "\nNothing was measured.\n"
            "\nVerdict: nothing is gated (exit code 130)\n");
}

TEST(ConsoleReporter, PrintsADashWhereAFigureIsNotKnown) {
  Json run = golden_run();
  for (Json& record : run["records"]) record["value"] = record["std_error"] = nullptr;
  for (Json& comparison : run["comparisons"]) {
    for (const char* key : {"baseline_value", "delta", "std_error", "retained", "is_real"}) {
      comparison[key] = nullptr;
    }
  }
  const std::string text = printed(run);
  EXPECT_EQ(text.find("nan"), std::string::npos) << text;
  EXPECT_NE(text.find("  rtn8              -         -         -         -  -\n"),
            std::string::npos)
      << text;
}

TEST(ConsoleReporter, SaysWhenStandardOutputCannotBeWritten) {
  std::fflush(stdout);
  const int kept = dup(STDOUT_FILENO);
  FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  dup2(fileno(full), STDOUT_FILENO);
  const Said said = report("assay/console", Json::object(), golden_run().dump());
  dup2(kept, STDOUT_FILENO);
  std::clearerr(stdout);
  std::fclose(full);
  close(kept);
  EXPECT_EQ(said.text, "cannot write to standard output: No space left on device");
}

}  // namespace
}  // namespace plugin_test
