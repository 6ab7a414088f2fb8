// Causal attention over sequences packed one behind the other. Projections, rotary embedding and
// the order of the sequences belong to others.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace assay_torch {

/// Neighbouring sequences of one length: they are attended to as one batch, without padding.
struct Run {
  std::int64_t first_token = 0;
  std::int64_t sequences = 0;
  std::int64_t length = 0;
};

std::vector<Run> runs_of(std::span<const std::int64_t> lengths);

/// Each position attends to itself and to the earlier ones of its sequence, scaled by
/// 1 / sqrt(head_dim); query head h uses key head h / (heads / kv_heads).
///
/// Shapes   queries [tokens, heads, head_dim]; keys, values [tokens, kv_heads, head_dim]; rows may
/// be
///          strided; out [tokens, heads, head_dim] contiguous
/// Source   Vaswani et al., arXiv 1706.03762, equation 1; GQA, arXiv 2305.13245
void attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
            std::span<const Run> runs, at::Tensor& out);

}  // namespace assay_torch
