#include "schedule/generate.hpp"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/weights.hpp"
#include "decoder/architecture.hpp"
#include "decoder/head.hpp"
#include "decoder/load.hpp"
#include "quantize/pipeline.hpp"
#include "linear/dense.hpp"
#include "schedule/score.hpp"
#include "support/fixtures.hpp"
#include "support/recorder.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::Answer;
using assay_torch_test::Recorder;
using assay_torch_test::Requests;
using assay_torch_test::Sampled;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Tokens = std::vector<std::int32_t>;

Decoder load(const assay_torch_test::fs::path& dir) {
  return load_model(read_spec(dir.string()), Weights(dir.string()), std::nullopt,
                    at::TensorOptions(at::kCPU))
      .decoder;
}

Recorder run(const Decoder& decoder, Requests& requests, std::uint32_t flags = 0,
             const ScheduleSettings& settings = {}) {
  Recorder recorder;
  const auto sink = recorder.sink();
  generate(decoder, requests.batch(flags), sink, settings);
  return recorder;
}

/// Without a cache: the whole text is fed again for each token, one text at a time.
Tokens without_cache(const Decoder& decoder, Tokens text, std::size_t count) {
  const std::size_t prompt = text.size();
  while (text.size() < prompt + count) {
    Requests requests;
    text.push_back(0);
    requests.add(text, text.size() - 1, ASSAY_WANT_LOGITS);
    Recorder recorder;
    const auto sink = recorder.sink();
    score(decoder, requests.batch(), sink, {});
    const auto& logits = recorder[1].logits;
    text.back() = static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
  }
  return {text.begin() + static_cast<std::ptrdiff_t>(prompt), text.end()};
}

class GenerateTiny : public ::testing::Test {
 protected:
  GenerateTiny() {
    assay_torch_test::write_tiny_llama(dir_.path());
    decoder_ = load(dir_.path());
  }

  c10::InferenceMode guard_;
  assay_torch_test::TempDir dir_;
  Decoder decoder_;
};

const std::vector<Tokens> kPrompts = {{1, 2, 3}, {0}, {5, 4, 3, 2}, {4, 4}, {3, 3}, {2}, {1, 0, 5}};

constexpr std::uint32_t kOrders[] = {0, ASSAY_BATCH_ORDERED, ASSAY_BATCH_TOGETHER};

TEST_F(GenerateTiny, GivesWhatFeedingTheWholeTextAgainGives) {
  for (const std::int64_t sequences : {1, 2, 32}) {
    for (const std::uint32_t flags : kOrders) {
      Requests requests;
      for (const Tokens& prompt : kPrompts) requests.add_prompt(prompt, {.max_new = 4});
      Recorder got = run(decoder_, requests, flags, {.pass_tokens = 5, .sequences = sequences});
      for (std::size_t i = 0; i < kPrompts.size(); ++i) {
        const Answer& answer = got[i + 1];
        EXPECT_EQ(answer.failure, "");
        EXPECT_EQ(answer.tokens, without_cache(decoder_, kPrompts[i], 4)) << "prompt " << i;
        EXPECT_EQ(answer.times_done, 1);
        EXPECT_EQ(answer.usage.finish, 2U);
        EXPECT_EQ(answer.usage.prompt_tokens, kPrompts[i].size());
        EXPECT_EQ(answer.usage.cached_tokens, 0U);
        EXPECT_EQ(answer.usage.new_tokens, 4U);
        EXPECT_GT(answer.usage.seconds, 0);
      }
    }
  }
}

TEST_F(GenerateTiny, LogProbabilitiesAreThoseThatScoringGives) {
  Requests requests, again;
  requests.add_prompt({1, 2}, {.max_new = 5, .temperature = 2, .seed = 3}, ASSAY_WANT_LOGPROBS);
  requests.add_prompt({1, 2}, {.max_new = 5});
  Recorder got = run(decoder_, requests);
  Tokens text = {1, 2};
  text.insert(text.end(), got[1].tokens.begin(), got[1].tokens.end());
  again.add(text, 2, ASSAY_WANT_LOGPROBS);
  Recorder scored;
  const auto sink = scored.sink();
  score(decoder_, again.batch(), sink, {});
  ASSERT_THAT(got[1].logprobs, SizeIs(5));
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_NEAR(got[1].logprobs[i], scored[1].logprobs[i], 2e-6);  // sums in another order
  EXPECT_THAT(got[2].logprobs, IsEmpty());
}

