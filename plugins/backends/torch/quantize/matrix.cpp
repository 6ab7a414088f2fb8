#include "quantize/matrix.hpp"

#include <algorithm>
#include <assay/error.hpp>
#include <bit>
#include <cstring>

#include "quantize/e4m3.hpp"

namespace assay_torch {
namespace {

// Written so that a compiler that contracts products and sums cannot: there is one product each.
constexpr float kPer127 = 7.874015718698502e-3F;

void integer_row(const QuantizedMatrix& matrix, std::int64_t row, std::span<std::uint16_t> codes,
                 std::span<float> out) {
  read_codes(matrix, row, 0, codes);
  const std::int64_t groups = groups_per_row(matrix);
  const float* scales = matrix.scales.data() + row * groups;
  const std::uint16_t* zeros = matrix.zeros.data() + row * groups;
  for (std::int64_t k = 0; k < matrix.columns; ++k) {
    const std::int64_t group = matrix.group_of.empty()
                                   ? k / matrix.group_size
                                   : matrix.group_of[static_cast<std::size_t>(k)];
    const int steps = int{codes[static_cast<std::size_t>(k)]} - int{zeros[group]};
    out[static_cast<std::size_t>(k)] = scales[group] * static_cast<float>(steps);
  }
}

void table_rows(const QuantizedMatrix& matrix, std::int64_t first, std::span<float> out) {
  const auto begin = static_cast<std::uint64_t>(first * matrix.columns);
  for (std::uint64_t i = 0; i < out.size(); ++i) {
    const std::uint64_t at = begin + i;
    const unsigned pair = matrix.codes[at / 2];
    const unsigned code = at % 2 == 0 ? pair >> 4 : pair & 15U;
    out[i] = matrix.table[code] * matrix.scales[at / static_cast<std::uint64_t>(matrix.group_size)];
  }
}

void int8_row(const QuantizedMatrix& matrix, std::int64_t row, std::span<float> out) {
  const float scale = matrix.scales[static_cast<std::size_t>(row)];
  const std::uint8_t* codes = matrix.codes.data() + row * matrix.columns;
  for (std::size_t k = 0; k < out.size(); ++k) {
    const auto code = static_cast<float>(std::bit_cast<std::int8_t>(codes[k]));
    out[k] = matrix.is_per_127 ? (code * scale) * kPer127 : code * scale;
  }
}

void fp8_row(const QuantizedMatrix& matrix, std::int64_t row, std::span<float> out) {
  const std::int64_t height = matrix.block_rows == 0 ? matrix.rows : matrix.block_rows;
  const std::int64_t width = matrix.block_columns == 0 ? matrix.columns : matrix.block_columns;
  const std::int64_t per_row = (matrix.columns + width - 1) / width;
  const float* scales = matrix.scales.data() + row / height * per_row;
  const std::uint8_t* codes = matrix.codes.data() + row * matrix.columns;
  for (std::int64_t k = 0; k < matrix.columns; ++k)
    out[static_cast<std::size_t>(k)] = e4m3_value(codes[k]) * scales[k / width];
}

/// Runs of `width` elements, one for each row.
template <class T>
std::vector<T> rows_of(const std::vector<T>& all, std::int64_t width,
                       std::span<const std::int64_t> rows) {
  std::vector<T> out;
  out.reserve(rows.size() * static_cast<std::size_t>(width));
  for (const std::int64_t row : rows)
    out.insert(out.end(), all.begin() + row * width, all.begin() + (row + 1) * width);
  return out;
}

/// Bytes of codes and count of scales of one row, whose block rows are single ones.
std::int64_t code_bytes_per_row(const QuantizedMatrix& matrix) {
  if (matrix.form == Form::kInteger) return words_per_row(matrix.columns, matrix.bits) * 4;
  return matrix.form == Form::kTable ? matrix.columns / 2 : matrix.columns;
}

std::int64_t scales_per_row(const QuantizedMatrix& matrix) {
  if (matrix.form == Form::kTable) return matrix.columns / matrix.group_size;
  return groups_per_row(matrix);
}

/// FP8 with scales for single rows.
std::vector<float> fp8_row_scales(const QuantizedMatrix& matrix) {
  const std::int64_t height = matrix.block_rows == 0 ? matrix.rows : matrix.block_rows;
  const std::int64_t width = matrix.block_columns == 0 ? matrix.columns : matrix.block_columns;
  std::vector<std::int64_t> block_row(static_cast<std::size_t>(matrix.rows));
  for (std::int64_t row = 0; row < matrix.rows; ++row)
    block_row[static_cast<std::size_t>(row)] = row / height;
  return rows_of(matrix.scales, (matrix.columns + width - 1) / width, block_row);
}

}  // namespace

std::int64_t words_per_row(std::int64_t columns, int bits) { return (columns * bits + 31) / 32; }

std::int64_t groups_per_row(const QuantizedMatrix& matrix) {
  return matrix.rows == 0 ? 0 : static_cast<std::int64_t>(matrix.scales.size()) / matrix.rows;
}

bool is_symmetric(const QuantizedMatrix& matrix) {
  return std::all_of(matrix.zeros.begin(), matrix.zeros.end(),
                     [&](std::uint16_t zero) { return zero == 1U << (matrix.bits - 1); });
}

bool has_whole_rows(const QuantizedMatrix& matrix) {
  return matrix.form != Form::kTable ||
         (matrix.columns % matrix.group_size == 0 && matrix.columns % 2 == 0);
}

QuantizedMatrix take_rows(const QuantizedMatrix& matrix, std::span<const std::int64_t> rows) {
  if (!has_whole_rows(matrix))
    throw assay::Error(ASSAY_INTERNAL, "rows were to be taken of a matrix whose blocks cross them");
  QuantizedMatrix out = matrix;
  out.rows = static_cast<std::int64_t>(rows.size());
  out.codes = rows_of(matrix.codes, code_bytes_per_row(matrix), rows);
  out.nested.reset();
  if (matrix.form == Form::kFp8) {
    out.scales = fp8_row_scales(matrix);
    out.block_rows = 1;
  }
  const auto per_row = matrix.form == Form::kFp8
                           ? static_cast<std::int64_t>(out.scales.size()) / matrix.rows
                           : scales_per_row(matrix);
  out.scales = rows_of(matrix.form == Form::kFp8 ? out.scales : matrix.scales, per_row, rows);
  if (!matrix.zeros.empty()) out.zeros = rows_of(matrix.zeros, per_row, rows);
  return out;
}

void read_codes(const QuantizedMatrix& matrix, std::int64_t row, std::int64_t first,
                std::span<std::uint16_t> out) {
  const std::uint8_t* bytes =
      matrix.codes.data() + row * words_per_row(matrix.columns, matrix.bits) * 4;
  const auto bits = static_cast<unsigned>(matrix.bits);
  const unsigned mask = (1U << bits) - 1;
  auto at = static_cast<std::uint64_t>(first) * bits;
  for (std::uint16_t& code : out) {
    // A field lies in up to three bytes, of which the later ones are there when they are needed.
    const std::uint64_t byte = at / 8;
    const unsigned shift = at % 8;
    unsigned field = unsigned{bytes[byte]} >> shift;
    if (shift + bits > 8) field |= unsigned{bytes[byte + 1]} << (8 - shift);
    if (shift + bits > 16) field |= unsigned{bytes[byte + 2]} << (16 - shift);
    code = static_cast<std::uint16_t>(field & mask);
    at += bits;
  }
}

void write_codes(QuantizedMatrix& matrix, std::int64_t row, std::span<const std::uint16_t> codes) {
  const std::int64_t row_bytes = words_per_row(matrix.columns, matrix.bits) * 4;
  std::uint8_t* bytes = matrix.codes.data() + row * row_bytes;
  std::memset(bytes, 0, static_cast<std::size_t>(row_bytes));
  const auto bits = static_cast<unsigned>(matrix.bits);
  std::uint64_t at = 0;
  for (const std::uint16_t code : codes) {
    const std::uint64_t byte = at / 8;
    const unsigned shift = at % 8;
    const unsigned field = unsigned{code} << shift;
    bytes[byte] = static_cast<std::uint8_t>(bytes[byte] | (field & 255U));
    if (shift + bits > 8) bytes[byte + 1] = static_cast<std::uint8_t>(field >> 8);
    if (shift + bits > 16) bytes[byte + 2] = static_cast<std::uint8_t>(field >> 16);
    at += bits;
  }
}

void dequantize_rows(const QuantizedMatrix& matrix, std::int64_t first, std::int64_t count,
                     std::span<float> out) {
  if (matrix.form == Form::kTable) return table_rows(matrix, first, out);
  const auto width = static_cast<std::size_t>(matrix.columns);
  std::vector<std::uint16_t> codes(matrix.form == Form::kInteger ? width : 0);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto row = out.subspan(static_cast<std::size_t>(i) * width, width);
    if (matrix.form == Form::kInteger) integer_row(matrix, first + i, codes, row);
    if (matrix.form == Form::kInt8) int8_row(matrix, first + i, row);
    if (matrix.form == Form::kFp8) fp8_row(matrix, first + i, row);
  }
}

void dequantize(const QuantizedMatrix& matrix, std::span<float> out) {
  dequantize_rows(matrix, 0, matrix.rows, out);
}

}  // namespace assay_torch
