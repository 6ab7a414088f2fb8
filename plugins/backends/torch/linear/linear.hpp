// What the decoder knows of a linear layer: apply it. How the weights are stored stays behind this
// interface, one implementation per format.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>

namespace assay_torch {

/// Threads  [instance] apply may use all threads granted
class Linear {
 public:
  virtual ~Linear() = default;

  /// Writes x W^T, plus the bias if there is one. `lengths` says how many rows each sequence has,
  /// one behind the other, so that what is measured over a sequence does not depend on its
  /// neighbours; empty: all rows are one sequence.
  ///
  /// Shapes   x [tokens, inputs], out [tokens, outputs]; rows of both may be strided
  virtual void apply(const at::Tensor& x, at::Tensor& out,
                     std::span<const std::int64_t> lengths) const = 0;

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
