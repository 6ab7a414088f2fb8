#include "decoder/decoder.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/silu.h>

#include <utility>
#include <vector>

#include "decoder/rope.hpp"

namespace assay_torch {
namespace {

/// What a pass writes to again in every block, so that little is allocated per block.
struct Buffers {
  at::Tensor normed, query_key_value, rotated, attended, projected, gate_up;
};

Buffers make_buffers(const DecoderSpec& spec, std::int64_t tokens,
                     const at::TensorOptions& options) {
  const std::int64_t query = spec.heads * spec.head_dim, key = spec.kv_heads * spec.head_dim;
  const std::int64_t width = spec.is_gated ? 2 * spec.intermediate : spec.intermediate;
  return {.normed = at::empty({tokens, spec.hidden}, options),
          .query_key_value = at::empty({tokens, query + 2 * key}, options),
          .rotated = at::empty({tokens, spec.heads + spec.kv_heads, spec.head_dim}, options),
          .attended = at::empty({tokens, spec.heads, spec.head_dim}, options),
          .projected = at::empty({tokens, spec.hidden}, options),
          .gate_up = at::empty({tokens, width}, options)};
}

/// Source   RMSNorm, arXiv 1910.07467, equation 4
void rms_norm(const NormSpec& spec, const at::Tensor& weight, const at::Tensor& x,
              at::Tensor& out) {
  const bool is_float = x.scalar_type() == at::kFloat;
  const auto wide = x.to(at::kFloat);
  auto scaled = is_float ? out : at::empty_like(wide);
  at::mul_out(scaled, wide, wide);
  const auto inverse = at::mean(scaled, {-1}, /*keepdim=*/true).add_(spec.eps).rsqrt_();
  at::mul_out(scaled, wide, inverse);
  const bool is_rounded_last = spec.kind == NormKind::kRmsPlusOne;
  if (is_rounded_last) scaled.mul_(weight);
  if (!is_float) out.copy_(scaled);
  if (!is_rounded_last) out.mul_(weight);
}

/// Over the last dimension. x and out are different memory.
void normalize(const NormSpec& spec, const Norm& norm, const at::Tensor& x, at::Tensor& out) {
  if (spec.kind != NormKind::kLayer) return rms_norm(spec, norm.weight, x, out);
  out.copy_(at::layer_norm(x, norm.weight.sizes(), norm.weight, norm.bias, spec.eps));
}

void activate(Activation activation, at::Tensor& x) {
  switch (activation) {
    case Activation::kSilu:
      at::silu_(x);
      return;
    case Activation::kGelu:
      at::gelu_(x);
      return;
    case Activation::kGeluTanh:
      at::gelu_(x, "tanh");
      return;
    case Activation::kRelu:
      at::relu_(x);
      return;
  }
}

at::Tensor positions_of(std::span<const Segment> segments, const at::Device& device) {
  std::vector<at::Tensor> parts;
  for (const Segment& segment : segments) {
    parts.push_back(at::arange(segment.past, segment.past + segment.length,
                               at::TensorOptions(at::kLong).device(device)));
  }
  return at::cat(parts);
}

/// The pass of one batch of segments through the blocks.
class Pass {
 public:
  Pass(const Decoder& decoder, std::span<const Segment> segments, const at::Tensor& positions,
       const at::Tensor& x, const Observer& observer)
      : decoder_(decoder),
        spec_(decoder.spec),
        segments_(segments),
        observer_(observer),
        buffers_(make_buffers(spec_, x.size(0), x.options())) {
    for (const RopeSpec& rope : spec_.ropes)
      ropes_.push_back(make_rope_table(rope, segments, positions, decoder.dtype));
    for (const Segment& segment : segments) lengths_.push_back(segment.length);
  }

  void run(const Block& block, std::size_t layer, CacheLayer* cache, at::Tensor& x);

 private:
  void sequential(const Block& block, std::size_t layer, CacheLayer* cache, at::Tensor& x);
  void parallel(const Block& block, std::size_t layer, CacheLayer* cache, at::Tensor& x);
  void apply(Slot slot, const Linear& linear, const at::Tensor& x, at::Tensor& out) const;
  const at::Tensor& enter(const Norm& norm, const at::Tensor& x);
  void add(const Norm& norm, const Norm& exit_norm, at::Tensor& x);
  void attend_to(const Block& block, std::size_t layer, const at::Tensor& input, CacheLayer* cache);
  at::Tensor prepared_heads(const Block& block, std::size_t rope, const at::Tensor& heads);
  void mlp(const Block& block, const at::Tensor& input, at::Tensor& out);

