// The angles by hand; families_test.cpp has them as transformers computes them.
#include "decoder/rope.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace assay_torch {
namespace {

using ::testing::FloatNear;
using ::testing::Pointwise;

std::vector<float> values(const at::Tensor& tensor) {
  const auto flat = tensor.contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

class Rope : public ::testing::Test {
 protected:
  /// Two pairs: they turn by 1 and by 0.1 per position.
  static RopeSpec two_pairs(RopeScaling scaling, double factor = 1) {
    RopeSpec rope;
    rope.dim = 4;
    rope.theta = 100;
    rope.scaling = scaling;
    rope.factor = factor;
    rope.original_context = 8;
    return rope;
  }
  static void expect(const RopeSpec& rope, std::int64_t length, std::vector<float> frequencies) {
    EXPECT_THAT(values(rope_frequencies(rope, length)), Pointwise(FloatNear(1e-6F), frequencies));
  }

  c10::InferenceMode guard_;
};

TEST_F(Rope, WithoutScalingTurnsPairIByThetaToTheMinus2IPerDim) {
  expect(two_pairs(RopeScaling::kNone), 1000, {1.0F, 0.1F});
}

TEST_F(Rope, LinearScalingDividesByTheFactor) {
  expect(two_pairs(RopeScaling::kLinear, 4), 1, {0.25F, 0.025F});
}

// At 16 tokens of 8: 2 * 16 / 8 - 1 = 3, and the base is 100 * 3^(4/2) = 900.
TEST_F(Rope, DynamicScalingRaisesTheBaseWithTheLength) {
  const RopeSpec rope = two_pairs(RopeScaling::kDynamic, 2);
  expect(rope, 8, {1.0F, 0.1F});
  expect(rope, 16, {1.0F, 1.0F / 30});
}

TEST_F(Rope, LongRopeTakesTheLongFactorsPastTheOriginalContext) {
  RopeSpec rope = two_pairs(RopeScaling::kLongrope);
  rope.short_factors = {1, 2};
  rope.long_factors = {4, 5};
  expect(rope, 8, {1.0F, 0.05F});
  expect(rope, 9, {0.25F, 0.02F});
}

// Wavelengths 2 pi (short, kept), 16 (between: smooth = (32 / 16 - 1) / 3 = 1/3) and 128 / pi
// (long, divided by 8); with f = 2 pi / 16 the second is f * (2/3 / 8 + 1/3) = f * 5/12.
TEST_F(Rope, Llama3SlowsLongWavesAndBlendsThoseBetween) {
  const double ratio = 2 * std::numbers::pi / 16;
  RopeSpec rope;
  rope.dim = 6;
  rope.theta = std::pow(1 / ratio, 3);
  rope.scaling = RopeScaling::kLlama3;
  rope.factor = 8;
  rope.original_context = 32;
  rope.low_freq_factor = 1;
  rope.high_freq_factor = 4;
  const auto f = static_cast<float>(ratio);
  expect(rope, 1, {1.0F, f * 5 / 12, f * f / 8});
}

// 628 is 2 pi * 100 but for 5e-4: a pair turns once within it at dimension 2, a hundred times at 0.
// Truncation gives 0 and 2, the ramp is 0 and 1/2, and the second pair (0.1 / 4 + 0.1) / 2.
TEST_F(Rope, YarnKeepsFastPairsAndRampsToTheFactor) {
  RopeSpec rope = two_pairs(RopeScaling::kYarn, 4);
  rope.original_context = 628;
  rope.beta_fast = 100;
  rope.beta_slow = 1;
  expect(rope, 1, {1.0F, 0.0625F});
}

TEST_F(Rope, TablesHoldTheAnglesOfEachSegmentForItsOwnLength) {
  RopeSpec rope = two_pairs(RopeScaling::kLongrope);
  rope.short_factors = {1, 1};
  rope.long_factors = {2, 2};
  rope.attention_factor = 3;
  const Segment segments[] = {{.length = 2}, {.length = 1, .past = 8}, {.length = 1, .past = 7}};
  const auto positions = at::tensor({0, 1, 8, 7}, at::kLong);
  const RopeTable table = make_rope_table(rope, segments, positions, at::kFloat);
  // sin(8 / 2): the second segment is 9 tokens long.
  const std::vector<float> sines = {0, std::sin(1.0F), std::sin(4.0F), std::sin(7.0F)};
  for (std::size_t i = 0; i < sines.size(); ++i)
    EXPECT_NEAR(values(table.sin)[2 * i], 3 * sines[i], 1e-5);
  EXPECT_NEAR(values(table.cos)[0], 3, 1e-6);
}

TEST_F(Rope, TurnsTheFirstDimensionsAndCopiesTheRest) {
  RopeSpec rope;
  rope.dim = 2;
  rope.theta = 100;
  const Segment segment{.length = 1, .past = 1};
  const auto x = at::tensor({2.0F, 3.0F, 4.0F, 5.0F}).view({1, 1, 4});
  auto out = at::empty_like(x);
  rotate(x, make_rope_table(rope, {&segment, 1}, at::tensor({1}, at::kLong), at::kFloat), out);
  const float c = std::cos(1.0F), s = std::sin(1.0F);
  EXPECT_THAT(values(out),
              Pointwise(FloatNear(1e-6F), std::vector<float>{2 * c - 3 * s, 3 * c + 2 * s, 4, 5}));
}

TEST_F(Rope, OnlyLongRopeOutgrowsItsCache) {
  DecoderSpec spec;
  spec.ropes = {two_pairs(RopeScaling::kLongrope)};
  EXPECT_FALSE(is_cache_outgrown(spec, 7, 8));
  EXPECT_TRUE(is_cache_outgrown(spec, 8, 9));
  EXPECT_FALSE(is_cache_outgrown(spec, 9, 10));
  spec.ropes = {two_pairs(RopeScaling::kDynamic, 2)};
  EXPECT_FALSE(is_cache_outgrown(spec, 8, 9));
  EXPECT_FALSE(is_same_rope(spec.ropes[0], 8, 9));
}

}  // namespace
}  // namespace assay_torch
