// Round to nearest on a grid of integers: the grid of a group of weights, its codes, and the matrix
// they make. Which layers are rounded, and methods that choose codes otherwise, are elsewhere.
#pragma once

#include <cstdint>
#include <span>

#include "checkpoint/floats.hpp"
#include "quantize/matrix.hpp"

namespace assay_torch {

/// group_size 0 or less: one group per row. A row that group_size does not divide ends in a shorter
/// group.
struct GridSettings {
  int bits = 4;
  std::int64_t group_size = 128;
  bool symmetric = false;
  /// What the file keeps scales in: they are rounded to it before codes are chosen.
  FloatType scale_type = FloatType::kFloat32;

  bool operator==(const GridSettings&) const = default;
};

/// Weights of a group are scale * (code - zero).
struct Grid {
  float scale = 1;
  std::uint16_t zero = 0;
};

/// Asymmetric: the range is [min(w, 0), max(w, 0)], scale = range / (2^b - 1), zero = round(-min /
/// scale). Symmetric: scale = 2 max|w| / (2^b - 1), zero = 2^(b-1). A group of zeros gets the range
/// [-1, 1], and so does one whose scale the type of scales cannot hold.
///
/// Fails    ASSAY_INVALID_ARGUMENT a scale beyond the largest value of its type
/// Source   GPTQ's quant.py (IST-DASLab/gptq) with maxq = 2^b - 1
Grid grid_of(std::span<const float> group, const GridSettings& settings);

/// The nearest code, of two the even one.
std::uint16_t code_of(float weight, const Grid& grid, int bits);

float value_of(std::uint16_t code, const Grid& grid);

/// Columns that share a scale: the whole row where group_size says so or is larger.
std::int64_t group_width(std::int64_t columns, const GridSettings& settings);
std::int64_t groups_in_row(std::int64_t columns, const GridSettings& settings);

/// A matrix with room for codes, scales and zeros, its bits counted as grid_storage_bits.
///
/// Fails    ASSAY_INVALID_ARGUMENT bits outside 2..16
QuantizedMatrix empty_integer_matrix(std::int64_t rows, std::int64_t columns,
                                     const GridSettings& settings);

/// Rounds every group of a row.
///
/// Shapes   weights [rows, columns] row-major, finite
/// Fails    as grid_of and empty_integer_matrix
QuantizedMatrix rtn_quantize(std::span<const float> weights, std::int64_t rows,
                             std::int64_t columns, const GridSettings& settings);

/// Gives the bits that such a matrix takes on disk: the codes, a 16-bit scale per group and, when
/// asymmetric, a zero of `bits` bits per group.
///
/// Source   the layout of GPTQ and AWQ files: 4 bits in groups of 128 make 4.156 bits per weight
std::uint64_t grid_storage_bits(std::int64_t rows, std::int64_t columns,
                                const GridSettings& settings);

}  // namespace assay_torch
