// From weight files to a decoder ready to run: names and shapes of the tensors, tying, fusing,
// simulated rounding, and the count of bits. The forward pass is decoder.hpp's.
#pragma once

#include <ATen/core/TensorBody.h>

#include <cstdint>
#include <optional>

#include "checkpoint/weights.hpp"
#include "decoder/decoder.hpp"
#include "quantize/simulation.hpp"

namespace assay_torch {

/// Units    stored_bits: every weight in its file's dtype, or the decoder's if that has fewer bits;
///          rounded layers in the form that simulation stands for, scales and zeros counted; a tied
///          matrix once
struct LoadedModel {
  Decoder decoder;
  std::uint64_t parameters = 0;
  std::uint64_t stored_bits = 0;
};

/// Reads every tensor of the architecture, as float32, and rounds it to the dtype of `options`
/// (float32 unless given), on its device. With a simulation, the linear layers of the blocks and an
/// untied lm_head are rounded first, module by module as the file holds them, unless skipped; the
/// embedding, a head tied to it, projections beside them and biases never are.
///
/// Fails    ASSAY_INVALID_ARGUMENT a tensor is missing, superfluous or wrong, or overflows the
///          dtype; a skip pattern matches no module
LoadedModel load_model(const DecoderSpec& spec, const Weights& weights,
                       const std::optional<Simulation>& simulation,
                       const at::TensorOptions& options);

}  // namespace assay_torch
