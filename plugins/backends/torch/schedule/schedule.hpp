// The order in which requests are worked on and which of them share a forward pass. Here requests
// with a common prefix will be brought together; the pass itself is not made here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace assay_torch {

struct CacheUse;

struct ScheduleSettings {
  std::int64_t pass_tokens = 4096;                   ///< the most tokens of one forward pass
  std::int64_t sequences = 32;                       ///< the most that generate together
  std::int64_t cache_bytes = std::int64_t{1} << 30;  ///< the most for keys and values of those
  std::function<bool()> cancelled = {};              ///< asked before each pass
  CacheUse* cache_use = nullptr;                     ///< where caches are counted
};

enum class Order {
  kLongestFirst,  ///< neighbours have similar lengths, and memory peaks at the start
  kAsGiven
};

/// Packs requests into passes of at most `budget` tokens; a longer request gets a pass of its own.
/// Each element holds indices into `lengths`.
std::vector<std::vector<std::size_t>> plan_passes(std::span<const std::int64_t> lengths,
                                                  std::int64_t budget, Order order);

}  // namespace assay_torch
