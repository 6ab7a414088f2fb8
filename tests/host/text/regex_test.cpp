#include "host/text/regex.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "host/core/json.hpp"

namespace assay::host {
namespace {

using testing::ElementsAre;

Regex compiled(std::string_view pattern) {
  auto regex = Regex::compile(pattern);
  if (!regex) throw std::runtime_error(regex.error().text);
  return std::move(*regex);
}

std::vector<std::string> found(std::string_view pattern, std::string_view text) {
  auto matches = compiled(pattern).find_all(text);
  if (!matches) throw std::runtime_error(matches.error().text);
  return std::move(*matches);
}

std::string replaced(std::string_view pattern, std::string_view text, std::string_view with) {
  auto out = compiled(pattern).replace(text, with);
  if (!out) throw std::runtime_error(out.error().text);
  return std::move(*out);
}

std::string compile_failure(std::string_view pattern) {
  const auto regex = Regex::compile(pattern);
  if (regex) return "compiled";
  EXPECT_EQ(regex.error().code, ASSAY_INVALID_ARGUMENT);
  return regex.error().text;
}

TEST(Regex, FindsTheWholeMatchTheOneGroupOrTheFirstThatIsNotEmpty) {
  EXPECT_THAT(found("[0-9]+", "1 and 23"), ElementsAre("1", "23"));
  EXPECT_THAT(found("n=([0-9]*)", "n=1 n= n=23"), ElementsAre("1", "", "23"));
  EXPECT_THAT(found("(a)|(b)|c", "cab"), ElementsAre("", "a", "b"));
}

// scoring.md 16, by hand.
TEST(Regex, ReadsTheAnswersOfGsm8k) {
  const std::string strict = R"(#### (\-?[0-9\.\,]+))";
  const std::string flexible = R"((-?[$0-9.,]{2,})|(-?[0-9]+))";
  EXPECT_THAT(found(strict, " 3+4=7\n#### 1,234."), ElementsAre("1,234."));
  EXPECT_EQ(found(flexible, " 3+4=7\n#### 1,234.").back(), "1,234.");
  EXPECT_THAT(found(strict, "The answer is $12. So 5"), ElementsAre());
  EXPECT_THAT(found(flexible, "The answer is $12. So 5"), ElementsAre("$12.", "5"));
}

TEST(Regex, TakesTheReplacementAsItStands) {
  EXPECT_EQ(replaced("(b)", "abc", R"(\1$1\g<0>)"), R"(a\1$1\g<0>c)");
  EXPECT_EQ(replaced("x*", "abxd", "-"), "-a-b--d-");
  EXPECT_EQ(replaced("b", "", "-"), "");
}

TEST(Regex, CarriesNulAndTextsWithoutStorage) {
  EXPECT_THAT(found(std::string_view("a\0b", 3), std::string_view("xa\0by", 5)),
              ElementsAre(std::string("a\0b", 3)));
  EXPECT_THAT(found("", std::string_view()), ElementsAre(""));
  EXPECT_THAT(found(std::string_view(), "a"), ElementsAre("", ""));
}

// tests/data/text/regex.json is CPython's answer.
TEST(GoldenRegex, FindsAndReplacesAsPythonDoesAndRefusesWhatItRefuses) {
  std::ifstream in(ASSAY_TEST_DATA "/text/regex.json");
  const Json golden = Json::parse(in);
  const auto with = golden["with"].get<std::string>();
  ASSERT_GE(golden["cases"].size(), 700u);
  for (const Json& expected : golden["cases"]) {
    const auto pattern = expected["pattern"].get<std::string>();
    const auto regex = Regex::compile(pattern);
    if (expected.contains("fails")) {
      EXPECT_FALSE(regex) << pattern;
      continue;
    }
    ASSERT_TRUE(regex) << regex.error().text;
    const auto text = expected["text"].get<std::string>();
    const auto matches = regex->find_all(text);
    const auto out = regex->replace(text, with);
    ASSERT_TRUE(matches) << matches.error().text;
    ASSERT_TRUE(out) << out.error().text;
    EXPECT_EQ(*matches, expected["found"].get<std::vector<std::string>>())
        << pattern << " in " << expected["text"];
    EXPECT_EQ(*out, expected["replaced"].get<std::string>())
        << pattern << " in " << expected["text"];
  }
}

TEST(RegexSyntax, IsRefusedWithTheReasonAndTheCharacter) {
  EXPECT_EQ(compile_failure("a(b"),
            "the regular expression \"a(b\" is wrong at its character 3: missing closing "
            "parenthesis");
  EXPECT_EQ(compile_failure("*a"),
            "the regular expression \"*a\" is wrong at its character 1: quantifier does not follow "
            "a repeatable item");
}

// Characters of what the author wrote: neither bytes, nor PCRE2's spelling of \u00fc and {,2}.
TEST(RegexSyntax, CountsTheCharactersOfTheAuthorsOwnSpelling) {
  EXPECT_EQ(compile_failure("üü(b"),
            "the regular expression \"üü(b\" is wrong at its character 4: missing closing "
            "parenthesis");
  EXPECT_EQ(compile_failure(R"(\u00fca{,2}(b)"),
            "the regular expression \"\\u00fca{,2}(b\" is wrong at its character 13: missing "
            "closing parenthesis");
}

TEST(RegexSyntax, ThatIsNotUtf8OrTooLongIsRefused) {
  EXPECT_EQ(compile_failure("ab\xff"), "the regular expression is not UTF-8 at byte 2");
  EXPECT_EQ(compile_failure(std::string(20'000, 'a')),
            "the regular expression \"" + std::string(100, 'a') +
                "...\" has 20000 bytes, at most 16384 are allowed; shorten it");
}

// \C would cut a character into bytes, and what is found would not be UTF-8.
TEST(RegexSyntax, ThatMatchesPartsOfACharacterIsRefused) {
  EXPECT_THAT(compile_failure(R"(\C)"), testing::HasSubstr("character 2"));
}

TEST(RegexSyntax, OfAnyNestingIsRefusedOrCompiledAndNothingElse) {
  const std::string deep = std::string(8000, '(') + std::string(8000, ')');
  EXPECT_THAT(compile_failure(deep), testing::HasSubstr("parentheses are too deeply nested"));
  EXPECT_THAT(compile_failure("((a{1000}){1000}){1000}"), testing::HasSubstr("too large"));
}

TEST(RegexText, ThatIsNotUtf8NamesTheByte) {
  const Regex regex = compiled("a");
  const auto matches = regex.find_all("aü\xff");
  const auto out = regex.replace("aü\xff", "");
  ASSERT_FALSE(matches || out);
  EXPECT_EQ(matches.error().code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(matches.error().text, "a text for the regular expression \"a\" is not UTF-8 at byte 3");
  EXPECT_EQ(out.error().text, matches.error().text);
}

struct Backtracking {
  const char* pattern;
  std::string text;
};
class RegexThatBacktracks : public testing::TestWithParam<Backtracking> {};

TEST_P(RegexThatBacktracks, EndsWellUnderASecondAndSaysSo) {
  const Regex regex = compiled(GetParam().pattern);
  const std::clock_t start = std::clock();
  const auto matches = regex.find_all(GetParam().text);
  // Of the processor, as tests run side by side: 0.3 s under the sanitizers, 0.15 s without.
  EXPECT_LT(std::clock() - start, CLOCKS_PER_SEC);
  ASSERT_FALSE(matches);
  EXPECT_EQ(matches.error().code, ASSAY_RESOURCE_EXHAUSTED);
  EXPECT_EQ(matches.error().text,
            "the regular expression \"" + std::string(GetParam().pattern) +
                "\" tries too many ways to match a text of " +
                std::to_string(GetParam().text.size()) +
                " bytes (match limit exceeded); write repetitions of which each begins where "
                "the one before must have ended");
}

INSTANTIATE_TEST_SUITE_P(
    OfEveryKind, RegexThatBacktracks,
    testing::Values(Backtracking{"(a+)+$", std::string(40, 'a') + "b"},
                    Backtracking{"(a|aa)+$", std::string(60, 'a') + "b"},
                    Backtracking{"([a-z]+ ?)*[.]", std::string(60, 'a') + "!."},
                    Backtracking{"(?=(a+)+$)", std::string(40, 'a') + "b"},
                    // Few ways from each place, but many places: no limit of PCRE2's own.
                    Backtracking{"[a-z]*[a-z]*[0-9]", std::string(5'000, 'a')},
                    Backtracking{"(?s)<.*<.*<.*[0-9]", std::string(500, '<')}));

TEST(RegexText, ThatWouldTakeTooMuchMemoryFails) {
  const auto matches = compiled("(?:a|b)*[cd]").find_all(std::string(2'000'000, 'a'));
  ASSERT_FALSE(matches);
  EXPECT_EQ(matches.error().code, ASSAY_RESOURCE_EXHAUSTED);
  EXPECT_THAT(matches.error().text, testing::HasSubstr("(heap limit exceeded)"));
}

TEST(RegexText, OfAMegabyteIsSearchedWithinTheLimit) {
  std::string text;
  while (text.size() < 1'000'000) text += "The answer is 42, and 3.5 is not. ";
  EXPECT_EQ(found("(-?[$0-9.,]{2,})|(-?[0-9]+)", text).size(), 2 * text.size() / 34);
  EXPECT_EQ(replaced(R"(\s+)", text, "").size(), text.size() / 34 * 26);
}

TEST(Regex, MayBeUsedByManyThreadsAtOnce) {
  const Regex regex = compiled("([0-9]+)");
  std::vector<std::thread> threads;
  std::atomic<int> differing = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int n = 0; n < 500; ++n) {
        const std::string number = std::to_string(n * 4 + thread);
        const auto matches = regex.find_all("a " + number + " b");
        const auto out = regex.replace("a " + number + " b", "x");
        if (!matches || *matches != std::vector{number} || !out || *out != "a x b") ++differing;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(differing, 0);
}

}  // namespace
}  // namespace assay::host
