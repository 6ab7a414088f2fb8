// A quantized checkpoint in a directory: shards as blocks are finished, the files beside them, and
// how a job that was killed goes on. What the tensors of a layout are is checkpoint/'s.
#pragma once

#include <cstdint>
#include <string>

#include "quantize/pipeline.hpp"
#include "quantize/settings.hpp"

namespace assay_torch {

struct WriteJob {
  std::string model_dir, out_dir;
  Recipe recipe;
  LinearSettings settings;  ///< what the calibration's passes are computed with
  const Calibration* calibration = nullptr;
  std::int64_t pass_tokens = 4096;
  std::uint32_t threads = 1;
  std::uint64_t seed = 0;  ///< told in the provenance; nothing here is random
  std::string quantizer;   ///< "assay/torch:1.0.0"
};

/// Writes a directory that transformers and assay load. One shard for each block, in place when the
/// block is done; the rest of the weights in one more; the index, the tokenizer's files and
/// generation_config.json; config.json last, so that nothing unfinished is taken for a checkpoint.
/// Until then quantize.json says what is being made: the same job goes on behind the last finished
/// block, another starts over.
///
/// Units    memory: Pipeline's, and the tensors of one shard
/// Fails    ASSAY_INVALID_ARGUMENT the model is quantized already, a layout that cannot hold the
///          recipe, as Pipeline; ASSAY_RESOURCE_EXHAUSTED disk full; ASSAY_UNAVAILABLE a file
///          cannot be written
void write_quantized(const DecoderSpec& spec, const WriteJob& job, const Listener& listener);

}  // namespace assay_torch
