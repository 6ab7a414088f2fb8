#include "decoder/rope.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/sin.h>

namespace assay_torch {

RopeTable RopeTable::at_positions(const at::Tensor& positions) const {
  return {cos.index_select(0, positions), sin.index_select(0, positions)};
}

RopeTable make_rope(const DecoderSpec& spec, const at::Device& device) {
  const auto f32 = at::TensorOptions(at::kFloat).device(device);
  const auto exponents =
      at::arange(0, spec.head_dim, 2, f32).div(static_cast<double>(spec.head_dim));
  const auto frequencies = at::pow(spec.rope_theta, exponents).reciprocal();
  const auto angles = at::outer(at::arange(spec.max_context, f32), frequencies).unsqueeze(1);
  return {angles.cos(), angles.sin()};
}

void rotate(const at::Tensor& x, const RopeTable& rope, at::Tensor& out) {
  const std::int64_t half = x.size(2) / 2;
  const auto first = x.narrow(2, 0, half), second = x.narrow(2, half, half);
  auto out_first = out.narrow(2, 0, half), out_second = out.narrow(2, half, half);
  at::mul_out(out_first, first, rope.cos);
  out_first.addcmul_(second, rope.sin, -1);
  at::mul_out(out_second, second, rope.cos);
  out_second.addcmul_(first, rope.sin);
}

}  // namespace assay_torch
