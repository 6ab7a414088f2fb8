// Attention by cuDNN on CUDA devices. Which queries see which keys is attention.hpp's; what cuDNN
// does not compute is left to libtorch's operators.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace assay_torch {

/// Attention of every query to the keys it sees, by a cuDNN graph that is built once per shape, or
/// nothing: for float32, tensors outside CUDA, devices before compute capability 8.0, a single
/// query row (its number of keys grows with every step, and a graph takes milliseconds to build),
/// heads or addresses that are not multiples of 16 bytes, and what cuDNN refuses. Which of the two
/// depends on shapes and device alone, so equal requests have equal results. Softmax and sums are
/// in float32.
///
/// Shapes   queries [sequences, heads, rows, head_dim]; keys, values [sequences, kv_heads, length,
///          head_dim], heads a multiple of kv_heads; seen bool [sequences or 1, 1, rows, length] or
///          undefined; result as the queries
/// Fails    c10::Error  when the graph does not run
/// Threads  [any-thread]; each has its own graphs, at most 512
/// Source   cuDNN's graph API 9, operation SDPA forward
#ifdef ASSAY_CUDA
std::optional<at::Tensor> cudnn_attention(const at::Tensor& queries, const at::Tensor& keys,
                                          const at::Tensor& values, const at::Tensor& seen,
                                          bool is_causal, double scale);
#else
inline std::optional<at::Tensor> cudnn_attention(const at::Tensor&, const at::Tensor&,
                                                 const at::Tensor&, const at::Tensor&, bool,
                                                 double) {
  return std::nullopt;
}
#endif

}  // namespace assay_torch
