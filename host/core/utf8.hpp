// Is a text UTF-8, and what to show when it is not. Knows bytes only; nothing of what they mean.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace assay::host {

/// Where the first byte stands that is no part of a well-formed character, or nothing.
///
/// Source   The Unicode Standard 15.0, table 3-7
std::optional<std::size_t> utf8_fault(std::string_view text);

/// The text with U+FFFD in place of each byte that is no part of a well-formed character.
std::string mended_utf8(std::string_view text);

}  // namespace assay::host
