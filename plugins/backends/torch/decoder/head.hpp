// From final hidden states to what was asked for: log-probabilities of given tokens, whether each
// is the most likely one, or whole rows of logits. Which rows are wanted is the schedule's
// business.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "linear/linear.hpp"

namespace assay_torch {

/// An output layer whose logits are capped: cap * tanh(x W^T / cap), the cap in float32.
///
/// Source   Gemma 2, arXiv 2408.00118, section 2, "Logit soft-capping"
class CappedHead final : public Linear {
 public:
  CappedHead(std::unique_ptr<Linear> linear, double cap);

  void apply(const at::Tensor& x, at::Tensor& out,
             std::span<const std::int64_t> lengths) const override;
  at::Tensor dequantize() const override;
  std::uint64_t bytes() const override;
  std::string describe() const override;

 private:
  std::unique_ptr<Linear> linear_;
  double cap_;
};

/// Rows of logits made at a time: at most 1024, and at most 32 MiB of float32. Scoring holds two
/// such blocks, so 64 MiB whatever the vocabulary, the batch or the length.
///
/// Source   defined here
std::int64_t rows_per_chunk(std::int64_t vocab);

/// Shapes   logprobs [rows] f32 on the CPU, nats; greedy [rows] bool on the CPU, undefined when not
/// asked for
struct TargetScores {
  at::Tensor logprobs, greedy;
};

/// Scores one token per row: log softmax in float32, whatever dtype the logits have. greedy: the
/// token has the largest logit, and no lower id has the same.
///
/// Shapes   hidden [rows, hidden]; targets [rows] i64, both on the head's device
TargetScores score_targets(const Linear& head, std::int64_t vocab, const at::Tensor& hidden,
                           const at::Tensor& targets, bool with_greedy);

/// Calls take(first_row, logits) chunk by chunk, rows ascending, until it answers false.
///
/// Shapes   logits [rows of the chunk, vocab] f32 on the CPU, contiguous
void each_logits(const Linear& head, std::int64_t vocab, const at::Tensor& hidden,
                 const std::function<bool(std::int64_t first_row, const at::Tensor& logits)>& take);

}  // namespace assay_torch
