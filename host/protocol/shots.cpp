#include "host/protocol/shots.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <utility>

#include "host/core/hash.hpp"

namespace assay::host {
namespace {

std::uint64_t below(std::uint64_t n, std::mt19937_64& random) {
  const std::uint64_t rest = (std::numeric_limits<std::uint64_t>::max() % n + 1) % n;
  const std::uint64_t highest = std::numeric_limits<std::uint64_t>::max() - rest;
  std::uint64_t drawn = random();
  while (drawn > highest) drawn = random();
  return drawn % n;
}

std::mt19937_64 random_of(std::uint64_t seed, std::string_view name) {
  return std::mt19937_64(seed_from(std::to_string(seed) + ":" + std::string(name)));
}

}  // namespace

std::vector<std::uint64_t> draw_shots(std::uint64_t pool, std::uint64_t count,
                                      std::uint64_t excluded, std::uint64_t seed,
                                      std::string_view item) {
  const std::uint64_t usable = pool - (excluded < pool ? 1 : 0);
  std::mt19937_64 random = random_of(seed, item);
  std::vector<std::uint64_t> drawn;
  while (drawn.size() < std::min(count, usable)) {
    std::uint64_t index = below(usable, random);
    if (index >= excluded) ++index;
    if (std::find(drawn.begin(), drawn.end(), index) == drawn.end()) drawn.push_back(index);
  }
  return drawn;
}

std::vector<std::uint64_t> shuffled(std::uint64_t n, std::uint64_t seed, std::string_view name) {
  std::vector<std::uint64_t> order(n);
  std::iota(order.begin(), order.end(), std::uint64_t{0});
  std::mt19937_64 random = random_of(seed, name);
  for (std::uint64_t i = n; i > 1; --i) std::swap(order[i - 1], order[below(i, random)]);
  return order;
}

}  // namespace assay::host
