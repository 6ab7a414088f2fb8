#include "decoder/head.hpp"

#include <ATen/ops/_log_softmax.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/nonzero.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace assay_torch {
namespace {

constexpr std::int64_t kMaxRows = 1024;
constexpr std::int64_t kMaxChunkBytes = std::int64_t{32} << 20;

/// argmax over every row costs more than the softmax; only rows whose target reaches the maximum
/// need it.
at::Tensor greedy_of(const at::Tensor& logits, const at::Tensor& targets) {
  auto greedy = logits.gather(1, targets.unsqueeze(1)).squeeze(1).eq(logits.amax({1}));
  const auto rows = greedy.nonzero().squeeze(1);
  const auto first_best = logits.index_select(0, rows).argmax(1);
  greedy.index_copy_(0, rows, first_best.eq(targets.index_select(0, rows)));
  return greedy;
}

}  // namespace

CappedHead::CappedHead(std::unique_ptr<Linear> linear, double cap)
    : linear_(std::move(linear)), cap_(cap) {}

void CappedHead::apply(const at::Tensor& x, at::Tensor& out,
                       std::span<const std::int64_t> lengths) const {
  linear_->apply(x, out, lengths);
  out.copy_(out.to(at::kFloat).div(cap_).tanh_().mul_(cap_));
}

at::Tensor CappedHead::dequantize() const { return linear_->dequantize(); }

std::uint64_t CappedHead::bytes() const { return linear_->bytes(); }

std::string CappedHead::describe() const { return linear_->describe() + ", logits capped"; }

std::int64_t rows_per_chunk(std::int64_t vocab) {
  return std::clamp(kMaxChunkBytes / (4 * vocab), std::int64_t{1}, kMaxRows);
}

TargetScores score_targets(const Linear& head, std::int64_t vocab, const at::Tensor& hidden,
                           const at::Tensor& targets, bool with_greedy) {
  const std::int64_t rows = hidden.size(0), step = std::min(rows, rows_per_chunk(vocab));
  auto logits = at::empty({step, vocab}, hidden.options());
  auto logprobs = at::empty({step, vocab}, hidden.options().dtype(at::kFloat));
  std::vector<at::Tensor> picked, greedy;
  for (std::int64_t row = 0; row < rows; row += step) {
    const std::int64_t count = std::min(step, rows - row);
    auto chunk = logits.narrow(0, 0, count);
    auto chunk_logprobs = logprobs.narrow(0, 0, count);
    const auto chunk_targets = targets.narrow(0, row, count);
    head.apply(hidden.narrow(0, row, count), chunk, {});
    at::_log_softmax_out(chunk_logprobs, chunk.to(at::kFloat), -1, false);
    picked.push_back(chunk_logprobs.gather(1, chunk_targets.unsqueeze(1)).squeeze(1));
    if (with_greedy) greedy.push_back(greedy_of(chunk, chunk_targets));
  }
  return {at::cat(picked).cpu(), with_greedy ? at::cat(greedy).cpu() : at::Tensor()};
}

void each_logits(
    const Linear& head, std::int64_t vocab, const at::Tensor& hidden,
    const std::function<bool(std::int64_t first_row, const at::Tensor& logits)>& take) {
  const std::int64_t rows = hidden.size(0), step = std::min(rows, rows_per_chunk(vocab));
  auto logits = at::empty({step, vocab}, hidden.options());
  for (std::int64_t row = 0; row < rows; row += step) {
    auto chunk = logits.narrow(0, 0, std::min(step, rows - row));
    head.apply(hidden.narrow(0, row, chunk.size(0)), chunk, {});
    if (!take(row, chunk.to(at::TensorOptions(at::kCPU).dtype(at::kFloat)).contiguous())) return;
  }
}

}  // namespace assay_torch
