#include "quantize/table.hpp"

#include <gmock/gmock.h>

namespace assay_torch {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

QuantizedMatrix nf4(const std::vector<float>& w, bool is_nested = false) {
  return table_quantize(kNf4, w, 1, static_cast<std::int64_t>(w.size()), is_nested);
}

std::vector<float> restored(const std::vector<float>& w) {
  std::vector<float> out(w.size());
  dequantize(nf4(w), out);
  return out;
}

std::vector<unsigned> codes_of(const QuantizedMatrix& matrix) {
  std::vector<unsigned> out;
  for (std::size_t i = 0; i < static_cast<std::size_t>(matrix.rows * matrix.columns); ++i) {
    const unsigned pair = matrix.codes[i / 2];
    out.push_back(i % 2 == 0 ? pair >> 4 : pair & 15U);
  }
  return out;
}

// absmax 2, so the values are table entries 15, 0, 7, 12 and, halfway between entries 7 and 8, the
// lower one.
TEST(Nf4, CodesOfABlockDoneByHand) {
  const float tie = (kNf4[7] + kNf4[8]) / 2 * 2;
  const QuantizedMatrix matrix = nf4({2.0F, -2.0F, 0.0F, 0.9F, tie});
  EXPECT_THAT(matrix.scales, ElementsAre(2.0F));
  EXPECT_THAT(codes_of(matrix), ElementsAre(15, 0, 7, 12, 7));
  EXPECT_THAT(restored({2.0F, 0.9F}), ElementsAre(2.0F, 2 * 0.44070982933044434F));
}

TEST(Nf4, EveryTableEntryStaysWhatItIs) {
  const std::vector<float> table(kNf4.begin(), kNf4.end());
  EXPECT_EQ(restored(table), table);
}

// The bounds printed in bitsandbytes' reference, seven digits.
TEST(Nf4, DecisionBoundsLieHalfwayBetweenEntries) {
  const double bounds[] = {-0.8480964, -0.6106329, -0.4599953, -0.3396794, -0.2346074,
                           -0.1379117, -0.0455250, 0.0397902,  0.1202552,  0.2035212,
                           0.2920138,  0.3893125,  0.5016634,  0.6427869,  0.8614784};
  for (std::size_t i = 0; i < std::size(bounds); ++i) {
    const auto below = static_cast<float>(bounds[i] - 1e-6),
               above = static_cast<float>(bounds[i] + 1e-6);
    EXPECT_THAT(codes_of(nf4({below, above, 1.0F})), ElementsAre(i, i + 1, 15));
  }
}

TEST(Nf4, BlocksAreSixtyFourNeighboursOfTheFlatMatrix) {
  std::vector<float> w(65, 1.0F);
  w[64] = 4.0F;
  EXPECT_THAT(nf4(w).scales, ElementsAre(1.0F, 4.0F));
}

TEST(Nf4, ABlockOfZerosStaysZero) {
  EXPECT_THAT(restored(std::vector<float>(64, 0.0F)), Each(0.0F));
}

TEST(Nf4, TakesFourAndAHalfBitsPerWeightAndAnEighthOfTheHalfWhenNested) {
  EXPECT_EQ(nf4(std::vector<float>(64 * 100, 1.0F)).stored_bits, 64 * 450U);
  EXPECT_EQ(nf4(std::vector<float>(65, 1.0F)).stored_bits, 4 * 65 + 2 * 32U);
  EXPECT_EQ(nf4(std::vector<float>(64 * 256, 1.0F), true).stored_bits,
            64 * 256 * 4 + 256 * 8 + 32 + 32U);
}

// Scales 1 and 3: mean 2, coded are -1 and 1 over 1: the map's first entry -0.99297 and its last 1.
TEST(Nf4, NestedScalesAreThoseTheirCodesStandFor) {
  std::vector<float> w(128, 1.0F);
  for (std::size_t i = 64; i < 128; ++i) w[i] = 3.0F;
  const QuantizedMatrix matrix = nf4(w, true);
  EXPECT_EQ(matrix.nested->offset, 2.0F);
  EXPECT_THAT(matrix.nested->absmax, ElementsAre(1.0F));
  EXPECT_THAT(matrix.nested->codes, ElementsAre(0, 255));
  EXPECT_THAT(matrix.scales, ElementsAre(2.0F - 0.99296875F, 3.0F));
}

// In the order of the bit patterns: 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4, then the same below zero.
TEST(Fp4, CodesAreBitPatternsAndZeroIsAlwaysTheFirst) {
  const std::vector<float> w = {0.0F, 0.004F, -0.001F, 1.0F, -0.5F, 0.30F, -0.17F};
  const QuantizedMatrix matrix =
      table_quantize(kFp4, w, 1, static_cast<std::int64_t>(w.size()), false);
  EXPECT_THAT(codes_of(matrix), ElementsAre(0, 1, 0, 3, 13, 4, 14));
}

}  // namespace
}  // namespace assay_torch
