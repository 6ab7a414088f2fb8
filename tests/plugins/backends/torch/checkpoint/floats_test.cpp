#include "checkpoint/floats.hpp"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace assay_torch {
namespace {

using ::testing::ElementsAre;
using Bits = std::uint16_t;

template <class Value>
std::span<const std::byte> bytes_of(const std::vector<Value>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<Bits> narrowed(FloatType type, const std::vector<float>& values) {
  std::vector<Bits> out(values.size());
  convert(FloatType::kFloat32, bytes_of(values), type, std::as_writable_bytes(std::span(out)));
  return out;
}

std::vector<float> widened(FloatType type, const std::vector<Bits>& values) {
  std::vector<float> out(values.size());
  convert(type, bytes_of(values), FloatType::kFloat32, std::as_writable_bytes(std::span(out)));
  return out;
}

/// The non-negative finite values in order: neighbours have neighbouring bits.
std::vector<Bits> ladder(FloatType type) {
  const unsigned end = type == FloatType::kFloat16 ? 0x7C00 : 0x7F80;
  std::vector<Bits> out(end);
  for (unsigned i = 0; i < end; ++i) out[i] = static_cast<Bits>(i);
  return out;
}

/// What IEEE 754 says of the bits, in words of its own: sign, exponent and fraction by ldexp.
float defined_value(FloatType type, Bits bits) {
  const int fraction_bits = type == FloatType::kFloat16 ? 10 : 7;
  const int bias = type == FloatType::kFloat16 ? 15 : 127;
  const int exponent = (bits & 0x7FFF) >> fraction_bits;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double size =
      exponent == 0 ? std::ldexp(fraction, 1 - bias - fraction_bits)
                    : std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
  return static_cast<float>((bits & 0x8000) != 0 ? -size : size);
}

TEST(Floats, OfSixteenBitsMeanWhatTheirFormatsSay) {
  for (const FloatType type : {FloatType::kFloat16, FloatType::kBfloat16}) {
    std::vector<Bits> all = ladder(type);
    for (const Bits bits : ladder(type)) all.push_back(bits | 0x8000);
    const auto values = widened(type, all);
    for (std::size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]),
                std::bit_cast<std::uint32_t>(defined_value(type, all[i])))
          << to_string(type) << " " << all[i];
    }
    EXPECT_EQ(narrowed(type, values), all);
  }
}

TEST(Floats, AreRoundedToNearestHalvesToEven) {
  // bfloat16: 1 and 1 + 2^-7 are neighbours; float16: 1 and 1 + 2^-10, 0 and 2^-24.
  EXPECT_THAT(narrowed(FloatType::kBfloat16, {1 + 0x1p-8F, 1 + 0x1p-8F + 0x1p-20F, 1 + 0x3p-8F}),
              ElementsAre(0x3F80, 0x3F81, 0x3F82));
  EXPECT_THAT(narrowed(FloatType::kFloat16, {1 + 0x1p-11F, 1 + 0x1p-11F + 0x1p-20F, 1 + 0x3p-11F,
                                             0x1p-25F, 0x1.8p-25F, 0x3p-25F, -0x1p-26F}),
              ElementsAre(0x3C00, 0x3C01, 0x3C02, 0x0000, 0x0001, 0x0002, 0x8000));
}

TEST(Floats, BetweenEveryTwoNeighboursGoToTheNearer) {
  for (const FloatType type : {FloatType::kFloat16, FloatType::kBfloat16}) {
    const auto steps = ladder(type);
    std::vector<float> values;
    std::vector<Bits> expected;
    for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
      const float low = defined_value(type, steps[i]), high = defined_value(type, steps[i + 1]);
      const float half = low + (high - low) / 2;  // exact: both have bits to spare in binary32
      if (half == low || half == high) continue;  // the smallest bfloat16 have none
      const Bits even = (steps[i] & 1) == 0 ? steps[i] : steps[i + 1];
      for (const float sign : {1.0F, -1.0F}) {
        const auto expect = [&](float value, Bits bits) {
          values.push_back(sign * value);
          expected.push_back(sign < 0 ? static_cast<Bits>(bits | 0x8000) : bits);
        };
        expect(std::nextafter(half, low), steps[i]);
        expect(half, even);
        expect(std::nextafter(half, high), steps[i + 1]);
      }
    }
    EXPECT_EQ(narrowed(type, values), expected) << to_string(type);
  }
}

