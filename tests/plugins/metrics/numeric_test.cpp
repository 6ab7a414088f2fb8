#include <gtest/gtest.h>

#include "tests/plugins/metrics/reference.hpp"
#include "tests/plugins/plugin_host.hpp"

namespace plugin_test {
namespace {

Json item(const std::string& output, std::vector<std::string> targets) {
  return {{"output", output}, {"targets", std::move(targets)}};
}

Measured numeric(const std::vector<Json>& items, Json options = Json::object()) {
  if (!options.contains("which")) options["which"] = "last";
  return measure("assay/numeric", items, 1000, options);
}

/// Does the output's last number equal this one?
bool is(const std::string& output, const std::string& number) {
  const Measured m = numeric({item(output, {number})});
  EXPECT_EQ(m.said.text, "");
  return m.samples.at("numeric")[0] == 1;
}

TEST(Numeric, ComparesTheLastOrFirstNumber) {
  const std::vector<Json> items{item("3 + 4 = 7", {"7"}), item("3 + 4 = 7", {"3"})};
  EXPECT_EQ(numeric(items).samples.at("numeric"), (std::vector<double>{1, 0}));
  EXPECT_EQ(numeric(items, {{"which", "first"}}).samples.at("numeric"),
            (std::vector<double>{0, 1}));
}

TEST(Numeric, ReadsNumbersAsPeopleWriteThem) {
  EXPECT_TRUE(is("It was $1,577 million.", "$1577.00"));
  EXPECT_TRUE(is("1,234,567.5", "1234567.5"));
  EXPECT_TRUE(is("65.4%", "65.4"));
  EXPECT_FALSE(is("0.654", "65.4%"));
  EXPECT_TRUE(is("7\xE2\x82\xAC",
                 "\xE2\x82\xAC"
                 "7"));
  EXPECT_TRUE(is("1.5e3", "1500"));
  EXPECT_TRUE(is(".5", "0.50"));
  EXPECT_TRUE(is("the answer is 12.", "12"));
  EXPECT_TRUE(is("1,5", "5"));  // a comma before other than three digits separates
  EXPECT_TRUE(is("1,2345", "2345"));
  EXPECT_TRUE(is("5kg", "5"));
}

TEST(Numeric, ReadsSigns) {
  EXPECT_TRUE(is("-0.02", "-0.02"));
  EXPECT_TRUE(
      is("\xE2\x88\x92"
         "3",
         "-3"));
  EXPECT_TRUE(is("-$5", "-5"));
  EXPECT_TRUE(is("$-5", "-5"));
  EXPECT_TRUE(is("+5", "5"));
  EXPECT_TRUE(is("10-20", "20"));  // from ten to twenty
  EXPECT_TRUE(is("- 5", "5"));     // an item of a list
  EXPECT_TRUE(is("COVID-19", "19"));
}

TEST(Numeric, ReadsBracketsAsAMinusOnlyWhereAccountantsWriteThem) {
  EXPECT_TRUE(is("(1,234)", "-1234"));
  EXPECT_TRUE(is(" ($1,234)\n", "-1234"));
  EXPECT_TRUE(is("(5.2%)", "-5.2"));
  EXPECT_TRUE(is("spent $(1,493) million", "-1493"));
  EXPECT_TRUE(is("a year earlier (2018)", "2018"));
  EXPECT_TRUE(is("it cost (in all $5)", "5"));
}

TEST(Numeric, LeavesOutDigitsInsideAWord) {
  EXPECT_TRUE(is("It was 12 in FY2018 and Q4, says v1.2", "12"));
  EXPECT_EQ(numeric({item("FY2018", {"2018"})}).samples.at("has_number")[0], 0);
}

TEST(Numeric, TakesNumbersWithinEitherTolerance) {
  EXPECT_TRUE(is("1000000.9", "1000000"));  // 1e-6 of the target is 1
  EXPECT_FALSE(is("1000001.1", "1000000"));
  EXPECT_FALSE(is("0.0000001", "0"));
  const std::vector<Json> items{item("10.4", {"10"}), item("10.6", {"10"}), item("110", {"100"}),
                                item("111", {"100"})};
  EXPECT_EQ(numeric(items, {{"abs_tolerance", 0.5}}).samples.at("numeric"),
            (std::vector<double>{1, 0, 0, 0}));
  EXPECT_EQ(numeric(items, {{"rel_tolerance", 0.1}}).samples.at("numeric"),
            (std::vector<double>{1, 1, 1, 0}));
}

TEST(Numeric, TakesAnyTarget) {
  EXPECT_EQ(numeric({item("3", {"2", "3"})}).samples.at("numeric")[0], 1);
}

TEST(Numeric, OfAnOutputWithoutNumberIsWrong) {
  const Measured m = numeric({item("I do not know", {"7"}), item("seven: 7", {"7"})});
  EXPECT_EQ(m.samples.at("numeric"), (std::vector<double>{0, 1}));
  EXPECT_EQ(m.samples.at("has_number"), (std::vector<double>{0, 1}));
  EXPECT_DOUBLE_EQ(m.totals.at("has_number").value, 0.5);
}

TEST(Numeric, LeavesOutWhatFloat64CannotHold) {
  EXPECT_EQ(numeric({item("1e999", {"7"}), item("1e-999", {"0"})}).samples.at("has_number"),
            (std::vector<double>{0, 0}));
  EXPECT_TRUE(is("7 1e999", "7"));
}

TEST(Numeric, RefusesATargetWithoutNumber) {
  EXPECT_EQ(numeric({item("7", {"7"}), item("7", {"7", "Data Center"})}).said.text,
            "row 1: the target \"Data Center\" holds no number; leave such items out of the task, "
            "or use another metric");
  EXPECT_EQ(numeric({item("7", {std::string(100, 'x')})}).said.text,
            "row 0: the target \"" + std::string(80, 'x') +
                "...\" holds no number; leave such items out of the task, or use another metric");
  EXPECT_EQ(numeric({item("7", {})}).said.text, "row 0: the item has no target to compare with");
}

TEST(Numeric, IsNotUsedUnlessItIsNamed) {
  // A task that names no metrics gets those that need no option.
  const Component metric("assay/numeric");
  bool has_required = false;
  for (std::uint64_t i = 0; i < metric.constants().n_options; ++i) {
    has_required = has_required || (metric.constants().options[i]->flags & ASSAY_OPT_REQUIRED) != 0;
  }
  EXPECT_TRUE(has_required);
}

TEST(Numeric, AgreesWithPythonOnOddAndRandomTexts) {
  for (const Json& row : text_metric_cases("numeric")) {
    const Measured m = numeric({row}, {{"which", row.at("which")},
                                       {"abs_tolerance", row.at("abs_tolerance")},
                                       {"rel_tolerance", row.at("rel_tolerance")}});
    ASSERT_EQ(m.said.text, "") << row;
    EXPECT_EQ(m.samples.at("numeric")[0], row.at("numeric").get<double>()) << row;
    EXPECT_EQ(m.samples.at("has_number")[0], row.at("has_number").get<double>()) << row;
  }
}

}  // namespace
}  // namespace plugin_test
