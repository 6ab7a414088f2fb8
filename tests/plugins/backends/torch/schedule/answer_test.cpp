#include "schedule/answer.hpp"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include <cstring>

#include "checkpoint/weights.hpp"
#include "decoder/architecture.hpp"
#include "decoder/load.hpp"
#include "quantize/pipeline.hpp"
#include "support/fixtures.hpp"
#include "support/recorder.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::Recorder;
using assay_torch_test::Requests;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class AnswerTest : public ::testing::Test {
 protected:
  AnswerTest() {
    assay_torch_test::write_tiny_llama(dir_.path());
    const std::string dir = dir_.path().string();
    decoder_ =
        load_model(read_spec(dir), Weights(dir), std::nullopt, at::TensorOptions(at::kCPU)).decoder;
    requests_.add_prompt({1, 2}, {.max_new = 3});
    requests_.add({1, 2, 3}, 1);
    requests_.add({1}, 1);
    requests_.requests_.back().kind = 7;
    requests_.add_prompt({1}, {.max_new = 2});
    requests_.add({1, 2, 3}, 2);
  }
  Recorder run(std::uint32_t flags) {
    Recorder recorder;
    const auto sink = recorder.sink();
    answer(decoder_, requests_.batch(flags), sink, {});
    return recorder;
  }

  c10::InferenceMode guard_;
  assay_torch_test::TempDir dir_;
  Decoder decoder_;
  Requests requests_;
};

TEST_F(AnswerTest, AMixedBatchIsAnsweredKindByKind) {
  Recorder got = run(0);
  EXPECT_THAT(got.done_order_, ElementsAre(2, 5, 4, 1, 3));
  EXPECT_THAT(got[1].tokens, SizeIs(3));
  EXPECT_THAT(got[2].logprobs, SizeIs(2));
  EXPECT_EQ(got[3].failure, "12 requests of kind 7 are not known; known: 1 (score), 2 (generate)");
  EXPECT_THAT(got[4].tokens, SizeIs(2));
  EXPECT_THAT(got[5].logprobs, SizeIs(1));
  for (std::uint64_t id = 1; id <= 5; ++id) EXPECT_EQ(got[id].times_done, 1);
}

TEST_F(AnswerTest, AMixedOrderedBatchIsAnsweredInItsOrder) {
  Recorder got = run(ASSAY_BATCH_ORDERED);
  EXPECT_THAT(got.done_order_, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(got[1].tokens, SizeIs(3));
  EXPECT_THAT(got[5].logprobs, SizeIs(1));
}

TEST_F(AnswerTest, KindsDoNotRunTogether) {
  Recorder got = run(ASSAY_BATCH_TOGETHER);
  EXPECT_THAT(got.done_order_, ElementsAre(2, 5, 1, 4, 3));
  for (std::uint64_t id = 1; id <= 5; ++id) {
    EXPECT_EQ(got[id].failure,
              "12 score and generate requests do not run together; send each kind in its own "
              "batch");
    EXPECT_EQ(got[id].times_done, 1);
  }
}

// A host of a later minor has longer requests; one that is older and shorter than 1.0 there is not.
TEST_F(AnswerTest, RequestsAreWalkedByTheBatchsStride) {
  const assay_batch batch = requests_.batch();
  constexpr std::size_t kStride = sizeof(assay_request) + 16;
  std::vector<char> longer(kStride * batch.n);
  for (std::size_t i = 0; i < batch.n; ++i)
    std::memcpy(longer.data() + i * kStride, batch.requests + i, sizeof(assay_request));
  assay_batch wide = batch;
  wide.stride = kStride;
  wide.requests = reinterpret_cast<const assay_request*>(longer.data());
  Recorder recorder;
  const auto sink = recorder.sink();
  answer(decoder_, wide, sink, {});
  EXPECT_THAT(recorder[1].tokens, SizeIs(3));
  EXPECT_THAT(recorder[5].logprobs, SizeIs(1));
}

}  // namespace
}  // namespace assay_torch
