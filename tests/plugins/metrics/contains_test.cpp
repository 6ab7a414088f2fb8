#include <gtest/gtest.h>

#include "tests/plugins/metrics/reference.hpp"
#include "tests/plugins/plugin_host.hpp"

namespace plugin_test {
namespace {

Json item(const std::string& output, std::vector<std::string> targets) {
  return {{"output", output}, {"targets", std::move(targets)}};
}

Measured contains(const std::vector<Json>& items, const Json& options = Json::object()) {
  return measure("assay/contains", items, 1000, options);
}

TEST(Contains, FindsTheTargetAnywhereAndAsAWord) {
  // scoring.md 18.12: "no" is in "know", and is no word there.
  const Measured m =
      contains({item("I know it", {"no"}), item("I say no, sir", {"no"}), item("yes", {"no"})});
  ASSERT_EQ(m.said.text, "");
  EXPECT_EQ(m.samples.at("contains"), (std::vector<double>{1, 1, 0}));
  EXPECT_EQ(m.samples.at("contains_word"), (std::vector<double>{0, 1, 0}));
  EXPECT_DOUBLE_EQ(m.totals.at("contains").value, 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.totals.at("contains_word").value, 1.0 / 3);
}

TEST(Contains, TakesAnyTarget) {
  const Measured m = contains({item("in Paris", {"London", "Paris"}), item("Rome", {"a", "b"})});
  EXPECT_EQ(m.samples.at("contains"), (std::vector<double>{1, 0}));
}

TEST(Contains, LooksAtEveryPlaceForAWord) {
  const Measured m = contains({item("know? no", {"no"}), item("nono no_ 9no \xC3\xA9no", {"no"}),
                               item("no", {"no"}), item("aaaa aa", {"aa"})});
  EXPECT_EQ(m.samples.at("contains_word"), (std::vector<double>{1, 0, 1, 1}));
}

TEST(Contains, LeavesOutWhiteSpaceAroundTheTargetUnlessToldNotTo) {
  const std::vector<Json> items{item("It is Paris.", {" Paris\n"})};
  EXPECT_EQ(contains(items).samples.at("contains")[0], 1);
  EXPECT_EQ(contains(items, {{"strip", false}}).samples.at("contains")[0], 0);
}

TEST(Contains, ComparesInLowerCaseWhenAsked) {
  // Capital and small Ya, and E with acute: case is not ASCII's alone.
  const std::vector<Json> items{item("\xD0\xAF \xC3\x89T\xC3\x89 paris", {"\xD1\x8F"}),
                                item("PARIS", {"paris"}),
                                item("\xC3\x89T\xC3\x89", {"\xC3\xA9t\xC3\xA9"})};
  EXPECT_EQ(contains(items).samples.at("contains"), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(contains(items, {{"ignore_case", true}}).samples.at("contains_word"),
            (std::vector<double>{1, 1, 1}));
}

TEST(Contains, RefusesATargetThatEveryOutputContains) {
  EXPECT_EQ(contains({item("a", {"a"}), item("a", {"b", " "})}).said.text,
            "row 1: a target is empty, and every output contains nothing; give the item an answer, "
            "or use assay/exact_match");
  EXPECT_EQ(contains({item("a", {})}).said.text, "row 0: the item has no target to look for");
  EXPECT_EQ(contains({item("a b", {" "})}, {{"strip", false}}).samples.at("contains")[0], 1);
}

TEST(Contains, AgreesWithPythonOnOddAndRandomTexts) {
  for (const Json& row : text_metric_cases("contains")) {
    const Measured m =
        contains({row}, {{"ignore_case", row.at("ignore_case")}, {"strip", row.at("strip")}});
    ASSERT_EQ(m.said.text, "") << row;
    EXPECT_EQ(m.samples.at("contains")[0], row.at("contains").get<double>()) << row;
    EXPECT_EQ(m.samples.at("contains_word")[0], row.at("contains_word").get<double>()) << row;
  }
}

}  // namespace
}  // namespace plugin_test
