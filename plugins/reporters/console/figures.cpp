#include "figures.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace console {
namespace {

constexpr int kMaxDecimals = 6;

std::string printed(const char* format, int digits, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, digits, value);
  return text;
}

/// Decimals that show `digits` significant digits of the value.
int decimals_for(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return 0;
  return digits - 1 - static_cast<int>(std::floor(std::log10(std::abs(value))));
}

std::string fixed(double value, int decimals) {
  std::string text = printed("%.*f", std::clamp(decimals, 0, kMaxDecimals), value);
  const bool is_zero = text.find_first_of("123456789") == std::string::npos;
  return is_zero && text.front() == '-' ? text.substr(1) : text;
}

bool is_extreme(double value) {
  const double size = std::abs(value);
  return size != 0 && (size >= 1e7 || size < 1e-4);
}

std::string with_sign(std::string text, double value) { return value > 0 ? "+" + text : text; }

}  // namespace

std::string significant(double value, int digits) {
  if (std::isnan(value)) return kNothing;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (is_extreme(value)) return printed("%.*e", digits - 1, value);
  return fixed(value, decimals_for(value, digits));
}

std::string share(double value) {
  const double size = std::abs(value);
  return size == 0 || (size >= 0.1 && size < 10) ? fixed(value, 3) : significant(value, 3);
}

std::string with_error(double value, double std_error) {
  if (!std::isfinite(std_error) || !std::isfinite(value)) return significant(value, 4);
  if (is_extreme(value) || is_extreme(std_error)) {
    return significant(value, 4) + " ± " + significant(std_error, 2);
  }
  const int decimals = std::max(decimals_for(std_error, 2), decimals_for(value, 3));
  return fixed(value, decimals) + " ± " + fixed(std_error, decimals);
}

std::string change(double delta, double std_error) {
  if (!std::isfinite(delta)) return significant(delta, 3);
  if (!std::isfinite(std_error) || is_extreme(delta) || is_extreme(std_error)) {
    const std::string text = with_sign(significant(delta, 3), delta);
    return std::isfinite(std_error) ? text + " ± " + significant(std_error, 2) : text;
  }
  const int decimals = std_error == 0 ? decimals_for(delta, 3) : decimals_for(std_error, 2);
  return with_sign(fixed(delta, decimals), delta) + " ± " + fixed(std_error, decimals);
}

std::string percent(double ratio) {
  if (!std::isfinite(ratio)) return kNothing;
  const double value = ratio * 100;
  const double size = std::abs(value);
  return (size >= 1e7 ? significant(value, 3) : fixed(value, size < 999.95 ? 1 : 0)) + " %";
}

std::string signed_percent(double ratio) {
  if (!std::isfinite(ratio)) return kNothing;
  const double value = ratio * 100;
  const std::string text = std::abs(value) < 0.995 ? fixed(value, 2) + " %" : percent(ratio);
  return with_sign(text, ratio);
}

std::string seconds(double value) {
  if (!std::isfinite(value)) return kNothing;
  return fixed(value, value < 9.995 ? 2 : value < 999.95 ? 1 : 0);
}

}  // namespace console
