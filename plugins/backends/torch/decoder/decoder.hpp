// The forward pass of a decoder: packed tokens in, final hidden states out. Reading weights is
// load.hpp's, turning hidden states into probabilities is head.hpp's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "decoder/attention.hpp"
#include "decoder/spec.hpp"
#include "linear/linear.hpp"

namespace assay_torch {

/// Undefined where the model has no such norm.
///
/// Shapes   weight, bias [hidden] or [head_dim]; the weight of kRmsPlusOne holds 1 + w, float32
struct Norm {
  at::Tensor weight, bias;
};

/// The linear layers that may be quantized: four of every block, in the order of its pass, and the
/// output layer.
enum class Slot { kQueryKeyValue, kOutput, kGateUp, kDown, kHead };

/// The weights of one block. Projections that read the same input are one matrix, their rows one
/// behind the other.
struct Block {
  Norm attention_norm, attention_exit_norm, mlp_norm, mlp_exit_norm;
  Norm query_norm, key_norm;  ///< over each head, before the rope
  std::unique_ptr<Linear> query_key_value;
  std::unique_ptr<Linear> output;
  std::unique_ptr<Linear> gate_up;  ///< up alone where the MLP is not gated
  std::unique_ptr<Linear> down;
};

/// Of the block's four.
std::unique_ptr<Linear>& linear_of(Block& block, Slot slot);

struct Decoder {
  DecoderSpec spec;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;                ///< of weights, activations and hidden states
  at::Tensor embedding;                             ///< [vocab, embedding_width]
  at::Tensor positions;                             ///< [position_rows, hidden], or undefined
  std::unique_ptr<Linear> project_in, project_out;  ///< null unless embedding_width is not hidden
  std::vector<Block> blocks;
  Norm final_norm;
  std::unique_ptr<Linear> head;
};

/// Memory that all weights take; a head tied to the embedding counts once.
std::uint64_t weight_bytes(const Decoder& decoder);

/// Runs segments that lie one behind the other, with no padding. The first token of a segment has
/// the position `past`. Segments with a slot need a cache, which takes their keys and values.
///
/// Shapes   tokens [sum of lengths] i64 on the decoder's device; result [sum of lengths,
///          embedding_width] in the decoder's dtype
/// Source   transformers 5.23, modeling_*.py: order of operations, and what is done in float32:
///          norm statistics, the rope's angles, softmax
at::Tensor forward(const Decoder& decoder, const at::Tensor& tokens,
                   std::span<const Segment> segments, KvCache* cache = nullptr);

/// The same pass in steps, for who changes blocks between them: x before the first block, one block
/// (x in place), the hidden states behind the last.
///
/// Shapes   x [sum of lengths, hidden]
at::Tensor enter(const Decoder& decoder, const at::Tensor& tokens,
                 std::span<const Segment> segments);

/// Told what each linear layer of a block is applied to, before it is.
using Observer = std::function<void(Slot slot, const at::Tensor& x)>;

/// `layer` says which of the spec's attention rules holds; the block need not be the decoder's.
void pass_block(const Decoder& decoder, const Block& block, std::size_t layer,
                std::span<const Segment> segments, at::Tensor& x, const Observer& observer);

at::Tensor leave(const Decoder& decoder, at::Tensor x);

}  // namespace assay_torch