TEST_F(GenerateTiny, OfEqualLogitsTheLowestIdComes) {
  decoder_.head = std::make_unique<Dense>(at::zeros_like(decoder_.embedding));
  Requests requests;
  requests.add_prompt({1}, {.max_new = 3, .min_new = 2, .stops = {{0}}});
  Recorder got = run(decoder_, requests);
  // Token 0 is a stop, so it may not come among the first two, and ends the text as the third.
  EXPECT_THAT(got[1].tokens, ElementsAre(1, 1, 0));
  EXPECT_EQ(got[1].usage.finish, 1U);
}

TEST_F(GenerateTiny, EveryTokenIsACallOfItsOwn) {
  Requests requests;
  requests.add_prompt({1}, {.max_new = 3});
  requests.add_prompt({2}, {.max_new = 3});
  Recorder got = run(decoder_, requests);
  EXPECT_THAT(got[1].token_calls, ElementsAre(1, 1, 1));
  EXPECT_THAT(got.token_order_, ElementsAre(1, 2, 1, 2, 1, 2));
}

TEST_F(GenerateTiny, OrderedResultsComeRequestByRequest) {
  Requests requests;
  requests.add_prompt({1}, {.max_new = 3});
  requests.add_prompt({2}, {.max_new = 1});
  requests.add_prompt({9}, {.max_new = 1});
  requests.add_prompt({3}, {.max_new = 0});
  requests.add_prompt({3}, {.max_new = 2});
  Recorder ordered = run(decoder_, requests, ASSAY_BATCH_ORDERED);
  EXPECT_THAT(ordered.done_order_, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(ordered.token_order_, ElementsAre(1, 1, 1, 2, 5));
  EXPECT_THAT(ordered[5].token_calls, ElementsAre(2));  // it waited for the first
  EXPECT_THAT(run(decoder_, requests).done_order_, ElementsAre(3, 4, 2, 5, 1));
}

TEST_F(GenerateTiny, TogetherMeansOnePassHoweverSmallThePasses) {
  Requests requests;
  for (int i = 0; i < 3; ++i) requests.add_prompt({1, 2}, {.max_new = 2});
  const ScheduleSettings narrow{.pass_tokens = 1, .sequences = 1};
  EXPECT_THAT(run(decoder_, requests, 0, narrow).token_order_, ElementsAre(1, 1, 2, 2, 3, 3));
  EXPECT_THAT(run(decoder_, requests, ASSAY_BATCH_TOGETHER, narrow).token_order_,
              ElementsAre(1, 2, 3, 1, 2, 3));
}

TEST_F(GenerateTiny, ALongBatchRefillsTheSlotsOfThoseThatEnded) {
  Requests requests;
  std::vector<std::size_t> lengths;
  for (std::size_t i = 0; i < 40; ++i) {
    lengths.push_back(1 + i * 7 % 5);
    requests.add_prompt({static_cast<std::int32_t>(i % 6), 3},
                        {.max_new = static_cast<std::uint32_t>(lengths.back())});
  }
  Recorder got = run(decoder_, requests, 0, {.sequences = 3});
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(got[i + 1].tokens,
              without_cache(decoder_, {static_cast<std::int32_t>(i % 6), 3}, lengths[i]));
  }
}

TEST_F(GenerateTiny, StopsAreSequencesThatMayComeOverSeveralSteps) {
  // A sampled text, for the greedy one of this model is one token again and again.
  const auto sampled = [](std::uint32_t max_new, const std::vector<Tokens>& stops) {
    return Sampled{.max_new = max_new, .temperature = 3, .seed = 5, .stops = stops};
  };
  Requests first;
  first.add_prompt({1, 2, 3}, sampled(5, {}));
  const Tokens free = run(decoder_, first)[1].tokens;
  ASSERT_NE(free[0], free[1]) << "the stops below need different tokens";
  ASSERT_NE(free[1], free[2]);

  Requests requests;
  requests.add_prompt({1, 2, 3}, sampled(5, {{99}, {free[2], free[2]}, {free[1], free[2]}}));
  requests.add_prompt({1, 2, 3}, sampled(5, {{3, free[0]}}));
  requests.add_prompt({1, 2, 3}, sampled(5, {{free[0]}}));
  requests.add_prompt({1, 2, 3}, sampled(3, {{free[1], free[2]}}));
  Recorder got = run(decoder_, requests);
  EXPECT_EQ(got[1].tokens, Tokens(free.begin(), free.begin() + 3));
  EXPECT_EQ(got[1].usage.finish, 1U);
  EXPECT_EQ(got[1].usage.new_tokens, 3U);
  EXPECT_EQ(got[2].tokens, free) << "a stop lies within the new tokens, not across the prompt";
  EXPECT_EQ(got[2].usage.finish, 2U);
  EXPECT_EQ(got[3].tokens, Tokens(free.begin(), free.begin() + 1));
  EXPECT_EQ(got[4].usage.finish, 1U) << "a stop at the last token is a stop";
}

