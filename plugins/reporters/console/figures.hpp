// Numbers as text with as many digits as they deserve. Knows nothing of tables or runs.
#pragma once

#include <string>

namespace console {

/// What stands where there is no number.
constexpr const char* kNothing = "-";

/// `digits` significant digits; exponents beyond 10 million and below 0.0001. NaN: kNothing.
std::string significant(double value, int digits);

/// Three decimals for 0 and from 0.1 to 10, where shares and log-likelihoods lie, so that columns
/// of them align; three significant digits elsewhere.
std::string share(double value);

/// "13.64 ± 0.21": two significant digits of the error, at least three of the value. Without a
/// known error the value alone, with four.
std::string with_error(double value, double std_error);

/// As with_error, with the sign in front: "+0.382 ± 0.021".
std::string change(double delta, double std_error);

/// A ratio as percent: "97.2 %".
std::string percent(double ratio);

/// A relative change as percent: "+2.8 %", "+0.04 %".
std::string signed_percent(double ratio);

/// A duration with at most two decimals: "0.02", "41.2".
std::string seconds(double value);

}  // namespace console
