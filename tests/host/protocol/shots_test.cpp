#include "host/protocol/shots.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace assay::host {
namespace {

TEST(DrawShots, IsDistinctAndLeavesTheItemOut) {
  for (std::uint64_t item = 0; item < 200; ++item) {
    const auto drawn = draw_shots(10, 9, item % 10, 1234, std::to_string(item));
    EXPECT_EQ(std::set(drawn.begin(), drawn.end()).size(), 9u);
    EXPECT_EQ(std::count(drawn.begin(), drawn.end(), item % 10), 0);
    EXPECT_LT(*std::max_element(drawn.begin(), drawn.end()), 10u);
  }
}

TEST(DrawShots, DependsOnSeedAndItemAlone) {
  const auto once = draw_shots(1000, 5, 1000, 1234, "item");
  EXPECT_EQ(draw_shots(1000, 5, 1000, 1234, "item"), once);
  EXPECT_NE(draw_shots(1000, 5, 1000, 1235, "item"), once);
  EXPECT_NE(draw_shots(1000, 5, 1000, 1234, "other"), once);
}

TEST(DrawShots, IsTheSameOnEveryMachine) {
  // Source: tests/golden/shots.py, which writes the rule again in Python (hashlib, its own
  // MT19937-64).
  EXPECT_EQ(draw_shots(1000, 5, 1000, 1234, "item"),
            (std::vector<std::uint64_t>{75, 580, 264, 801, 401}));
  EXPECT_EQ(draw_shots(7, 4, 3, 99, "x"), (std::vector<std::uint64_t>{1, 5, 6, 4}));
}

TEST(Shuffled, IsTheSameOnEveryMachine) {
  // Source: tests/golden/calibration.py, as above
  EXPECT_EQ(shuffled(10, 1234, "x"), (std::vector<std::uint64_t>{7, 4, 9, 0, 5, 6, 3, 2, 1, 8}));
  EXPECT_TRUE(shuffled(0, 1234, "x").empty());
}

TEST(Shuffled, HoldsEachNumberOnce) {
  const auto order = shuffled(100, 1, "x");
  EXPECT_EQ(std::set(order.begin(), order.end()).size(), 100U);
  EXPECT_EQ(*std::max_element(order.begin(), order.end()), 99U);
  EXPECT_NE(shuffled(100, 1, "y"), order);
  EXPECT_NE(shuffled(100, 2, "x"), order);
}

TEST(DrawShots, GivesWhatASmallPoolHas) {
  EXPECT_EQ(draw_shots(3, 5, 1, 1234, "item").size(), 2u);
  EXPECT_TRUE(draw_shots(1, 5, 0, 1234, "item").empty());
}

TEST(DrawShots, IsUniform) {
  std::vector<int> hits(7, 0);
  for (int i = 0; i < 7000; ++i) ++hits[draw_shots(7, 1, 7, 1, std::to_string(i))[0]];
  double chi_squared = 0;
  for (const int n : hits) chi_squared += (n - 1000) * (n - 1000) / 1000.0;
  EXPECT_LT(chi_squared, 22.5);  // 6 degrees of freedom, 99.9 %
}

}  // namespace
}  // namespace assay::host
