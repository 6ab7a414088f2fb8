// Keys and values that later tokens attend to. Which sequence uses which slot is the schedule's
// business.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "decoder/spec.hpp"

namespace assay_torch {

/// Shapes   keys, values [slots, kv_heads, capacity, head_dim] in the compute dtype
struct CacheLayer {
  at::Tensor keys, values;
};

/// Room for `slots` sequences of at most `capacity` tokens each.
struct KvCache {
  std::int64_t slots = 0, capacity = 0;
  std::vector<CacheLayer> layers;
};

KvCache make_cache(const DecoderSpec& spec, std::int64_t slots, std::int64_t capacity,
                   const at::TensorOptions& options);

}  // namespace assay_torch
