// Where scales of a linear layer's inputs are taken out again, so that the model computes the same:
// a norm in front, or rows of the layer that makes the inputs. Which scales is awq.hpp's.
#pragma once

#include <vector>

#include "decoder/decoder.hpp"
#include "decoder/spec.hpp"

namespace assay_torch {

enum class Producer {
  kAttentionNorm,
  kMlpNorm,
  kValueRows,  ///< of the query-key-value layer
  kUpRows      ///< of the gate-up layer
};

/// The inputs of `consumer` may be scaled, because `producer` can take the scales out.
struct Fold {
  Slot consumer;
  Producer producer;
};

/// Attention's and the MLP's inputs behind their norms; beside them, unless `is_norms_only`, the
/// output layer behind values (where there are as many as queries) and the down layer behind up
/// (where it is gated). Layers with biases are no producers: what is in the file stays as it is.
///
/// Fails    ASSAY_UNIMPLEMENTED the norms stand behind the residual sum, which others read too
/// Source   AutoAWQ 0.2.9, models/*.py: get_layers_for_scaling
std::vector<Fold> folds_of(const DecoderSpec& spec, bool is_norms_only);

}  // namespace assay_torch
