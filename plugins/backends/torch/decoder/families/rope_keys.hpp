// The settings of rotary embeddings, in the old spelling (rope_theta, rope_scaling) and the new one
// (rope_parameters). What the figures do to the angles is decoder/rope.hpp's.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/config.hpp"
#include "decoder/spec.hpp"

namespace assay_torch {

/// Where a family's rope is found and what it takes where config.json is silent.
struct RopeKeys {
  const char* theta = "rope_theta";                ///< beside the table
  const char* fraction = "partial_rotary_factor";  ///< beside the table
  double default_theta = 10000;
  double default_fraction = 1;
  bool is_partial_allowed = false;            ///< part of a head's dimensions may turn
  bool has_old_longrope_names = false;        ///< "su" and "yarn" mean LongRoPE
  std::int64_t default_original_context = 0;  ///< 0: max_position_embeddings
};

/// Reads one table; the spec's head_dim and max_context are set before.
///
/// Fails    ASSAY_INVALID_ARGUMENT another kind of scaling, an unknown key, a figure missing
/// Source   transformers 5.23, modeling_rope_utils.py: which key is taken where, and defaults
RopeSpec read_rope(const Config& config, const std::string& table, const DecoderSpec& spec,
                   const RopeKeys& keys = {});

/// Gives every layer the rope of rope_scaling or rope_parameters, whichever is there. A dynamic
/// scaling begins where max_position_embeddings ends, so the context grows by its factor.
///
/// Fails    as read_rope, or both tables are there
void add_rope(const Config& config, DecoderSpec& spec, const RopeKeys& keys = {});

}  // namespace assay_torch
