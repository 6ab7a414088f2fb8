// Finds numbers as people write them in a text. Does no arithmetic and knows no units.
#pragma once

#include <optional>
#include <string_view>

namespace numeric {

/// Which of a text's numbers counts.
enum class Which { kFirst, kLast };

/// The first or last number of a text, if there is one. README.md says what a number is.
///
/// Source   defined here
std::optional<double> find_number(std::string_view text, Which which);

}  // namespace numeric
