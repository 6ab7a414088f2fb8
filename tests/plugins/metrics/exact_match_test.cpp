#include <gtest/gtest.h>

#include "tests/plugins/metrics/reference.hpp"
#include "tests/plugins/plugin_host.hpp"

namespace plugin_test {
namespace {

Json item(const std::string& output, std::vector<std::string> targets) {
  return {{"output", output}, {"targets", std::move(targets)}};
}

std::vector<double> exact_match(const std::vector<Json>& items,
                                const Json& options = Json::object()) {
  const Measured m = measure("assay/exact_match", items, 1000, options);
  EXPECT_EQ(m.said.text, "");
  return m.samples.at("exact_match");
}

using Values = std::vector<double>;

TEST(ExactMatch, ComparesTheWholeOutputWithEveryTarget) {
  EXPECT_EQ(exact_match({item("Paris", {"London", "Paris"}), item("Paris.", {"Paris"}),
                         item("paris", {"Paris"}), item("", {""}), item("", {"x"})}),
            (Values{1, 0, 0, 1, 0}));
}

TEST(ExactMatch, LeavesOutWhiteSpaceAtTheEndsUnlessToldNotTo) {
  const std::vector<Json> items{item(" Paris\n", {"Paris"}), item("P aris", {"Paris"})};
  EXPECT_EQ(exact_match(items), (Values{1, 0}));
  EXPECT_EQ(exact_match(items, {{"strip", false}}), (Values{0, 0}));
}

TEST(ExactMatch, LeavesOutCaseAndPunctuationWhenAsked) {
  const std::vector<Json> items{item("Paris!", {"paris"}), item("U.S. ", {"us"}),
                                item("Paris !", {"Paris"}),
                                item("\xC3\x89t\xC3\xA9", {"\xC3\xA9t\xC3\xA9"})};
  EXPECT_EQ(exact_match(items, {{"ignore_case", true}}), (Values{0, 0, 0, 1}));
  EXPECT_EQ(exact_match(items, {{"ignore_punctuation", true}}), (Values{0, 0, 1, 0}));
  EXPECT_EQ(exact_match(items, {{"ignore_case", true}, {"ignore_punctuation", true}}),
            (Values{1, 1, 1, 1}));
}

TEST(ExactMatch, RefusesAnItemWithoutTargets) {
  EXPECT_EQ(measure("assay/exact_match", {item("a", {"a"}), item("a", {})}).said.text,
            "row 1: the item has no target to compare with");
}

TEST(ExactMatch, AgreesWithPythonOnOddAndRandomTexts) {
  for (const Json& row : text_metric_cases("exact_match")) {
    const Values values = exact_match({row}, {{"ignore_case", row.at("ignore_case")},
                                              {"ignore_punctuation", row.at("ignore_punctuation")},
                                              {"strip", row.at("strip")}});
    EXPECT_EQ(values[0], row.at("exact_match").get<double>()) << row;
  }
}

}  // namespace
}  // namespace plugin_test
