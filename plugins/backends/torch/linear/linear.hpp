// What the decoder knows of a linear layer: apply it. How the weights are stored stays behind this
// interface, one implementation per format.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace assay_torch {

/// Threads  [instance] apply may use all threads granted
class Linear {
 public:
  virtual ~Linear() = default;

  /// Writes x W^T, plus the bias if there is one.
  ///
  /// Shapes   x [tokens, inputs], rows may be strided; out [tokens, outputs] contiguous
  virtual void apply(const at::Tensor& x, at::Tensor& out) const = 0;

  /// The weights without the bias.
  ///
  /// Shapes   [outputs, inputs] in the compute dtype
  virtual at::Tensor dequantize() const = 0;

  /// Memory that the weights take while loaded.
  virtual std::uint64_t bytes() const = 0;

  /// "dense float32 [256, 128]".
  virtual std::string describe() const = 0;
};

}  // namespace assay_torch
