#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "host/manifest/manifest.hpp"

namespace assay::host {
namespace {

constexpr std::size_t kMaxLength = 100;  // longer words are no slips of the pen

std::string lower(std::string_view text) {
  std::string small(text);
  for (char& letter : small) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return small;
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other.
///
/// Source   Damerau 1964; the restricted ("optimal string alignment") form
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t other = a[i - 1] == b[j - 1] ? 0 : 1;
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + other});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        now[j] = std::min(now[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

/// Is `word` what stands behind the last slash or dot: "bits" of "simulate.bits"?
bool is_last_part(std::string_view word, std::string_view name) {
  if (name.size() <= word.size() || !name.ends_with(word)) return false;
  const char before = name[name.size() - word.size() - 1];
  return before == '/' || before == '.';
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  if (word.empty() || word.size() > kMaxLength) return "";
  const std::string small = lower(word);
  std::string best;
  std::size_t best_distance = 0;
  for (const std::string& name : known) {
    if (name.size() > kMaxLength) continue;
    const std::string candidate = lower(name);
    const bool is_part = is_last_part(small, candidate);
    const std::size_t away = is_part ? 1 : distance(small, candidate);
    const std::size_t most = std::max<std::size_t>(1, std::max(word.size(), name.size()) / 3);
    if (away > most || away >= std::max(word.size(), name.size())) continue;
    if (best.empty() || away < best_distance) {
      best = name;
      best_distance = away;
    }
  }
  return best;
}

}  // namespace assay::host
