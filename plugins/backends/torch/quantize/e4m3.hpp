// FP8 in the form E4M3 without infinities: values of codes, and codes of values.
#pragma once

#include <cstdint>

namespace assay_torch {

inline constexpr float kE4m3Largest = 448;

/// The value of a code; 0x7f and 0xff are NaN, 0x80 is -0.
///
/// Source   OCP 8-bit Floating Point Specification 1.0, table 1: bias 7, 4 exponent, 3 fraction
/// bits
float e4m3_value(std::uint8_t code);

/// The nearest code, of two the even one; beyond the largest value the largest, never NaN unless
/// the value is.
std::uint8_t e4m3_code(float value);

}  // namespace assay_torch