TEST_F(GenerateTiny, BeforeMinNewNothingEndsIt) {
  const Tokens free = without_cache(decoder_, {1, 2, 3}, 5);
  Requests requests;
  // A stop of two tokens is drawn, and not looked at.
  requests.add_prompt({1, 2, 3}, {.max_new = 5, .min_new = 4, .stops = {{free[0], free[1]}}});
  // An end token is not drawn; with min_new == max_new never.
  requests.add_prompt({1, 2, 3}, {.max_new = 5, .min_new = 2, .stops = {{free[0]}}});
  requests.add_prompt({1, 2, 3}, {.max_new = 5, .min_new = 5, .stops = {{0}, {1}, {2}, {3}, {4}}});
  requests.add_prompt({1, 2, 3},
                      {.max_new = 5, .min_new = 1, .stops = {{0}, {1}, {2}, {3}, {4}, {5}}});
  Recorder got = run(decoder_, requests);
  ASSERT_GE(got[1].tokens.size(), 4U);
  EXPECT_EQ(Tokens(got[1].tokens.begin(), got[1].tokens.begin() + 4),
            Tokens(free.begin(), free.begin() + 4));
  ASSERT_GE(got[2].tokens.size(), 2U);
  EXPECT_NE(got[2].tokens[0], free[0]);
  EXPECT_NE(got[2].tokens[1], free[0]);
  EXPECT_EQ(got[3].tokens, Tokens(5, 5));
  EXPECT_EQ(got[3].usage.finish, 2U);
  EXPECT_EQ(got[4].failure, "3 every token of the vocabulary is a stop, and min_new forbids stops");
}

TEST_F(GenerateTiny, ASinkThatWantsNoMoreEndsItsRequest) {
  Requests requests;
  requests.add_prompt({1}, {.max_new = 5});
  requests.add_prompt({2}, {.max_new = 2});
  Recorder recorder;
  recorder.refuse_after_ = 0;  // the first call, of request 1
  const auto sink = recorder.sink();
  generate(decoder_, requests.batch(), sink, {});
  EXPECT_THAT(recorder[1].tokens, SizeIs(1));
  EXPECT_EQ(recorder[1].usage.finish, 3U);
  EXPECT_EQ(recorder[1].usage.new_tokens, 1U);
  EXPECT_THAT(recorder[2].tokens, SizeIs(2));
  EXPECT_EQ(recorder[2].usage.finish, 2U);
}

TEST_F(GenerateTiny, CancelledEndsWhatRunsAndFailsWhatWaits) {
  for (const std::uint32_t flags : {kOrders[0], kOrders[1]}) {
    Requests requests;
    for (int i = 0; i < 4; ++i) requests.add_prompt({1, 2}, {.max_new = 5});
    int polls = 0;
    Recorder got =
        run(decoder_, requests, flags, {.sequences = 2, .cancelled = [&] { return ++polls > 3; }});
    for (const std::uint64_t id : {1U, 2U}) {
      EXPECT_THAT(got[id].tokens, SizeIs(3));
      EXPECT_EQ(got[id].usage.finish, 3U);
      EXPECT_EQ(got[id].usage.new_tokens, 3U);
    }
    for (const std::uint64_t id : {3U, 4U}) {
      EXPECT_EQ(got[id].failure, "1 cancelled before it was started");
      EXPECT_THAT(got[id].tokens, IsEmpty());
    }
    EXPECT_THAT(got.done_order_, ElementsAre(1, 2, 3, 4));
  }
}

