// Round to nearest: the grid of one weight matrix, its codes, and the values they stand for. Which
// layers are rounded, and what the rounded values are used for, is decided elsewhere.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace assay_torch {

/// group_size 0 or less: one group per row. A row that group_size does not divide ends in a shorter
/// group.
struct RtnSettings {
  int bits = 4;
  std::int64_t group_size = 128;
  bool symmetric = false;
};

/// Shapes   codes [rows, columns]; scales, zeros [rows, groups]; all row-major
struct RtnCodes {
  std::vector<std::uint16_t> codes;
  std::vector<float> scales;
  std::vector<std::uint16_t> zeros;
  std::int64_t groups = 0;
};

std::int64_t rtn_groups_per_row(std::int64_t columns, const RtnSettings& settings);

/// Rounds each group of a row to 2^bits levels: w ~ scale * (code - zero).
///
/// Asymmetric: the range is [min(w, 0), max(w, 0)], scale = range / (2^b - 1), zero = round(-min /
/// scale). Symmetric: scale = 2 max|w| / (2^b - 1), zero = 2^(b-1). A group of zeros gets the range
/// [-1, 1]. Ties go to the even code.
///
/// Shapes   weights [rows, columns] row-major, finite
/// Fails    ASSAY_INVALID_ARGUMENT bits outside 2..16
/// Source   GPTQ's quant.py (IST-DASLab/gptq) with maxq = 2^b - 1, per group
RtnCodes rtn_quantize(std::span<const float> weights, std::int64_t rows, std::int64_t columns,
                      const RtnSettings& settings);

/// Writes scale * (code - zero), one float32 product per weight.
///
/// Shapes   out [rows, columns]
void rtn_dequantize(const RtnCodes& codes, std::int64_t rows, std::int64_t columns,
                    const RtnSettings& settings, std::span<float> out);

/// Gives the bits that such a matrix takes on disk: the codes, a 16-bit scale per group and, when
/// asymmetric, a zero of `bits` bits per group.
///
/// Source   the layout of GPTQ and AWQ files: 4 bits in groups of 128 make 4.156 bits per weight
std::uint64_t rtn_storage_bits(std::int64_t rows, std::int64_t columns,
                               const RtnSettings& settings);

}  // namespace assay_torch
