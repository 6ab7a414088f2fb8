#include "host/stats/estimate.hpp"

#include <cmath>
#include <limits>
#include <numeric>

namespace assay::host {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> differences(std::span<const double> a, std::span<const double> b) {
  std::vector<double> all(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) all[i] = b[i] - a[i];
  return all;
}

double squared_deviations(std::span<const double> values, double centre) {
  return std::accumulate(values.begin(), values.end(), 0.0, [centre](double total, double value) {
    return total + (value - centre) * (value - centre);
  });
}

}  // namespace

Estimate mean_of(std::span<const double> values) {
  std::vector<double> known;
  known.reserve(values.size());
  for (const double value : values) {
    if (!std::isnan(value)) known.push_back(value);
  }
  if (known.empty()) return {kUnknown, kUnknown, 0};
  const double centre = mean(known);
  const auto n = static_cast<double>(known.size());
  const double error =
      known.size() < 2 ? kUnknown : std::sqrt(squared_deviations(known, centre) / (n - 1) / n);
  return {centre, error, known.size()};
}

Estimate paired_difference(std::span<const double> a, std::span<const double> b) {
  return mean_of(differences(a, b));
}

std::uint64_t block_of(std::uint64_t row, std::uint64_t n_rows, std::uint64_t n_blocks) {
  return row * n_blocks / n_rows;
}

double jackknife_error(std::span<const double> left_out) {
  if (left_out.size() < 2) return kUnknown;
  const auto blocks = static_cast<double>(left_out.size());
  return std::sqrt((blocks - 1) / blocks * squared_deviations(left_out, mean(left_out)));
}

double jackknife_error(std::span<const double> a, std::span<const double> b) {
  return jackknife_error(differences(a, b));
}

double retained(double baseline, double candidate, bool less_is_better) {
  const double divisor = less_is_better ? candidate : baseline;
  const double dividend = less_is_better ? baseline : candidate;
  if (divisor == 0 || !std::isfinite(divisor) || !std::isfinite(dividend)) return kUnknown;
  return dividend / divisor;
}

}  // namespace assay::host
