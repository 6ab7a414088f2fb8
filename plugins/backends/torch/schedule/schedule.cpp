#include "schedule/schedule.hpp"

#include <algorithm>
#include <numeric>

namespace assay_torch {

std::vector<std::vector<std::size_t>> plan_passes(std::span<const std::int64_t> lengths,
                                                  std::int64_t budget, Order order) {
  std::vector<std::size_t> indices(lengths.size());
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  if (order == Order::kLongestFirst) {
    std::stable_sort(indices.begin(), indices.end(),
                     [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
  }
  std::vector<std::vector<std::size_t>> passes;
  std::int64_t tokens = 0;
  for (std::size_t index : indices) {
    if (passes.empty() || tokens + lengths[index] > budget) {
      passes.emplace_back();
      tokens = 0;
    }
    passes.back().push_back(index);
    tokens += lengths[index];
  }
  return passes;
}

}  // namespace assay_torch
