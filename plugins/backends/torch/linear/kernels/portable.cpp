// The kernels in plain C++, one value at a time: always there, and what the others are tested
// against.
#include "linear/kernels/int8_product.hpp"
#include "linear/kernels/rows.hpp"
#include "linear/kernels/sets.hpp"

namespace assay_torch {
namespace {

std::uint16_t bfloat16_bits(float value) {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  if (value != value) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

std::uint16_t half_bits(float value) {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  const std::uint32_t sign = bits >> 16 & 0x8000U, size = bits & 0x7FFFFFFFU;
  std::uint32_t half = 0;
  if (size > 0x7F800000U) {
    half = 0x7E00U;
  } else if (size >= 0x477FF000U) {
    half = 0x7C00U;  // 65520 and more
  } else if (size >= 0x38800000U) {
    half = (size - 0x38000000U + 0xFFFU + (size >> 13 & 1U)) >> 13;
  } else {
    // Below 2^-14 the steps are 2^-24, those of a float32 of 1/2: the sum is rounded to them.
    const float rounded = __builtin_bit_cast(float, size) + 0.5F;
    half = __builtin_bit_cast(std::uint32_t, rounded) - 0x3F000000U;
  }
  return static_cast<std::uint16_t>(sign | half);
}

struct Portable {
  static constexpr unsigned kWidth = 1;
  static constexpr unsigned kRows = 2;
  using Floats = float;
  struct Table {
    const float* values;
    float scale, zero;
  };
  using Places = std::int32_t;  // the mask

  static Floats all(float value) { return value; }
  static Floats load(const float* values) { return *values; }
  static Floats multiply(Floats a, Floats b) { return a * b; }
  static Floats subtract(Floats a, Floats b) { return a - b; }
  static Floats add_product(Floats sum, Floats a, Floats b) { return sum + a * b; }
  static float sum(Floats values) { return values; }

  static Places places(const FieldPlaces& places) { return places.mask; }
  template <bool>
  static std::uint32_t unpack_narrow(const std::uint8_t* codes, Places mask) {
    return *codes & static_cast<std::uint32_t>(mask);
  }
  template <bool>
  static std::uint32_t unpack_wide(const std::uint8_t* codes, Places mask) {
    return (codes[0] | static_cast<std::uint32_t>(codes[1]) << 8) &
           static_cast<std::uint32_t>(mask);
  }
  static Floats to_floats(std::uint32_t code) { return static_cast<float>(code); }
  static Table table(const float* values, float scale, float zero) { return {values, scale, zero}; }
  static Floats lookup(const Table& t, std::uint32_t code) {
    return t.scale * (t.values[code] - t.zero);
  }
  static Floats int8(const std::uint8_t* code) { return static_cast<std::int8_t>(*code); }
  static Floats e4m3(const std::uint8_t* code) { return e4m3_value_of<Portable>(*code); }

  template <FloatType kType>
  static void store(std::uint8_t* to, Floats value) {
    if constexpr (kType == FloatType::kFloat32) {
      __builtin_memcpy(to, &value, 4);
    } else {
      const std::uint16_t bits =
          kType == FloatType::kBfloat16 ? bfloat16_bits(value) : half_bits(value);
      __builtin_memcpy(to, &bits, 2);
    }
  }
};

struct PortableInt8 {
  static constexpr unsigned kStep = 1;
  static constexpr unsigned kRows = 4;
  static constexpr std::int32_t kOffset = 0;
  using Codes = std::int32_t;
  using Sums = std::int32_t;

  static Sums no_sums() { return 0; }
  static Codes load_tokens(const std::int8_t* code) { return *code; }
  static Codes load_rows(const std::int8_t* code) { return *code; }
  static Sums add_products(Sums sums, Codes x, Codes w) { return sums + x * w; }
  static std::int32_t sum(Sums sums) { return sums; }
};

}  // namespace

const Kernels kPortableKernels = {"portable", dequantize_with<Portable>, multiply_with<Portable>,
                                  multiply_int8_with<PortableInt8>};

}  // namespace assay_torch
