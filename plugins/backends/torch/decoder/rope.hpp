// Rotary position embedding: the angles of a pass, and turning queries and keys by them. Only the
// half-split form of Hugging Face files, where dimensions i and i + dim / 2 are a pair.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "decoder/attention.hpp"
#include "decoder/spec.hpp"

namespace assay_torch {

/// How far each pair turns per position in a sequence of `length` tokens. Only dynamic scaling and
/// LongRoPE look at the length.
///
/// Shapes   [dim / 2] float32 on the CPU
/// Source   RoFormer, arXiv 2104.09864, equation 15; YaRN, arXiv 2309.00071, section 3; LongRoPE,
///          arXiv 2402.13753; all as transformers 5.23, modeling_rope_utils.py computes them
at::Tensor rope_frequencies(const RopeSpec& rope, std::int64_t length);

/// Two sequences of these lengths turn by the same angles, so that keys of the one serve the other.
bool is_same_rope(const RopeSpec& rope, std::int64_t length, std::int64_t other_length);

/// A sequence that grows from `cached` tokens to `length` must be fed anew: LongRoPE turns the keys
/// of short and of long sequences differently. Dynamic scaling keeps the keys it has.
///
/// Source   transformers 5.23, Phi3ForCausalLM.prepare_inputs_for_generation
bool is_cache_outgrown(const DecoderSpec& spec, std::int64_t cached, std::int64_t length);

/// Shapes   cos, sin [tokens, 1, dim / 2] in the compute dtype
struct RopeTable {
  at::Tensor cos, sin;
};

/// The angles of a pass. A segment's length is past + length: what is in the cache was turned for
/// the length the sequence had then.
///
/// Shapes   positions [tokens] i64
/// Source   transformers 5.23: angles, cosines and sines in float32, then rounded to the dtype
RopeTable make_rope_table(const RopeSpec& rope, std::span<const Segment> segments,
                          const at::Tensor& positions, at::ScalarType dtype);

/// Turns the first dimensions of every head and copies the others.
///
/// Shapes   x [tokens, heads, head_dim], may be strided; out the same, contiguous
void rotate(const at::Tensor& x, const RopeTable& rope, at::Tensor& out);

}  // namespace assay_torch