TEST_F(GenerateTiny, RefusesWhatIsWrongAndAnswersTheRest) {
  Requests requests;
  requests.add_prompt({1, 6}, {.max_new = 1});
  requests.add_prompt({1, 2, 3}, {.max_new = 6});
  requests.add_prompt({}, {.max_new = 1});
  requests.add_prompt({1}, {.max_new = 1, .min_new = 2});
  requests.add_prompt({1}, {.max_new = 1, .temperature = -1});
  requests.add_prompt({1}, {.max_new = 1, .temperature = NAN});
  requests.add_prompt({1}, {.max_new = 1, .temperature = 1, .top_p = 0});
  requests.add_prompt({1}, {.max_new = 1, .temperature = 1, .top_p = 1.5F});
  requests.add_prompt({1}, {.max_new = 1, .stops = {{1}, {}}});
  requests.add_prompt({1}, {.max_new = 1});
  requests.requests_.back().sampling = nullptr;
  requests.add_prompt({1, 2, 3}, {.max_new = 5});
  requests.add_prompt({1}, {.max_new = 4294967295U});
  Recorder got = run(decoder_, requests);
  EXPECT_EQ(got[1].failure, "3 token 6 at position 1 is outside the vocabulary of 6");
  EXPECT_EQ(got[2].failure,
            "3 the prompt has 3 tokens and max_new is 6, the model's context holds 8");
  EXPECT_EQ(got[3].failure, "3 a prompt needs at least one token, and has none");
  EXPECT_EQ(got[4].failure, "3 min_new is 2, more than max_new, 1");
  EXPECT_EQ(got[5].failure, "3 temperature must be 0 (greedy) or more, got -1.000000");
  EXPECT_EQ(got[6].failure, "3 temperature must be 0 (greedy) or more, got nan");
  EXPECT_EQ(got[7].failure, "3 top_p must be above 0 and at most 1 (all), got 0.000000");
  EXPECT_EQ(got[8].failure, "3 top_p must be above 0 and at most 1 (all), got 1.500000");
  EXPECT_EQ(got[9].failure, "3 stop 1 is empty; a stop has at least one token");
  EXPECT_EQ(got[10].failure, "3 a generate request needs sampling, and has none");
  EXPECT_EQ(got[11].failure, "");
  EXPECT_THAT(got[11].tokens, SizeIs(5));
  EXPECT_EQ(got[12].failure,
            "3 the prompt has 1 tokens and max_new is 4294967295, the model's context holds 8");
  for (std::uint64_t id = 1; id <= 12; ++id) EXPECT_EQ(got[id].times_done, 1);
}

// A token of the tiny model takes 2 * 1 layer * 1 head * 2 dimensions * 4 bytes = 16 bytes.
TEST_F(GenerateTiny, MemoryForTheCacheBoundsHowManyStepTogether) {
  EXPECT_EQ(cache_bytes_per_token(decoder_.spec, 4), 16);
  Requests requests;
  for (int i = 0; i < 3; ++i) requests.add_prompt({1, 2}, {.max_new = 3});  // 4 tokens in the cache
  Recorder two = run(decoder_, requests, 0, {.cache_bytes = 2 * 4 * 16});
  EXPECT_THAT(two.token_order_, ElementsAre(1, 2, 1, 2, 1, 2, 3, 3, 3));
  requests.add_prompt({1, 2}, {.max_new = 1});
  Recorder none = run(decoder_, requests, 0, {.cache_bytes = 4 * 16 - 1});
  for (const std::uint64_t id : {1U, 2U, 3U}) {
    EXPECT_EQ(none[id].failure,
              "8 keys and values of 1 sequence of 4 tokens take 64 bytes, cache_bytes is 63; raise "
              "it, or lower max_new");
  }
  EXPECT_THAT(none[4].tokens, SizeIs(1));
}

TEST_F(GenerateTiny, TogetherIsAllOrNothing) {
  Requests requests;
  for (int i = 0; i < 3; ++i) requests.add_prompt({1, 2}, {.max_new = 3});
  Recorder none = run(decoder_, requests, ASSAY_BATCH_TOGETHER, {.cache_bytes = 3 * 4 * 16 - 1});
  for (std::uint64_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(none[id].failure,
              "8 keys and values of 3 sequences of 4 tokens take 192 bytes, cache_bytes is 191; "
              "raise it, or send fewer");
  }
  EXPECT_EQ(run(decoder_, requests, ASSAY_BATCH_TOGETHER, {.cache_bytes = 3 * 4 * 16})[3].failure,
            "");
}

/// Runs out of memory at the n-th call.
class ExhaustedAt : public Linear {
 public:
  ExhaustedAt(const Linear& inner, int call) : inner_(inner), calls_left_(call) {}
  void apply(const at::Tensor& x, at::Tensor& out,
             std::span<const std::int64_t> lengths) const override {
    if (--calls_left_ == 0) C10_THROW_ERROR(OutOfMemoryError, "no memory");
    inner_.apply(x, out, lengths);
  }
  at::Tensor dequantize() const override { return inner_.dequantize(); }
  std::uint64_t bytes() const override { return inner_.bytes(); }
  std::string describe() const override { return inner_.describe(); }

