// The kernels in AVX-512 (F, BW, DQ, VL), 16 values at a time.
#include <immintrin.h>

#include "linear/kernels/rows.hpp"
#include "linear/kernels/sets.hpp"

namespace assay_torch {
namespace {

struct Avx512 {
  static constexpr unsigned kWidth = 16;
  static constexpr unsigned kRows = 4;
  using Floats = __m512;
  using Table = __m512;
  struct Places {
    __m512i word, next_word, right, left, mask;
  };

  static Floats all(float value) { return _mm512_set1_ps(value); }
  static Floats load(const float* values) { return _mm512_loadu_ps(values); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats add_product(Floats sum, Floats a, Floats b) { return _mm512_fmadd_ps(a, b, sum); }
  static float sum(Floats values) { return _mm512_reduce_add_ps(values); }

  static Places places(const FieldPlaces& p) {
    return {_mm512_loadu_si512(p.word), _mm512_loadu_si512(p.next_word),
            _mm512_loadu_si512(p.right), _mm512_loadu_si512(p.left), _mm512_set1_epi32(p.mask)};
  }
  template <bool kCrosses>
  static __m512i fields(__m512i words, const Places& p) {
    const __m512i low = _mm512_srlv_epi32(_mm512_permutexvar_epi32(p.word, words), p.right);
    if constexpr (!kCrosses) return low;
    const __m512i high = _mm512_permutexvar_epi32(p.next_word, words);
    return _mm512_or_si512(low, _mm512_sllv_epi32(high, p.left));
  }
  template <bool kCrosses>
  static __m512i unpack_narrow(const std::uint8_t* codes, const Places& p) {
    const __m128i words = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes));
    return fields<kCrosses>(_mm512_castsi128_si512(words), p);
  }
  template <bool kCrosses>
  static __m512i unpack_wide(const std::uint8_t* codes, const Places& p) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    return _mm512_and_si512(fields<kCrosses>(_mm512_castsi256_si512(words), p), p.mask);
  }
  static Floats to_floats(__m512i codes) { return _mm512_cvtepi32_ps(codes); }
  static Table table(const float* values, float scale, float zero) {
    return multiply(all(scale), subtract(load(values), all(zero)));
  }
  static Floats lookup(const Table& table, __m512i codes) {
    return _mm512_permutexvar_ps(codes, table);
  }
  static Floats int8(const std::uint8_t* codes) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
  }
  // Exponent and fraction of E4M3 are those of a half 2^8 times as small; so are the subnormals'.
  static Floats e4m3(const std::uint8_t* codes) {
    const __m256i bytes =
        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
    const __m256i size = _mm256_and_si256(bytes, _mm256_set1_epi16(0x7F));
    const __m256i sign = _mm256_and_si256(_mm256_slli_epi16(bytes, 8), _mm256_set1_epi16(-0x8000));
    const __m512 value =
        _mm512_mul_ps(_mm512_cvtph_ps(_mm256_or_si256(_mm256_slli_epi16(size, 7), sign)), all(256));
    const __mmask16 is_nan = _mm256_cmpeq_epi16_mask(size, _mm256_set1_epi16(0x7F));
    return _mm512_mask_or_ps(value, is_nan, value, all(__builtin_nanf("")));
  }

  template <FloatType kType>
  static void store(std::uint8_t* to, Floats values) {
    if constexpr (kType == FloatType::kFloat32) {
      _mm512_storeu_ps(to, values);
    } else if constexpr (kType == FloatType::kFloat16) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                          _mm512_maskz_cvtps_ph(0xFFFF, values, _MM_FROUND_TO_NEAREST_INT));
    } else {
      // The machine's own conversion would make zeros of subnormal values.
      const __m512i bits = _mm512_castps_si512(values);
      const __m512i upper = _mm512_srli_epi32(bits, 16);
      const __m512i half = _mm512_add_epi32(_mm512_and_si512(upper, _mm512_set1_epi32(1)),
                                            _mm512_set1_epi32(0x7FFF));
      __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
      const __mmask16 is_nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
      rounded = _mm512_mask_or_epi32(rounded, is_nan, upper, _mm512_set1_epi32(0x40));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(rounded));
    }
  }
};

}  // namespace

const Kernels kAvx512Kernels = {"AVX-512", dequantize_with<Avx512>, multiply_with<Avx512>,
                                multiply_int8_avx2};

}  // namespace assay_torch
