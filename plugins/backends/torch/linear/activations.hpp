// What a quantized layer makes of its input before it multiplies: codes of 8 bits, or the values
// that such codes stand for. Weights are not known here; any device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "linear/linear.hpp"
#include "quantize/matrix.hpp"

namespace assay_torch {

/// Columns of some rows that an outlier keeps out of the codes.
struct OutlierColumns {
  std::int64_t first = 0, count = 0;  ///< rows: one sequence
  at::Tensor columns;                 ///< i64, ascending
};

/// Shapes   codes [tokens, columns] i8, scales [tokens] f32
struct TokenCodes {
  at::Tensor codes, scales;
  /// kInt8Outliers: the sequences that have some. The codes of these columns are zero.
  std::vector<OutlierColumns> outliers;
};

/// Codes of the rules of 8-bit integers. A token of zeros has codes of zero.
///
/// kInt8PerToken: scale = largest / 127.5 in float32, code = x / scale to the nearest, halves to
/// even, within -128..127. kInt8Outliers: x is rounded to float16; entries of `threshold` or more
/// make their column an outlier for all rows of the sequence; the scale is the row's largest entry
/// that is no outlier itself, code = x * (127 / scale).
///
/// Shapes   x [tokens, columns]; lengths as in Linear::apply
/// Source   compressed-tensors 0.19, dynamic symmetric per token; bitsandbytes 0.50
///          backends/default/ops.py int8_vectorwise_quant
TokenCodes int8_codes(const ActivationRule& rule, const at::Tensor& x,
                      std::span<const std::int64_t> lengths);

/// The values that x's codes stand for, by any rule: of E4M3 too, code = x / scale within +-448,
/// of a token (scale = largest / 448) or with the rule's scale.
///
/// Shapes   as x, in its dtype
/// Source   compressed-tensors 0.19 lifecycle/forward.py
at::Tensor rounded(const ActivationRule& rule, const at::Tensor& x,
                   std::span<const std::int64_t> lengths);

/// "int8 per token", "int8 beside outliers of 6", "fp8 per token", "fp8 per tensor".
std::string describe(const ActivationRule& rule);

/// A linear layer whose input is rounded first.
class RoundedInput final : public Linear {
 public:
  RoundedInput(const ActivationRule& rule, std::unique_ptr<Linear> inner);

  void apply(const at::Tensor& x, at::Tensor& out,
             std::span<const std::int64_t> lengths) const override;
  at::Tensor dequantize() const override;
  std::uint64_t bytes() const override;
  std::string describe() const override;

 private:
  ActivationRule rule_;
  std::unique_ptr<Linear> inner_;
};

}  // namespace assay_torch