 private:
  const Linear& inner_;
  mutable int calls_left_;
};

TEST_F(GenerateTiny, AStepWithoutMemoryFailsItsSequencesAndTheRestGoesOn) {
  const auto inner = std::move(decoder_.blocks[0].down);
  const Tokens free = [&] {
    decoder_.blocks[0].down = std::make_unique<ExhaustedAt>(*inner, 1000);
    return without_cache(decoder_, {1, 2}, 3);
  }();
  decoder_.blocks[0].down = std::make_unique<ExhaustedAt>(*inner, 2);
  Requests requests;
  for (int i = 0; i < 3; ++i) requests.add_prompt({1, 2}, {.max_new = 3});
  Recorder got = run(decoder_, requests, 0, {.sequences = 2});
  for (const std::uint64_t id : {1U, 2U}) {
    EXPECT_EQ(got[id].failure,
              "8 no memory for a pass of 2 sequences; lower batch_sequences or batch_tokens");
    EXPECT_THAT(got[id].tokens, ElementsAre(free[0]));
  }
  EXPECT_EQ(got[3].tokens, free);
}

TEST_F(GenerateTiny, AnOverflowFailsItsSequenceAloneAndLeavesNoTrace) {
  const std::vector<Tokens> prompts = {{1}, {1, 2, 3, 3, 2}, {2, 2}};
  std::vector<Tokens> expected;
  for (const Tokens& prompt : prompts) expected.push_back(without_cache(decoder_, prompt, 3));
  // The head is tied to the embedding, and with it to the broken row: it gets weights of its own.
  Decoder whole = load(dir_.path());
  decoder_.head = std::move(whole.head);
  decoder_.embedding[4].fill_(NAN);
  Requests requests;
  requests.add_prompt({1, 2, 4, 4, 4}, {.max_new = 3});
  for (const Tokens& prompt : prompts) requests.add_prompt(prompt, {.max_new = 3});
  Recorder got = run(decoder_, requests, 0, {.sequences = 2});
  EXPECT_EQ(got[1].failure,
            "13 a logit for new token 0 is not finite: the model overflows its dtype on this text");
  // Short ones step in the slot of the broken one, beside a longer one: what lay there is masked,
  // and would be seen if it were not finite.
  for (std::size_t i = 0; i < prompts.size(); ++i) EXPECT_EQ(got[i + 2].tokens, expected[i]) << i;
}

TEST_F(GenerateTiny, SampledTextDependsOnItsSeedAlone) {
  const auto add = [](Requests& requests, const Tokens& prompt, std::uint64_t seed) {
    requests.add_prompt(prompt, {.max_new = 4, .temperature = 1.5, .top_p = 0.95F, .seed = seed});
  };
  std::vector<Tokens> alone;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Requests one;
    add(one, kPrompts[seed % kPrompts.size()], seed);
    alone.push_back(run(decoder_, one)[1].tokens);
  }
  for (const std::int64_t sequences : {3, 32}) {
    Requests all;
    for (std::uint64_t seed = 20; seed-- > 0;) add(all, kPrompts[seed % kPrompts.size()], seed);
    Recorder got = run(decoder_, all, 0, {.sequences = sequences});
    for (std::uint64_t seed = 0; seed < 20; ++seed)
      EXPECT_EQ(got[20 - seed].tokens, alone[seed]) << "seed " << seed;
  }
  EXPECT_NE(alone[0], alone[7]) << "the same prompt with another seed";
}

TEST_F(GenerateTiny, OfNothingIsNothing) {
  Requests requests;
  EXPECT_THAT(run(decoder_, requests).done_order_, IsEmpty());
}

// The names below are in the list needs_data of CMakeLists.txt.

class Stories260kGenerated : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto dir = assay_torch_test::model("stories260k", "stories260K-hf");
    if (!dir) GTEST_SKIP() << "needs the stories260K-hf model in share/data or ASSAY_SHARED";
    decoder_ = load(*dir);
    story_ = nlohmann::json::parse(assay_torch_test::read_bytes(
        assay_torch_test::golden("stories260k_story.json")))["ids"]
                 .get<Tokens>();
  }

  c10::InferenceMode guard_;
  Decoder decoder_;
  Tokens story_;
};

