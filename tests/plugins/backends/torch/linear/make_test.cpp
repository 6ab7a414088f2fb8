// Which layer is made of which modules, and that packed layers give what dense ones do.
#include "linear/make.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <string>

#include "linear/activations.hpp"
#include "support/random_matrix.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::MatrixShape;
using assay_torch_test::random_matrix;
using Kind = ActivationRule::Kind;

ModuleWeight module_of(const MatrixShape& shape, std::uint32_t seed, Kind rule = Kind::kNone) {
  ModuleWeight module{.quantized = random_matrix(shape, seed)};
  module.quantized->activations.kind = rule;
  return module;
}

std::unique_ptr<Linear> made(std::vector<ModuleWeight> modules, const LinearSettings& settings,
                             const at::Tensor& bias = {}) {
  return make_linear(std::move(modules), bias, settings);
}

LinearSettings packed_in(at::ScalarType type) {
  LinearSettings settings{at::TensorOptions(type)};
  settings.is_packed = true;
  settings.kernels = kernels_for(InstructionSet::kPortable);
  return settings;
}

at::Tensor applied(const Linear& linear, const at::Tensor& x, std::int64_t rows) {
  auto out = at::empty({x.size(0), rows}, x.options());
  linear.apply(x, out, {});
  return out;
}

/// Units in which a dtype rounds, relative.
double step(at::ScalarType type) {
  if (type == at::kBFloat16) return 0x1p-8;
  return type == at::kHalf ? 0x1p-11 : 0x1p-22;
}

// The dense layer's weights are rounded, by half a step each, and so are both results; sums in
// another order differ by less.
TEST(Packed, GivesWhatTheDenseLayerGivesUpToTheDtypesRounding) {
  const MatrixShape shapes[] = {{Form::kInteger, 40, 200, 64, 4},
                                {Form::kInteger, 40, 200, 50, 3},
                                {Form::kInteger, 40, 200, 200, 8},
                                {Form::kTable, 40, 192, 64},
                                {Form::kInt8, 40, 200},
                                {Form::kFp8, 40, 200, 128}};
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const MatrixShape& shape : shapes) {
      for (const std::int64_t tokens : {1, 5, 30}) {
        // Rows of x and out are strided: parts of wider ones.
        const auto x = at::randn({tokens, shape.columns + 24}, type).narrow(1, 8, shape.columns);
        const auto bias = at::randn({shape.rows}, type);
        auto wide = at::full({tokens, shape.rows + 10}, 7, type);
        auto out = wide.narrow(1, 3, shape.rows);
        const auto packed = made({module_of(shape, 5)}, packed_in(type), bias);
        packed->apply(x, out, {});
        const auto dense =
            made({module_of(shape, 5)}, LinearSettings(at::TensorOptions(type)), bias);
        const auto expected = applied(*dense, x, shape.rows).to(at::kDouble);
        const auto weights = dense->dequantize().to(at::kDouble);
        const auto bound = x.to(at::kDouble)
                               .abs()
                               .mm(weights.abs().t())
                               .add(bias.to(at::kDouble).abs())
                               .mul(1.5 * step(type));
        EXPECT_TRUE(out.to(at::kDouble).sub(expected).abs().le(bound).all().item<bool>())
            << packed->describe() << ", " << tokens << " tokens, " << type;
        EXPECT_TRUE(wide.narrow(1, 0, 3).eq(7).all().item<bool>());
        EXPECT_TRUE(wide.narrow(1, 3 + shape.rows, 7).eq(7).all().item<bool>());
      }
    }
  }
}

// 1100 rows of 2000 float32 values: two whole tiles of 4 MiB and a part of one.
TEST(Packed, GivesTheSameInTilesAsWhole) {
  const MatrixShape shape{Form::kInteger, 1100, 2000, 128, 4};
  const auto x = at::randn({9, shape.columns});
  const auto packed = made({module_of(shape, 3)}, packed_in(at::kFloat));
  const auto expected = x.mm(packed->dequantize().t());
  EXPECT_TRUE(applied(*packed, x, shape.rows).allclose(expected, 1e-5, 1e-4));
}

