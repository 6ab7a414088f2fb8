#include "host/protocol/windows.hpp"

#include <algorithm>

namespace assay::host {

std::vector<Window> windows_over(std::uint64_t n_tokens, std::uint64_t window,
                                 std::uint64_t stride) {
  std::vector<Window> windows;
  std::uint64_t scored_up_to = 0;
  for (std::uint64_t begin = 0; begin < n_tokens; begin += stride) {
    const std::uint64_t end = std::min(begin + window, n_tokens);
    windows.push_back({begin, end, std::max(scored_up_to, begin + 1)});
    scored_up_to = end;
    if (end == n_tokens) break;
  }
  return windows;
}

}  // namespace assay::host
