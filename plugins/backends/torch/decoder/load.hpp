// From weight files to a decoder ready to run: names and shapes of the tensors, tying, fusing,
// simulated rounding, and the count of bits. The forward pass is decoder.hpp's.
#pragma once

#include <cstdint>
#include <optional>

#include "checkpoint/weights.hpp"
#include "decoder/decoder.hpp"
#include "quantize/simulation.hpp"

namespace assay_torch {

/// Units    stored_bits: every weight in its file's dtype, rounded layers in the form that
/// simulation
///          stands for, scales and zeros counted; a tied matrix once
struct LoadedModel {
  Decoder decoder;
  std::uint64_t parameters = 0;
  std::uint64_t stored_bits = 0;
};

/// Reads every tensor of the architecture, float32. With a simulation, the linear layers of the
/// blocks and an untied lm_head are rounded unless skipped; the embedding, and a head tied to it,
/// never are.
///
/// Fails    ASSAY_INVALID_ARGUMENT a tensor is missing, superfluous or wrong; a skip pattern
/// matches no module
LoadedModel load_model(const DecoderSpec& spec, const Weights& weights,
                       const std::optional<Simulation>& simulation, const at::Device& device);

}  // namespace assay_torch
