// NF4 and FP4: weights as entries of a table of 16 values, their block scales plain or quantized a
// second time, as bitsandbytes has them. How files hold them is checkpoint/'s.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "quantize/matrix.hpp"

namespace assay_torch {

/// Source   QLoRA, arXiv 2305.14314, appendix E; the float32 values of bitsandbytes
inline constexpr std::array<float, 16> kNf4 = {-1.0F,
                                               -0.6961928009986877F,
                                               -0.5250730514526367F,
                                               -0.39491748809814453F,
                                               -0.28444138169288635F,
                                               -0.18477343022823334F,
                                               -0.09105003625154495F,
                                               0.0F,
                                               0.07958029955625534F,
                                               0.16093020141124725F,
                                               0.24611230194568634F,
                                               0.33791524171829224F,
                                               0.44070982933044434F,
                                               0.5626170039176941F,
                                               0.7229568362236023F,
                                               1.0F};

/// In the order of bitsandbytes' bit patterns; code 8 is +0 there.
inline constexpr std::array<float, 16> kFp4 = {
    0.0F, 0.0625F / 12,  8.0F / 12,  1.0F,  4.0F / 12,  6.0F / 12,  2.0F / 12,  3.0F / 12,
    0.0F, -0.0625F / 12, -8.0F / 12, -1.0F, -4.0F / 12, -6.0F / 12, -2.0F / 12, -3.0F / 12};

inline constexpr std::int64_t kTableBlock = 64;
inline constexpr std::int64_t kNestedBlock = 256;

/// The 256 values that block scales less their mean are coded with, ascending.
///
/// Source   bitsandbytes, create_dynamic_map with a sign and 7 bits of exponent
const std::array<float, 256>& dynamic_map();

/// Gives each weight the nearest entry of the table times its block's largest magnitude, of two the
/// lower code. Blocks are 64 neighbours of the flat row-major matrix, so one may cross rows. With
/// `is_nested` block scales are coded in blocks of 256, less their mean; the matrix holds what they
/// stand for.
///
/// Shapes   weights [rows, columns]
/// Source   bitsandbytes 0.50, quantize_4bit with blocksize 64 and compress_statistics
QuantizedMatrix table_quantize(const std::array<float, 16>& table, std::span<const float> weights,
                               std::int64_t rows, std::int64_t columns, bool is_nested);

}  // namespace assay_torch
