#include "host/protocol/filters.hpp"

#include <gtest/gtest.h>

namespace assay::host {
namespace {

using Kind = Filter::Kind;

std::string filtered(const std::vector<Filter>& filters, const std::string& text) {
  const auto compiled = Filters::compile(filters);
  EXPECT_TRUE(compiled) << compiled.error().text;
  auto result = compiled->apply(text);
  EXPECT_TRUE(result) << result.error().text;
  return *result;
}

Filter regex(const std::string& pattern, bool takes_last = false) {
  return {Kind::kRegex, pattern, "", takes_last, "[invalid]"};
}

TEST(Filters, WithoutAnyTheTextStays) { EXPECT_EQ(filtered({}, " a \n"), " a \n"); }

TEST(Filters, StripTakesWhatPythonCallsWhiteSpace) {
  EXPECT_EQ(filtered({{Kind::kStrip}}, "\n\xc2\xa0 116 \xe3\x80\x80\t"), "116");
  EXPECT_EQ(filtered({{Kind::kStrip}}, " \n"), "");
}

TEST(Filters, FirstLineEndsAtAnyLineEnd) {
  EXPECT_EQ(filtered({{Kind::kFirstLine}}, " 116\ncard"), " 116");
  EXPECT_EQ(filtered({{Kind::kFirstLine}}, "a\r\nb"), "a");
  EXPECT_EQ(filtered({{Kind::kFirstLine}}, "one"), "one");
  EXPECT_EQ(filtered({{Kind::kFirstLine}}, "\nlater"), "");
}

// scoring.md 16, the harness's own filters and results.
TEST(Filters, RegexGivesWhatTheHarnessGivesForGsm8k) {
  const Filter strict = regex("#### (\\-?[0-9\\.\\,]+)");
  const Filter flexible = regex("(-?[$0-9.,]{2,})|(-?[0-9]+)", true);
  EXPECT_EQ(filtered({strict}, " 3+4=7\n#### 1,234."), "1,234.");
  EXPECT_EQ(filtered({flexible}, " 3+4=7\n#### 1,234."), "1,234.");
  EXPECT_EQ(filtered({strict}, "The answer is $12. So 5"), "[invalid]");
  EXPECT_EQ(filtered({flexible}, "The answer is $12. So 5"), "5");
}

TEST(Filters, ReplaceWritesForEveryMatch) {
  EXPECT_EQ(filtered({{Kind::kReplace, "[,$]|\\.$", ""}}, "$1,234."), "1234");
  EXPECT_EQ(filtered({{Kind::kReplace, "a+", "$1\\1"}}, "baac"), "b$1\\1c");
}

struct NumberCase {
  const char* text;
  const char* first;
  const char* last;
};

class NumberFilter : public testing::TestWithParam<NumberCase> {};

TEST_P(NumberFilter, ReadsNumbersAsPeopleWriteThem) {
  const auto [text, first, last] = GetParam();
  EXPECT_EQ(filtered({{Kind::kNumber}}, text), first);
  EXPECT_EQ(filtered({{Kind::kNumber, "", "", true}}, text), last);
}

INSTANTIATE_TEST_SUITE_P(
    ByHand, NumberFilter,
    testing::Values(NumberCase{"The total is 1,234,567.50 dollars.", "1234567.50", "1234567.50"},
                    NumberCase{"3 + 4 = 7.", "3", "7"}, NumberCase{"-5 degrees", "-5", "-5"},
                    NumberCase{"pages 3-4", "3", "4"},  // a range has no sign
                    NumberCase{"(2)-1", "2", "1"}, NumberCase{"1,23,456", "1", "23456"},
                    NumberCase{"12,3456", "12", "3456"},
                    NumberCase{".5 or 6.02e23", ".5", "6.02e23"}, NumberCase{"$-3.", "-3", "-3"},
                    NumberCase{"version 1.2.3", "1.2", ".3"},
                    NumberCase{"none", "[invalid]", "[invalid]"}));

TEST(Filters, RunInTheOrderWritten) {
  EXPECT_EQ(filtered({{Kind::kFirstLine}, {Kind::kNumber, "", "", true}}, "4 then 5\n6"), "5");
  EXPECT_EQ(filtered({{Kind::kNumber, "", "", true}, {Kind::kFirstLine}}, "4 then 5\n6"), "6");
}

TEST(Filters, APatternThatBacktracksWithoutEndIsAFailure) {
  const std::vector<Filter> filters{regex("^(a+)+$")};
  const auto compiled = Filters::compile(filters);
  ASSERT_TRUE(compiled);
  const auto result = compiled->apply(std::string(100'000, 'a') + "!");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ASSAY_RESOURCE_EXHAUSTED);
}

TEST(Filters, APatternThatDoesNotCompileIsAFailure) {
  const std::vector<Filter> filters{regex("(a")};
  const auto compiled = Filters::compile(filters);
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().code, ASSAY_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace assay::host
