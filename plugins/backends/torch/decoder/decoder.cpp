#include "decoder/decoder.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>

#include <cmath>
#include <vector>

#include "decoder/attention.hpp"

namespace assay_torch {
namespace {

/// What a pass writes to again in every block, so that nothing is allocated per block.
struct Buffers {
  at::Tensor normed, query_key_value, rotated, attended, projected, gate_up;
};

/// x / rms(x) * weight, in float32 throughout.
///
/// Source   RMSNorm, arXiv 1910.07467, equation 4
void rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, at::Tensor& out) {
  at::mul_out(out, x, x);
  const auto inverse = at::mean(out, {-1}, /*keepdim=*/true).add_(eps).rsqrt_();
  at::mul_out(out, x, inverse).mul_(weight);
}

Buffers make_buffers(const DecoderSpec& spec, std::int64_t tokens,
                     const at::TensorOptions& options) {
  const std::int64_t query = spec.heads * spec.head_dim, key = spec.kv_heads * spec.head_dim;
  return {.normed = at::empty({tokens, spec.hidden}, options),
          .query_key_value = at::empty({tokens, query + 2 * key}, options),
          .rotated = at::empty({tokens, spec.heads + spec.kv_heads, spec.head_dim}, options),
          .attended = at::empty({tokens, spec.heads, spec.head_dim}, options),
          .projected = at::empty({tokens, spec.hidden}, options),
          .gate_up = at::empty({tokens, 2 * spec.intermediate}, options)};
}

void attention(const Decoder& decoder, const Block& block, const RopeTable& rope,
               std::span<const Segment> segments, CacheLayer* cache, Buffers& buffers,
               at::Tensor& x) {
  const DecoderSpec& spec = decoder.spec;
  rms_norm(x, block.attention_norm, spec.norm_eps, buffers.normed);
  block.query_key_value->apply(buffers.normed, buffers.query_key_value);
  const auto heads = buffers.query_key_value.unflatten(1, {-1, spec.head_dim});
  rotate(heads.narrow(1, 0, spec.heads + spec.kv_heads), rope, buffers.rotated);
  const AttentionRule rule{.scale = 1 / std::sqrt(static_cast<double>(spec.head_dim))};
  attend(rule, buffers.rotated.narrow(1, 0, spec.heads),
         buffers.rotated.narrow(1, spec.heads, spec.kv_heads),
         heads.narrow(1, spec.heads + spec.kv_heads, spec.kv_heads), segments, cache,
         buffers.attended);
  block.output->apply(buffers.attended.flatten(1), buffers.projected);
  x.add_(buffers.projected);
}

void mlp(const Decoder& decoder, const Block& block, Buffers& buffers, at::Tensor& x) {
  const std::int64_t width = decoder.spec.intermediate;
  rms_norm(x, block.mlp_norm, decoder.spec.norm_eps, buffers.normed);
  block.gate_up->apply(buffers.normed, buffers.gate_up);
  auto gate = buffers.gate_up.narrow(1, 0, width);
  at::silu_(gate).mul_(buffers.gate_up.narrow(1, width, width));
  block.down->apply(gate, buffers.projected);
  x.add_(buffers.projected);
}

at::Tensor positions_of(std::span<const Segment> segments, const at::Device& device) {
  std::vector<at::Tensor> parts;
  for (const Segment& segment : segments) {
    parts.push_back(at::arange(segment.past, segment.past + segment.length,
                               at::TensorOptions(at::kLong).device(device)));
  }
  return at::cat(parts);
}

}  // namespace

at::Tensor forward(const Decoder& decoder, const at::Tensor& tokens,
                   std::span<const Segment> segments, KvCache* cache) {
  const auto rope = decoder.rope.at_positions(positions_of(segments, decoder.device));
  auto x = at::embedding(decoder.embedding, tokens);
  Buffers buffers = make_buffers(decoder.spec, tokens.size(0), x.options());
  for (std::size_t layer = 0; layer < decoder.blocks.size(); ++layer) {
    const Block& block = decoder.blocks[layer];
    attention(decoder, block, rope, segments, cache == nullptr ? nullptr : &cache->layers[layer],
              buffers, x);
    mlp(decoder, block, buffers, x);
  }
  rms_norm(x, decoder.final_norm, decoder.spec.norm_eps, buffers.normed);
  return buffers.normed;
}

}  // namespace assay_torch
