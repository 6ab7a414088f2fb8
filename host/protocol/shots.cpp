#include "host/protocol/shots.hpp"

#include <algorithm>
#include <limits>
#include <random>
#include <string>

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

}  // namespace

std::vector<std::uint64_t> draw_shots(std::uint64_t pool, std::uint64_t count,
                                      std::uint64_t excluded, std::uint64_t seed,
                                      std::string_view item) {
  const std::uint64_t usable = pool - (excluded < pool ? 1 : 0);
  std::mt19937_64 random(seed_from(std::to_string(seed) + ":" + std::string(item)));
  std::vector<std::uint64_t> drawn;
  while (drawn.size() < std::min(count, usable)) {
    std::uint64_t index = below(usable, random);
    if (index >= excluded) ++index;
    if (std::find(drawn.begin(), drawn.end(), index) == drawn.end()) drawn.push_back(index);
  }
  return drawn;
}

}  // namespace assay::host
