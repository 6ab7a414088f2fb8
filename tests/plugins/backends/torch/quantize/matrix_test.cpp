#include "quantize/matrix.hpp"

#include <gmock/gmock.h>

namespace assay_torch {
namespace {

using ::testing::ElementsAreArray;

/// What the rows of the whole are, taken one by one.
std::vector<float> rows_of(const QuantizedMatrix& matrix, std::span<const std::int64_t> rows) {
  const auto width = static_cast<std::size_t>(matrix.columns);
  std::vector<float> out(rows.size() * width);
  for (std::size_t i = 0; i < rows.size(); ++i)
    dequantize_rows(matrix, rows[i], 1, std::span(out).subspan(i * width, width));
  return out;
}

void expect_taken(const QuantizedMatrix& matrix) {
  const std::int64_t order[] = {2, 0, 3, 2};
  const QuantizedMatrix taken = take_rows(matrix, order);
  std::vector<float> values(static_cast<std::size_t>(taken.rows * taken.columns));
  dequantize(taken, values);
  EXPECT_THAT(values, ElementsAreArray(rows_of(matrix, order)));
}

QuantizedMatrix bytes(Form form, std::int64_t columns, std::vector<float> scales) {
  QuantizedMatrix out;
  out.form = form;
  out.rows = 4;
  out.columns = columns;
  out.bits = 8;
  for (std::int64_t i = 0; i < 4 * columns; ++i)
    out.codes.push_back(static_cast<std::uint8_t>(i * 37 % 127));
  out.scales = std::move(scales);
  return out;
}

TEST(MatrixRows, OfIntegersAreTaken) {
  QuantizedMatrix matrix;
  matrix.rows = 4;
  matrix.columns = 11;
  matrix.bits = 3;
  matrix.group_size = 6;
  matrix.scales = {1, 2, 3, 4, 5, 6, 7, 8};
  matrix.zeros = {0, 1, 2, 3, 4, 5, 6, 7};
  matrix.codes.resize(4 * 8);
  for (std::int64_t row = 0; row < 4; ++row) {
    std::vector<std::uint16_t> codes;
    for (std::int64_t k = 0; k < 11; ++k)
      codes.push_back(static_cast<std::uint16_t>((row + k) % 8));
    write_codes(matrix, row, codes);
  }
  expect_taken(matrix);
}

TEST(MatrixRows, OfBytesAndBlocksAreTaken) {
  expect_taken(bytes(Form::kInt8, 3, {1, 2, 3, 4}));
  expect_taken(bytes(Form::kFp8, 3, {2}));
  QuantizedMatrix rows = bytes(Form::kFp8, 3, {1, 2, 3, 4});
  rows.block_rows = 1;
  expect_taken(rows);
  QuantizedMatrix blocks = bytes(Form::kFp8, 5, {1, 2, 3, 4});
  blocks.block_rows = 3;
  blocks.block_columns = 4;
  expect_taken(blocks);
}

TEST(MatrixRows, OfTablesAreTakenWhereBlocksEndWithThem) {
  QuantizedMatrix matrix = bytes(Form::kTable, 2, {1, 2, 3, 4});
  matrix.columns = 4;
  matrix.bits = 4;
  matrix.group_size = 4;
  for (std::size_t i = 0; i < 16; ++i) matrix.table[i] = static_cast<float>(i);
  matrix.nested.emplace();
  EXPECT_TRUE(has_whole_rows(matrix));
  expect_taken(matrix);
  EXPECT_FALSE(take_rows(matrix, std::vector<std::int64_t>{0}).nested);
  matrix.group_size = 8;
  EXPECT_FALSE(has_whole_rows(matrix));
}

}  // namespace
}  // namespace assay_torch
