#include "host/run/progress.hpp"

#include <gtest/gtest.h>

namespace assay::host {
namespace {

TEST(DurationText, GrowsWithTheTime) {
  EXPECT_EQ(duration_text(0.84), "0.8 s");
  EXPECT_EQ(duration_text(42), "42 s");
  EXPECT_EQ(duration_text(185), "3 m 05 s");
  EXPECT_EQ(duration_text(3 * 3600 + 5 * 60), "3 h 05 m");
}

TEST(ProgressText, SaysRateAndTimeLeft) {
  EXPECT_EQ(progress_text("scoring rtn4 on stories", 120, 240, 2),
            "scoring rtn4 on stories  120/240  50 %  60 items/s  2.0 s left");
}

TEST(ProgressText, SaysNoRateBeforeTheFirstItem) {
  EXPECT_EQ(progress_text("tokenizing stories", 0, 10, 3), "tokenizing stories  0/10  0 %");
}

TEST(ProgressText, SaysNothingLeftAtTheEnd) {
  EXPECT_EQ(progress_text("tokenizing stories", 10, 10, 4),
            "tokenizing stories  10/10  100 %  2.5 items/s");
}

TEST(ProgressText, OfNothingHasNoShare) {
  EXPECT_EQ(progress_text("tokenizing stories", 0, 0, 0), "tokenizing stories  0/0");
}

TEST(ProgressText, OfAShareSaysWhatIsDoneAndTheTimeLeft) {
  EXPECT_EQ(progress_text("quantizing q4", "layers.3", 0, 0.25, 10),
            "quantizing q4  layers.3  25 %  30 s left");
}

TEST(ProgressText, OfResumedWorkCountsFromWhereItBegan) {
  EXPECT_EQ(progress_text("quantizing q4", "", 0.5, 0.75, 10), "quantizing q4  75 %  10 s left");
}

TEST(ProgressText, OfAShareKnowsNoTimeBeforeTheFirstStepAndAfterTheLast) {
  EXPECT_EQ(progress_text("quantizing q4", "", 0.5, 0.5, 10), "quantizing q4  50 %");
  EXPECT_EQ(progress_text("quantizing q4", "", 0, 1, 10), "quantizing q4  100 %");
}

}  // namespace
}  // namespace assay::host
