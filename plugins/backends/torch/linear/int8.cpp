#include "linear/int8.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/_int_mm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>

#include <cstring>
#include <utility>

namespace assay_torch {
namespace {

constexpr float kPer127 = 7.874015718698502e-3F;
constexpr float kPer127Squared = 6.200124e-05F;

float factor_of(const QuantizedMatrix& matrix) {
  if (matrix.activations.kind != ActivationRule::Kind::kInt8Outliers)
    return matrix.is_per_127 ? kPer127 : 1;
  return matrix.is_per_127 ? kPer127Squared : 1 / 127.0F;
}

/// Exact sums of products, in float32 as integers below 2^24 and to the nearest above.
at::Tensor summed(const at::Tensor& x, const at::Tensor& weights) {
  const std::int64_t tokens = x.size(0);
  if (x.is_cpu()) return at::_int_mm(x, weights.t()).to(at::kFloat);
  // cuBLAS wants more than 16 rows, and eights of the rest.
  constexpr std::int64_t kFewestTokens = 32;
  if (x.size(1) % 8 == 0 && weights.size(0) % 8 == 0) {
    const std::int64_t missing = tokens < kFewestTokens ? kFewestTokens - tokens : 0;
    const auto padded = at::constant_pad_nd(x, {0, 0, 0, missing});
    return at::_int_mm(padded, weights.t()).narrow(0, 0, tokens).to(at::kFloat);
  }
  return at::mm(x.to(at::kDouble), weights.to(at::kDouble).t()).to(at::kFloat);
}

}  // namespace

Int8::Int8(const QuantizedMatrix& matrix, at::Tensor bias, const at::TensorOptions& options,
           const Kernels& kernels)
    : options_(options),
      kernels_(kernels),
      rule_(matrix.activations),
      is_per_127_(matrix.is_per_127),
      factor_(factor_of(matrix)),
      has_tiles_(&kernels == &fastest_kernels() && has_int8_tiles()) {
  auto codes = at::empty({matrix.rows, matrix.columns}, at::kChar);
  std::memcpy(codes.mutable_data_ptr(), matrix.codes.data(), codes.nbytes());
  auto scales = at::empty({matrix.rows}, at::kFloat);
  std::memcpy(scales.mutable_data_ptr(), matrix.scales.data(), scales.nbytes());
  sums_ = at::sum(codes, {1}, /*keepdim=*/false, at::kInt).to(options.device());
  codes_ = codes.to(options.device());
  scales_ = scales.to(options.device());
  if (bias.defined()) bias_ = bias.to(at::kFloat).contiguous();
}

/// Shapes   out [tokens, rows] f32, rows may be strided
void Int8::multiply(const TokenCodes& tokens, at::Tensor& out) const {
  const std::int64_t rows = codes_.size(0);
  if (!codes_.is_cpu() || (has_tiles_ && tokens.codes.size(0) > 16)) {
    const auto scales = tokens.scales.unsqueeze(1).mul(scales_);
    out.copy_(summed(tokens.codes, codes_).mul_(scales).mul_(factor_));
    if (bias_.defined()) out.add_(bias_);
    return;
  }
  const Int8Tokens x{.tokens = tokens.codes.size(0),
                     .codes = tokens.codes.const_data_ptr<std::int8_t>(),
                     .scales = tokens.scales.const_data_ptr<float>(),
                     .factor = factor_};
  const Int8Rows matrix{.columns = codes_.size(1),
                        .codes = codes_.const_data_ptr<std::int8_t>(),
                        .sums = sums_.const_data_ptr<std::int32_t>(),
                        .scales = scales_.const_data_ptr<float>(),
                        .bias = bias_.defined() ? bias_.const_data_ptr<float>() : nullptr};
  auto* const values = out.mutable_data_ptr<float>();
  constexpr std::int64_t kFewestRows = 16;
  at::parallel_for(0, rows, kFewestRows, [&](std::int64_t begin, std::int64_t end) {
    kernels_.multiply_int8(x, matrix, {begin, end - begin}, values, out.stride(0));
  });
}

void Int8::apply(const at::Tensor& x, at::Tensor& out,
                 std::span<const std::int64_t> lengths) const {
  TokenCodes tokens = int8_codes(rule_, x, lengths);
  tokens.codes = tokens.codes.contiguous();
  tokens.scales = tokens.scales.contiguous();
  if (out.scalar_type() == at::kFloat) {
    multiply(tokens, out);
  } else {
    auto wide = at::empty(out.sizes(), out.options().dtype(at::kFloat));
    multiply(tokens, wide);
    out.copy_(wide);
  }
  for (const OutlierColumns& outliers : tokens.outliers) {
    const auto columns = weights(codes_.index_select(1, outliers.columns));
    const auto left_out =
        x.narrow(0, outliers.first, outliers.count).index_select(1, outliers.columns);
    out.narrow(0, outliers.first, outliers.count).addmm_(left_out, columns.t());
  }
}

/// Of these columns, in the compute dtype.
at::Tensor Int8::weights(const at::Tensor& codes) const {
  const auto values = codes.to(at::kFloat).mul_(scales_.unsqueeze(1));
  if (is_per_127_) values.mul_(kPer127);
  return values.to(options_.dtype());
}

at::Tensor Int8::dequantize() const { return weights(codes_); }

std::uint64_t Int8::bytes() const {
  return codes_.nbytes() + sums_.nbytes() + scales_.nbytes() +
         (bias_.defined() ? bias_.nbytes() : 0);
}

std::string Int8::describe() const {
  const std::string route = !codes_.is_cpu() ? "libtorch" : has_tiles_ ? "AMX" : kernels_.name;
  return "int8 [" + std::to_string(codes_.size(0)) + ", " + std::to_string(codes_.size(1)) +
         "], activations " + assay_torch::describe(rule_) + ", " + route;
}

}  // namespace assay_torch
