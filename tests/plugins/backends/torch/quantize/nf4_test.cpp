#include "quantize/nf4.hpp"

#include <gmock/gmock.h>

namespace assay_torch {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

std::vector<float> restored(const std::vector<float>& w) {
  std::vector<float> out(w.size());
  nf4_dequantize(nf4_quantize(w), out);
  return out;
}

// absmax 2, so the values are table entries 15, 0, 7, 12 and, halfway between entries 7 and 8, the
// lower one.
TEST(Nf4, CodesOfABlockDoneByHand) {
  const float tie = (kNf4[7] + kNf4[8]) / 2 * 2;
  const Nf4Codes codes = nf4_quantize(std::vector<float>{2.0F, -2.0F, 0.0F, 0.9F, tie});
  EXPECT_THAT(codes.absmax, ElementsAre(2.0F));
  EXPECT_THAT(codes.codes, ElementsAre(15, 0, 7, 12, 7));
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
    EXPECT_THAT(nf4_quantize(std::vector<float>{below, above, 1.0F}).codes,
                ElementsAre(i, i + 1, 15));
  }
}

TEST(Nf4, BlocksAreSixtyFourNeighboursOfTheFlatMatrix) {
  std::vector<float> w(65, 1.0F);
  w[64] = 4.0F;
  EXPECT_THAT(nf4_quantize(w).absmax, ElementsAre(1.0F, 4.0F));
}

TEST(Nf4, ABlockOfZerosStaysZero) {
  EXPECT_THAT(restored(std::vector<float>(64, 0.0F)), Each(0.0F));
}

TEST(Nf4, TakesFourAndAHalfBitsPerWeight) {
  EXPECT_EQ(nf4_storage_bits(64 * 100), 64 * 450U);
  EXPECT_EQ(nf4_storage_bits(65), 4 * 65 + 2 * 32U);
}

}  // namespace
}  // namespace assay_torch
