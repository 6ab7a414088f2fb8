// The floating-point formats that weights are stored and computed in: finiteness and conversion of
// runs of values. Bytes are little-endian and aligned to nothing; tensors and files are others'.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace assay_torch {

enum class FloatType { kFloat32, kBfloat16, kFloat16 };

/// "float32", "bfloat16", "float16".
const char* to_string(FloatType type);

std::size_t size_bytes(FloatType type);

/// The largest finite value.
float largest(FloatType type);

/// The format that a safetensors file calls F32, BF16 or F16; nothing for all else.
std::optional<FloatType> float_type_of(std::string_view dtype);

/// The index of the first NaN or infinity.
std::optional<std::size_t> find_non_finite(FloatType type, std::span<const std::byte> values);

/// Value `index` of the run, exactly; NaN and infinities too.
float value_at(FloatType type, std::span<const std::byte> values, std::size_t index);

/// The nearest value of the type, halves to even; beyond its largest an infinity.
float rounded(FloatType type, float value);

/// Converts values that are finite: exactly where `to` holds the value, else to the nearest, halves
/// to even; beyond the largest finite value of `to` to an infinity.
///
/// Shapes   in and out: as many values, in memory that does not overlap
/// Source   IEEE 754-2019 sections 3.4, 4.3.1; bfloat16 is the upper half of binary32
void convert(FloatType from, std::span<const std::byte> in, FloatType to, std::span<std::byte> out);

}  // namespace assay_torch
