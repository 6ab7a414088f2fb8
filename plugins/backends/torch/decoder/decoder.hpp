// The forward pass of a decoder: packed tokens in, final hidden states out. Reading weights is
// load.hpp's, turning hidden states into probabilities is head.hpp's.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <vector>

#include "decoder/attention.hpp"
#include "decoder/rope.hpp"
#include "decoder/spec.hpp"
#include "linear/linear.hpp"

namespace assay_torch {

/// The weights of one block. Projections that read the same input are one matrix, their rows one
/// behind the other.
struct Block {
  at::Tensor attention_norm, mlp_norm;  ///< [hidden]
  std::unique_ptr<Linear> query_key_value;
  std::unique_ptr<Linear> output;
  std::unique_ptr<Linear> gate_up;
  std::unique_ptr<Linear> down;
};

struct Decoder {
  DecoderSpec spec;
  at::Device device = at::kCPU;
  at::Tensor embedding;  ///< [vocab, hidden]
  std::vector<Block> blocks;
  at::Tensor final_norm;  ///< [hidden]
  std::unique_ptr<Linear> head;
  RopeTable rope;
};

/// Runs segments that lie one behind the other, with no padding. The first token of a segment has
/// the position `past`. Segments with a slot need a cache, which takes their keys and values.
///
/// Shapes   tokens [sum of lengths] i64 on the decoder's device; result [sum of lengths, hidden]
/// Source   Llama 2, arXiv 2307.09288; transformers 5.23, LlamaModel: norm statistics in float32
at::Tensor forward(const Decoder& decoder, const at::Tensor& tokens,
                   std::span<const Segment> segments, KvCache* cache = nullptr);

}  // namespace assay_torch
