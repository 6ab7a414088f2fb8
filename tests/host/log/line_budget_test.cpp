#include "host/log/line_budget.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

namespace assay::host {
namespace {

using namespace std::chrono_literals;

/// A time so long after the clock began.
LineBudget::Time at(std::chrono::milliseconds time) { return LineBudget::Time(1h + time); }

/// How many of `n` lines at once are written.
int taken(LineBudget& budget, int n, std::chrono::milliseconds time) {
  int count = 0;
  for (int i = 0; i < n; ++i) count += budget.takes(1, at(time)) ? 1 : 0;
  return count;
}

TEST(LineBudget, TakesABurstAndLeavesOutTheRest) {
  LineBudget budget;
  EXPECT_EQ(taken(budget, 1000, 0ms), 200);
  EXPECT_EQ(budget.left_out(), 800u);
  EXPECT_EQ(budget.left_out(), 0u);
}

TEST(LineBudget, TakesAHundredASecondForEver) {
  LineBudget budget;
  taken(budget, 1000, 0ms);
  EXPECT_EQ(taken(budget, 1000, 1000ms), 100);
  EXPECT_EQ(taken(budget, 1000, 1500ms), 50);
  EXPECT_EQ(taken(budget, 1000, 1500ms), 0);
}

TEST(LineBudget, SavesNoMoreThanABurst) {
  LineBudget budget;
  taken(budget, 1000, 0ms);
  EXPECT_EQ(taken(budget, 1000, 3600'000ms), 200);
}

TEST(LineBudget, GivesWhatWasLeftOutOnceASecond) {
  LineBudget budget;
  EXPECT_EQ(budget.left_out_until(at(0ms)), 0u);
  taken(budget, 300, 0ms);
  EXPECT_EQ(budget.left_out_until(at(999ms)), 0u);
  taken(budget, 150, 1000ms);
  EXPECT_EQ(budget.left_out_until(at(1000ms)), 150u);
  EXPECT_EQ(budget.left_out_until(at(1000ms)), 0u);
  taken(budget, 5, 1000ms);
  EXPECT_EQ(budget.left_out_until(at(1500ms)), 0u);
  EXPECT_EQ(budget.left_out_until(at(2000ms)), 5u);
}

TEST(LineBudget, TakesALongTextAtTheCostOfWhatFollows) {
  LineBudget budget;
  EXPECT_TRUE(budget.takes(400, at(0ms)));
  EXPECT_FALSE(budget.takes(3, at(1990ms)));
  EXPECT_EQ(budget.left_out(), 3u);
  EXPECT_TRUE(budget.takes(1, at(2010ms)));
}

}  // namespace
}  // namespace assay::host
