// Matrices of 8-bit codes times scales: LLM.int8, W8A8 and FP8. What happens to activations is
// computed in linear/.
#pragma once

#include <cstdint>
#include <span>

#include "quantize/matrix.hpp"
#include "quantize/settings.hpp"

namespace assay_torch {

/// Codes of -127..127 and the largest magnitude of each row, from weights rounded to float16 first.
///
/// Shapes   weights [rows, columns]
/// Source   bitsandbytes 0.50, int8_vectorwise_quant
QuantizedMatrix int8_quantize(std::span<const float> weights, std::int64_t rows,
                              std::int64_t columns, float threshold);

/// Codes of -128..127, a scale of absmax / 127.5 for each row, rounded to its type.
///
/// Source   compressed-tensors 0.19, calculate_qparams, symmetric
QuantizedMatrix w8a8_quantize(std::span<const float> weights, std::int64_t rows,
                              std::int64_t columns, FloatType scale_type);

/// E4M3 codes, a scale of absmax / 448 for all, each row, or each block of 128 by 128.
///
/// Source   compressed-tensors 0.19; DeepSeek-V3 for blocks
QuantizedMatrix fp8_quantize(std::span<const float> weights, std::int64_t rows,
                             std::int64_t columns, Fp8Scope scope, FloatType scale_type);

}  // namespace assay_torch
