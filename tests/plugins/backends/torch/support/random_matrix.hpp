// Quantized matrices of random codes for the tests of packed layers, the largest codes and scales
// of zero among them. Matrices that mean something are in the checkpoints of the shared data.
#pragma once

#include <cstdint>
#include <random>

#include "quantize/matrix.hpp"

namespace assay_torch_test {

struct MatrixShape {
  assay_torch::Form form = assay_torch::Form::kInteger;
  std::int64_t rows = 1, columns = 1;
  std::int64_t group_size = 128;  ///< kFp8: columns of a block
  int bits = 4;
};

inline assay_torch::QuantizedMatrix random_matrix(const MatrixShape& shape, std::uint32_t seed) {
  using assay_torch::Form;
  std::mt19937 draw(seed);
  const auto below = [&draw](std::uint32_t end) {
    return static_cast<std::uint32_t>(draw() % end);
  };
  assay_torch::QuantizedMatrix m;
  m.form = shape.form;
  m.rows = shape.rows;
  m.columns = shape.columns;
  m.bits = shape.form == Form::kInteger ? shape.bits : 8;
  const std::int64_t groups = (shape.columns + shape.group_size - 1) / shape.group_size;
  std::int64_t scales = shape.rows * groups;
  if (shape.form == Form::kInteger) {
    m.group_size = shape.group_size;
    m.codes.resize(static_cast<std::size_t>(
        shape.rows * assay_torch::words_per_row(shape.columns, shape.bits) * 4));
    std::vector<std::uint16_t> codes(static_cast<std::size_t>(shape.columns));
    for (std::int64_t row = 0; row < shape.rows; ++row) {
      for (std::uint16_t& code : codes)
        code =
            static_cast<std::uint16_t>(row == 1 ? (1U << shape.bits) - 1 : below(1U << shape.bits));
      write_codes(m, row, codes);
    }
    for (std::int64_t i = 0; i < scales; ++i)
      m.zeros.push_back(static_cast<std::uint16_t>(below(1U << shape.bits)));
  } else if (shape.form == Form::kTable) {
    m.group_size = shape.group_size;
    const std::int64_t values = shape.rows * shape.columns;
    scales = (values + shape.group_size - 1) / shape.group_size;
    for (std::int64_t i = 0; i < (values + 1) / 2; ++i)
      m.codes.push_back(static_cast<std::uint8_t>(below(256)));
    for (float& value : m.table) value = static_cast<float>(below(2001)) / 1000 - 1;
  } else {
    if (shape.form == Form::kInt8) scales = shape.rows;
    if (shape.form == Form::kFp8) {
      m.block_rows = 2;
      m.block_columns = shape.group_size;
      scales = (shape.rows + 1) / 2 * groups;
    }
    // -128 and +-448 are among them, 0x7f and 0xff (no numbers) are not.
    for (std::int64_t i = 0; i < shape.rows * shape.columns; ++i) {
      auto code = static_cast<std::uint8_t>(i % 5 == 0 ? 0x80 : below(256));
      if (shape.form == Form::kFp8 && (code & 0x7F) == 0x7F) --code;
      m.codes.push_back(code);
    }
  }
  for (std::int64_t i = 0; i < scales; ++i)
    m.scales.push_back(i % 7 == 3 ? 0.0F : static_cast<float>(1 + below(1000)) / 16384);
  m.stored_bits = m.codes.size() * 8 + m.scales.size() * 32 + m.zeros.size() * 8;
  return m;
}

}  // namespace assay_torch_test
