// The kernels in AVX2 with FMA and F16C, 8 values at a time.
#include <immintrin.h>

#include "linear/kernels/int8_product.hpp"
#include "linear/kernels/rows.hpp"
#include "linear/kernels/sets.hpp"

namespace assay_torch {
namespace {

struct Avx2 {
  static constexpr unsigned kWidth = 8;
  static constexpr unsigned kRows = 2;  // sums, tables and x share 16 registers
  using Floats = __m256;
  struct Table {
    __m256 low, high;
  };
  struct Places {
    __m256i word, next_word, right, left, mask;
  };

  static Floats all(float value) { return _mm256_set1_ps(value); }
  static Floats load(const float* values) { return _mm256_loadu_ps(values); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats add_product(Floats sum, Floats a, Floats b) { return _mm256_fmadd_ps(a, b, sum); }
  static float sum(Floats values) {
    const __m128 four =
        _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }

  static __m256i eight(const std::int32_t* values) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
  }
  static Places places(const FieldPlaces& p) {
    return {eight(p.word), eight(p.next_word), eight(p.right), eight(p.left),
            _mm256_set1_epi32(p.mask)};
  }
  template <bool kCrosses>
  static __m256i fields(__m256i words, const Places& p) {
    const __m256i low = _mm256_srlv_epi32(_mm256_permutevar8x32_epi32(words, p.word), p.right);
    if constexpr (!kCrosses) return low;
    const __m256i high = _mm256_permutevar8x32_epi32(words, p.next_word);
    return _mm256_or_si256(low, _mm256_sllv_epi32(high, p.left));
  }
  template <bool kCrosses>
  static __m256i unpack_narrow(const std::uint8_t* codes, const Places& p) {
    const __m128i words = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes));
    return fields<kCrosses>(_mm256_castsi128_si256(words), p);
  }
  template <bool kCrosses>
  static __m256i unpack_wide(const std::uint8_t* codes, const Places& p) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    return _mm256_and_si256(fields<kCrosses>(words, p), p.mask);
  }
  static Floats to_floats(__m256i codes) { return _mm256_cvtepi32_ps(codes); }
  static Table table(const float* values, float scale, float zero) {
    return {multiply(all(scale), subtract(load(values), all(zero))),
            multiply(all(scale), subtract(load(values + 8), all(zero)))};
  }
  static Floats lookup(const Table& table, __m256i codes) {
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(table.low, codes),
                            _mm256_permutevar8x32_ps(table.high, codes),
                            _mm256_castsi256_ps(_mm256_slli_epi32(codes, 28)));
  }
  static Floats int8(const std::uint8_t* codes) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
  }
  // Exponent and fraction of E4M3 are those of a half 2^8 times as small; so are the subnormals'.
  static Floats e4m3(const std::uint8_t* codes) {
    const __m128i bytes =
        _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes)));
    const __m128i size = _mm_and_si128(bytes, _mm_set1_epi16(0x7F));
    const __m128i sign = _mm_and_si128(_mm_slli_epi16(bytes, 8), _mm_set1_epi16(-0x8000));
    const __m256 value =
        _mm256_mul_ps(_mm256_cvtph_ps(_mm_or_si128(_mm_slli_epi16(size, 7), sign)), all(256));
    const __m256i is_nan = _mm256_cvtepi16_epi32(_mm_cmpeq_epi16(size, _mm_set1_epi16(0x7F)));
    return _mm256_or_ps(value, _mm256_and_ps(_mm256_castsi256_ps(is_nan), all(__builtin_nanf(""))));
  }

  template <FloatType kType>
  static void store(std::uint8_t* to, Floats values) {
    if constexpr (kType == FloatType::kFloat32) {
      _mm256_storeu_ps(reinterpret_cast<float*>(to), values);
    } else if constexpr (kType == FloatType::kFloat16) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                       _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
    } else {
      const __m256i bits = _mm256_castps_si256(values);
      const __m256i upper = _mm256_srli_epi32(bits, 16);
      const __m256i half = _mm256_add_epi32(_mm256_and_si256(upper, _mm256_set1_epi32(1)),
                                            _mm256_set1_epi32(0x7FFF));
      const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
      const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
      const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(values, values, _CMP_UNORD_Q));
      const __m256i chosen = _mm256_blendv_epi8(rounded, quiet, is_nan);
      const __m128i packed =
          _mm_packus_epi32(_mm256_castsi256_si128(chosen), _mm256_extracti128_si256(chosen, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), packed);
    }
  }
};

/// In 16 bits, whose products and sums of two are exact in 32.
struct Avx2Int8 {
  static constexpr unsigned kStep = 16;
  static constexpr unsigned kRows = 2;
  static constexpr std::int32_t kOffset = 0;
  using Codes = __m256i;
  using Sums = __m256i;

  static Sums no_sums() { return _mm256_setzero_si256(); }
  static Codes load_tokens(const std::int8_t* codes) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  }
  static Codes load_rows(const std::int8_t* codes) { return load_tokens(codes); }
  static Sums add_products(Sums sums, Codes x, Codes w) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(x, w));
  }
  static std::int32_t sum(Sums sums) {
    const __m128i four =
        _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
  }
};

}  // namespace

void multiply_int8_avx2(const Int8Tokens& x, const Int8Rows& matrix, RowRange rows, float* out,
                        std::int64_t stride) {
  multiply_int8_with<Avx2Int8>(x, matrix, rows, out, stride);
}

const Kernels kAvx2Kernels = {"AVX2", dequantize_with<Avx2>, multiply_with<Avx2>,
                              multiply_int8_avx2};

}  // namespace assay_torch