TEST(Packed, TakesAboutTheBytesOfTheFile) {
  for (const MatrixShape& shape :
       {MatrixShape{Form::kInteger, 512, 1024, 32, 4},
        MatrixShape{Form::kInteger, 512, 1024, 128, 3}, MatrixShape{Form::kTable, 512, 1024, 64},
        MatrixShape{Form::kInt8, 512, 1024}, MatrixShape{Form::kFp8, 512, 1024, 128}}) {
    ModuleWeight module = module_of(shape, 1);
    QuantizedMatrix& matrix = *module.quantized;
    matrix.scale_type = FloatType::kFloat16;
    // What a GPTQ file would take: scales of 16 bits, zeros of as many as codes.
    matrix.stored_bits = matrix.codes.size() * 8 + matrix.scales.size() * 16 +
                         matrix.zeros.size() * static_cast<std::uint64_t>(matrix.bits);
    const double stored_bytes = static_cast<double>(matrix.stored_bits) / 8;
    const auto packed = made({std::move(module)}, packed_in(at::kBFloat16));
    EXPECT_LT(static_cast<double>(packed->bytes()), 1.1 * stored_bytes) << packed->describe();
  }
}

TEST(MakeLinear, SaysWhatItMade) {
  const auto packed = packed_in(at::kFloat);
  const LinearSettings dense{at::TensorOptions(at::kFloat)};
  const MatrixShape int4{Form::kInteger, 4, 64, 32, 4}, int8{Form::kInt8, 4, 64};
  EXPECT_EQ(made({module_of(int4, 1)}, packed)->describe(),
            "packed int4, groups of 32 [4, 64], portable");
  EXPECT_EQ(made({module_of(int4, 1)}, dense)->describe(), "dense float32 [4, 64]");
  EXPECT_EQ(made({module_of(int4, 1, Kind::kInt8PerToken)}, packed)->describe(),
            "packed int4, groups of 32 [4, 64], portable, activations int8 per token");
  EXPECT_EQ(made({module_of(int8, 1)}, packed)->describe(), "packed int8 [4, 64], portable");
  EXPECT_EQ(made({module_of(int8, 1, Kind::kInt8Outliers)}, packed)->describe(),
            "int8 [4, 64], activations int8 beside outliers of 6, portable");
  EXPECT_EQ(made({module_of({Form::kTable, 4, 64, 64}, 1)}, packed)->describe(),
            "packed table of 16, blocks of 64 [4, 64], portable");
  EXPECT_EQ(made({module_of({Form::kFp8, 4, 64, 32}, 1, Kind::kFp8PerToken)}, packed)->describe(),
            "packed fp8, blocks of 2 x 32 [4, 64], portable, activations fp8 per token");
  LinearSettings weights_only = packed;
  weights_only.quantizes_activations = false;
  EXPECT_EQ(made({module_of(int8, 1, Kind::kInt8PerToken)}, weights_only)->describe(),
            "packed int8 [4, 64], portable");
}

TEST(MakeLinear, JoinsModulesOfOneKindAndStacksTheRest) {
  const auto settings = packed_in(at::kFloat);
  const MatrixShape int4{Form::kInteger, 4, 64, 32, 4}, int3{Form::kInteger, 6, 64, 32, 3};
  std::vector<ModuleWeight> modules;
  modules.push_back(module_of(int4, 1));
  modules.push_back(module_of(int4, 2));
  modules.push_back({.dense = at::randn({3, 64})});
  modules.push_back(module_of(int3, 3));
  const auto bias = at::randn({17});
  const auto linear = made(std::move(modules), settings, bias);
  EXPECT_EQ(linear->describe(),
            "packed int4, groups of 32 [8, 64], portable; dense float32 [3, 64]; "
            "packed int3, groups of 32 [6, 64], portable");
  const auto weights = linear->dequantize();
  EXPECT_TRUE(weights.narrow(0, 4, 4).equal(made({module_of(int4, 2)}, settings)->dequantize()));
  const auto x = at::randn({5, 64});
  EXPECT_TRUE(applied(*linear, x, 17).allclose(x.mm(weights.t()).add(bias), 1e-5, 1e-5));
}

TEST(MakeLinear, RoundsTheInputOfThoseModulesAloneThatHaveARule) {
  const MatrixShape shape{Form::kFp8, 4, 64, 64};
  const LinearSettings settings{at::TensorOptions(at::kFloat)};
  std::vector<ModuleWeight> modules;
  modules.push_back(module_of(shape, 1, Kind::kFp8PerToken));
  modules.push_back(module_of(shape, 2));
  const auto linear = made(std::move(modules), settings);
  const auto x = at::randn({5, 64});
  const auto weights = linear->dequantize();
  const auto small = rounded({.kind = Kind::kFp8PerToken}, x, {});
  EXPECT_FALSE(small.equal(x));
  const auto expected =
      at::cat({small.mm(weights.narrow(0, 0, 4).t()), x.mm(weights.narrow(0, 4, 4).t())}, 1);
  EXPECT_TRUE(applied(*linear, x, 8).allclose(expected, 1e-5, 1e-5));
}

}  // namespace
}  // namespace assay_torch
