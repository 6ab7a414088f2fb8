// Every instruction set against the plain dequantization of quantize/matrix.hpp.
#include "linear/kernels/kernels.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "linear/int8.hpp"
#include "linear/packed.hpp"
#include "support/random_matrix.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::MatrixShape;
using assay_torch_test::random_matrix;

at::Tensor values_of(const QuantizedMatrix& matrix) {
  auto out = at::empty({matrix.rows, matrix.columns}, at::kFloat);
  dequantize(matrix, {out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.numel())});
  return out;
}

bool is_same_to_the_bit(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
         std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

std::vector<QuantizedMatrix> matrices() {
  std::vector<QuantizedMatrix> all;
  std::uint32_t seed = 0;
  const auto add = [&](const MatrixShape& shape) { all.push_back(random_matrix(shape, ++seed)); };
  for (int bits = 2; bits <= 8; ++bits) {
    for (const std::int64_t columns : {1, 7, 33, 136}) add({Form::kInteger, 3, columns, 32, bits});
  }
  for (const int bits : {4, 3, 5, 12, 16}) {
    for (const std::int64_t group : {1, 8, 16, 20, 64, 1000})
      add({Form::kInteger, 9, 150, group, bits});
  }
  for (const std::int64_t columns : {1, 7, 33, 64, 100, 192}) add({Form::kTable, 7, columns, 64});
  for (const Form form : {Form::kInt8, Form::kFp8}) {
    for (const std::int64_t columns : {1, 7, 33, 64, 150}) add({form, 5, columns, 48});
  }
  // All zero, a constant zero point, two products, half-precision scales, groups out of order.
  add({Form::kInteger, 6, 64, 32, 4});
  std::ranges::fill(all.back().codes, std::uint8_t{0});
  std::ranges::fill(all.back().zeros, std::uint16_t{0});
  add({Form::kInteger, 6, 64, 32, 4});
  std::ranges::fill(all.back().zeros, std::uint16_t{8});
  add({Form::kInt8, 5, 50});
  all.back().is_per_127 = true;
  for (const FloatType type : {FloatType::kFloat16, FloatType::kBfloat16}) {
    add({Form::kInteger, 6, 96, 16, 4});
    all.back().scale_type = type;
    for (float& scale : all.back().scales)
      scale = std::ldexp(1.0F, static_cast<int>(scale * 20000) % 20 - 18);
  }
  for (const int bits : {4, 3, 8}) {
    add({Form::kInteger, 6, 96, 16, bits});
    for (std::int32_t k = 0; k < 96; ++k) all.back().group_of.push_back(k * 37 % 6);
  }
  return all;
}

std::string text_of(const QuantizedMatrix& m) {
  return "form " + std::to_string(static_cast<int>(m.form)) + ", " + std::to_string(m.bits) +
         " bits, [" + std::to_string(m.rows) + ", " + std::to_string(m.columns) + "], groups of " +
         std::to_string(m.group_size);
}

class KernelSets : public ::testing::TestWithParam<InstructionSet> {
 protected:
  void SetUp() override {
    if (kernels_for(GetParam()) == nullptr)
      GTEST_SKIP() << "this machine has no " << to_string(GetParam());
  }
  static const Kernels& kernels() { return *kernels_for(GetParam()); }
};

TEST_P(KernelSets, DequantizeToTheBit) {
  for (const QuantizedMatrix& matrix : matrices()) {
    const auto expected = values_of(matrix);
    for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      const Packed packed(matrix, {}, type, kernels());
      EXPECT_TRUE(is_same_to_the_bit(packed.dequantize(), expected.to(type)))
          << text_of(matrix) << " as " << type;
    }
  }
}

