#include "checkpoint/floats.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace assay_torch {
namespace {

// The loops below are written so that the compiler makes vector code of them: no early exit, and
// choices between two values that are both computed.

struct Float32 {
  using Bits = std::uint32_t;
  static constexpr Bits kExponent = 0x7F800000U;
  static constexpr Bits kLargest = 0x7F7FFFFFU;
  static float widen(Bits bits) { return std::bit_cast<float>(bits); }
  static Bits narrow(float value) { return std::bit_cast<Bits>(value); }
};

struct Bfloat16 {
  using Bits = std::uint16_t;
  static constexpr Bits kExponent = 0x7F80U;
  static constexpr Bits kLargest = 0x7F7FU;
  static float widen(Bits bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
  static Bits narrow(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<Bits>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
  }
};

struct Float16 {
  using Bits = std::uint16_t;
  static constexpr Bits kExponent = 0x7C00U;
  static constexpr Bits kLargest = 0x7BFFU;
  static constexpr std::uint32_t kSmallestNormal = 113U << 23;  // 2^-14 as binary32
  static constexpr std::uint32_t kRebias = 112U << 23;          // the exponents' biases: 127 - 15

  static float widen(Bits bits) {
    const std::uint32_t sign = (bits & 0x8000U) << 16, size = (bits & 0x7FFFU) << 13;
    // A subnormal is its fraction in units of 2^-24: put it behind 2^-14 and take that away.
    const float subnormal = std::bit_cast<float>(size + kSmallestNormal) - 0x1p-14F;
    const std::uint32_t infinite = size + 2 * kRebias;  // the largest exponent stays the largest
    const std::uint32_t normal = size < std::uint32_t{kExponent} << 13 ? size + kRebias : infinite;
    const std::uint32_t wide = size < 1U << 23 ? std::bit_cast<std::uint32_t>(subnormal) : normal;
    return std::bit_cast<float>(sign | wide);
  }
  static Bits narrow(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = bits >> 16 & 0x8000U, size = bits & 0x7FFFFFFFU;
    // The last place of 0.5 is 2^-24, so the sum rounds to a subnormal's last place.
    const float shifted = std::bit_cast<float>(size) + 0.5F;
    const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(shifted) - (126U << 23);
    const std::uint32_t rounded = (size - kRebias + 0xFFFU + (size >> 13 & 1U)) >> 13;
    const std::uint32_t normal = std::min<std::uint32_t>(rounded, kExponent);
    return static_cast<Bits>(sign | (size < kSmallestNormal ? subnormal : normal));
  }
};

template <class Bits>
Bits load(const std::byte* values, std::size_t index) {
  Bits bits;
  std::memcpy(&bits, values + index * sizeof bits, sizeof bits);
  return bits;
}

template <class From, class To>
void convert_all(const std::byte* in, std::byte* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = To::narrow(From::widen(load<typename From::Bits>(in, i)));
    std::memcpy(out + i * sizeof bits, &bits, sizeof bits);
  }
}

template <class Format>
bool is_finite(typename Format::Bits bits) {
  return (bits & Format::kExponent) != Format::kExponent;
}

template <class Format>
std::optional<std::size_t> find(const std::byte* values, std::size_t count) {
  using Bits = typename Format::Bits;
  Bits any = 0;
  for (std::size_t i = 0; i < count; ++i) {
    any = static_cast<Bits>(any | (is_finite<Format>(load<Bits>(values, i)) ? 0 : 1));
  }
  if (any == 0) return std::nullopt;
  for (std::size_t i = 0;; ++i) {
    if (!is_finite<Format>(load<Bits>(values, i))) return i;
  }
}

/// Calls with the format of `type` as a type.
template <class Call>
auto with_format(FloatType type, Call&& call) {
  switch (type) {
    case FloatType::kBfloat16:
      return call(Bfloat16{});
    case FloatType::kFloat16:
      return call(Float16{});
    case FloatType::kFloat32:
      break;
  }
  return call(Float32{});
}

}  // namespace

const char* to_string(FloatType type) {
  switch (type) {
    case FloatType::kBfloat16:
      return "bfloat16";
    case FloatType::kFloat16:
      return "float16";
    case FloatType::kFloat32:
      break;
  }
  return "float32";
}

std::size_t size_bytes(FloatType type) { return type == FloatType::kFloat32 ? 4 : 2; }

float largest(FloatType type) {
  return with_format(type, [](auto format) { return format.widen(format.kLargest); });
}

std::optional<FloatType> float_type_of(std::string_view dtype) {
  if (dtype == "F32") return FloatType::kFloat32;
  if (dtype == "BF16") return FloatType::kBfloat16;
  if (dtype == "F16") return FloatType::kFloat16;
  return std::nullopt;
}

std::optional<std::size_t> find_non_finite(FloatType type, std::span<const std::byte> values) {
  return with_format(type, [&](auto format) {
    return find<decltype(format)>(values.data(), values.size() / size_bytes(type));
  });
}

float value_at(FloatType type, std::span<const std::byte> values, std::size_t index) {
  return with_format(type, [&](auto format) {
    using Format = decltype(format);
    const auto bits = load<typename Format::Bits>(values.data(), index);
    return Format::widen(bits);
  });
}

void convert(FloatType from, std::span<const std::byte> in, FloatType to,
             std::span<std::byte> out) {
  if (from == to) {
    if (!in.empty()) std::memcpy(out.data(), in.data(), in.size());
    return;
  }
  with_format(from, [&](auto source) {
    with_format(to, [&](auto target) {
      convert_all<decltype(source), decltype(target)>(in.data(), out.data(),
                                                      in.size() / size_bytes(from));
    });
  });
}

float rounded(FloatType type, float value) {
  if (type == FloatType::kFloat32) return value;
  std::byte stored[4];
  const std::span<std::byte> bytes(stored, size_bytes(type));
  convert(FloatType::kFloat32, std::as_bytes(std::span(&value, 1)), type, bytes);
  return value_at(type, bytes, 0);
}

}  // namespace assay_torch
