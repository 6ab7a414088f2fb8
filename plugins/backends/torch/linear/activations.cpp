#include "linear/activations.hpp"

#include <ATen/ops/amax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include <cstdio>
#include <utility>

namespace assay_torch {
namespace {

using Kind = ActivationRule::Kind;

/// The largest of each row, divided; 1 where that is zero.
///
/// Shapes   [tokens, 1]
at::Tensor scales_of(const at::Tensor& x, double codes) {
  const auto scales = at::amax(x.abs(), {1}, /*keepdim=*/true).div_(codes);
  return scales.masked_fill(scales.eq(0), 1);
}

TokenCodes per_token(const at::Tensor& x) {
  const auto wide = x.to(at::kFloat);
  const auto scales = scales_of(wide, 127.5);
  const auto codes = wide.div(scales).round_().clamp_(-128, 127).to(at::kChar);
  return {codes, scales.squeeze(1), {}};
}

/// Calls `found` with each sequence that has outliers, and their columns.
template <class Found>
void for_outliers(const at::Tensor& is_outlier, std::span<const std::int64_t> lengths,
                  Found&& found) {
  if (!is_outlier.any().item<bool>()) return;
  const std::int64_t whole = is_outlier.size(0);
  if (lengths.empty()) lengths = {&whole, 1};
  std::int64_t first = 0;
  for (const std::int64_t count : lengths) {
    const auto columns = is_outlier.narrow(0, first, count).any(0).nonzero().squeeze(1);
    if (columns.numel() > 0) found(OutlierColumns{first, count, columns});
    first += count;
  }
}

TokenCodes beside_outliers(float threshold, const at::Tensor& x,
                           std::span<const std::int64_t> lengths) {
  const auto half = x.to(at::kHalf);
  const auto is_outlier = half.abs().ge(threshold);
  const auto wide = half.to(at::kFloat).masked_fill_(is_outlier, 0);
  const auto largest = at::amax(wide.abs(), {1}, /*keepdim=*/true);
  const auto steps = largest.reciprocal().mul_(127).masked_fill_(largest.eq(0), 0);
  TokenCodes tokens{wide.mul(steps).round_().to(at::kChar), largest.squeeze(1), {}};
  for_outliers(is_outlier, lengths, [&](OutlierColumns outliers) {
    tokens.codes.narrow(0, outliers.first, outliers.count).index_fill_(1, outliers.columns, 0);
    tokens.outliers.push_back(std::move(outliers));
  });
  return tokens;
}

at::Tensor rounded_to_fp8(const at::Tensor& x, const at::Tensor& scale) {
  constexpr double kLargest = 448;
  const auto codes = x.div(scale).clamp_(-kLargest, kLargest).to(at::kFloat8_e4m3fn);
  return codes.to(at::kFloat).mul_(scale);
}

/// A scale for each `group` neighbours of a token; the last group may be short.
at::Tensor rounded_to_fp8_by_groups(const at::Tensor& x, std::int64_t group) {
  std::vector<at::Tensor> parts;
  for (const auto& part : x.split(group, 1))
    parts.push_back(rounded_to_fp8(part, scales_of(part, 448)));
  return at::cat(parts, 1);
}

}  // namespace

TokenCodes int8_codes(const ActivationRule& rule, const at::Tensor& x,
                      std::span<const std::int64_t> lengths) {
  return rule.kind == Kind::kInt8Outliers ? beside_outliers(rule.threshold, x, lengths)
                                          : per_token(x);
}

at::Tensor rounded(const ActivationRule& rule, const at::Tensor& x,
                   std::span<const std::int64_t> lengths) {
  const auto wide = x.to(at::kFloat);
  switch (rule.kind) {
    case Kind::kNone:
      return x;
    case Kind::kFp8PerToken:
      return rounded_to_fp8_by_groups(wide, rule.group_size == 0 ? x.size(1) : rule.group_size)
          .to(x.scalar_type());
    case Kind::kFp8PerTensor:
      return rounded_to_fp8(wide, at::full({1}, rule.scale, wide.options())).to(x.scalar_type());
    default:
      break;
  }
  const TokenCodes tokens = int8_codes(rule, x, lengths);
  auto values = tokens.codes.to(at::kFloat).mul_(tokens.scales.unsqueeze(1));
  if (rule.kind == Kind::kInt8Outliers) values.div_(127);
  auto result = values.to(x.scalar_type());
  for (const OutlierColumns& outliers : tokens.outliers) {
    result.narrow(0, outliers.first, outliers.count)
        .index_copy_(1, outliers.columns,
                     x.narrow(0, outliers.first, outliers.count).index_select(1, outliers.columns));
  }
  return result;
}

std::string describe(const ActivationRule& rule) {
  char threshold[32];
  std::snprintf(threshold, sizeof threshold, "%g", static_cast<double>(rule.threshold));
  switch (rule.kind) {
    case Kind::kNone:
      return "as they are";
    case Kind::kInt8PerToken:
      return "int8 per token";
    case Kind::kInt8Outliers:
      return std::string("int8 beside outliers of ") + threshold;
    case Kind::kFp8PerToken:
      return "fp8 per token";
    default:
      return "fp8 per tensor";
  }
}

RoundedInput::RoundedInput(const ActivationRule& rule, std::unique_ptr<Linear> inner)
    : rule_(rule), inner_(std::move(inner)) {}

void RoundedInput::apply(const at::Tensor& x, at::Tensor& out,
                         std::span<const std::int64_t> lengths) const {
  inner_->apply(rounded(rule_, x, lengths), out, lengths);
}

at::Tensor RoundedInput::dequantize() const { return inner_->dequantize(); }

std::uint64_t RoundedInput::bytes() const { return inner_->bytes(); }

std::string RoundedInput::describe() const {
  return inner_->describe() + ", activations " + assay_torch::describe(rule_);
}

}  // namespace assay_torch
