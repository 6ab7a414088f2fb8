// Draws that come out the same on every platform: which records serve as examples for an item, and
// in which order texts are taken. How they are used is decided by who asks.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace assay::host {

/// `count` distinct indices below `pool`, in the order drawn, none equal to `excluded` (which may
/// be `pool` or more: nothing is left out). The draw depends on the seed and the item alone, so
/// prompts do not change with order, limits or sharding. Fewer when the pool is too small.
///
/// Source   defined here: SHA-256 of "seed:item" seeds a 64-bit Mersenne Twister (Nishimura 2000);
///          rejection sampling, so that every platform draws the same
std::vector<std::uint64_t> draw_shots(std::uint64_t pool, std::uint64_t count,
                                      std::uint64_t excluded, std::uint64_t seed,
                                      std::string_view item);

/// The numbers below `n` in an order that depends on the seed and the name alone.
///
/// Source   Fisher and Yates 1938, in Durstenfeld's form, drawing as draw_shots()
std::vector<std::uint64_t> shuffled(std::uint64_t n, std::uint64_t seed, std::string_view name);

}  // namespace assay::host
