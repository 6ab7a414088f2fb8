// A model quantized block by block: what each layer is given by the calibration, its matrices made
// by the method, the block put together again for the next one's inputs. Options and files are
// others'.
#pragma once

#include <ATen/core/TensorBody.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/quantized.hpp"
#include "checkpoint/weights.hpp"
#include "decoder/decoder.hpp"
#include "decoder/load.hpp"
#include "linear/make.hpp"
#include "quantize/awq.hpp"
#include "quantize/settings.hpp"

namespace assay_torch {

/// Token sequences, each passed through the model from its own first position.
using Calibration = std::vector<std::vector<std::int32_t>>;

/// Whom the pipeline tells how far it is, and what each layer lost. Empty ones are not called.
struct Listener {
  std::function<void(double fraction, const std::string& what)> progress;
  std::function<void()> checkpoint;  ///< between passes; throws when the work is to end
  /// weight_error |D| / |W|; output_error tr(D H D^T) / tr(W H W^T), with a calibration, and
  /// output_error_rtn, the same of round to nearest, for gptq and awq; sqnr_db; outlier_share,
  /// beyond 6 root mean squares of the row; bits, bytes; and what a method knows: damping,
  /// damping_attempts, dead_columns, scale_ratio, clipped_share.
  std::function<void(const std::string& module, const char* name, double value)> value;
};

/// One module of a block, as it is from now on.
struct ModuleResult {
  Slot slot = Slot::kHead;
  ModelReader::Module module;
  ModuleWeight weight;
  bool is_changed = false;  ///< not quantized, but other than in the file: rounded to its dtype
};

/// What became of a block.
struct BlockResult {
  std::vector<ModuleResult> modules;
  /// Norms that took scales in: names and values, float32 that the file's dtype holds exactly.
  std::vector<std::pair<std::string, at::Tensor>> vectors;
};

/// Quantizes one block after the other, in order. With a calibration it keeps the hidden states of
/// all its tokens, in the compute dtype.
///
/// Units    memory, beside what the caller keeps: hidden states tokens x hidden x dtype; of one
///          block the weights twice (float32 and dtype); the Hessians of its four inputs, 4
///          columns^2 bytes each; for GPTQ 24 columns^2 bytes more while it works on the widest
///          layer. 1.2 B parameters, 128 x 512 tokens, float32: 0.5 + 0.5 + 0.3 + 1.6 GB
/// Threads  one call at a time
class Pipeline {
 public:
  /// All outlive it, `listener` too.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT a pattern matches no module; ASSAY_UNIMPLEMENTED the method
  ///          folds scales where the architecture has no place for them
  Pipeline(const DecoderSpec& spec, const Weights& weights, const Recipe& recipe,
           const LinearSettings& settings, const Listener& listener);

  /// Embeds the calibration; `ends` may lose its embedding afterwards.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT no sequences, tokens outside the vocabulary, a sequence longer
  ///          than the context
  void enter(const Decoder& ends, const Calibration& calibration, std::int64_t pass_tokens);

  /// The method, over the modules of a block.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT the method needs a calibration and none was entered;
  ///          activations or weights that are not finite
  BlockResult quantize(const Decoder& ends, std::int64_t layer);

  /// The block ready to compute, by a reader that counts it.
  static Block assemble(ModelReader& reader, const DecoderSpec& spec, std::int64_t layer,
                        BlockResult result);

  /// Takes the calibration's hidden states on behind a finished block.
  void pass(const Decoder& ends, std::int64_t layer, const Block& block);

  /// The output layer, after the last block; nothing where it is left as it is.
  std::optional<ModuleResult> quantize_head(const Decoder& ends);

  /// Why a recipe that needs a calibration has none, if so.
  void require_calibration() const;

 private:
  struct Chunk {
    at::Tensor x;  // [tokens, hidden]
    std::vector<Segment> segments;
  };
  struct Work;
  using Inputs = std::vector<std::optional<InputStatistics>>;  // by slot

  void observe(const Decoder& ends, std::int64_t layer, const Block& block,
               const std::vector<Slot>& slots, Inputs& inputs) const;
  void fold(std::int64_t layer, Work& work, Inputs& inputs) const;
  void fold_norm(const std::string& name, const at::Tensor& scales, Work& work) const;
  void round_slot(Work& work, Slot slot, const Inputs& inputs) const;
  void round_module(ModuleResult& module, const GridSettings& grid,
                    const InputStatistics* inputs) const;
  at::ScalarType file_type(const std::string& tensor) const;
  void tell(const std::string& module, const char* name, double value) const;

  const DecoderSpec& spec_;
  const Weights& weights_;
  const Recipe& recipe_;
  const Listener& listener_;
  ModelReader scratch_;  // makes blocks that do not count
  std::vector<Chunk> chunks_;
};

/// Reads every tensor of the architecture and rounds it to the dtype of `options` (float32 unless
/// given), on its device. With a recipe, the linear layers of the blocks and an untied lm_head are
/// quantized first, from float32, module by module as the file holds them, unless skipped; the
/// embedding, a head tied to it, projections beside them and biases never are. A bias of zeros that
/// a quantized module has and the architecture has not means nothing; another is added.
///
/// Fails    ASSAY_INVALID_ARGUMENT a tensor is missing, superfluous or wrong, or overflows the
///          dtype; a quantized checkpoint with a recipe; as Pipeline
LoadedModel load_model(const DecoderSpec& spec, const Weights& weights,
                       const std::optional<Recipe>& recipe, const LinearSettings& settings,
                       const QuantizedCheckpoint* quantized = nullptr,
                       const Calibration* calibration = nullptr, std::int64_t pass_tokens = 4096,
                       const Listener& listener = {});

/// Fails    ASSAY_INVALID_ARGUMENT always
[[noreturn]] void refuse_quantized(const QuantizedCheckpoint& checkpoint, const Recipe& recipe);

}  // namespace assay_torch