TEST(Floats, BeyondTheLargestBecomeInfinite) {
  // Half a step above the largest (65504 + 16) is where the next power of two would be the even
  // one.
  EXPECT_THAT(narrowed(FloatType::kFloat16, {std::nextafter(65520.0F, 0.0F), 65520, -65520, 3e38F}),
              ElementsAre(0x7BFF, 0x7C00, 0xFC00, 0x7C00));
  EXPECT_THAT(narrowed(FloatType::kBfloat16, {0x1.FEFFFEp127F, 0x1.FFp127F, -0x1.FFp127F}),
              ElementsAre(0x7F7F, 0x7F80, 0xFF80));
  EXPECT_EQ(largest(FloatType::kFloat16), 65504.0F);
  EXPECT_EQ(largest(FloatType::kBfloat16), 0x1.FEp127F);
  EXPECT_EQ(largest(FloatType::kFloat32), std::numeric_limits<float>::max());
}

TEST(Floats, GoFromOneSixteenBitFormatToTheOther) {
  const std::vector<Bits> halves = {0x3C01, 0xC000, 0x0001};  // 1 + 2^-10, -2, 2^-24
  std::vector<Bits> out(halves.size());
  const auto room = std::as_writable_bytes(std::span(out));
  convert(FloatType::kFloat16, bytes_of(halves), FloatType::kBfloat16, room);
  EXPECT_THAT(out, ElementsAre(0x3F80, 0xC000, 0x3380));
  const std::vector<Bits> brains = {0x3F81, 0xC000, 0x3380};
  convert(FloatType::kBfloat16, bytes_of(brains), FloatType::kFloat16, room);
  EXPECT_THAT(out, ElementsAre(0x3C08, 0xC000, 0x0001));
}

TEST(Floats, ThatAreNotFiniteAreFoundWhereverTheyStand) {
  const std::uint32_t wrong32[] = {0x7F800000, 0xFF800000, 0x7F800001, 0xFFFFFFFF};
  const std::uint32_t wrong_brain[] = {0x7F80, 0xFF80, 0x7F81, 0xFFFF};
  const std::uint32_t wrong_half[] = {0x7C00, 0xFC00, 0x7C01, 0xFFFF};
  const auto check = [](FloatType type, auto filler, std::span<const std::uint32_t> wrong) {
    std::vector<decltype(filler)> values(71, filler);  // odd: whole vectors and a rest
    EXPECT_EQ(find_non_finite(type, bytes_of(values)), std::nullopt);
    for (std::size_t i = 0; i < values.size(); ++i) {
      for (const std::uint32_t bits : wrong) {
        values[i] = static_cast<decltype(filler)>(bits);
        EXPECT_EQ(find_non_finite(type, bytes_of(values)), i) << to_string(type);
        const bool is_infinity = bits == wrong[0] || bits == wrong[1];
        EXPECT_EQ(std::isinf(value_at(type, bytes_of(values), i)), is_infinity);
        EXPECT_EQ(std::isnan(value_at(type, bytes_of(values), i)), !is_infinity);
      }
      values[i] = filler;
    }
    EXPECT_EQ(find_non_finite(type, {}), std::nullopt);
  };
  check(FloatType::kFloat32, std::uint32_t{0x7F7FFFFF}, wrong32);
  check(FloatType::kBfloat16, Bits{0xFF7F}, wrong_brain);
  check(FloatType::kFloat16, Bits{0x7BFF}, wrong_half);
}

}  // namespace
}  // namespace assay_torch