TEST_F(Stories260kGenerated, IsThePublishedStory) {
  Requests requests;
  requests.add_prompt({story_[0]},
                      {.max_new = static_cast<std::uint32_t>(story_.size() - 1), .stops = {{2}}});
  EXPECT_EQ(run(decoder_, requests)[1].tokens, Tokens(story_.begin() + 1, story_.end()));
}

TEST_F(Stories260kGenerated, IsTheSameAloneInABatchOf32AndBesideOthers) {
  Requests alike, ragged;
  for (int i = 0; i < 32; ++i)
    alike.add_prompt({story_.begin(), story_.begin() + 9}, {.max_new = 40});
  for (int i = 1; i <= 40; ++i)
    ragged.add_prompt({story_.begin(), story_.begin() + i},
                      {.max_new = static_cast<std::uint32_t>(60 - i)});
  Recorder of_alike = run(decoder_, alike);
  for (std::uint64_t id = 1; id <= 32; ++id)
    EXPECT_EQ(of_alike[id].tokens, Tokens(story_.begin() + 9, story_.begin() + 49));
  Recorder of_ragged = run(decoder_, ragged, 0, {.pass_tokens = 100, .sequences = 16});
  for (int i = 1; i <= 40; ++i) {
    EXPECT_EQ(of_ragged[static_cast<std::uint64_t>(i)].tokens,
              Tokens(story_.begin() + i, story_.begin() + 60));
  }
}

// Two ways to the same float32 numbers; the sums inside differ in their order only, and logits
// reach 22, whose last place is 2e-6.
TEST_F(Stories260kGenerated, LogitsBehindACacheAreThoseOfTheWholeText) {
  std::vector<std::int64_t> ids(story_.begin(), story_.begin() + 120);
  const auto whole = at::tensor(ids, at::kLong);
  const auto logits_of = [&](const at::Tensor& hidden) {
    std::vector<float> out;
    each_logits(*decoder_.head, decoder_.spec.vocab, hidden,
                [&](std::int64_t, const at::Tensor& logits) {
                  const auto* values = logits.const_data_ptr<float>();
                  out.insert(out.end(), values, values + logits.numel());
                  return true;
                });
    return out;
  };
  const Segment at_once[] = {{.length = 120}};
  const auto expected = logits_of(forward(decoder_, whole, at_once));
  KvCache cache = make_cache(decoder_.spec, 2, 120, at::kFloat);
  std::vector<float> got;
  std::int64_t past = 0;
  for (const std::int64_t length : {50, 1, 1, 13, 1, 54}) {
    const Segment segment[] = {{.length = length, .past = past, .slot = 1}};
    const auto part = logits_of(forward(decoder_, whole.narrow(0, past, length), segment, &cache));
    got.insert(got.end(), part.begin(), part.end());
    past += length;
  }
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 5e-5) << i;
}

class GreedyOracle : public ::testing::TestWithParam<const char*> {
 protected:
  c10::InferenceMode guard_;
};

TEST_P(GreedyOracle, TokensAreThoseOfTransformers) {
  const std::string name = GetParam();
  const auto dir = assay_torch_test::shared("data/models/" + name);
  const auto oracle = assay_torch_test::shared("reference/oracle/" + name + "/greedy.jsonl");
  if (!dir || !oracle)
    GTEST_SKIP() << "needs data/models/" << name << " and its oracle in ASSAY_SHARED";
  Requests requests;
  std::vector<Tokens> expected;
  std::ifstream lines(*oracle);
  for (std::string line; std::getline(lines, line);) {
    const auto text = nlohmann::json::parse(line);
    expected.push_back(text["new_ids"].get<Tokens>());
    requests.add_prompt(text["prompt_ids"].get<Tokens>(), {.max_new = 50, .stops = {{2}}});
  }
  ASSERT_THAT(expected, SizeIs(10));
  const Decoder decoder = load(*dir);
  for (const std::int64_t sequences : {1, 4, 32}) {
    Recorder got = run(decoder, requests, 0, {.sequences = sequences});
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_EQ(got[i + 1].tokens, expected[i]) << "prompt " << i << " of " << name;
  }
}

std::string name_of(const ::testing::TestParamInfo<const char*>& tested) {
  std::string name = tested.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Of, GreedyOracle, ::testing::Values("tinystories-656k", "stories260K-hf"),
                         name_of);

}  // namespace
}  // namespace assay_torch
