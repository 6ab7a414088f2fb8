// `assay plugins check` as an author meets it: exit codes, what a fault looks like, the formats.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

using testing::HasSubstr;

const std::string kHostile = std::string(ASSAY_TEST_FAKES) + "/hostile/hostile-backend.so";
const std::string kSound = std::string(ASSAY_TEST_PLUGINS) + "/assay-f1.so";

/// A sanitizer would catch the signals and exit in a way of its own.
Ran check(std::vector<std::string> words) {
  words.insert(words.begin(), {"plugins", "check"});
  return run_assay(words, "ASAN_OPTIONS=handle_segv=0:handle_abort=0:use_sigaltstack=0 ");
}

Ran check_fault(const std::string& fault, std::vector<std::string> more = {}) {
  std::vector<std::string> words{kHostile,
                                 "--option",
                                 "fault=" + fault,
                                 "--option",
                                 "during=create",
                                 "--only",
                                 "lifecycle.create-with-defaults"};
  words.insert(words.end(), more.begin(), more.end());
  return check(std::move(words));
}

TEST(PluginsCheck, SoundPluginPassesInBothPlaces) {
  const Ran ran = check({kSound, "--only", "lifecycle.*"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  EXPECT_THAT(ran.out,
              HasSubstr("lifecycle.create-with-defaults                must    ok      ok"));
  EXPECT_THAT(ran.out, HasSubstr(" 0 failed (0 must, 0 should)"));
}

TEST(PluginsCheck, CrashIsAFailedTestWithItsSignal) {
  const Ran ran = check_fault("aborts");
  EXPECT_EQ(ran.exit_code, 1) << ran.out << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("the process of the test was killed by signal 6"));
  EXPECT_THAT(ran.out, HasSubstr("its process was killed by signal 6 (SIGABRT) during create"));
  EXPECT_THAT(ran.out, HasSubstr("--reproduce lifecycle.create-with-defaults:1234"));
}

TEST(PluginsCheck, ExitWithoutAnAnswerIsAFailedTest) {
  const Ran ran = check_fault("exits");
  EXPECT_EQ(ran.exit_code, 1) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("exited with code 0"));
}

TEST(PluginsCheck, HangEndsAtTheDeadline) {
  const Ran ran = check_fault("hangs", {"--timeout", "2", "--isolation", "none"});
  EXPECT_EQ(ran.exit_code, 1) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("2 s"));
}

TEST(PluginsCheck, OneTestIsReproducedWithItsSeed) {
  const Ran ran = check({kSound, "--reproduce", "fuzz.rows:77", "--isolation", "none"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("1 passed"));
  EXPECT_THAT(ran.out, HasSubstr("seed 77"));
}

TEST(PluginsCheck, JsonHasEveryResult) {
  const Ran ran = check({kSound, "--only", "description.*", "--format", "json"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  const Json document = Json::parse(ran.out, nullptr, false);
  ASSERT_TRUE(document.is_object()) << ran.out;
  EXPECT_EQ(document.at("schema"), "assay.check/1");
  EXPECT_EQ(document.at("failed_must"), 0);
  EXPECT_EQ(
      document.at("passed").get<std::size_t>() + document.at("not_applicable").get<std::size_t>(),
      document.at("results").size());
}

TEST(PluginsCheck, JUnitNamesFailuresAndEscapesThem) {
  const TempFolder folder;
  const std::string file = (folder.path() / "check.xml").string();
  const Ran ran = check_fault("aborts", {"--format", "junit", "--output", file});
  EXPECT_EQ(ran.exit_code, 1) << ran.err;
  const std::string xml = text_of(file);
  EXPECT_THAT(xml, testing::StartsWith("<?xml"));
  EXPECT_THAT(xml, HasSubstr("<testsuite"));
  EXPECT_THAT(xml, HasSubstr("<failure"));
  EXPECT_EQ(xml.find("fault=aborts\" "), std::string::npos) << "a quote inside an attribute";
}

TEST(PluginsCheck, MistakesOfUsageExitWithTwo) {
  EXPECT_EQ(check({"/nowhere/none.so"}).exit_code, 2);
  EXPECT_EQ(check({kSound, "--only", "zzz"}).exit_code, 2);
  EXPECT_EQ(check({kSound, "--component", "acme/none"}).exit_code, 2);
  EXPECT_EQ(check({kSound, "--option", "colour=red"}).exit_code, 2);
}

TEST(PluginsCheck, ListTellsEachTestWithItsRule) {
  const Ran ran = check({kSound, "--list"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("metric.cuts-change-nothing"));
}

}  // namespace
}  // namespace assay::host
