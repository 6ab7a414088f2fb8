#include "host/stats/estimate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace assay::host {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(MeanOf, ZeroesAndOnesGivesTheShareAndItsStandardError) {
  // Source: lm-evaluation-harness's mean_stderr([1, 0, 1, 1]) = 0.25 (scoring notes, golden
  // vectors).
  const Estimate e = mean_of(std::vector<double>{1, 0, 1, 1});
  EXPECT_DOUBLE_EQ(e.value, 0.75);
  EXPECT_DOUBLE_EQ(e.std_error, 0.25);
  EXPECT_EQ(e.n, 4u);
}

TEST(MeanOf, LeavesOutSamplesThatDoNotApply) {
  const Estimate e = mean_of(std::vector<double>{1, kNan, 0, 1, 1});
  EXPECT_DOUBLE_EQ(e.value, 0.75);
  EXPECT_EQ(e.n, 4u);
}

TEST(MeanOf, OneValueHasNoStandardError) {
  const Estimate e = mean_of(std::vector<double>{2});
  EXPECT_DOUBLE_EQ(e.value, 2);
  EXPECT_TRUE(std::isnan(e.std_error));
}

TEST(MeanOf, NothingIsNotKnown) {
  const Estimate e = mean_of(std::vector<double>{});
  EXPECT_TRUE(std::isnan(e.value));
  EXPECT_EQ(e.n, 0u);
}

TEST(PairedDifference, AgreesWithThePublishedVector) {
  // Source: measurement notes a.3: D = -0.05, SE = 0.0316227766.
  const Estimate e = paired_difference(std::vector<double>{.9, .8, .4, .7, .6},
                                       std::vector<double>{.8, .8, .3, .75, .5});
  EXPECT_NEAR(e.value, -0.05, 1e-15);
  EXPECT_NEAR(e.std_error, 0.0316227766, 1e-10);  // the digits printed there
}

TEST(BlockOf, CutsRowsIntoContiguousBlocksOfNearlyEqualSize) {
  std::vector<int> sizes(20, 0);
  std::uint64_t last = 0;
  for (std::uint64_t i = 0; i < 231; ++i) {
    const std::uint64_t block = block_of(i, 231, 20);
    EXPECT_GE(block, last);
    last = block;
    ++sizes[block];
  }
  EXPECT_EQ(*std::min_element(sizes.begin(), sizes.end()), 11);
  EXPECT_EQ(*std::max_element(sizes.begin(), sizes.end()), 12);
}

TEST(JackknifeError, OfAMeanWithOneRowPerBlockIsItsStandardError) {
  const std::vector<double> x{1, 4, 2, 8, 5, 7};
  const double total = std::accumulate(x.begin(), x.end(), 0.0);
  std::vector<double> left_out;
  for (const double value : x) left_out.push_back((total - value) / 5);
  EXPECT_NEAR(jackknife_error(left_out), mean_of(x).std_error, 1e-14);  // identity, up to rounding
}

TEST(JackknifeError, IsNotKnownForOneBlock) {
  EXPECT_TRUE(std::isnan(jackknife_error(std::vector<double>{1})));
}

TEST(Retained, IsLessThanOneForALossWhicheverWayTheMetricPoints) {
  EXPECT_DOUBLE_EQ(retained(0.8, 0.6, false), 0.75);
  EXPECT_DOUBLE_EQ(retained(15, 20, true), 0.75);
}

TEST(Retained, OfNothingIsUndefined) {
  EXPECT_TRUE(std::isnan(retained(0, 0.5, false)));
  EXPECT_TRUE(std::isnan(retained(kNan, 0.5, false)));
}

}  // namespace
}  // namespace assay::host
