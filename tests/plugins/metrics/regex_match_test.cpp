#include <gtest/gtest.h>

#include "tests/plugins/plugin_host.hpp"

namespace plugin_test {
namespace {

Measured regex_match(const std::string& pattern, const std::vector<std::string>& texts,
                     Json options = Json::object()) {
  options["pattern"] = pattern;
  std::vector<Json> items;
  for (const std::string& output : texts) items.push_back({{"output", output}});
  return measure("assay/regex_match", items, 1000, options);
}

using Values = std::vector<double>;

TEST(RegexMatch, FindsThePatternAnywhereInTheOutput) {
  const Measured m = regex_match("colou?r\\b", {"a color", "colours", "colour!", ""});
  ASSERT_EQ(m.said.text, "");
  EXPECT_EQ(m.samples.at("regex_match"), (Values{1, 0, 1, 0}));
  EXPECT_DOUBLE_EQ(m.totals.at("regex_match").value, 0.5);
}

TEST(RegexMatch, MatchesTheWholeOutputWhenAsked) {
  // The first alternative alone would leave the b over: the match goes back and takes the second.
  EXPECT_EQ(regex_match("a|ab", {"a", "ab", "abc", "xa", "a\n"}, {{"full", true}})
                .samples.at("regex_match"),
            (Values{1, 1, 0, 0, 0}));
}

TEST(RegexMatch, KnowsUnicodeAndCase) {
  EXPECT_EQ(regex_match("^\\w+$", {"\xC3\xA9t\xC3\xA9", "a b"}).samples.at("regex_match"),
            (Values{1, 0}));
  EXPECT_EQ(regex_match("^.$", {"\xF0\x9F\x98\x80"}).samples.at("regex_match"), (Values{1}));
  EXPECT_EQ(regex_match("\xD1\x8F", {"\xD0\xAF"}).samples.at("regex_match"), (Values{0}));
  EXPECT_EQ(
      regex_match("\xD1\x8F", {"\xD0\xAF"}, {{"ignore_case", true}}).samples.at("regex_match"),
      (Values{1}));
}

TEST(RegexMatch, HasGroupsThatMayBeReferredTo) {
  EXPECT_EQ(regex_match("(a)(b)\\2\\1", {"abba", "abab"}).samples.at("regex_match"),
            (Values{1, 0}));
}

TEST(RegexMatch, RefusesWhatIsNoRegularExpressionWithReasonAndPlace) {
  const Measured m = regex_match("a(b", {"ab"});
  EXPECT_EQ(m.said.code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(m.said.where, "pattern");
  EXPECT_EQ(m.said.text,
            "pattern is no regular expression: missing closing parenthesis, behind \"a(b\" (byte "
            "3)");
  EXPECT_EQ(regex_match("*a", {"a"}).said.text,
            "pattern is no regular expression: quantifier does not follow a repeatable item, "
            "behind \"\" (byte 0)");
}

TEST(RegexMatch, GivesUpOnARowThatTakesTooManySteps) {
  // Nested repeats try every way to cut the a's into pieces: 2^40 of them.
  const Measured m = regex_match("^(a+)+$", {"aaa", std::string(40, 'a') + "!"});
  EXPECT_EQ(m.said.code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(m.said.text,
            "row 1: the pattern cannot be matched with this output: match limit exceeded "
            "(10,000,000 steps, 64 MiB); write it without repeats inside repeats");
}

}  // namespace
}  // namespace plugin_test
