// Quantized checkpoints as their tools lay them out: which tensors of a file make one matrix, and
// which a matrix becomes. What the values mean is quantize/matrix.hpp's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/weights.hpp"
#include "quantize/matrix.hpp"

namespace assay_torch {

/// Zero points of GPTQ v1 files are stored less one: what becomes of the largest field.
enum class ZeroWrap {
  kMask,   ///< it is 0
  kCarry,  ///< 1 is added to the whole word, so that it carries into the next field
  kNone    ///< it is 2^bits
};

/// What `quantization_config` of a model directory says, checked against the tensors.
class QuantizedCheckpoint {
 public:
  /// Nothing where the checkpoint is not quantized.
  ///
  /// Fails    ASSAY_UNIMPLEMENTED a method, version or layout not known, named;
  ///          ASSAY_INVALID_ARGUMENT settings that are wrong or contradict each other
  static std::optional<QuantizedCheckpoint> open(const std::string& model_dir, ZeroWrap wrap);

  /// "gptq 4 bits, groups of 128", and what reading has shown: zero points of another version than
  /// config.json says, and how many wrapped.
  ///
  /// Threads  [any-thread], as all calls here
  std::string describe() const;

  /// Whether the file holds this module quantized. A module that config.json calls quantized and
  /// the file holds plainly, or the other way round, is a failure of read() or open().
  bool holds(const Weights& weights, const std::string& module) const;

  /// Reads a module's matrix, and adds the names of the tensors it was made of to `read`.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT a tensor missing, of another shape or dtype, scales that are
  ///          not finite, a group index out of range, a group size that does not fit; the sentence
  ///          names file and tensor
  QuantizedMatrix read(const Weights& weights, const std::string& module, std::int64_t rows,
                       std::int64_t columns, std::vector<std::string>& read) const;

 private:
  struct State;
  explicit QuantizedCheckpoint(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

/// The layouts that are written.
enum class FileLayout {
  /// kInteger of 2, 3, 4, 8 bits, as gptq_v2: one version holds for a whole checkpoint, and v1 has
  /// no zero point 0.
  kGptq,
  kAwq,                ///< kInteger of 4 bits, GEMM
  kBitsandbytes,       ///< kTable (NF4, FP4), and kInt8 that is_per_127
  kCompressedTensors,  ///< kInteger of 1 to 8 bits, kInt8, kFp8
  kFineGrainedFp8      ///< kFp8 in blocks, weight_scale_inv
};

/// One tensor of a file to be written.
struct StoredTensor {
  std::string name, dtype;  ///< dtype as safetensors spells it: "I32"
  std::vector<std::int64_t> shape;
  std::vector<std::byte> data;
};

/// The tensors of a module ("model.layers.0.mlp.up_proj.qweight", ...).
///
/// Fails    ASSAY_INVALID_ARGUMENT a matrix that the layout cannot hold
std::vector<StoredTensor> to_tensors(FileLayout layout, const std::string& module,
                                     const QuantizedMatrix& matrix);

/// What a written module is like, without its codes.
struct WrittenModule {
  std::string name;
  bool is_quantized = false;
  int bits = 0;
  std::int64_t group_size = 0;  ///< as of QuantizedMatrix; 0: the whole row
  bool is_symmetric = false;  ///< is_symmetric() of what was written, whatever was asked for
  /// Form, block sizes, table, activations, and whether scales are nested; codes are not read.
  QuantizedMatrix form = {};
};

/// The value of "quantization_config", as JSON, that makes transformers and its quantization back
/// ends load the modules; those that differ from most are listed one by one. `provenance` is a JSON
/// object, kept where the layout has room for one ("meta" of GPTQ), else beside the others.
std::string quantization_config(FileLayout layout, std::span<const WrittenModule> modules,
                                bool is_act_order, const std::string& provenance);

/// Writes a file of tensors, fsynced, under a temporary name that is renamed at the end.
///
/// Fails    ASSAY_RESOURCE_EXHAUSTED disk full; ASSAY_UNAVAILABLE it cannot be written
void write_safetensors(const std::string& path, std::span<const StoredTensor> tensors);

}  // namespace assay_torch
