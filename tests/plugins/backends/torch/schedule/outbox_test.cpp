#include "schedule/outbox.hpp"

#include <gmock/gmock.h>

#include "support/recorder.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::Recorder;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class OutboxTest : public ::testing::Test {
 protected:
  static assay_usage usage(std::uint32_t finish) {
    assay_usage usage{};
    usage.struct_size = sizeof usage;
    usage.finish = finish;
    return usage;
  }

  Recorder recorder_;
  const assay_result_sink sink_ = recorder_.sink();
};

TEST_F(OutboxTest, AsItComesNothingWaits) {
  Outbox outbox(sink_, {7, 8}, Delivery::kAsItComes);
  outbox.push(1, 5, -0.5F);
  outbox.push(0, 4, {});
  outbox.done(1, usage(2));
  outbox.fail(0, {ASSAY_INTERNAL, "broken"});
  EXPECT_THAT(recorder_.token_order_, ElementsAre(8, 7));
  EXPECT_THAT(recorder_.done_order_, ElementsAre(8, 7));
  EXPECT_THAT(recorder_[8].logprobs, ElementsAre(-0.5F));
  EXPECT_EQ(recorder_[8].usage.finish, 2U);
  EXPECT_EQ(recorder_[7].failure, "13 broken");
}

TEST_F(OutboxTest, InOrderResultsWaitForThoseBefore) {
  Outbox outbox(sink_, {7, 8, 9}, Delivery::kInOrder);
  outbox.push(2, 50, -0.5F);
  outbox.push(0, 30, -0.1F);
  outbox.push(2, 51, -0.7F);
  outbox.push(1, 40, -0.2F);
  outbox.fail(1, {ASSAY_INTERNAL, "broken"});
  EXPECT_THAT(recorder_.token_order_, ElementsAre(7));
  EXPECT_THAT(recorder_.done_order_, IsEmpty());
  outbox.done(0, usage(1));
  EXPECT_THAT(recorder_.token_order_, ElementsAre(7, 8, 9));
  EXPECT_THAT(recorder_.done_order_, ElementsAre(7, 8));
  EXPECT_EQ(recorder_[8].failure, "13 broken");
  EXPECT_THAT(recorder_[9].tokens, ElementsAre(50, 51));
  EXPECT_THAT(recorder_[9].logprobs, ElementsAre(-0.5F, -0.7F));
  outbox.push(2, 52, -0.9F);
  outbox.done(2, usage(2));
  EXPECT_THAT(recorder_[9].token_calls, ElementsAre(2, 1));
  EXPECT_THAT(recorder_.done_order_, ElementsAre(7, 8, 9));
}

TEST_F(OutboxTest, ARefusalThatLagsDropsWhatComesAfterIt) {
  recorder_.refuse_after_ = 0;
  Outbox outbox(sink_, {7, 8}, Delivery::kInOrder);
  EXPECT_TRUE(outbox.push(1, 50, {}));
  outbox.done(0, usage(2));  // request 8 has its turn, and its first token is one too many
  EXPECT_FALSE(outbox.push(1, 51, {}));
  outbox.done(1, usage(3));
  EXPECT_THAT(recorder_[8].tokens, ElementsAre(50));
  EXPECT_EQ(recorder_[8].times_done, 1);
}

}  // namespace
}  // namespace assay_torch
