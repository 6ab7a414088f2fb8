#include "decoder/cache.hpp"

#include <ATen/ops/zeros.h>

namespace assay_torch {

KvCache make_cache(const DecoderSpec& spec, std::int64_t slots, std::int64_t capacity,
                   const at::TensorOptions& options) {
  KvCache cache{slots, capacity, {}};
  const std::int64_t shape[] = {slots, spec.kv_heads, capacity, spec.head_dim};
  for (std::int64_t layer = 0; layer < spec.layers; ++layer)
    cache.layers.push_back({at::zeros(shape, options), at::zeros(shape, options)});
  return cache;
}

std::uint64_t bytes_of(const KvCache& cache) {
  std::uint64_t bytes = 0;
  for (const CacheLayer& layer : cache.layers) bytes += layer.keys.nbytes() + layer.values.nbytes();
  return bytes;
}

CountedCache::CountedCache(const KvCache& cache, CacheUse* use)
    : use_(use), bytes_(bytes_of(cache)) {
  if (use_ == nullptr) return;
  const std::uint64_t now = use_->bytes += bytes_;
  std::uint64_t peak = use_->peak_bytes;
  while (peak < now && !use_->peak_bytes.compare_exchange_weak(peak, now)) {
  }
}

CountedCache::~CountedCache() {
  if (use_ != nullptr) use_->bytes -= bytes_;
}

void close_slot(KvCache& cache, const SlotUse& closed, const SlotUse& last) {
  const auto head_of = [](const at::Tensor& tensor, const SlotUse& use) {
    return tensor.select(0, use.slot).narrow(1, 0, use.tokens);
  };
  for (CacheLayer& layer : cache.layers) {
    for (const at::Tensor* tensor : {&layer.keys, &layer.values}) {
      head_of(*tensor, closed).zero_();
      if (closed.slot == last.slot) continue;
      head_of(*tensor, {closed.slot, last.tokens}).copy_(head_of(*tensor, last));
      head_of(*tensor, last).zero_();
    }
  }
}

}  // namespace assay_torch
