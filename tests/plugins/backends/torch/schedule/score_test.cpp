#include "schedule/score.hpp"

#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include <cmath>

#include "checkpoint/weights.hpp"
#include "decoder/architecture.hpp"
#include "decoder/head.hpp"
#include "decoder/load.hpp"
#include "quantize/pipeline.hpp"
#include "linear/dense.hpp"
#include "support/fixtures.hpp"
#include "support/recorder.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::Recorder;
using assay_torch_test::Requests;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ScoreTiny : public ::testing::Test {
 protected:
  ScoreTiny() {
    assay_torch_test::write_tiny_llama(dir_.path());
    const std::string dir = dir_.path().string();
    decoder_ =
        load_model(read_spec(dir), Weights(dir), std::nullopt, at::TensorOptions(at::kCPU)).decoder;
  }
  Recorder run(Requests& requests, std::uint32_t flags = 0, ScheduleSettings settings = {}) {
    Recorder recorder;
    run_into(recorder, requests, flags, std::move(settings));
    return recorder;
  }
  void run_into(Recorder& recorder, Requests& requests, std::uint32_t flags = 0,
                ScheduleSettings settings = {}) {
    const auto sink = recorder.sink();
    score(decoder_, requests.batch(flags), sink, settings);
  }

  c10::InferenceMode guard_;
  assay_torch_test::TempDir dir_;
  Decoder decoder_;
};

// log softmax of the logits that the same request gives, summed in double.
TEST_F(ScoreTiny, LogProbabilitiesAreTheLogSoftmaxOfTheLogits) {
  Requests requests;
  requests.add({1, 2, 3, 0, 5}, 2, ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY | ASSAY_WANT_LOGITS);
  Recorder got = run(requests);
  const auto& answer = got[1];
  ASSERT_EQ(answer.logits.size(), 3 * 6U);
  EXPECT_EQ(answer.first, 2U);
  for (std::size_t row = 0; row < 3; ++row) {
    const float* logits = answer.logits.data() + 6 * row;
    double sum = 0;
    for (int v = 0; v < 6; ++v) sum += std::exp(static_cast<double>(logits[v]));
    const auto target = static_cast<std::size_t>(requests.requests_[0].tokens[2 + row]);
    EXPECT_NEAR(answer.logprobs[row], logits[target] - std::log(sum),
                1e-6);  // float32 against double
    EXPECT_EQ(answer.greedy[row],
              std::max_element(logits, logits + 6) - logits == static_cast<std::ptrdiff_t>(target));
  }
}

TEST_F(ScoreTiny, ResultsDoNotDependOnWhatElseIsInThePass) {
  const std::vector<std::vector<std::int32_t>> texts = {
      {1, 2, 3}, {0, 5, 4, 3, 2, 1, 0, 1}, {4, 4}, {3, 3, 1}, {5, 0, 2}};
  Requests together;
  for (const auto& text : texts) together.add(text, 1);
  Recorder all = run(together);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Requests alone;
    alone.add(texts[i], 1);
    Recorder one = run(alone);
    ASSERT_EQ(all[i + 1].logprobs.size(), texts[i].size() - 1);
    for (std::size_t t = 0; t < one[1].logprobs.size(); ++t) {
      // Products of another shape are summed in another order: a few units in the last place.
      EXPECT_NEAR(all[i + 1].logprobs[t], one[1].logprobs[t], 2e-6)
          << "text " << i << " token " << t;
    }
    EXPECT_EQ(all[i + 1].greedy, one[1].greedy);
  }
}

TEST_F(ScoreTiny, GoesOnWhenAPassHoldsOneRequestOnly) {
  Requests requests;
  for (int i = 0; i < 5; ++i) requests.add({1, 2, 3, 4}, 1);
  Recorder wide = run(requests), narrow = run(requests, 0, {.pass_tokens = 1, .cancelled = {}});
  for (std::uint64_t id = 1; id <= 5; ++id) {
    EXPECT_EQ(narrow[id].times_done, 1);
    EXPECT_EQ(narrow[id].usage.prompt_tokens, 3U);
    for (std::size_t t = 0; t < 3; ++t)
      EXPECT_NEAR(narrow[id].logprobs[t], wide[id].logprobs[t], 2e-6);
  }
}

TEST_F(ScoreTiny, TiesOfTheArgMaxGoToTheLowestId) {
  decoder_.head = std::make_unique<Dense>(at::zeros_like(decoder_.embedding));
  Requests requests;
  requests.add({1, 0, 1, 0}, 1);
  Recorder got = run(requests);
  EXPECT_THAT(got[1].greedy, ElementsAre(true, false, true));
  EXPECT_NEAR(got[1].logprobs[0], -std::log(6.0), 1e-6);  // uniform over six tokens
}

