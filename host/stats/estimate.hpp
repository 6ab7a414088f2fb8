// Numbers from samples: means, paired differences, the jackknife. Knows nothing of metrics or
// files.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "host/core/result.hpp"

namespace assay::host {

/// A figure with its standard error; NaN where it is not known.
struct Estimate {
  double value = 0;
  double std_error = 0;
  std::uint64_t n = 0;
};

/// The mean of the values that are not NaN, its standard error sd / sqrt(n) with n - 1.
///
/// Source   measurement.md a.3
Estimate mean_of(std::span<const double> values);

/// The mean of b[i] - a[i] over pairs without NaN, and the standard error of that mean.
///
/// Shapes   a and b of equal length, paired by position
/// Source   measurement.md a.3
Estimate paired_difference(std::span<const double> a, std::span<const double> b);

/// How many blocks the jackknife leaves out, one at a time.
constexpr std::uint64_t kJackknifeBlocks = 20;

/// The block a row belongs to: contiguous, of nearly equal sizes.
std::uint64_t block_of(std::uint64_t row, std::uint64_t n_rows, std::uint64_t n_blocks);

/// The jackknife standard error of a figure, from its values with each of g parts (single items, or
/// blocks) left out: sqrt((g - 1) / g * sum (x_i - mean)^2). NaN for fewer than 2 parts or any NaN.
///
/// Source   Efron and Stein 1981, equation 1.3
double jackknife_error(std::span<const double> left_out);

/// That of the difference b - a of two figures, the same part left out of both.
///
/// Shapes   a and b of equal length, paired by position
double jackknife_error(std::span<const double> a, std::span<const double> b);

/// Candidate over baseline, so that 1 means nothing lost and less than 1 a loss, whichever way the
/// metric points. NaN where the quotient is undefined (a divisor of 0) or either is not finite.
double retained(double baseline, double candidate, bool less_is_better);

}  // namespace assay::host
