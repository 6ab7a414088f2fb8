#include "quantize/rtn.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

std::vector<float> restored(const std::vector<float>& w, std::int64_t rows,
                            const GridSettings& settings) {
  const auto columns = static_cast<std::int64_t>(w.size()) / rows;
  std::vector<float> out(w.size());
  dequantize(rtn_quantize(w, rows, columns, settings), out);
  return out;
}

std::vector<std::uint16_t> codes_of(const QuantizedMatrix& matrix) {
  std::vector<std::uint16_t> out(static_cast<std::size_t>(matrix.columns));
  read_codes(matrix, 0, 0, out);
  return out;
}

// Range [-1, 2], scale 1, zero 1: codes are w + 1. The tie 0.5 goes to 0, the tie 1.5 to 2.
TEST(Rtn, AsymmetricCodesOfAGroupDoneByHand) {
  const std::vector<float> w = {-1.0F, 0.5F, 1.5F, 2.0F};
  const QuantizedMatrix codes = rtn_quantize(w, 1, 4, {.bits = 2, .group_size = 4});
  EXPECT_THAT(codes.scales, ElementsAre(1.0F));
  EXPECT_THAT(codes.zeros, ElementsAre(1));
  EXPECT_THAT(codes_of(codes), ElementsAre(0, 1, 3, 3));
  EXPECT_THAT(restored(w, 1, {.bits = 2, .group_size = 4}), ElementsAre(-1.0F, 0.0F, 2.0F, 2.0F));
}

// absmax 1.5, scale 2 * 1.5 / 3 = 1, zero 2: 1.5 is code 4, cut to 3; -1.5 is a tie between 0 and
// 1, 0 is even.
TEST(Rtn, SymmetricCodesOfAGroupDoneByHand) {
  const std::vector<float> w = {-1.5F, -0.4F, 0.6F, 1.5F};
  const GridSettings settings{.bits = 2, .group_size = 4, .symmetric = true};
  const QuantizedMatrix codes = rtn_quantize(w, 1, 4, settings);
  EXPECT_THAT(codes.scales, ElementsAre(1.0F));
  EXPECT_THAT(codes.zeros, ElementsAre(2));
  EXPECT_THAT(codes_of(codes), ElementsAre(0, 2, 3, 3));
}

TEST(Rtn, TheRangeAlwaysIncludesZero) {
  const QuantizedMatrix codes =
      rtn_quantize(std::vector<float>{2.0F, 3.0F}, 1, 2, {.bits = 2, .group_size = 0});
  EXPECT_THAT(codes.zeros, ElementsAre(0));
  EXPECT_THAT(codes.scales, ElementsAre(1.0F));
}

// The asymmetric zero is round(1 / (2 / 15)), which float32 puts just below 7.5.
TEST(Rtn, AGroupOfZerosGetsTheRangeFromMinusOneToOneAndStaysZero) {
  const std::vector<float> w(4, 0.0F);
  for (const bool symmetric : {false, true}) {
    const GridSettings settings{.bits = 4, .group_size = 0, .symmetric = symmetric};
    const QuantizedMatrix codes = rtn_quantize(w, 1, 4, settings);
    EXPECT_THAT(codes.scales, ElementsAre(2.0F / 15.0F));
    EXPECT_THAT(codes.zeros, ElementsAre(symmetric ? 8 : 7));
    EXPECT_THAT(restored(w, 1, settings), Each(0.0F));
  }
}

TEST(Rtn, ARangeTooSmallForAFloat32ScaleRoundsToZero) {
  EXPECT_THAT(restored({1e-45F, -1e-45F}, 1, {.bits = 8, .group_size = 0}), Each(0.0F));
}

TEST(Rtn, GroupsEndWithTheRowAndTheLastOneMayBeShort) {
  const std::vector<float> w = {3, 0, 0, 6, 0, 0, 0, 9, 0, 12};  // 2 rows of 5, groups of 3 and 2
  const QuantizedMatrix codes = rtn_quantize(w, 2, 5, {.bits = 2, .group_size = 3});
  EXPECT_EQ(groups_per_row(codes), 2);
  EXPECT_THAT(codes.scales, ElementsAre(1.0F, 2.0F, 3.0F, 4.0F));
}

TEST(Rtn, GroupSizeZeroOrLessIsOneGroupPerRow) {
  for (const std::int64_t size : {-1, 0, 5, 128}) {
    EXPECT_EQ(groups_in_row(5, {.bits = 4, .group_size = size}), 1);
  }
}

TEST(Rtn, NoWeightMovesByMoreThanHalfAStepWhenAsymmetric) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> w(4 * 96);
  for (float& v : w) v = normal(random);
  for (int bits = 2; bits <= 8; ++bits) {
    const GridSettings settings{.bits = bits, .group_size = 32};
    const QuantizedMatrix codes = rtn_quantize(w, 4, 96, settings);
    const auto out = restored(w, 4, settings);
    for (std::size_t i = 0; i < w.size(); ++i) {
      // The zero is rounded too, so the ends of the range can lie half a step outside the grid.
      EXPECT_LE(std::fabs(out[i] - w[i]), codes.scales[i / 32] * 1.0001F)
          << bits << " bits, weight " << i;
    }
  }
}

// 1 / 15 is 0.06667 in float32 and 0.06665 in float16, so that the largest weight is cut.
TEST(Rtn, ScalesAreRoundedToTheirTypeBeforeCodesAreChosen) {
  const QuantizedMatrix matrix =
      rtn_quantize(std::vector<float>{0.0F, 1.0F}, 1, 2,
                   {.bits = 4, .group_size = 0, .scale_type = FloatType::kFloat16});
  EXPECT_THAT(matrix.scales, ElementsAre(0.06665039F));
  EXPECT_THAT(codes_of(matrix), ElementsAre(0, 15));
  EXPECT_EQ(matrix.scale_type, FloatType::kFloat16);
}

TEST(Rtn, AScaleThatFloat16CannotHoldIsThatOfAGroupOfZerosOrRefused) {
  const GridSettings settings{.bits = 2, .group_size = 0, .scale_type = FloatType::kFloat16};
  EXPECT_THAT(restored({1e-9F, -1e-9F}, 1, settings), Each(0.0F));
  EXPECT_EQ(assay_torch_test::thrown([&] {
              rtn_quantize(std::vector<float>{-1e6F, 1e6F}, 1, 2, settings);
            }),
            "3 weights from -1000000.000000 to 1000000.000000 need a scale beyond the largest "
            "float16; use more bits or skip the layer");
}

TEST(Rtn, StorageIsThatOfGptqFiles) {
  const auto bits_per_weight = [](const GridSettings& settings) {
    return static_cast<double>(grid_storage_bits(256, 4096, settings)) / (256.0 * 4096.0);
  };
  EXPECT_DOUBLE_EQ(bits_per_weight({.bits = 4, .group_size = 128}), 4.15625);
  EXPECT_DOUBLE_EQ(bits_per_weight({.bits = 4, .group_size = 32}), 4.625);
  EXPECT_DOUBLE_EQ(bits_per_weight({.bits = 3, .group_size = 128}), 3.1484375);
  EXPECT_DOUBLE_EQ(bits_per_weight({.bits = 4, .group_size = 128, .symmetric = true}), 4.125);
}

TEST(Rtn, RefusesAWidthItCannotDo) {
  EXPECT_EQ(
      assay_torch_test::thrown([] { rtn_quantize(std::vector<float>{1}, 1, 1, {.bits = 1}); }),
      "3 codes take 2 to 16 bits, got 1");
}

}  // namespace
}  // namespace assay_torch
