#include "decoder/rope.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/logical_or.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace assay_torch {
namespace {

/// theta^(2i / dim) for pair i.
at::Tensor periods(double theta, std::int64_t dim) {
  return at::pow(theta, at::arange(0, dim, 2, at::kFloat).div(static_cast<double>(dim)));
}

/// The base grows with what the length exceeds the original context by.
double dynamic_theta(const RopeSpec& rope, std::int64_t length) {
  const auto original = static_cast<double>(rope.original_context);
  const auto dim = static_cast<double>(rope.dim);
  const double excess =
      rope.factor * std::max(static_cast<double>(length), original) / original - (rope.factor - 1);
  return rope.theta * std::pow(excess, dim / (dim - 2));
}

/// The dimension that turns `rotations` times within the original context.
double yarn_dimension(const RopeSpec& rope, double rotations) {
  return static_cast<double>(rope.dim) *
         std::log(static_cast<double>(rope.original_context) / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(rope.theta));
}

/// Fast pairs keep their frequency, slow ones are divided by the factor, a ramp lies between.
at::Tensor yarn_frequencies(const RopeSpec& rope) {
  double low = yarn_dimension(rope, rope.beta_fast), high = yarn_dimension(rope, rope.beta_slow);
  if (rope.is_truncated) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rope.dim - 1));
  if (low == high) high += 0.001;
  const auto ramp =
      at::arange(0, rope.dim / 2, at::kFloat).sub(low).div(high - low).clamp(0.0, 1.0);
  const auto plain = periods(rope.theta, rope.dim);
  const auto kept = 1 - ramp;
  return plain.mul(rope.factor).reciprocal().mul(1 - kept).add(plain.reciprocal().mul(kept));
}

/// Pairs with wavelengths past the original context are slowed by the factor, those well within it
/// are not, and the ones between are in part.
at::Tensor llama3_frequencies(const RopeSpec& rope) {
  const auto original = static_cast<double>(rope.original_context);
  const auto plain = periods(rope.theta, rope.dim).reciprocal();
  const auto wavelengths = plain.reciprocal().mul(2 * std::numbers::pi);
  const auto is_long = wavelengths.gt(original / rope.low_freq_factor);
  const auto is_short = wavelengths.lt(original / rope.high_freq_factor);
  const auto slowed = at::where(is_long, plain.div(rope.factor), plain);
  const auto smooth = wavelengths.reciprocal()
                          .mul(original)
                          .sub(rope.low_freq_factor)
                          .div(rope.high_freq_factor - rope.low_freq_factor);
  const auto between = (1 - smooth).mul(slowed).div(rope.factor).add(smooth.mul(slowed));
  return at::where(at::logical_or(is_short, is_long), slowed, between);
}

at::Tensor longrope_frequencies(const RopeSpec& rope, std::int64_t length) {
  const auto& factors = length > rope.original_context ? rope.long_factors : rope.short_factors;
  return periods(rope.theta, rope.dim).mul(at::tensor(factors, at::kFloat)).reciprocal();
}

/// Angles of all tokens, segment by segment where the length decides.
at::Tensor angles_of(const RopeSpec& rope, std::span<const Segment> segments,
                     const at::Tensor& positions) {
  const auto as_float = positions.to(at::kFloat);
  std::vector<at::Tensor> parts;
  std::int64_t first = 0, count = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::int64_t length = segments[i].past + segments[i].length;
    count += segments[i].length;
    const bool goes_on = i + 1 < segments.size() &&
                         is_same_rope(rope, length, segments[i + 1].past + segments[i + 1].length);
    if (goes_on) continue;
    const auto frequencies = rope_frequencies(rope, length).to(positions.device());
    parts.push_back(at::outer(as_float.narrow(0, first, count), frequencies));
    first += count;
    count = 0;
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts);
}

}  // namespace

at::Tensor rope_frequencies(const RopeSpec& rope, std::int64_t length) {
  switch (rope.scaling) {
    case RopeScaling::kNone:
      break;
    case RopeScaling::kLinear:
      return periods(rope.theta, rope.dim).reciprocal().div(rope.factor);
    case RopeScaling::kDynamic:
      return periods(dynamic_theta(rope, length), rope.dim).reciprocal();
    case RopeScaling::kYarn:
      return yarn_frequencies(rope);
    case RopeScaling::kLongrope:
      return longrope_frequencies(rope, length);
    case RopeScaling::kLlama3:
      return llama3_frequencies(rope);
  }
  return periods(rope.theta, rope.dim).reciprocal();
}

bool is_same_rope(const RopeSpec& rope, std::int64_t length, std::int64_t other_length) {
  if (rope.scaling == RopeScaling::kLongrope)
    return (length > rope.original_context) == (other_length > rope.original_context);
  if (rope.scaling == RopeScaling::kDynamic) {
    return std::max(length, rope.original_context) == std::max(other_length, rope.original_context);
  }
  return true;
}

bool is_cache_outgrown(const DecoderSpec& spec, std::int64_t cached, std::int64_t length) {
  return std::any_of(spec.ropes.begin(), spec.ropes.end(), [&](const RopeSpec& rope) {
    return rope.scaling == RopeScaling::kLongrope && !is_same_rope(rope, cached, length);
  });
}

RopeTable make_rope_table(const RopeSpec& rope, std::span<const Segment> segments,
                          const at::Tensor& positions, at::ScalarType dtype) {
  const auto angles = angles_of(rope, segments, positions).unsqueeze(1);
  return {angles.cos().mul_(rope.attention_factor).to(dtype),
          angles.sin().mul_(rope.attention_factor).to(dtype)};
}

void rotate(const at::Tensor& x, const RopeTable& rope, at::Tensor& out) {
  const std::int64_t half = rope.cos.size(2), rest = x.size(2) - 2 * half;
  const auto first = x.narrow(2, 0, half), second = x.narrow(2, half, half);
  auto out_first = out.narrow(2, 0, half), out_second = out.narrow(2, half, half);
  at::mul_out(out_first, first, rope.cos);
  out_first.addcmul_(second, rope.sin, -1);
  at::mul_out(out_second, second, rope.cos);
  out_second.addcmul_(first, rope.sin);
  if (rest != 0) out.narrow(2, 2 * half, rest).copy_(x.narrow(2, 2 * half, rest));
}

}  // namespace assay_torch
