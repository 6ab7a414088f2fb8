#include "quantize/scaled.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

#include "quantize/e4m3.hpp"

namespace assay_torch {
namespace {

std::uint8_t byte_of(float code) {
  return std::bit_cast<std::uint8_t>(static_cast<std::int8_t>(code));
}

QuantizedMatrix empty_bytes(Form form, std::int64_t rows, std::int64_t columns) {
  QuantizedMatrix out;
  out.form = form;
  out.rows = rows;
  out.columns = columns;
  out.bits = 8;
  out.codes.resize(static_cast<std::size_t>(rows * columns));
  return out;
}

float absmax_of(std::span<const float> values) {
  float top = 0;
  for (const float value : values) top = std::max(top, std::fabs(value));
  return top;
}

/// Weights of nothing but zeros have no scale; any will do.
float scale_or_one(float scale) { return scale > 0 ? scale : 1; }

}  // namespace

QuantizedMatrix int8_quantize(std::span<const float> weights, std::int64_t rows,
                              std::int64_t columns, float threshold) {
  QuantizedMatrix out = empty_bytes(Form::kInt8, rows, columns);
  out.is_per_127 = true;
  out.activations = {.kind = ActivationRule::Kind::kInt8Outliers, .threshold = threshold};
  const auto width = static_cast<std::size_t>(columns);
  std::vector<float> half(width);
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
    for (std::size_t k = 0; k < width; ++k)
      half[k] = rounded(FloatType::kFloat16, weights[row * width + k]);
    const float top = absmax_of(half);
    const float steps = 1 / scale_or_one(top) * 127.0F;  // two roundings, as the tool has it
    for (std::size_t k = 0; k < width; ++k)
      out.codes[row * width + k] = byte_of(std::nearbyintf(half[k] * steps));
    out.scales.push_back(top);
  }
  out.stored_bits = 8 * weights.size() + 32 * out.scales.size();
  return out;
}

QuantizedMatrix w8a8_quantize(std::span<const float> weights, std::int64_t rows,
                              std::int64_t columns, FloatType scale_type) {
  QuantizedMatrix out = empty_bytes(Form::kInt8, rows, columns);
  out.scale_type = scale_type;
  out.activations = {.kind = ActivationRule::Kind::kInt8PerToken};
  const auto width = static_cast<std::size_t>(columns);
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
    const auto values = weights.subspan(row * width, width);
    const float scale = scale_or_one(rounded(scale_type, absmax_of(values) / 127.5F));
    for (std::size_t k = 0; k < width; ++k) {
      const float code = std::nearbyintf(values[k] / scale);
      out.codes[row * width + k] = byte_of(std::clamp(code, -128.0F, 127.0F));
    }
    out.scales.push_back(scale);
  }
  out.stored_bits = 8 * weights.size() + 8 * size_bytes(scale_type) * out.scales.size();
  return out;
}

QuantizedMatrix fp8_quantize(std::span<const float> weights, std::int64_t rows,
                             std::int64_t columns, Fp8Scope scope, FloatType scale_type) {
  QuantizedMatrix out = empty_bytes(Form::kFp8, rows, columns);
  const bool is_block = scope == Fp8Scope::kBlock;
  out.scale_type = is_block ? FloatType::kFloat32 : scale_type;
  out.activations = {.kind = ActivationRule::Kind::kFp8PerToken,
                     .group_size = is_block ? kFp8Block : 0};
  const std::int64_t height = is_block ? kFp8Block : scope == Fp8Scope::kChannel ? 1 : rows;
  const std::int64_t width = is_block ? kFp8Block : columns;
  out.block_rows = scope == Fp8Scope::kTensor ? 0 : height;
  out.block_columns = is_block ? kFp8Block : 0;
  for (std::int64_t top = 0; top < rows; top += height) {
    for (std::int64_t left = 0; left < columns; left += width) {
      const std::int64_t bottom = std::min(top + height, rows);
      const auto right = static_cast<std::size_t>(std::min(width, columns - left));
      const auto part = [&](std::int64_t row) {
        return weights.subspan(static_cast<std::size_t>(row * columns + left), right);
      };
      float absmax = 0;
      for (std::int64_t row = top; row < bottom; ++row)
        absmax = std::max(absmax, absmax_of(part(row)));
      const float scale = scale_or_one(rounded(out.scale_type, absmax / kE4m3Largest));
      out.scales.push_back(scale);
      for (std::int64_t row = top; row < bottom; ++row) {
        const auto values = part(row);
        const auto at = static_cast<std::size_t>(row * columns + left);
        for (std::size_t k = 0; k < right; ++k) out.codes[at + k] = e4m3_code(values[k] / scale);
      }
    }
  }
  out.stored_bits = 8 * weights.size() + 8 * size_bytes(out.scale_type) * out.scales.size();
  return out;
}

}  // namespace assay_torch