  const Decoder& decoder_;
  const DecoderSpec& spec_;
  std::span<const Segment> segments_;
  const Observer& observer_;
  std::vector<std::int64_t> lengths_;  // of the segments
  std::vector<RopeTable> ropes_;
  Buffers buffers_;
};

/// Queries and keys as they meet each other.
///
/// Shapes   heads [tokens, heads + kv_heads, head_dim]
at::Tensor Pass::prepared_heads(const Block& block, std::size_t rope, const at::Tensor& heads) {
  at::Tensor prepared = heads;
  if (block.query_norm.weight.defined()) {
    prepared = at::empty(heads.sizes(), heads.options());
    auto queries = prepared.narrow(1, 0, spec_.heads);
    auto keys = prepared.narrow(1, spec_.heads, spec_.kv_heads);
    normalize(spec_.norm, block.query_norm, heads.narrow(1, 0, spec_.heads), queries);
    normalize(spec_.norm, block.key_norm, heads.narrow(1, spec_.heads, spec_.kv_heads), keys);
  }
  if (ropes_.empty()) return prepared;
  rotate(prepared, ropes_[rope], buffers_.rotated);
  return buffers_.rotated;
}

void Pass::apply(Slot slot, const Linear& linear, const at::Tensor& x, at::Tensor& out) const {
  if (observer_) observer_(slot, x);
  linear.apply(x, out, lengths_);
}

/// Writes to buffers_.projected.
void Pass::attend_to(const Block& block, std::size_t layer, const at::Tensor& input,
                     CacheLayer* cache) {
  const AttentionSpec& attention = spec_.attention[layer];
  apply(Slot::kQueryKeyValue, *block.query_key_value, input, buffers_.query_key_value);
  const auto heads = buffers_.query_key_value.unflatten(1, {-1, spec_.head_dim});
  const auto prepared =
      prepared_heads(block, attention.rope, heads.narrow(1, 0, spec_.heads + spec_.kv_heads));
  const AttentionRule rule{
      .scale = attention.scale, .softcap = spec_.attention_softcap, .window = attention.window};
  attend(rule, prepared.narrow(1, 0, spec_.heads), prepared.narrow(1, spec_.heads, spec_.kv_heads),
         heads.narrow(1, spec_.heads + spec_.kv_heads, spec_.kv_heads), segments_, cache,
         buffers_.attended);
  apply(Slot::kOutput, *block.output, buffers_.attended.flatten(1), buffers_.projected);
}

void Pass::mlp(const Block& block, const at::Tensor& input, at::Tensor& out) {
  apply(Slot::kGateUp, *block.gate_up, input, buffers_.gate_up);
  auto gate = buffers_.gate_up.narrow(1, 0, spec_.intermediate);
  activate(spec_.activation, gate);
  if (spec_.is_gated) gate.mul_(buffers_.gate_up.narrow(1, spec_.intermediate, spec_.intermediate));
  apply(Slot::kDown, *block.down, gate, out);
}

/// What attention or MLP reads: x behind its norm, unless that stands elsewhere.
const at::Tensor& Pass::enter(const Norm& norm, const at::Tensor& x) {
  if (spec_.norm.placement == NormPlacement::kPost) return x;
  normalize(spec_.norm, norm, x, buffers_.normed);
  return buffers_.normed;
}

/// Adds buffers_.projected to the residual.
void Pass::add(const Norm& norm, const Norm& exit_norm, at::Tensor& x) {
  if (spec_.norm.placement == NormPlacement::kSandwich) {
    normalize(spec_.norm, exit_norm, buffers_.projected, buffers_.normed);
    x.add_(buffers_.normed);
    return;
  }
  x.add_(buffers_.projected);
  if (spec_.norm.placement == NormPlacement::kPost) {
    normalize(spec_.norm, norm, x, buffers_.normed);
    std::swap(x, buffers_.normed);
  }
}

void Pass::sequential(const Block& block, std::size_t layer, CacheLayer* cache, at::Tensor& x) {
  attend_to(block, layer, enter(block.attention_norm, x), cache);
  add(block.attention_norm, block.attention_exit_norm, x);
  mlp(block, enter(block.mlp_norm, x), buffers_.projected);
  add(block.mlp_norm, block.mlp_exit_norm, x);
}

void Pass::parallel(const Block& block, std::size_t layer, CacheLayer* cache, at::Tensor& x) {
  attend_to(block, layer, enter(block.attention_norm, x), cache);
  auto from_mlp = at::empty(x.sizes(), x.options());
  mlp(block, enter(block.mlp_norm, x), from_mlp);
  x.add_(from_mlp.add_(buffers_.projected));
}

void Pass::run(const Block& block, std::size_t layer, CacheLayer* cache, at::Tensor& x) {
  if (spec_.residual == Residual::kParallel) return parallel(block, layer, cache, x);
  sequential(block, layer, cache, x);
}

at::Tensor apply(const Linear& linear, const at::Tensor& x, std::int64_t outputs) {
  auto out = at::empty({x.size(0), outputs}, x.options());
  linear.apply(x, out, {});
  return out;
}

/// The scale is rounded to the dtype first, as transformers has it.
at::Tensor embed(const Decoder& decoder, const at::Tensor& tokens, const at::Tensor& positions) {
  const DecoderSpec& spec = decoder.spec;
  auto x = at::embedding(decoder.embedding, tokens);
  if (spec.embedding_scale != 1)
    x.mul_(at::scalar_tensor(spec.embedding_scale, at::kFloat).to(decoder.dtype));
  if (decoder.project_in) x = apply(*decoder.project_in, x, spec.hidden);
  if (decoder.positions.defined())
    x.add_(at::embedding(decoder.positions, positions.add(spec.position_offset)));
  return x;
}

}  // namespace

std::unique_ptr<Linear>& linear_of(Block& block, Slot slot) {
  switch (slot) {
    case Slot::kQueryKeyValue:
      return block.query_key_value;
    case Slot::kOutput:
      return block.output;
    case Slot::kGateUp:
      return block.gate_up;
    default:
      return block.down;
  }
}

std::uint64_t weight_bytes(const Decoder& decoder) {
  std::uint64_t bytes = 0;
  const auto add_tensor = [&bytes](const at::Tensor& tensor) {
    if (tensor.defined()) bytes += tensor.nbytes();
  };
  const auto add_norm = [&](const Norm& norm) {
    add_tensor(norm.weight);
    add_tensor(norm.bias);
  };
  const auto add_linear = [&bytes](const std::unique_ptr<Linear>& linear) {
    if (linear) bytes += linear->bytes();
  };
  add_tensor(decoder.embedding);
  add_tensor(decoder.positions);
  add_linear(decoder.project_in);
  add_linear(decoder.project_out);
  for (const Block& block : decoder.blocks) {
    for (const Norm* norm : {&block.attention_norm, &block.attention_exit_norm, &block.mlp_norm,
                             &block.mlp_exit_norm, &block.query_norm, &block.key_norm})
      add_norm(*norm);
    for (const std::unique_ptr<Linear>* linear :
         {&block.query_key_value, &block.output, &block.gate_up, &block.down})
      add_linear(*linear);
  }
  add_norm(decoder.final_norm);
  const bool is_tied = decoder.spec.is_tied;
  return bytes + decoder.head->bytes() - (is_tied ? decoder.embedding.nbytes() : 0);
}

at::Tensor enter(const Decoder& decoder, const at::Tensor& tokens,
                 std::span<const Segment> segments) {
  return embed(decoder, tokens, positions_of(segments, decoder.device));
}

void pass_block(const Decoder& decoder, const Block& block, std::size_t layer,
                std::span<const Segment> segments, at::Tensor& x, const Observer& observer) {
  Pass(decoder, segments, positions_of(segments, decoder.device), x, observer)
      .run(block, layer, nullptr, x);
}

at::Tensor leave(const Decoder& decoder, at::Tensor x) {
  if (decoder.final_norm.weight.defined()) {
    auto normed = at::empty_like(x);
    normalize(decoder.spec.norm, decoder.final_norm, x, normed);
    x = normed;
  }
  return decoder.project_out ? apply(*decoder.project_out, x, decoder.spec.embedding_width) : x;
}

at::Tensor forward(const Decoder& decoder, const at::Tensor& tokens,
                   std::span<const Segment> segments, KvCache* cache) {
  const auto positions = positions_of(segments, decoder.device);
  auto x = embed(decoder, tokens, positions);
  const Observer nobody;
  Pass pass(decoder, segments, positions, x, nobody);
  for (std::size_t layer = 0; layer < decoder.blocks.size(); ++layer)
    pass.run(decoder.blocks[layer], layer, cache == nullptr ? nullptr : &cache->layers[layer], x);
  return leave(decoder, std::move(x));
}

}  // namespace assay_torch
