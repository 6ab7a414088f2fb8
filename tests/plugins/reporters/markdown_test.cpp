#include <gtest/gtest.h>

#include "tests/plugins/plugin_host.hpp"
#include "tests/plugins/reporters/golden.hpp"

namespace plugin_test {
namespace {

std::string page_of(const Json& run) {
  const TempFile file("");
  EXPECT_EQ(report("assay/markdown", {{"file", file.path()}}, run.dump()).text, "");
  return read_file(file.path());
}

TEST(MarkdownReporter, WritesTheRunAsOnePage) {
  EXPECT_EQ(page_of(golden_run()), golden_text("report.md"));
}

TEST(MarkdownReporter, ShowsMemoryWhereBackendsTell) {
  Json run = golden_run();
  run["variants"][1]["memory"] = {
      {"devices",
       {{{"device", "cpu"}, {"weights", 1048576}, {"kv_peak", nullptr}, {"kv_per_token", 512}}}}};
  const std::string page = page_of(run);
  EXPECT_NE(page.find("## Memory\n\nMiB, as the backends tell; peaks over all tasks.\n\n"),
            std::string::npos);
  EXPECT_NE(page.find("\n| rtn8 | cpu | 1 | - | - | - | 512 |\n"), std::string::npos) << page;
}

TEST(MarkdownReporter, ShowsEveryLayerOfQuantizedVariants) {
  Json run = golden_run();
  run["variants"][1]["quantization"] = {
      {"simulated", false},
      {"calibration",
       {{"name", "mixed"},
        {"digest", std::string(64, 'a')},
        {"samples", 128},
        {"length", 512},
        {"sources",
         {{{"dataset", "wiki"}, {"share", 0.7}}, {{"dataset", "faq"}, {"share", 0.3}}}}}},
      {"layers",
       {{{"layer", "blocks.0"},
         {"values",
          {{"bits", 4.25}, {"bytes", 2048}, {"weight_error", 0.1}, {"damping", 0.01}}}}}}};
  const std::string page = page_of(run);
  EXPECT_NE(
      page.find("## Layers of rtn8\n\nCalibrated on mixed: 128 samples of 512 tokens: wiki 70 %, "
                "faq 30 %; digest aaaaaaaaaaaaaaaa.\n"),
      std::string::npos)
      << page;
  EXPECT_NE(page.find("\n| blocks.0 | 4.25 | 2 | 0.1 | - | - | - | damping 0.01 |\n"),
            std::string::npos)
      << page;
}

TEST(MarkdownReporter, LetsNoNameBreakATableOrBecomeMarkup) {
  Json run = golden_run();
  run["variants"][0]["name"] = "a|b\n<b>*x*</b> snake_case _em_";
  const std::string page = page_of(run);
  EXPECT_NE(page.find("| a\\|b\\\\n\\<b\\>\\*x\\*\\</b\\> snake_case \\_em\\_ |"),
            std::string::npos)
      << page;
}

TEST(MarkdownReporter, SpellsControlCharactersAndDirectionMarks) {
  Json run = golden_run();
  run["name"] = "a\x1b[2J\xC2\x9B\xE2\x80\xAE";
  const std::string page = page_of(run);
  EXPECT_EQ(page.substr(0, page.find('\n')), "# a\\\\x1b\\[2J\\\\xc2\\\\x9b\\\\xe2\\\\x80\\\\xae");
}

TEST(MarkdownReporter, SaysThatNothingWasMeasured) {
  EXPECT_EQ(
      page_of(empty_run()),
      "# nothing\n\nNothing is gated (exit code 130). The run is partial; it started "
      "2026-01-02T03:04:05Z and took 0.5 s.\n\nNothing was measured.\n\n## How it was made\n\n"
      "Versions:\n\n```json\n{\n  \"assay\": \"0.1.0\",\n  \"abi\": \"1.0\"\n}\n```\n");
}

TEST(MarkdownReporter, SaysWhereItCannotWrite) {
  EXPECT_EQ(
      report("assay/markdown", {{"file", "/no-such-folder/report.md"}}, empty_run().dump()).text,
      "/no-such-folder/report.md: cannot be written: No such file or directory");
  EXPECT_EQ(report("assay/markdown", {{"file", "/dev/full"}}, empty_run().dump()).text,
            "/dev/full: cannot be written: No space left on device");
}

}  // namespace
}  // namespace plugin_test
