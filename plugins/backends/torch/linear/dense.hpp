// The linear layer whose weights are held as they are computed with. Packed formats have files of
// their own.
#pragma once

#include "linear/linear.hpp"

namespace assay_torch {

class Dense final : public Linear {
 public:
  /// Shapes   weight [outputs, inputs] contiguous
  explicit Dense(at::Tensor weight);

  void apply(const at::Tensor& x, at::Tensor& out) const override;
  at::Tensor dequantize() const override;
  std::uint64_t bytes() const override;
  std::string describe() const override;

 private:
  at::Tensor weight_;
  at::Tensor transposed_;  // a view
};

}  // namespace assay_torch
