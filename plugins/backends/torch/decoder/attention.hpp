// Causal attention over stretches of sequences, packed one behind the other. Projections, rotary
// embedding and the order of the sequences belong to others.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "decoder/cache.hpp"

namespace assay_torch {

/// New tokens of one sequence in a pass. Without a slot nothing is kept and past is 0.
struct Segment {
  std::int64_t length = 0;
  std::int64_t past = 0;   ///< tokens of the sequence that are in the cache already
  std::int64_t slot = -1;  ///< of the cache
};

/// How a layer attends.
struct AttentionRule {
  double scale = 0;         ///< scores are multiplied by it
  double softcap = 0;       ///< scores become softcap * tanh(score / softcap); 0: they stay
  std::int64_t window = 0;  ///< position p sees (p - window, p]; 0: [0, p]
};

/// Each position attends to itself and to the earlier ones of its sequence, as far as the rule
/// lets it; query head h uses key head h / (heads / kv_heads). With a cache layer the keys and
/// values of segments with a slot are stored behind those there already, and seen together with
/// them. Softmax and sums are in float32 whatever the dtype, float32, bfloat16 or float16.
/// Neighbouring segments of one length that are all new or all go on are one batch.
///
/// Memory beyond the arguments: a mask of at most 2^23 pairs of a query and a key where a window or
/// a past needs one; under a soft cap two blocks of as many float32 scores, 64 MiB, and one run's
/// keys and values in float32. One query of one sequence may take more, as its keys demand.
///
/// Shapes   queries [tokens, heads, head_dim]; keys, values [tokens, kv_heads, head_dim]; rows may
///          be strided; out [tokens, heads, head_dim] contiguous
/// Source   Vaswani et al., arXiv 1706.03762, equation 1; GQA, arXiv 2305.13245; soft caps,
///          Gemma 2, arXiv 2408.00118
void attend(const AttentionRule& rule, const at::Tensor& queries, const at::Tensor& keys,
            const at::Tensor& values, std::span<const Segment> segments, CacheLayer* cache,
            at::Tensor& out);

}  // namespace assay_torch
