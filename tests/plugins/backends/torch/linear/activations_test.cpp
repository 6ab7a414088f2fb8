#include "linear/activations.hpp"

#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "quantize/e4m3.hpp"

namespace assay_torch {
namespace {

using Kind = ActivationRule::Kind;

at::Tensor row(std::vector<float> values) { return at::tensor(values).unsqueeze(0); }

// scale 2: 127.5 steps each way, of which the upper half step is cut and the lower one goes to
// even.
TEST(Int8PerToken, CodesDoneByHand) {
  const auto tokens =
      int8_codes({.kind = Kind::kInt8PerToken}, row({255, -255, 0, 1, 3, -5, 2.5F}), {});
  EXPECT_EQ(tokens.scales.item<float>(), 2);
  EXPECT_TRUE(tokens.codes.equal(
      at::tensor(std::vector<std::int64_t>{127, -128, 0, 0, 2, -2, 1}).to(at::kChar).unsqueeze(0)))
      << tokens.codes;
}

TEST(Int8PerToken, AZeroTokenStaysZero) {
  const auto x = at::zeros({2, 5});
  EXPECT_TRUE(rounded({.kind = Kind::kInt8PerToken}, x, {}).equal(x));
  EXPECT_TRUE(rounded({.kind = Kind::kInt8Outliers}, x, {}).equal(x));
  EXPECT_TRUE(rounded({.kind = Kind::kFp8PerToken}, x, {}).equal(x));
}

// Row 0: its outlier 8 is no part of the scale 4; 1 and 2 are 31.75 and 63.5 steps. Row 1: the
// entry 5.08, 5.078125 as float16, stands in an outlier's column and still makes the scale.
TEST(Int8Outliers, OnlyOutliersThemselvesLeaveTheScale) {
  const auto x = at::tensor(std::vector<float>{1, 2, 8, -4, 0.5F, 0.25F, 5.08F, 1}).view({2, 4});
  const auto tokens = int8_codes({.kind = Kind::kInt8Outliers}, x, {});
  ASSERT_EQ(tokens.outliers.size(), 1U);
  EXPECT_TRUE(tokens.outliers[0].columns.equal(at::tensor(std::vector<std::int64_t>{2})));
  EXPECT_EQ(tokens.scales[0].item<float>(), 4);
  EXPECT_NEAR(tokens.scales[1].item<float>(), 5.08, 0.002);  // as float16
  EXPECT_TRUE(
      tokens.codes.equal(at::tensor(std::vector<std::int64_t>{32, 64, 0, -127, 13, 6, 0, 25})
                             .to(at::kChar)
                             .view({2, 4})))
      << tokens.codes;
}

TEST(Int8Outliers, AreThoseOfTheSequenceWhateverStandsBesideIt) {
  const ActivationRule rule{.kind = Kind::kInt8Outliers};
  auto x = at::randn({5, 16});
  x[3][7] = -9;
  const std::int64_t lengths[] = {2, 3};
  const auto both = int8_codes(rule, x, lengths);
  ASSERT_EQ(both.outliers.size(), 1U);
  EXPECT_EQ(both.outliers[0].first, 2);
  EXPECT_EQ(both.outliers[0].count, 3);
  const auto first = int8_codes(rule, x.narrow(0, 0, 2), {});
  const auto second = int8_codes(rule, x.narrow(0, 2, 3), {});
  EXPECT_TRUE(both.codes.narrow(0, 0, 2).equal(first.codes));
  EXPECT_TRUE(both.codes.narrow(0, 2, 3).equal(second.codes));
  EXPECT_EQ(rounded(rule, x, lengths)[3][7].item<float>(), -9);
}

TEST(Fp8, RoundsAsTheCodesDo) {
  const auto x = at::randn({40, 33}).mul_(200);
  for (const float scale : {0.37F, 3.0F}) {
    const auto values = rounded({.kind = Kind::kFp8PerTensor, .scale = scale}, x, {});
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      const float in = x.view({-1})[i].item<float>(), out = values.view({-1})[i].item<float>();
      EXPECT_EQ(out, e4m3_value(e4m3_code(in / scale)) * scale) << in;
    }
  }
}

TEST(Fp8, ATokensLargestValueStays) {
  const auto values = rounded({.kind = Kind::kFp8PerToken}, row({896, 1, -33, 0.001F}), {});
  EXPECT_TRUE(values.equal(row({896, 1, -32, 0}))) << values;  // steps of 4 at 33, 2^-8 at 0.001
}

// Beside a small largest value small ones stay as well, to within the step of E4M3.
TEST(Fp8, GroupsOfATokenHaveScalesOfTheirOwn) {
  const auto x = row({896, 1, -33, 0.001F});
  const ActivationRule pairs{.kind = Kind::kFp8PerToken, .group_size = 2};
  EXPECT_TRUE(rounded(pairs, x, {}).allclose(row({896, 1, -33, 0.001F}), 1e-2, 0));
  const ActivationRule threes{.kind = Kind::kFp8PerToken, .group_size = 3};
  EXPECT_TRUE(rounded(threes, x, {}).allclose(row({896, 1, -32, 0.001F}), 1e-6, 0));
}

}  // namespace
}  // namespace assay_torch
