// Ids of requests: each once in a run, the same again under the same seed, and telling a backend
// nothing but that they differ.
#pragma once

#include <cstdint>

namespace assay::host {

/// Give them out in the order of sending: what an id is made of can be reckoned back to its number.
///
/// Source   splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators"
///          (2014); a permutation of the 64-bit numbers
class RequestIds {
 public:
  explicit RequestIds(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t id = state_ += 0x9e3779b97f4a7c15u;
    id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9u;
    id = (id ^ (id >> 27)) * 0x94d049bb133111ebu;
    return id ^ (id >> 31);
  }

 private:
  std::uint64_t state_;
};

}  // namespace assay::host
