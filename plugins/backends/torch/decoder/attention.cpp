#include "decoder/attention.hpp"

#include <ATen/ops/scaled_dot_product_attention.h>

namespace assay_torch {
namespace {

at::Tensor as_batch(const at::Tensor& packed, const Run& run) {
  return packed.narrow(0, run.first_token, run.sequences * run.length)
      .unflatten(0, {run.sequences, run.length})
      .transpose(1, 2);
}

}  // namespace

std::vector<Run> runs_of(std::span<const std::int64_t> lengths) {
  std::vector<Run> runs;
  std::int64_t token = 0;
  for (std::int64_t length : lengths) {
    if (runs.empty() || runs.back().length != length) runs.push_back({token, 0, length});
    ++runs.back().sequences;
    token += length;
  }
  return runs;
}

void attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
            std::span<const Run> runs, at::Tensor& out) {
  const bool is_grouped = queries.size(1) != keys.size(1);
  for (const Run& run : runs) {
    as_batch(out, run).copy_(
        at::scaled_dot_product_attention(as_batch(queries, run), as_batch(keys, run),
                                         as_batch(values, run), {}, 0.0, /*is_causal=*/true,
                                         /*scale=*/std::nullopt, /*enable_gqa=*/is_grouped));
  }
}

}  // namespace assay_torch
