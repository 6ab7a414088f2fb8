#include "schedule/schedule.hpp"

#include <gmock/gmock.h>

namespace assay_torch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Schedule, PutsTheLongestFirstAndFillsPassesUpToTheBudget) {
  const std::vector<std::int64_t> lengths = {2, 7, 3, 7, 1};
  EXPECT_THAT(plan_passes(lengths, 10, Order::kLongestFirst),
              ElementsAre(ElementsAre(1), ElementsAre(3, 2), ElementsAre(0, 4)));
}

TEST(Schedule, KeepsTheGivenOrderWhenAskedTo) {
  const std::vector<std::int64_t> lengths = {2, 7, 3};
  EXPECT_THAT(plan_passes(lengths, 9, Order::kAsGiven),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2)));
}

TEST(Schedule, GivesARequestBeyondTheBudgetAPassOfItsOwn) {
  const std::vector<std::int64_t> lengths = {3, 50, 3};
  EXPECT_THAT(plan_passes(lengths, 6, Order::kLongestFirst),
              ElementsAre(ElementsAre(1), ElementsAre(0, 2)));
}

TEST(Schedule, OfNothingIsNothing) {
  EXPECT_THAT(plan_passes({}, 6, Order::kLongestFirst), IsEmpty());
}

}  // namespace
}  // namespace assay_torch
