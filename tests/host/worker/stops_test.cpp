#include "host/worker/stops.hpp"

#include <gtest/gtest.h>

namespace assay::host {
namespace {

const Tokenizer& ledger() {
  static const auto tokenizer =
      Tokenizer::open(std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger/model");
  return *tokenizer;
}

std::vector<std::int32_t> tokens_of(const std::string& text) {
  return ledger().encode(text, AddSpecial::kNone)->ids;
}

TEST(FirstStop, IsTheOneThatBeginsFirst) {
  const std::vector<std::string> stops{"b c", "c", "x"};
  EXPECT_EQ(first_stop("a b c", stops), 2u);
  EXPECT_EQ(first_stop("a c b c", stops), 2u);
  EXPECT_EQ(first_stop("a b", stops), std::nullopt);
  EXPECT_EQ(first_stop("", stops), std::nullopt);
}

// The text is cut into tokens in every way the vocabulary allows: character by character the stop
// lies across as many borders as it can.
TEST(HasNewStop, FindsATextWhereverTokensBegin) {
  const std::string text = "Lily went home. Question: why";
  const std::vector<std::string> stops{"Question:"};
  std::vector<std::int32_t> one_by_one;
  for (const char letter : text) {
    const auto part = tokens_of(std::string(1, letter));
    one_by_one.insert(one_by_one.end(), part.begin(), part.end());
  }
  for (const auto& tokens : {tokens_of(text), one_by_one}) {
    ASSERT_EQ(*ledger().decode(tokens, true), text);
    std::size_t n = 0;
    while (n < tokens.size() && !*has_new_stop(ledger(), std::span(tokens).first(n), 1, stops)) ++n;
    const std::string there = *ledger().decode(std::span(tokens).first(n), true);
    const std::string before = *ledger().decode(std::span(tokens).first(n - 1), true);
    EXPECT_NE(there.find("Question:"), std::string::npos) << there;
    EXPECT_EQ(before.find("Question:"), std::string::npos) << before;
  }
}

TEST(HasNewStop, LooksBackAsFarAsTheLongestStopInALongAnswer) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < 200; ++i) {
    const auto part = tokens_of(" day");
    tokens.insert(tokens.end(), part.begin(), part.end());
  }
  const std::vector<std::string> stops{"\n\n\n\n"};
  EXPECT_FALSE(*has_new_stop(ledger(), tokens, 1, stops));
  for (int i = 0; i < 4; ++i) tokens.push_back(tokens_of("\n").front());
  EXPECT_TRUE(*has_new_stop(ledger(), tokens, 1, stops));
  EXPECT_FALSE(*has_new_stop(ledger(), std::span(tokens).first(tokens.size() - 1), 1, stops));
}

TEST(HasNewStop, WithoutStopsDecodesNothing) {
  const std::vector<std::int32_t> bad{-5};  // would fail to decode
  EXPECT_FALSE(*has_new_stop(ledger(), bad, 1, {}));
  const std::vector<std::string> stops{"x"};
  EXPECT_FALSE(has_new_stop(ledger(), bad, 1, stops));
}

TEST(HasNewStop, HalfACharacterIsNoStopAndBreaksNothing) {
  const auto whole = tokens_of("caf\xc3\xa9 ?");
  const std::vector<std::string> stops{"\xc3\xa9"};
  std::size_t n = 0;
  while (n < whole.size() && !*has_new_stop(ledger(), std::span(whole).first(n), 1, stops)) ++n;
  EXPECT_EQ(*ledger().decode(std::span(whole).first(n), true), "caf\xc3\xa9");
}

}  // namespace
}  // namespace assay::host
