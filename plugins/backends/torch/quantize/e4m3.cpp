#include "quantize/e4m3.hpp"

#include <algorithm>
#include <cmath>

namespace assay_torch {

float e4m3_value(std::uint8_t code) {
  const int exponent = code >> 3 & 15, fraction = code & 7;
  if ((code & 0x7F) == 0x7F) return std::copysign(NAN, (code & 0x80) != 0 ? -1.0F : 1.0F);
  const float size = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -9)
                                   : std::ldexp(static_cast<float>(8 + fraction), exponent - 10);
  return (code & 0x80) != 0 ? -size : size;
}

std::uint8_t e4m3_code(float value) {
  const unsigned sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value)) return static_cast<std::uint8_t>(sign | 0x7F);
  const float size = std::min(std::fabs(value), kE4m3Largest);
  if (size == 0) return static_cast<std::uint8_t>(sign);
  int exponent = 0;
  std::frexp(size, &exponent);
  // Steps of the value's binade, of the subnormals' below 2^-6; the default rounding mode takes
  // halves to even, and a value rounded up into the next binade counts on from this one.
  const int step = std::max(exponent - 4, -9);
  const auto steps = static_cast<unsigned>(std::nearbyint(std::ldexp(size, -step)));
  const unsigned binade = static_cast<unsigned>(step + 9);
  return static_cast<std::uint8_t>(sign | (binade * 8 + steps));
}

}  // namespace assay_torch
