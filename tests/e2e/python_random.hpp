// CPython's random.Random, as far as lm-evaluation-harness draws its examples with it. Written from
// scoring.md 4, so that prompts of the reference results can be rebuilt.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace assay::host {

class PythonRandom {
 public:
  /// init_by_array([seed]), not the plain initialisation of std::mt19937.
  explicit PythonRandom(std::uint32_t seed) {
    state_[0] = 19650218;
    for (std::uint32_t i = 1; i < kSize; ++i) state_[i] = 1812433253u * mixed(i - 1) + i;
    std::uint32_t i = 1;
    for (std::uint32_t k = 0; k < kSize; ++k) {
      state_[i] = (state_[i] ^ (mixed(i - 1) * 1664525u)) + seed;
      if (++i >= kSize) {
        state_[0] = state_[kSize - 1];
        i = 1;
      }
    }
    for (std::uint32_t k = 0; k < kSize - 1; ++k) {
      state_[i] = (state_[i] ^ (mixed(i - 1) * 1566083941u)) - i;
      if (++i >= kSize) {
        state_[0] = state_[kSize - 1];
        i = 1;
      }
    }
    state_[0] = 0x80000000u;
  }

  std::vector<std::uint32_t> sample(std::uint32_t n, std::uint32_t k) {
    double set_size = 21;
    if (k > 5) set_size += std::pow(4, std::ceil(std::log(3.0 * k) / std::log(4.0)));
    std::vector<std::uint32_t> drawn;
    if (n <= set_size) {
      std::vector<std::uint32_t> pool(n);
      std::iota(pool.begin(), pool.end(), 0);
      for (std::uint32_t i = 0; i < k; ++i) {
        const std::uint32_t j = below(n - i);
        drawn.push_back(pool[j]);
        pool[j] = pool[n - i - 1];
      }
      return drawn;
    }
    std::vector<bool> is_taken(n);
    while (drawn.size() < k) {
      const std::uint32_t j = below(n);
      if (is_taken[j]) continue;
      is_taken[j] = true;
      drawn.push_back(j);
    }
    return drawn;
  }

  std::uint32_t next() {
    if (at_ == kSize) twist();
    std::uint32_t y = state_[at_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
  }

 private:
  static constexpr std::uint32_t kSize = 624;

  std::uint32_t mixed(std::uint32_t i) const { return state_[i] ^ (state_[i] >> 30); }

  void twist() {
    for (std::uint32_t i = 0; i < kSize; ++i) {
      const std::uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % kSize] & 0x7fffffffu);
      state_[i] = state_[(i + 397) % kSize] ^ (y >> 1) ^ (y % 2 == 0 ? 0 : 0x9908b0dfu);
    }
    at_ = 0;
  }

  std::uint32_t below(std::uint32_t n) {
    std::uint32_t bits = 0;
    while (bits < 32 && (n >> bits) != 0) ++bits;
    std::uint32_t drawn = next() >> (32 - bits);
    while (drawn >= n) drawn = next() >> (32 - bits);
    return drawn;
  }

  std::array<std::uint32_t, kSize> state_{};
  std::uint32_t at_ = kSize;
};

}  // namespace assay::host
