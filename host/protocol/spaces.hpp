// White space as Python's str.strip() knows it, so that prompts and answers are cut as other tools
// cut them.
#pragma once

#include <string_view>

namespace assay::host {

/// Without ASCII white space, U+001C..U+001F, U+0085, U+00A0 and the Unicode space separators at
/// its end, or at both ends.
///
/// Source   Python 3, str.rstrip and str.strip
std::string_view without_trailing_spaces(std::string_view text);
std::string_view without_spaces_around(std::string_view text);

}  // namespace assay::host
