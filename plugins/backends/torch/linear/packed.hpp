// The linear layer whose weights stay codes and become values where they are multiplied. What the
// kernels do is kernels/kernels.hpp's; what is done to the input first is activations.hpp's.
#pragma once

#include <cstdint>
#include <vector>

#include "linear/kernels/kernels.hpp"
#include "linear/linear.hpp"
#include "quantize/matrix.hpp"

namespace assay_torch {

/// Up to kFewTokens rows of x are multiplied with codes as they are read, in float32. For more,
/// rows of weights are dequantized to the compute dtype, at most kTileBytes (or 16 rows) at a time,
/// and multiplied by libtorch. On a device that is no CPU the codes stay in the host's memory and
/// each such tile goes to the device in every call.
///
/// Against the dense layer of the same matrix, products of up to kFewTokens rows differ by the
/// weights' rounding to the compute dtype, which is left out here, and by the order of sums; those
/// of more rows by the order of sums.
class Packed final : public Linear {
 public:
  static constexpr std::int64_t kFewTokens = 8;
  static constexpr std::int64_t kTileBytes = std::int64_t{4} << 20;

  /// Shapes   bias [rows] in the dtype and on the device of `options`, or undefined
  Packed(QuantizedMatrix matrix, at::Tensor bias, const at::TensorOptions& options,
         const Kernels& kernels);

  void apply(const at::Tensor& x, at::Tensor& out,
             std::span<const std::int64_t> lengths) const override;
  at::Tensor dequantize() const override;
  std::uint64_t bytes() const override;
  std::string describe() const override;

 private:
  void order_columns(QuantizedMatrix& matrix);
  void keep(const QuantizedMatrix& matrix);
  void apply_to_few(const at::Tensor& x, at::Tensor& out) const;
  void apply_in_tiles(const at::Tensor& x, at::Tensor& out) const;
  void dequantize_into(RowRange rows, const at::Tensor& values) const;

  at::TensorOptions options_;
  const Kernels& kernels_;
  FloatType type_;
  PackedRows rows_;
  at::Tensor codes_, scales_, zeros_;       // what rows_ points to
  std::vector<std::int32_t> group_begins_;  // this too
  at::Tensor order_;                        // columns of x in the order of the codes, or undefined
  at::Tensor bias_;
};

}  // namespace assay_torch
