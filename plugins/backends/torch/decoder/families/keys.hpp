// Settings that several families spell the same way. What a family makes of them is its adapter's
// business; rope has a file of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "checkpoint/config.hpp"
#include "decoder/spec.hpp"

namespace assay_torch {

/// What a family takes where config.json is silent.
struct Defaults {
  std::int64_t max_context = 2048;
  double norm_eps = 1e-6;
  std::optional<std::int64_t> kv_heads = {};  ///< none: as many as heads
  std::optional<std::int64_t> head_dim = {};  ///< none: hidden / heads
  bool is_tied = false;
};

/// What the descendants of Llama share, in Llama's own form: RMS norms at the entrance, gated MLP,
/// no biases, full attention in every layer. Activation and ropes are not read.
///
/// Fails    ASSAY_INVALID_ARGUMENT a figure is missing or does not fit the others
DecoderSpec read_gated(const Config& config, std::string_view architecture,
                       const Defaults& defaults);

/// Fails    ASSAY_INVALID_ARGUMENT the name of something else
Activation read_activation(const Config& config, const char* key, Activation fallback);

/// The number of layers.
///
/// Fails    ASSAY_INVALID_ARGUMENT missing, or more than 10,000
std::int64_t read_layers(const Config& config, const char* key);

/// hidden / heads.
///
/// Fails    ASSAY_INVALID_ARGUMENT heads do not divide hidden
std::int64_t whole_head_dim(const Config& config, const char* heads_key, const DecoderSpec& spec);

/// Every layer attends to everything, scores are scaled by 1 / sqrt(head_dim).
std::vector<AttentionSpec> full_attention(const DecoderSpec& spec);

/// Positions that `sliding_window` lets a layer see; 0 when the key is null or the window holds the
/// whole context. `fallback` is for a missing key.
std::int64_t read_window(const Config& config, const DecoderSpec& spec, std::int64_t fallback);

/// Which layers `layer_types` calls sliding; the fallback where the key is missing.
///
/// Fails    ASSAY_INVALID_ARGUMENT not as many as layers, or another kind
std::vector<bool> sliding_layers(const Config& config, const DecoderSpec& spec,
                                 std::vector<bool> fallback);

/// Fails    ASSAY_INVALID_ARGUMENT the flag is on
void refuse_flag(const Config& config, const char* key);

}  // namespace assay_torch
