// From weight files to a decoder ready to run: names and shapes of the tensors, tying, fusing, and
// the count of bits. The forward pass is decoder.hpp's; methods that quantize are not known here.
#pragma once

#include <ATen/core/TensorBody.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/quantized.hpp"
#include "checkpoint/weights.hpp"
#include "decoder/decoder.hpp"
#include "linear/make.hpp"

namespace assay_torch {

/// Units    stored_bits: every weight in its file's dtype, or the decoder's if that has fewer bits;
///          quantized matrices in their stored form, scales and zeros counted; a tied matrix once
struct LoadedModel {
  Decoder decoder;
  std::uint64_t parameters = 0;
  std::uint64_t stored_bits = 0;
};

/// Reads a model piece by piece, so that one block at a time need be in memory.
///
/// Threads  one call at a time
class ModelReader {
 public:
  struct Module {
    std::string name;  ///< "model.layers.0.mlp.up_proj"
    std::int64_t rows = 0, columns = 0;
  };

  /// All outlive it. `quantized` says which modules the file holds so; null: none.
  ModelReader(const DecoderSpec& spec, const Weights& weights, const LinearSettings& settings,
              const QuantizedCheckpoint* quantized = nullptr);
  ~ModelReader();

  /// All but the blocks, and but an untied head.
  Decoder ends();

  /// A block as the file has it.
  Block block(std::int64_t layer);

  /// One linear layer as the file has it; kHead is of no layer.
  std::unique_ptr<Linear> linear(std::int64_t layer, Slot slot);

  /// The modules that make a linear layer, in the order of its rows; of a tied head none.
  std::vector<Module> modules(std::int64_t layer, Slot slot) const;

  /// A module's weights in float32, its rows as the file orders them; inputs are columns, whatever
  /// the file does. Those of a quantized module are dequantized.
  ///
  /// Shapes   [rows, columns]
  at::Tensor weight(Slot slot, const Module& module);

  /// A linear layer made of its modules' weights, and the bias of the file.
  std::unique_ptr<Linear> assemble(std::int64_t layer, Slot slot,
                                   std::vector<ModuleWeight> weights);

  /// A block's norms, without its linear layers.
  Block norms(std::int64_t layer);

  /// What the file puts before "layers.0." and the like, and what it calls the output layer.
  const std::string& root() const;
  const std::string& head() const;

  /// Fails    ASSAY_INVALID_ARGUMENT the file holds tensors that nobody read
  void check_all_read() const;

  std::uint64_t parameters() const;
  std::uint64_t stored_bits() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Memory that loading needs: the weights as they are kept and, while a quantized layer is made,
/// its packed form and float32 values.
std::uint64_t estimated_bytes(const DecoderSpec& spec, const Weights& weights,
                              const LinearSettings& settings, const QuantizedCheckpoint* quantized);

}  // namespace assay_torch
