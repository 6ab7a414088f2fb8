// One weight matrix in a quantized form: what every file layout is read into and written from, what
// every method makes, and what packed layers compute with. Files, methods and kernels are others'.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "checkpoint/floats.hpp"

namespace assay_torch {

enum class Form {
  kInteger,  ///< scale * (code - zero); columns of a row share both in groups
  kTable,    ///< table[code] * absmax; neighbours of the flat matrix share it: NF4, FP4
  kInt8,     ///< signed codes, a scale for each row: LLM.int8, W8A8
  kFp8       ///< E4M3 codes, a scale for each block of rows and columns
};

/// What happens to the activations in front of the matrix.
struct ActivationRule {
  enum class Kind {
    kNone,
    kInt8PerToken,  ///< codes of -128..127, scale = absmax of the token / 127.5
    kInt8Outliers,  ///< LLM.int8: columns with an entry of `threshold` or more stay as they are
    kFp8PerToken,   ///< E4M3, scale = absmax of the token / 448
    kFp8PerTensor   ///< E4M3, the scale given
  };
  Kind kind = Kind::kNone;
  float threshold = 6;  ///< kInt8Outliers; infinite: none stays
  float scale = 1;      ///< kFp8PerTensor
  /// kFp8PerToken: neighbours within a token that share a scale; 0: all.
  std::int64_t group_size = 0;

  bool operator==(const ActivationRule&) const = default;
};

/// Block scales that were themselves quantized, as bitsandbytes stores them; `scales` of the matrix
/// hold what they stand for.
struct NestedScales {
  std::vector<std::uint8_t> codes;  ///< one for each block
  std::vector<float> absmax;        ///< one for each 256 of them
  float offset = 0;
};

/// Shapes   codes: kInteger rows of whole 32-bit little-endian words, each row one stream of
///          `bits`-wide fields, lowest first; kTable two to a byte, the first in the high half,
///          over the flat matrix; kInt8 and kFp8 one byte each, [rows, columns]. scales: kInteger
///          [rows, groups]; kTable [blocks]; kInt8 [rows]; kFp8 [block rows, block columns]. zeros
///          [rows, groups], kInteger only
struct QuantizedMatrix {
  Form form = Form::kInteger;
  std::int64_t rows = 0, columns = 0;
  int bits = 4;
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  FloatType scale_type = FloatType::kFloat32;  ///< holds every scale exactly

  std::int64_t group_size = 0;         ///< kInteger: columns; kTable: weights
  std::vector<std::uint16_t> zeros;    ///< kInteger
  std::vector<std::int32_t> group_of;  ///< kInteger [columns]; empty: column / group_size
  std::array<float, 16> table{};       ///< kTable
  std::optional<NestedScales> nested;  ///< kTable
  /// kInt8: weights are code * scale, or (code * scale) * fp32(1/127), each product rounded.
  bool is_per_127 = false;
  std::int64_t block_rows = 0, block_columns = 0;  ///< kFp8; 0: all
  ActivationRule activations;

  std::uint64_t stored_bits = 0;  ///< what the file takes for it, scales and zeros included
};

/// 32-bit words that one row of codes takes.
std::int64_t words_per_row(std::int64_t columns, int bits);

/// kInteger: groups in a row.
std::int64_t groups_per_row(const QuantizedMatrix& matrix);

/// kInteger: every zero is 2^(bits - 1), so that a file need not hold them.
bool is_symmetric(const QuantizedMatrix& matrix);

/// Whether rows can be taken one by one: no block of kTable crosses from one into the next.
bool has_whole_rows(const QuantizedMatrix& matrix);

/// The matrix of the rows named, in that order. Nested scales become plain ones, and block rows of
/// kFp8 single ones; stored_bits stay those of the file.
///
/// Fails    ASSAY_INTERNAL not has_whole_rows
QuantizedMatrix take_rows(const QuantizedMatrix& matrix, std::span<const std::int64_t> rows);

/// The codes of one row, or of a part of it.
///
/// Shapes   out: as many as it takes, from column `first` on
void read_codes(const QuantizedMatrix& matrix, std::int64_t row, std::int64_t first,
                std::span<std::uint16_t> out);

/// Packs one row of codes, the inverse of read_codes.
void write_codes(QuantizedMatrix& matrix, std::int64_t row, std::span<const std::uint16_t> codes);

/// The values of some rows, as the tool that made the form computes them in float32: every product
/// rounded, nothing contracted.
///
/// Shapes   out [count, columns]
void dequantize_rows(const QuantizedMatrix& matrix, std::int64_t first, std::int64_t count,
                     std::span<float> out);

void dequantize(const QuantizedMatrix& matrix, std::span<float> out);

}  // namespace assay_torch
