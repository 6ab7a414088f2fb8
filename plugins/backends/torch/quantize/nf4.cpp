#include "quantize/nf4.hpp"

#include <algorithm>
#include <cmath>

namespace assay_torch {
namespace {

constexpr std::array<float, 15> midpoints() {
  std::array<float, 15> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = (kNf4[i] + kNf4[i + 1]) / 2;
  return out;
}

std::uint8_t nearest_code(float value) {
  static constexpr auto kMidpoints = midpoints();
  return static_cast<std::uint8_t>(std::lower_bound(kMidpoints.begin(), kMidpoints.end(), value) -
                                   kMidpoints.begin());
}

constexpr std::uint8_t kZeroCode = 7;

}  // namespace

Nf4Codes nf4_quantize(std::span<const float> weights) {
  Nf4Codes out;
  out.codes.resize(weights.size());
  for (std::size_t begin = 0; begin < weights.size(); begin += kNf4Block) {
    const auto block = weights.subspan(begin, std::min(kNf4Block, weights.size() - begin));
    float top = 0;
    for (float w : block) top = std::max(top, std::fabs(w));
    out.absmax.push_back(top);
    for (std::size_t i = 0; i < block.size(); ++i) {
      out.codes[begin + i] = top == 0 ? kZeroCode : nearest_code(block[i] / top);
    }
  }
  return out;
}

void nf4_dequantize(const Nf4Codes& codes, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = kNf4[codes.codes[i]] * codes.absmax[i / kNf4Block];
  }
}

std::uint64_t nf4_storage_bits(std::uint64_t weights) {
  return 4 * weights + 32 * ((weights + kNf4Block - 1) / kNf4Block);
}

}  // namespace assay_torch
