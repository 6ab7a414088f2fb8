// Linear layers that read the same input and write one behind the other: modules of one layer that
// are stored, or round their input, in different ways.
#pragma once

#include <memory>
#include <vector>

#include "linear/linear.hpp"

namespace assay_torch {

class Stacked final : public Linear {
 public:
  /// Shapes   rows of each part; they add up to the outputs
  struct Part {
    std::unique_ptr<Linear> linear;
    std::int64_t rows = 0;
  };
  explicit Stacked(std::vector<Part> parts);

  void apply(const at::Tensor& x, at::Tensor& out,
             std::span<const std::int64_t> lengths) const override;
  at::Tensor dequantize() const override;
  std::uint64_t bytes() const override;
  std::string describe() const override;

 private:
  std::vector<Part> parts_;
};

}  // namespace assay_torch
