#include "host/core/result.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace assay::host {
namespace {

Result<int> half_of(int value) {
  if (value % 2 != 0) return Failure{ASSAY_INVALID_ARGUMENT, "3 is odd", "value"};
  return value / 2;
}

TEST(Result, HoldsAValue) {
  const Result<int> half = half_of(8);
  ASSERT_TRUE(half.has_value());
  EXPECT_TRUE(static_cast<bool>(half));
  EXPECT_EQ(half.value(), 4);
  EXPECT_EQ(*half, 4);
}

TEST(Result, HoldsAFailureWithItsCodeTextAndPlace) {
  const Result<int> half = half_of(3);
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(half.error().text, "3 is odd");
  EXPECT_EQ(half.error().where, "value");
}

TEST(Result, GivesItsValueAwayWhenMoved) {
  Result<std::unique_ptr<int>> owner(std::make_unique<int>(7));
  const std::unique_ptr<int> taken = *std::move(owner);
  EXPECT_EQ(*taken, 7);
}

TEST(Result, ReachesMembersOfItsValue) {
  Result<std::string> word(std::string("word"));
  EXPECT_EQ(word->size(), 4u);
  word->clear();
  EXPECT_EQ(word.value(), "");
}

TEST(Result, PassesItsFailureOnToAResultOfAnotherType) {
  Result<int> half = half_of(3);
  const Result<std::string> text = std::move(half).error();
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().text, "3 is odd");
}

TEST(Result, OfVoidIsFineUntilItFails) {
  Result<void> result;
  EXPECT_TRUE(result.has_value());
  result = Failure{ASSAY_CANCELLED, "stopped"};
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ASSAY_CANCELLED);
  EXPECT_EQ(std::move(result).error().text, "stopped");
}

}  // namespace
}  // namespace assay::host
