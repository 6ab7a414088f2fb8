#include "quantize/awq.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

namespace assay_torch {
namespace {

constexpr int kRatios = 20;
constexpr int kRanges = 10;

/// What round to nearest makes of the weights.
at::Tensor rounded_weights(const at::Tensor& weights, const GridSettings& grid) {
  const auto plain = weights.contiguous();
  const std::span<const float> values(plain.const_data_ptr<float>(),
                                      static_cast<std::size_t>(plain.numel()));
  auto out = at::empty(plain.sizes(), at::kFloat);
  dequantize(rtn_quantize(values, plain.size(0), plain.size(1), grid),
             {out.mutable_data_ptr<float>(), values.size()});
  return out;
}

/// The mean over rows of each weight's share of the largest of its group.
at::Tensor weight_shares(std::span<const Consumer> consumers) {
  std::vector<at::Tensor> parts;
  for (const Consumer& consumer : consumers) {
    const auto size = consumer.weights.abs();
    const std::int64_t width = group_width(size.size(1), consumer.grid);
    auto shares = at::empty_like(size);
    for (std::int64_t begin = 0; begin < size.size(1); begin += width) {
      const std::int64_t count = std::min(width, size.size(1) - begin);
      const auto group = size.narrow(1, begin, count);
      shares.narrow(1, begin, count).copy_(group / (group.amax({1}, true) + 1e-6));
    }
    parts.push_back(std::move(shares));
  }
  return at::cat(parts).mean({0});
}

double loss_of(std::span<const Consumer> consumers, const at::Tensor& hessian,
               const at::Tensor& scales) {
  double loss = 0;
  for (const Consumer& consumer : consumers) {
    const auto lost = rounded_weights(consumer.weights * scales, consumer.grid)
                          .div_(scales)
                          .sub_(consumer.weights);
    loss += at::mm(lost, hessian).mul_(lost).sum(at::kDouble).item<double>();
  }
  return loss;
}

}  // namespace

ScaleSearch search_scales(std::span<const Consumer> consumers, const InputStatistics& inputs,
                          const AwqSettings& settings) {
  ScaleSearch best{.scales = at::ones(inputs.absmean.sizes(), at::kFloat), .ratio = {}};
  double least = loss_of(consumers, inputs.hessian, best.scales);
  const auto shares = settings.duo_scaling ? weight_shares(consumers) : at::Tensor();
  for (int i = 0; i < kRatios; ++i) {
    const double ratio = static_cast<double>(i) / kRatios;
    auto scales = inputs.absmean.pow(ratio);
    if (settings.duo_scaling) scales.div_(shares.pow(1 - ratio).add_(1e-4));
    scales.clamp_min_(1e-4);
    scales.div_((scales.max() * scales.min()).sqrt());
    const double loss = loss_of(consumers, inputs.hessian, scales);
    if (loss < least) {
      least = loss;
      best = {.scales = scales, .ratio = ratio};
    }
  }
  return best;
}

at::Tensor clipped(const Consumer& consumer, const at::Tensor& hessian) {
  auto out = consumer.weights.clone();
  const std::int64_t width = group_width(out.size(1), consumer.grid);
  GridSettings whole = consumer.grid;
  whole.group_size = 0;
  for (std::int64_t begin = 0; begin < out.size(1); begin += width) {
    const std::int64_t count = std::min(width, out.size(1) - begin);
    const auto group = consumer.weights.narrow(1, begin, count).contiguous();
    const auto block = hessian.narrow(0, begin, count).narrow(1, begin, count).contiguous();
    const auto top = group.abs().amax({1}, /*keepdim=*/true);
    auto best = top.clone();
    auto least = at::full(top.sizes(), std::numeric_limits<float>::infinity(), top.options());
    for (int i = 0; i < kRanges; ++i) {
      const auto bound = top * (1 - static_cast<double>(i) / kRatios);
      const auto lost = rounded_weights(group.clamp(-bound, bound), whole).sub_(group);
      const auto loss = at::mm(lost, block).mul_(lost).sum(1, /*keepdim=*/true);
      const auto is_better = loss < least;
      best = at::where(is_better, bound, best);
      least = at::where(is_better, loss, least);
    }
    out.narrow(1, begin, count).copy_(group.clamp(-best, best));
  }
  return out;
}

at::Tensor smoothing_scales(std::span<const Consumer> consumers, const InputStatistics& inputs,
                            double alpha) {
  auto largest = at::zeros(inputs.absmax.sizes(), at::kFloat);
  for (const Consumer& consumer : consumers)
    largest = at::maximum(largest, consumer.weights.abs().amax({0}));
  return inputs.absmax.clamp_min(1e-5)
      .pow(alpha)
      .div_(largest.clamp_min(1e-5).pow(1 - alpha))
      .clamp_min_(1e-5);
}

}  // namespace assay_torch
