#include <gtest/gtest.h>

#include "tests/plugins/metrics/reference.hpp"
#include "tests/plugins/plugin_host.hpp"

namespace plugin_test {
namespace {

Json item(const std::string& output, std::vector<std::string> targets) {
  return {{"output", output}, {"targets", std::move(targets)}};
}

TEST(F1, IsTheHarmonicMeanOfPrecisionAndRecallOfWords) {
  const Measured m = measure("assay/f1", {item("a b c d", {"b c x"}), item("b b", {"b x"}),
                                          item("x", {"y"}), item("one two", {"two one"})});
  ASSERT_EQ(m.said.text, "");
  // "a" is an article: 2 of 3 words of the output and 2 of 3 of the target are shared.
  EXPECT_NEAR(m.samples.at("f1")[0], 2.0 / 3, 1e-15);
  EXPECT_NEAR(m.samples.at("f1")[1], 0.5, 1e-15);  // the target has one b, so one is shared
  EXPECT_EQ(m.samples.at("f1")[2], 0);
  EXPECT_EQ(m.samples.at("f1")[3], 1);  // order does not count
  EXPECT_EQ(m.samples.at("exact"), (std::vector<double>{0, 0, 0, 0}));
}

TEST(F1, LeavesOutCasePunctuationArticlesAndWhiteSpace) {
  const Measured m =
      measure("assay/f1", {item("The  Eiffel\nTower!", {"eiffel tower"}), item("theatre", {"atre"}),
                           item("\xC3\x89T\xC3\x89", {"\xC3\xA9t\xC3\xA9"})});
  EXPECT_EQ(m.samples.at("f1"), (std::vector<double>{1, 0, 1}));
  EXPECT_EQ(m.samples.at("exact"), (std::vector<double>{1, 0, 1}));
}

TEST(F1, IsThatOfTheBestTarget) {
  const Measured m = measure("assay/f1", {item("red car", {"blue", "red bus", "red"})});
  EXPECT_NEAR(m.samples.at("f1")[0], 2.0 / 3, 1e-15);
}

TEST(F1, OfNoWordsIsOneOnlyWhereTheTargetHasNone) {
  const Measured m =
      measure("assay/f1", {item("the", {""}), item("", {"cat"}), item("cat", {"..."})});
  EXPECT_EQ(m.samples.at("f1"), (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(m.samples.at("exact"), (std::vector<double>{1, 0, 0}));
}

TEST(F1, RefusesAnItemWithoutTargets) {
  EXPECT_EQ(measure("assay/f1", {item("a", {})}).said.text,
            "row 0: the item has no target to compare with");
}

TEST(F1, AgreesWithTheDefinitionOfSquadOnOddAndRandomTexts) {
  for (const Json& row : text_metric_cases("f1")) {
    const Measured m = measure("assay/f1", {row});
    ASSERT_EQ(m.said.text, "") << row;
    // SQuAD divides three times, we once: a few roundings of a number up to 1.
    EXPECT_NEAR(m.samples.at("f1")[0], row.at("f1").get<double>(), 1e-15) << row;
    EXPECT_EQ(m.samples.at("exact")[0], row.at("exact").get<double>()) << row;
  }
}

}  // namespace
}  // namespace plugin_test
