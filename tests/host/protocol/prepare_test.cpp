#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "host/core/hash.hpp"
#include "host/protocol/encode.hpp"
#include "host/protocol/protocol.hpp"
#include "tests/host/protocol/items.hpp"

namespace assay::host {
namespace {

using testing::ElementsAre;

TaskSpec perplexity_task(std::uint64_t window, std::uint64_t stride) {
  TaskSpec task;
  task.name = "stories";
  task.protocol = Protocol::kPerplexity;
  task.perplexity = {window, stride, "{{ text }}", std::nullopt};
  return task;
}

TaskSpec choice_task() {
  TaskSpec task;
  task.name = "choice";
  task.protocol = Protocol::kMultipleChoice;
  task.prompt.prompts = {"{{ q }}"};
  task.multiple_choice.choices = {"choices"};
  task.prompt.target = "answer";
  task.prompt.delimiter = " ";
  task.prompt.separator = "\n\n";
  return task;
}

std::string text_of(const Span& span, std::uint64_t from = 0) {
  return *ledger().decode(std::span(span.tokens).subspan(from), false);
}

TEST(PrepareDocument, BeginsWithBosAndCountsBytesAndWordsOfTheWholeText) {
  const std::string text = "Once upon a time, there was a fox.";
  const auto items = prepare_all(perplexity_task(512, 256), {{{"text", text}}});
  ASSERT_TRUE(items) << items.error().text;
  const PreparedItem& item = items->front();
  EXPECT_EQ(item.status, "ok");
  ASSERT_EQ(item.spans.size(), 1u);
  EXPECT_EQ(item.spans[0].tokens[0], *ledger().bos());
  EXPECT_EQ(item.spans[0].first, 1u);
  EXPECT_EQ(item.row.at("first_token"), 1);
  EXPECT_EQ(item.row.at("n_bytes"), text.size());
  EXPECT_EQ(item.row.at("n_words"), 8);
  EXPECT_EQ(item.row.at("prompt_sha256"), sha256(text));
  EXPECT_EQ(item.row.at("prompt_tokens"), item.spans[0].tokens.size());
}

TEST(PrepareDocument, ScoresEveryByteOnceWhateverTheWindows) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "The quick brown fox no. " + std::to_string(i) + " jumps. ";
  for (const std::uint64_t stride : {8u, 13u, 31u}) {
    const auto items = prepare_all(perplexity_task(32, stride), {{{"text", text}}});
    ASSERT_TRUE(items);
    EXPECT_EQ(items->front().row.at("n_bytes"), text.size()) << stride;
    EXPECT_EQ(items->front().row.at("n_words"), 60 * 7) << stride;
    std::uint64_t scored = 0;
    for (const Span& span : items->front().spans) scored += span.tokens.size() - span.first;
    EXPECT_EQ(scored + 1, items->front().row.at("prompt_tokens").get<std::uint64_t>());
  }
}

TEST(PrepareDocument, EmptyTextHasNothingToScore) {
  TaskSpec task = perplexity_task(512, 256);
  task.bos = Bos::kNever;
  const auto items = prepare_all(task, {{{"text", ""}}});
  ASSERT_TRUE(items);
  EXPECT_EQ(items->front().status, "empty");
  EXPECT_TRUE(items->front().spans.empty());
}

TEST(PrepareDocument, TooLongSaysHowToSplit) {
  const auto items =
      prepare_all(perplexity_task(512, 256), {{{"text", std::string(50'000'000, 'x')}}});
  ASSERT_FALSE(items);
  EXPECT_EQ(items.error().text,
            "record 0: a document of 50.0 MB is longer than the 16.8 MB one item may "
            "have; split the file into one document per line, or name the text between documents "
            "with separator");
}

TEST(PrepareJoined, MakesOneItemPerWindowOfOneStream) {
  TaskSpec task = perplexity_task(16, 8);
  task.perplexity.join = "\n\n";
  const std::vector<Json> documents{{{"text", "one fox jumps over the lazy dog"}},
                                    {{"text", ""}},
                                    {{"text", "two foxes jump over three lazy dogs"}}};
  const auto items = prepare_all(task, documents);
  ASSERT_TRUE(items) << items.error().text;
  const std::string text =
      "one fox jumps over the lazy dog\n\n\n\ntwo foxes jump over three lazy dogs";
  const auto whole = encode_text(ledger(), text, Bos::kAuto);
  std::uint64_t bytes = 0, words = 0, at = 0;
  for (const PreparedItem& item : *items) {
    EXPECT_EQ(item.index, at++);
    EXPECT_EQ(item.row.at("prompt_sha256"), sha256(text));
    ASSERT_EQ(item.spans.size(), 1u);
    bytes += item.row.at("n_bytes").get<std::uint64_t>();
    words += item.row.at("n_words").get<std::uint64_t>();
  }
  EXPECT_EQ(bytes, text.size());
  EXPECT_EQ(words, 14u);
  EXPECT_EQ(items->back().spans[0].tokens.back(), whole->ids.back());
}

TEST(PrepareJoined, TakesTheFirstDocumentsUpToTheLimit) {
  TaskSpec task = perplexity_task(512, 256);
  task.perplexity.join = " ";
  task.limit = 2;
  const auto items = prepare_all(task, {{{"text", "a"}}, {{"text", "b"}}, {{"text", "c"}}});
  ASSERT_TRUE(items);
  EXPECT_EQ(items->front().row.at("prompt_sha256"), sha256("a b"));
}

TEST(PrepareChoice, CutsContextAndContinuationAtTheContextsLength) {
  const auto items = prepare_all(
      choice_task(), {{{"q", "travel b c"}, {"choices", {"yes", "no"}}, {"answer", 1}}});
  ASSERT_TRUE(items) << items.error().text;
  const PreparedItem& item = items->front();
  ASSERT_EQ(item.spans.size(), 2u);
  EXPECT_EQ(text_of(item.spans[0], item.spans[0].first), " yes");
  EXPECT_EQ(text_of(item.spans[1], item.spans[1].first), " no");
  EXPECT_EQ(item.row.at("target"), 1);
  EXPECT_EQ(item.row.at("choices"), Json({"yes", "no"}));
  EXPECT_EQ(item.row.at("choice_chars"), Json({3, 2}));
  EXPECT_EQ(item.row.at("prompt_sha256"), sha256("travel b c"));
  EXPECT_EQ(item.row.at("boundary_differs"), 0);
}

TEST(PrepareChoice, CountsCharactersNotBytes) {
  const auto items = prepare_all(
      choice_task(), {{{"q", "x"}, {"choices", {"caf\u00e9", "\u4f60\u597d"}}, {"answer", 0}}});
  ASSERT_TRUE(items);
  EXPECT_EQ(items->front().row.at("choice_chars"), Json({4, 2}));
  EXPECT_EQ(items->front().row.at("choice_bytes"), Json({5, 6}));
}

TEST(PrepareChoice, MovesTrailingSpacesOfTheContextToTheContinuation) {
  const auto pair = encode_pair(ledger(), "Answer: \n ", "yes", Bos::kAuto);
  const auto own = encode_text(ledger(), "Answer:", Bos::kAuto);
  ASSERT_TRUE(pair && own);
  EXPECT_EQ(pair->span.first, own->ids.size());
}

TEST(PrepareChoice, EmptyContextBecomesThePrefixToken) {
  const auto pair = encode_pair(ledger(), "", "yes", Bos::kNever);
  ASSERT_TRUE(pair);
  EXPECT_EQ(pair->span.first, 1u);
  EXPECT_EQ(pair->span.tokens[0], *ledger().bos());
}

TEST(EncodeText, AddsNoSecondBosToATextThatSpellsOne) {
  const auto spelt = encode_text(ledger(), "<s>Once", Bos::kAuto);
  const auto plain = encode_text(ledger(), "Once", Bos::kAuto);
  ASSERT_TRUE(spelt && plain);
  EXPECT_EQ(spelt->ids, plain->ids);
  EXPECT_EQ(encode_text(ledger(), "<s>Once", Bos::kAlways)->ids, plain->ids);
  EXPECT_EQ(encode_text(ledger(), "Once", Bos::kAlways)->ids, plain->ids);
  EXPECT_EQ(encode_text(ledger(), "Once", Bos::kNever)->ids.size() + 1, plain->ids.size());
}

TEST(PrepareChoice, PutsDescriptionAndShotsInFrontButNeverTheItemItself) {
  TaskSpec task = choice_task();
  task.prompt.shots = 2;
  task.prompt.description = "Review {{ q }}.\n\n";
  const std::vector<Json> items{{{"q", "q0"}, {"choices", {"yes", "no"}}, {"answer", 0}},
                                {{"q", "q1"}, {"choices", {"yes", "no"}}, {"answer", 1}},
                                {{"q", "q2"}, {"choices", {"yes", "no"}}, {"answer", "no"}}};
  const auto prepared = prepare_all(task, items, items);
  ASSERT_TRUE(prepared) << prepared.error().text;
  const PreparedItem& first = prepared->front();
  const std::string prompt =
      text_of({{first.spans[0].tokens.begin() + 1,
                first.spans[0].tokens.begin() + static_cast<std::ptrdiff_t>(first.spans[0].first)},
               0});
  EXPECT_THAT(prompt, testing::AnyOf("Review q0.\n\nq1 no\n\nq2 no\n\nq0",
                                     "Review q0.\n\nq2 no\n\nq1 no\n\nq0"));
}

TEST(PrepareChoice, DifferentContextsShareOneContinuation) {
  TaskSpec task = choice_task();
  task.prompt.prompts = {"{{ a }}", "{{ b }}"};
  task.prompt.has_many_prompts = true;
  task.multiple_choice.choices = {"{{ end }}"};
  const auto items = prepare_all(
      task, {{{"a", "The dog"}, {"b", "The cat"}, {"end", "was late."}, {"answer", 1}}});
  ASSERT_TRUE(items) << items.error().text;
  const PreparedItem& item = items->front();
  ASSERT_EQ(item.spans.size(), 2u);
  EXPECT_EQ(text_of(item.spans[1], 1), "The cat was late.");
  EXPECT_EQ(item.row.at("choices"), Json({"The dog", "The cat"}));
}

TEST(PrepareChoice, TargetThatIsNoChoiceSaysWhatWasExpected) {
  const auto items =
      prepare_all(choice_task(), {{{"q", "x"}, {"choices", {"yes", "no"}}, {"answer", 0}},
                                  {{"q", "x"}, {"choices", {"yes", "no"}}, {"answer", 2}}});
  ASSERT_FALSE(items);
  EXPECT_EQ(items.error().text,
            "record 1: target = \"answer\" gave 2, expected the index of a choice (0 "
            "to 1) or the text of one");
}

TEST(PrepareChoice, OneChoiceIsNoQuestion) {
  const auto items =
      prepare_all(choice_task(), {{{"q", "x"}, {"choices", {"yes"}}, {"answer", 0}}});
  ASSERT_FALSE(items);
  EXPECT_EQ(items.error().text, "record 0: a question needs at least 2 choices, this one has 1");
}

TEST(PreparedItem, SurvivesTheSpool) {
  PreparedItem item;
  item.index = 7;
  item.status = "empty";
  item.row = {{"item", "abc"}, {"text", "\u00e4\n"}};
  item.spans = {{{1, 2, -3}, 1}, {{}, 0}};
  const PreparedItem back = prepared_from_bytes(to_bytes(item));
  EXPECT_EQ(back.index, 7u);
  EXPECT_EQ(back.status, "empty");
  EXPECT_EQ(back.row, item.row);
  ASSERT_EQ(back.spans.size(), 2u);
  EXPECT_THAT(back.spans[0].tokens, ElementsAre(1, 2, -3));
  EXPECT_EQ(back.spans[0].first, 1u);
}

PreparedItem item_with(std::vector<Span> spans) {
  PreparedItem item;
  item.row = {{"status", "ok"}, {"truncated_tokens", 0}};
  item.spans = std::move(spans);
  return item;
}

TEST(RequestsOf, KeepsTheLastTokensOfALongContextAndOneMoreToPredict) {
  // Source: the harness keeps max_length + 1 tokens and does not feed the last (513 and 512 there).
  PreparedItem item = item_with({{{0, 1, 2, 3, 4, 5, 6, 7}, 6}});
  const auto requests = requests_of(item, Protocol::kMultipleChoice, 4);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_THAT(requests[0].tokens, ElementsAre(3, 4, 5, 6, 7));
  EXPECT_EQ(requests[0].first, 3u);
  EXPECT_EQ(item.row.at("truncated_tokens"), 3);
}

TEST(RequestsOf, ContinuationLongerThanTheContextIsRefused) {
  PreparedItem item = item_with({{{0, 1, 2, 3, 4, 5, 6, 7}, 1}});
  EXPECT_TRUE(requests_of(item, Protocol::kMultipleChoice, 4).empty());
  EXPECT_EQ(item.status, "too_long");
}

TEST(FinishRow, KeepsEveryTokensNllAndTheMeanOfEachWindow) {
  PreparedItem item = item_with({{{0, 1, 2}, 1}, {{2, 3}, 1}});
  const Json row = finish_row(item, Protocol::kPerplexity,
                              std::vector<Score>{{{-1.5F, -0.1F}, {1, 0}}, {{-2.0F}, {0}}});
  EXPECT_EQ(row.at("token_nll").dump(), "[1.5,0.1,2.0]");
  EXPECT_DOUBLE_EQ(row.at("nll").get<double>(), 1.5 + double{0.1F} + 2);
  EXPECT_EQ(row.at("n_tokens"), 3);
  EXPECT_DOUBLE_EQ(row.at("window_nll")[0].get<double>(), (1.5 + double{0.1F}) / 2);
  EXPECT_DOUBLE_EQ(row.at("window_nll")[1].get<double>(), 2);
}

TEST(FinishRow, IsGreedyOnlyWhereEveryTokenIs) {
  PreparedItem item = item_with({{{0, 1, 2}, 1}, {{0, 3, 4}, 1}});
  const Json row = finish_row(item, Protocol::kMultipleChoice,
                              std::vector<Score>{{{-1, -2}, {1, 1}}, {{-1, -1}, {1, 0}}});
  EXPECT_EQ(row.at("choice_greedy"), Json({1, 0}));
  EXPECT_EQ(row.at("choice_loglikelihoods"), Json({-3.0, -2.0}));
}

TEST(FinishRow, ScoreThatIsNotFiniteIsNotARow) {
  PreparedItem item = item_with({{{0, 1}, 1}});
  const Json row = finish_row(item, Protocol::kPerplexity,
                              std::vector<Score>{{{std::numeric_limits<float>::quiet_NaN()}, {0}}});
  EXPECT_EQ(row.at("status"), "not_finite");
  EXPECT_FALSE(row.contains("nll"));
}

}  // namespace
}  // namespace assay::host
