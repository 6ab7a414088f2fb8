// Windows over a token stream: where each begins and ends, and which of its tokens it scores.
#pragma once

#include <cstdint>
#include <vector>

namespace assay::host {

/// Tokens [begin, end) are fed; [first, end) are scored. first > begin always.
struct Window {
  std::uint64_t begin = 0, end = 0, first = 0;
};

/// Windows of at most `window` tokens, starting every `stride` tokens, until the stream is covered.
/// Every token is scored once, in the first window that holds it, with the most context; the first
/// token of a window has none and is not scored there (with stride == window it is never scored).
///
/// Source   scoring.md 15.1 ("correct rule, independent of the framework")
std::vector<Window> windows_over(std::uint64_t n_tokens, std::uint64_t window,
                                 std::uint64_t stride);

}  // namespace assay::host