// 1e-7 of the sum of sizes, per term: each product and each sum is off by at most 2^-24 of it.
TEST_P(KernelSets, MultiplyWithTheseValues) {
  for (const QuantizedMatrix& matrix : matrices()) {
    const auto values = values_of(matrix).to(at::kDouble);
    const Packed packed(matrix, {}, at::kFloat, kernels());
    for (const std::int64_t tokens : {1, 2, 3, 7, 9}) {
      const auto x = at::randn({tokens, matrix.columns});
      auto out = at::empty({tokens, matrix.rows});
      packed.apply(x, out, {});
      const auto expected = x.to(at::kDouble).mm(values.t());
      const auto bound = x.to(at::kDouble)
                             .abs()
                             .mm(values.abs().t())
                             .mul(1e-7 * static_cast<double>(matrix.columns));
      EXPECT_TRUE(out.to(at::kDouble).sub(expected).abs().le(bound).all().item<bool>())
          << text_of(matrix) << ", " << tokens << " tokens";
    }
  }
}

// Codes of NaN are refused where files are read; if one comes, it stays what it is.
TEST_P(KernelSets, KeepsNotANumberOfE4m3) {
  QuantizedMatrix matrix = random_matrix({Form::kFp8, 1, 40, 40}, 1);
  matrix.codes[3] = 0x7F;
  matrix.codes[39] = 0xFF;
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const auto values = Packed(matrix, {}, type, kernels()).dequantize();
    EXPECT_EQ(values.isnan().sum().item<std::int64_t>(), 2) << type;
    EXPECT_TRUE(values.select(1, 3).isnan().item<bool>());
  }
}

// The tallest sums that codes can make, and every remainder of a step of 64.
TEST_P(KernelSets, SumProductsOfIntegersExactly) {
  for (const std::int64_t columns : {1, 15, 16, 63, 64, 65, 200, 4096}) {
    for (const std::int64_t tokens : {1, 3, 4, 70}) {
      constexpr std::int64_t kRows = 7;
      auto codes = at::randint(-128, 128, {kRows, columns}, at::kChar);
      codes.select(0, 2).fill_(-128);
      codes.select(0, 3).fill_(127);
      auto x = at::randint(-128, 128, {tokens, columns}, at::kChar);
      x.select(0, 0).fill_(-128);
      const auto sums = codes.sum({1}, false, at::kInt);
      const auto scales = at::rand({kRows}), bias = at::randn({kRows}),
                 token_scales = at::rand({tokens});
      const Int8Rows matrix{.columns = columns,
                            .codes = codes.const_data_ptr<std::int8_t>(),
                            .sums = sums.const_data_ptr<std::int32_t>(),
                            .scales = scales.const_data_ptr<float>(),
                            .bias = bias.const_data_ptr<float>()};
      const Int8Tokens rows{.tokens = tokens,
                            .codes = x.const_data_ptr<std::int8_t>(),
                            .scales = token_scales.const_data_ptr<float>(),
                            .factor = 0.3F};
      auto out = at::empty({tokens, kRows});
      kernels().multiply_int8(rows, matrix, {0, 5}, out.mutable_data_ptr<float>(), kRows);
      kernels().multiply_int8(rows, matrix, {5, 2}, out.mutable_data_ptr<float>(), kRows);
      const auto exact = x.to(at::kLong).mm(codes.to(at::kLong).t()).to(at::kFloat);
      const auto expected = exact.mul(token_scales.unsqueeze(1).mul(scales)).mul(0.3F).add(bias);
      EXPECT_TRUE(is_same_to_the_bit(out, expected)) << columns << " columns, " << tokens;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, KernelSets, ::testing::ValuesIn(kInstructionSets),
                         [](const auto& param) {
                           std::string name = to_string(param.param);
                           std::erase_if(name, [](char c) { return c == '-' || c == ' '; });
                           return name;
                         });

TEST(KernelChoice, ThePortableOneIsAlwaysThereAndTheFastestIsOneOfThem) {
  ASSERT_NE(kernels_for(InstructionSet::kPortable), nullptr);
  bool is_one = false;
  for (const InstructionSet set : kInstructionSets) {
    if (const auto* kernels = kernels_for(set)) {
      EXPECT_STREQ(kernels->name, to_string(set));
      is_one |= kernels == &fastest_kernels();
    }
  }
  EXPECT_TRUE(is_one);
}

}  // namespace
}  // namespace assay_torch
