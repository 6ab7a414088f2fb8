#include "host/worker/stops.hpp"

#include <algorithm>

namespace assay::host {
namespace {

// Tokens in front of those that can hold a stop text: a character may be spread over several, and
// the first of a decoded stretch may lose its space.
constexpr std::size_t kMargin = 8;

}  // namespace

std::optional<std::size_t> first_stop(std::string_view text, std::span<const std::string> stops) {
  std::size_t first = std::string_view::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  if (first == std::string_view::npos) return std::nullopt;
  return first;
}

Result<bool> has_new_stop(const Tokenizer& tokenizer, std::span<const std::int32_t> tokens,
                          std::size_t n_new, std::span<const std::string> stops) {
  if (stops.empty()) return false;
  std::size_t longest = 0;
  for (const std::string& stop : stops) longest = std::max(longest, stop.size());
  const std::size_t n = std::min(tokens.size(), n_new + longest + kMargin);
  auto text = tokenizer.decode(tokens.last(n), /*skip_special=*/true);
  if (!text) return std::move(text).error();
  if (!first_stop(*text, stops)) return false;
  if (n == tokens.size()) return true;
  auto whole = tokenizer.decode(tokens, /*skip_special=*/true);
  if (!whole) return std::move(whole).error();
  return first_stop(*whole, stops).has_value();
}

}  // namespace assay::host
