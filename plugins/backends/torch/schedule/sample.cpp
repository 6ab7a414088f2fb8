#include "schedule/sample.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace assay_torch {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

float kth_largest(std::span<const float> logits, std::uint32_t k) {
  std::vector<float> sorted(logits.begin(), logits.end());
  const auto kth = sorted.begin() + (k - 1);
  std::nth_element(sorted.begin(), kth, sorted.end(), std::greater<>());
  return *kth;
}

void keep_top_p(std::vector<Candidate>& kept, double total, double top_p) {
  const auto comes_later = [](const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability < b.probability : a.token > b.token;
  };
  std::make_heap(kept.begin(), kept.end(), comes_later);
  double reached = 0;
  auto rest = kept.end();
  while (rest != kept.begin() && reached < top_p * total) {
    std::pop_heap(kept.begin(), rest, comes_later);
    reached += (--rest)->probability;
  }
  kept.erase(kept.begin(), rest);
  std::ranges::sort(kept, {}, &Candidate::token);
}

double sum(const std::vector<Candidate>& kept) {
  double total = 0;
  for (const Candidate& candidate : kept) total += candidate.probability;
  return total;
}

}  // namespace

double uniform(std::uint64_t seed, std::uint64_t draw) {
  std::uint64_t z = seed + (draw + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1.0p-53;
}

std::vector<Candidate> candidates(std::span<const float> logits, const assay_sampling& sampling) {
  const float largest = *std::ranges::max_element(logits);
  const bool is_cut = sampling.top_k > 0 && sampling.top_k < logits.size();
  const float least = is_cut ? kth_largest(logits, sampling.top_k) : kNever;
  std::vector<Candidate> kept;
  for (std::size_t token = 0; token < logits.size(); ++token) {
    if (logits[token] < least || logits[token] == kNever) continue;
    const double distance = static_cast<double>(logits[token]) - static_cast<double>(largest);
    kept.push_back({static_cast<std::int32_t>(token),
                    std::exp(distance / static_cast<double>(sampling.temperature))});
  }
  double total = sum(kept);
  if (sampling.top_p < 1) {
    keep_top_p(kept, total, static_cast<double>(sampling.top_p));
    total = sum(kept);
  }
  for (Candidate& candidate : kept) candidate.probability /= total;
  return kept;
}

std::int32_t next_token(std::span<const float> logits, const assay_sampling& sampling,
                        std::uint64_t draw) {
  if (sampling.temperature == 0)
    return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
  const double target = uniform(sampling.seed, draw);
  double reached = 0;
  std::int32_t token = 0;
  for (const Candidate& candidate : candidates(logits, sampling)) {
    if (candidate.probability > 0) token = candidate.token;
    reached += candidate.probability;
    if (reached > target) break;
  }
  return token;
}

double log_sum_exp(std::span<const float> logits) {
  const auto largest = static_cast<double>(*std::ranges::max_element(logits));
  double total = 0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(total);
}

}  // namespace assay_torch
