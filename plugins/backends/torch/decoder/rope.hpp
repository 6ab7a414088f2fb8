// Rotary position embedding: the table of angles, and turning queries and keys by it. Only the
// half-split form of Hugging Face files, where dimensions i and i + d/2 are a pair.
#pragma once

#include <ATen/core/Tensor.h>

#include "decoder/spec.hpp"

namespace assay_torch {

/// Shapes   cos, sin [positions, 1, head_dim / 2], float32
struct RopeTable {
  at::Tensor cos, sin;

  /// The rows of these positions.
  ///
  /// Shapes   positions [tokens] i64
  RopeTable at_positions(const at::Tensor& positions) const;
};

/// Computes the angles in float32, as transformers does.
///
/// Source   RoFormer, arXiv 2104.09864, equation 34; transformers 5.23, LlamaRotaryEmbedding
RopeTable make_rope(const DecoderSpec& spec, const at::Device& device);

/// Shapes   x [tokens, heads, head_dim], may be strided; out the same, contiguous
void rotate(const at::Tensor& x, const RopeTable& rope, at::Tensor& out);

}  // namespace assay_torch
