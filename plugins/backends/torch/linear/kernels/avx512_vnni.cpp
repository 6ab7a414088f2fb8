// The exact product of 8-bit codes in AVX-512 with VNNI, 64 at a time.
#include <immintrin.h>

#include "linear/kernels/int8_product.hpp"
#include "linear/kernels/sets.hpp"

namespace assay_torch {
namespace {

/// The instruction wants one factor unsigned: codes of tokens count from -128, and the rows' sums
/// take back what that adds. Sums of four products do not saturate.
struct Vnni {
  static constexpr unsigned kStep = 64;
  static constexpr unsigned kRows = 4;
  static constexpr std::int32_t kOffset = 128;
  using Codes = __m512i;
  using Sums = __m512i;

  static Sums no_sums() { return _mm512_setzero_si512(); }
  static Codes load_tokens(const std::int8_t* codes) {
    return _mm512_xor_si512(_mm512_loadu_si512(codes), _mm512_set1_epi8(-0x80));
  }
  static Codes load_rows(const std::int8_t* codes) { return _mm512_loadu_si512(codes); }
  static Sums add_products(Sums sums, Codes x, Codes w) { return _mm512_dpbusd_epi32(sums, x, w); }
  static std::int32_t sum(Sums sums) { return _mm512_reduce_add_epi32(sums); }
};

}  // namespace

void multiply_int8_vnni(const Int8Tokens& x, const Int8Rows& matrix, RowRange rows, float* out,
                        std::int64_t stride) {
  multiply_int8_with<Vnni>(x, matrix, rows, out, stride);
}

}  // namespace assay_torch
