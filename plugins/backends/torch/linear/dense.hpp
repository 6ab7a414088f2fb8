// The linear layer whose weights are held as they are computed with. Packed formats have files of
// their own.
#pragma once

#include "linear/linear.hpp"

namespace assay_torch {

class Dense final : public Linear {
 public:
  /// Shapes   weight [outputs, inputs] contiguous; bias [outputs] in the same dtype, or undefined
  explicit Dense(at::Tensor weight, at::Tensor bias = {});

  void apply(const at::Tensor& x, at::Tensor& out,
             std::span<const std::int64_t> lengths) const override;
  at::Tensor dequantize() const override;
  std::uint64_t bytes() const override;
  std::string describe() const override;

 private:
  at::Tensor weight_;
  at::Tensor transposed_;  // a view
  at::Tensor bias_;
};

}  // namespace assay_torch
