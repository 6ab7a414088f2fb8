#include "host/stats/gate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace assay::host {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Judge, PassesAnIncreaseUpToThePercentageOfTheBaseline) {
  const Bound bound{0.05, true};
  const auto at = judge(Threshold::kMaxIncrease, bound, true, 20, 21);
  EXPECT_EQ(at.verdict, Verdict::kPass);
  EXPECT_EQ(at.text, "increased by 5.00 %, at most 5.00 % allowed");
  const auto above = judge(Threshold::kMaxIncrease, bound, true, 20, 21.1);
  EXPECT_EQ(above.verdict, Verdict::kFail);
  EXPECT_NEAR(above.observed, 0.055, 1e-15);
  EXPECT_EQ(above.text, "increased by 5.50 %, at most 5.00 % allowed");
}

TEST(Judge, TakesAPlainNumberAsADifference) {
  const auto j = judge(Threshold::kMaxDrop, {0.02, false}, false, 0.8, 0.77);
  EXPECT_EQ(j.verdict, Verdict::kFail);
  EXPECT_EQ(j.text, "dropped by 0.03, at most 0.02 allowed");
}

TEST(Judge, PassesAtTheBoundDespiteRounding) {
  // 97/100 in binary is not 0.97 times 1 in binary.
  EXPECT_EQ(judge(Threshold::kMinRetained, {0.97, true}, false, 0.3, 0.291).verdict,
            Verdict::kPass);
}

TEST(Judge, RetainsByTheInverseRatioWhereLessIsBetter) {
  const auto j = judge(Threshold::kMinRetained, {0.9, true}, true, 10, 12.5);
  EXPECT_EQ(j.verdict, Verdict::kFail);
  EXPECT_EQ(j.text, "retained 80.00 %, at least 90.00 % required");
}

TEST(Judge, ComparesMinAndMaxWithTheValueItself) {
  EXPECT_EQ(judge(Threshold::kMin, {0.5, false}, false, kNan, 0.5).verdict, Verdict::kPass);
  EXPECT_EQ(judge(Threshold::kMax, {3, false}, true, kNan, 3.5).text, "is 3.5, at most 3 allowed");
}

TEST(Judge, SaysNothingRelativeToZero) {
  const auto j = judge(Threshold::kMinRetained, {0.9, true}, false, 0, 0.4);
  EXPECT_EQ(j.verdict, Verdict::kUninformative);
  EXPECT_EQ(j.text, "relative to 0 nothing can be said");
  EXPECT_TRUE(std::isnan(j.observed));
}

TEST(Judge, IsInconclusiveOnAFigureThatIsNotKnown) {
  const auto j = judge(Threshold::kMaxIncrease, {0.05, true}, true, 20, kNan);
  EXPECT_EQ(j.verdict, Verdict::kInconclusive);
  EXPECT_EQ(j.text, "the figure is not known");
}

}  // namespace
}  // namespace assay::host
