// The linear layer of 8-bit weights and 8-bit activations: their products are summed as integers,
// exactly, and scaled once. Weights of 8 bits under other activations are packed.hpp's.
#pragma once

#include <vector>

#include "linear/activations.hpp"
#include "linear/kernels/kernels.hpp"
#include "linear/linear.hpp"
#include "quantize/matrix.hpp"

namespace assay_torch {

/// Integers and scales give the same on every machine and by every route. On the CPU it multiplies
/// with `kernels`, or with libtorch's operator where that has tiles for integers (AMX); on other
/// devices with libtorch's operators.
///
/// kInt8Outliers: the columns left out are multiplied in the dtype of x and added last.
///
/// Source   bitsandbytes 0.50 backends/default/ops.py int8_mixed_scaled_mm, whose literal for
///          1/127^2 is 6.200124e-05
class Int8 final : public Linear {
 public:
  /// The most columns whose sum of products fits 32 bits.
  static constexpr std::int64_t kMostColumns = 131071;

  /// Shapes   matrix of Form::kInt8 with a rule of 8-bit integers; bias [rows] in the dtype of
  ///          `options`, or undefined
  Int8(const QuantizedMatrix& matrix, at::Tensor bias, const at::TensorOptions& options,
       const Kernels& kernels);

  void apply(const at::Tensor& x, at::Tensor& out,
             std::span<const std::int64_t> lengths) const override;
  at::Tensor dequantize() const override;
  std::uint64_t bytes() const override;
  std::string describe() const override;

 private:
  void multiply(const TokenCodes& tokens, at::Tensor& out) const;
  at::Tensor weights(const at::Tensor& codes) const;

  at::TensorOptions options_;
  const Kernels& kernels_;
  ActivationRule rule_;
  bool is_per_127_;
  float factor_;
  bool has_tiles_;
  at::Tensor codes_;   // [rows, columns] i8
  at::Tensor sums_;    // [rows] i32, of the codes
  at::Tensor scales_;  // [rows] f32
  at::Tensor bias_;    // [rows] f32, or undefined
};

}  // namespace assay_torch
