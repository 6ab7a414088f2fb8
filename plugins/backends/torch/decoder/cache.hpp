// Keys and values that later tokens attend to. Which sequence uses which slot is the schedule's
// business.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "decoder/spec.hpp"

namespace assay_torch {

/// Shapes   keys, values [slots, kv_heads, capacity, head_dim] in the compute dtype
struct CacheLayer {
  at::Tensor keys, values;
};

/// Room for `slots` sequences of at most `capacity` tokens each. Behind a slot's tokens lie zeros:
/// what is masked must be finite.
struct KvCache {
  std::int64_t slots = 0, capacity = 0;
  std::vector<CacheLayer> layers;
};

KvCache make_cache(const DecoderSpec& spec, std::int64_t slots, std::int64_t capacity,
                   const at::TensorOptions& options);

std::uint64_t bytes_of(const KvCache& cache);

/// What caches take, now and at most since the peak began anew.
///
/// Units    bytes
/// Threads  [any-thread]
struct CacheUse {
  std::atomic<std::uint64_t> bytes = 0, peak_bytes = 0;
};

/// Counts a cache as long as it is there. A null `use` counts nothing.
class CountedCache {
 public:
  CountedCache(const KvCache& cache, CacheUse* use);
  CountedCache(const CountedCache&) = delete;
  CountedCache& operator=(const CountedCache&) = delete;
  ~CountedCache();

 private:
  CacheUse* use_;
  std::uint64_t bytes_;
};

/// A slot and how many of its tokens may have been written.
struct SlotUse {
  std::int64_t slot = 0, tokens = 0;
};

/// Ends the sequence in a slot. That of the last slot takes its place, so that the slots in use
/// follow one another, and the last one is empty again.
void close_slot(KvCache& cache, const SlotUse& closed, const SlotUse& last);

}  // namespace assay_torch
