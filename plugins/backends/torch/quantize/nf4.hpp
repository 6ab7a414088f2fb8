// NF4: the 4-bit code book for normally distributed weights, its codes and the values they stand
// for. Double quantization of the block scales does not belong here.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

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

inline constexpr std::size_t kNf4Block = 64;

/// Shapes   codes: one per weight; absmax: one per block of 64
struct Nf4Codes {
  std::vector<std::uint8_t> codes;
  std::vector<float> absmax;
};

/// Gives each weight the nearest entry of kNf4 times its block's largest magnitude. Blocks are 64
/// neighbours of the flat row-major matrix, so one may cross rows; ties go to the lower code.
///
/// Source   bitsandbytes, quantize_4bit with blocksize 64
Nf4Codes nf4_quantize(std::span<const float> weights);

/// Writes kNf4[code] * absmax, one float32 product per weight.
void nf4_dequantize(const Nf4Codes& codes, std::span<float> out);

/// Gives the bits that such a matrix takes on disk: 4 per weight and a float32 per block.
std::uint64_t nf4_storage_bits(std::uint64_t weights);

}  // namespace assay_torch
