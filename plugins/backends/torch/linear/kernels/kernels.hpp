// What linear layers compute with on the CPU: quantized matrices as plain pointers, and one table
// of functions for each instruction set, chosen when the program runs. No libtorch in it; which
// layer calls what is packed.hpp's and int8.hpp's.
#pragma once

#include <cstdint>

#include "quantize/matrix.hpp"

namespace assay_torch {

// Plain arrays, not std::array: rows.hpp says why.

/// Where the field of each of 16 codes lies in the 32-bit words that the first one begins, and how
/// far words are shifted to bring it down; the rest of a field may lie in the next word.
struct FieldPlaces {
  std::int32_t word[16] = {}, next_word[16] = {}, right[16] = {}, left[16] = {};
  std::int32_t mask = 0;
  bool crosses_words = false;
};

/// Fields of `bits` one behind the other, the lowest first.
FieldPlaces stream_places(int bits);

/// Two codes in a byte, the first in the high half.
FieldPlaces high_first_places();

/// A quantized matrix in memory. Columns of a group lie one behind the other.
///
/// Shapes   codes as in QuantizedMatrix, with 64 bytes behind them that may be read; scales, and
///          zeros of kInteger, one for each group (rows and groups as in QuantizedMatrix)
/// Owns     nothing
struct PackedRows {
  Form form = Form::kInteger;
  std::int64_t rows = 0, columns = 0;
  int bits = 4;
  FieldPlaces places = {};  ///< kInteger, kTable
  const std::uint8_t* codes = nullptr;
  std::int64_t row_bits = 0;  ///< from one row's first code to the next row's

  const void* scales = nullptr;
  FloatType scale_type = FloatType::kFloat32;
  const void* zeros = nullptr;  ///< null: every zero is `zero`
  bool has_wide_zeros = false;  ///< 16 bits each, not 8
  float zero = 0;

  std::int64_t groups = 1;                     ///< of a row; of kTable none, they go on over rows
  std::int64_t group_size = 0;                 ///< columns; kTable: weights
  const std::int32_t* group_begins = nullptr;  ///< [groups + 1] where groups differ in size
  std::int64_t rows_per_scale = 1;
  /// What codes of up to 4 bits stand for before the scale: kTable's values, or 0, 1, 2, ... of
  /// kInteger, again and again, so that bits above a field change nothing.
  float table[16] = {};
  bool is_per_127 = false;
};

/// Codes of signed weights.
///
/// Shapes   codes [rows, columns]; sums of each row's codes [rows]; scales [rows]
struct Int8Rows {
  std::int64_t columns = 0;
  const std::int8_t* codes = nullptr;
  const std::int32_t* sums = nullptr;
  const float* scales = nullptr;
  const float* bias = nullptr;  ///< [rows], or null
};

/// Codes of signed activations.
///
/// Shapes   codes [tokens, columns], scales [tokens]
struct Int8Tokens {
  std::int64_t tokens = 0;
  const std::int8_t* codes = nullptr;
  const float* scales = nullptr;
  float factor = 1;  ///< what each product of two scales is multiplied with
};

/// Rows of the matrix that a call is about.
struct RowRange {
  std::int64_t first = 0, count = 0;
};

/// Every function gives the same on every instruction set: `dequantize` and `multiply_int8` to the
/// bit, `multiply` up to the order of its sums. Calls beside each other are allowed.
struct Kernels {
  const char* name;

  /// The values that dequantize_rows() gives, rounded once to `type`, halves to even.
  ///
  /// Shapes   out [count, columns]
  void (*dequantize)(const PackedRows& matrix, RowRange rows, FloatType type, void* out);

  /// x W^T with these values, summed in float32.
  ///
  /// Shapes   x [tokens, columns], out [tokens, count]
  void (*multiply)(const PackedRows& matrix, RowRange rows, const float* x, std::int64_t tokens,
                   float* out);

  /// float(sum of the products of codes) * (token's scale * row's scale) * factor + bias, in this
  /// order; the sum is exact.
  ///
  /// Shapes   out: the value of token t and row n at t * stride + n, n from the matrix' row 0
  void (*multiply_int8)(const Int8Tokens& x, const Int8Rows& matrix, RowRange rows, float* out,
                        std::int64_t stride);
};

enum class InstructionSet { kPortable, kAvx2, kAvx512, kAvx512Vnni };

inline constexpr InstructionSet kInstructionSets[] = {
    InstructionSet::kPortable, InstructionSet::kAvx2, InstructionSet::kAvx512,
    InstructionSet::kAvx512Vnni};

/// "AVX-512".
const char* to_string(InstructionSet set);

/// Null where this machine, or the program as it was compiled, lacks the instructions; the portable
/// one never is.
const Kernels* kernels_for(InstructionSet set);

/// Of those that this machine has.
const Kernels& fastest_kernels();

/// This machine multiplies matrices of 8-bit integers in tiles (AMX), as libtorch's operators do.
bool has_int8_tiles();

}  // namespace assay_torch
