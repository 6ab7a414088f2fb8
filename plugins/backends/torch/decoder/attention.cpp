#include "decoder/attention.hpp"

#include <ATen/ops/scaled_dot_product_attention.h>

#include <vector>

namespace assay_torch {
namespace {

/// Neighbouring sequences of one length: they are attended to as one batch, without padding.
struct Run {
  std::int64_t first_token = 0;
  std::int64_t sequences = 0;
  std::int64_t length = 0;
};

at::Tensor as_batch(const at::Tensor& packed, const Run& run) {
  return packed.narrow(0, run.first_token, run.sequences * run.length)
      .unflatten(0, {run.sequences, run.length})
      .transpose(1, 2);
}

std::vector<Run> runs_of(std::span<const Segment> segments) {
  std::vector<Run> runs;
  std::int64_t token = 0;
  for (const Segment& segment : segments) {
    if (runs.empty() || runs.back().length != segment.length) {
      runs.push_back({token, 0, segment.length});
    }
    ++runs.back().sequences;
    token += segment.length;
  }
  return runs;
}

}  // namespace

void attend(const AttentionRule& rule, const at::Tensor& queries, const at::Tensor& keys,
            const at::Tensor& values, std::span<const Segment> segments, CacheLayer* /*cache*/,
            at::Tensor& out) {
  const bool is_grouped = queries.size(1) != keys.size(1);
  for (const Run& run : runs_of(segments)) {
    as_batch(out, run).copy_(at::scaled_dot_product_attention(
        as_batch(queries, run), as_batch(keys, run), as_batch(values, run), {}, 0.0,
        /*is_causal=*/true, rule.scale, /*enable_gqa=*/is_grouped));
  }
}

}  // namespace assay_torch