TEST_F(ScoreTiny, GivesOnlyWhatIsWanted) {
  Requests requests;
  requests.add({1, 2, 3}, 1, ASSAY_WANT_LOGPROBS);
  requests.add({1, 2, 3}, 1, ASSAY_WANT_GREEDY);
  requests.add({1, 2, 3}, 1, ASSAY_WANT_LOGITS);
  requests.add({1, 2, 3}, 3);
  requests.add({1, 2, 3}, 1, 0);
  Recorder got = run(requests);
  EXPECT_EQ(got[1].logprobs.size(), 2U);
  EXPECT_THAT(got[1].greedy, IsEmpty());
  EXPECT_THAT(got[2].logprobs, IsEmpty());
  EXPECT_EQ(got[2].greedy.size(), 2U);
  EXPECT_EQ(got[3].logits.size(), 12U);
  EXPECT_THAT(got[3].logprobs, IsEmpty());
  EXPECT_THAT(got[4].logprobs, IsEmpty());
  for (std::uint64_t id = 1; id <= 5; ++id) {
    EXPECT_EQ(got[id].times_done, 1);
    EXPECT_EQ(got[id].failure, "");
  }
}

TEST_F(ScoreTiny, RefusesBadRequestsOneByOneAndScoresTheRest) {
  Requests requests;
  requests.add({1, 2, 6}, 1);
  requests.add({1, -1, 2}, 1);
  requests.add({1, 2, 3}, 0);
  requests.add({1, 2, 3}, 4);
  requests.add({1, 2, 3, 4, 5, 0, 1, 2, 3, 4}, 1);
  requests.add({1, 2, 3, 4, 5, 0, 1, 2, 3}, 1);
  Recorder got = run(requests);
  EXPECT_EQ(got[1].failure, "3 token 6 at position 2 is outside the vocabulary of 6");
  EXPECT_EQ(got[2].failure, "3 token -1 at position 1 is outside the vocabulary of 6");
  EXPECT_EQ(got[3].failure, "3 first must be between 1 and the 3 tokens of the request, got 0");
  EXPECT_EQ(got[4].failure, "3 first must be between 1 and the 3 tokens of the request, got 4");
  EXPECT_EQ(got[5].failure, "3 the request feeds 9 tokens, the model's context holds 8");
  EXPECT_EQ(got[6].failure, "");
  EXPECT_EQ(got[6].logprobs.size(), 8U);
  for (std::uint64_t id = 1; id <= 6; ++id) EXPECT_EQ(got[id].times_done, 1);
}

TEST_F(ScoreTiny, CancelledBetweenPassesAnswersWhatIsLeft) {
  Requests requests;
  for (int i = 0; i < 3; ++i) requests.add({1, 2, 3, 4}, 1);
  int polls = 0;
  Recorder got = run(requests, 0, {.pass_tokens = 3, .cancelled = [&] { return ++polls > 1; }});
  EXPECT_EQ(got[1].failure, "");
  EXPECT_EQ(got[2].failure, "1 cancelled before it was scored");
  EXPECT_EQ(got[3].failure, "1 cancelled before it was scored");
  EXPECT_THAT(got.done_order_, ElementsAre(1, 2, 3));
}

TEST_F(ScoreTiny, AnswersInTheGivenOrderWhenTheBatchIsOrdered) {
  Requests requests;
  requests.add({1, 2}, 1);
  requests.add({1, 2, 3, 4}, 1);
  requests.add({1, 2, 3}, 1);
  EXPECT_THAT(run(requests).done_order_, ElementsAre(2, 3, 1));
  EXPECT_THAT(run(requests, ASSAY_BATCH_ORDERED, {.pass_tokens = 4, .cancelled = {}}).done_order_,
              ElementsAre(1, 2, 3));
}

TEST_F(ScoreTiny, RefusalsKeepTheirPlaceWhenTheBatchIsOrdered) {
  Requests requests;
  requests.add({1, 2}, 1);
  requests.add({1, 99}, 1);
  requests.add({1, 2}, 2);
  requests.add({1, 2}, 1);
  EXPECT_THAT(run(requests, ASSAY_BATCH_ORDERED).done_order_, ElementsAre(1, 2, 3, 4));
}

TEST_F(ScoreTiny, StopsSendingWhenTheSinkWantsNoMore) {
  Requests requests;
  requests.add({1, 2, 3}, 1, ASSAY_WANT_LOGPROBS | ASSAY_WANT_LOGITS);
  Recorder recorder;
  recorder.refuse_after_ = 0;
  run_into(recorder, requests);
  EXPECT_EQ(recorder[1].logit_chunks, 0U);
  EXPECT_EQ(recorder[1].times_done, 1);
  EXPECT_EQ(recorder[1].usage.finish, 3U);
}

TEST_F(ScoreTiny, AnOverflowIsAFailureNotANumber) {
  decoder_.final_norm.weight.fill_(3e38F);
  Requests requests;
  requests.add({1, 2, 3}, 1);
  EXPECT_EQ(run(requests)[1].failure,
            "13 the log-probability of the token at position 1 is not finite: the model overflows "
            "its dtype on this text");
}

TEST(Head, ChunksAreBoundedWhateverTheVocabulary) {
  EXPECT_EQ(rows_per_chunk(512), 1024);
  EXPECT_EQ(rows_per_chunk(131072), 64);
  EXPECT_EQ(rows_per_chunk(std::int64_t{1} << 30), 1);
}

}  // namespace
}  // namespace assay_torch
