// From a row of logits to the next token: greedy or drawn. What ends a text, and which tokens may
// not come yet, is generate.hpp's.
#pragma once

#include <assay/abi.h>

#include <cstdint>
#include <span>
#include <vector>

namespace assay_torch {

/// A number in [0, 1) with 53 random bits, decided by the seed and the count of earlier draws
/// alone, the same on every platform.
///
/// Source   SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators"
///          (OOPSLA 2014); the constants of its reference code, splitmix64.c by Vigna
double uniform(std::uint64_t seed, std::uint64_t draw);

/// A token that may be drawn.
struct Candidate {
  std::int32_t token = 0;
  double probability = 0;
};

/// The distribution that tokens are drawn from, ids ascending, probabilities summing to 1: the
/// softmax of logits / temperature, cut to the top_k largest (tokens that tie with the last are
/// kept) and then, with what is left as the whole, to the fewest largest that reach top_p (of
/// equals the lower ids first). Tokens with a logit of -infinity are left out.
///
/// Shapes   logits [vocab], not all -infinity; sampling.temperature > 0
/// Source   temperature, top_k, top_p in this order, as transformers 5.23 does in
///          TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper; in float64
std::vector<Candidate> candidates(std::span<const float> logits, const assay_sampling& sampling);

/// The next token: at temperature 0 that of the largest logit, of equals the lowest id; otherwise
/// the first candidate whose cumulated probability exceeds uniform(seed, draw).
std::int32_t next_token(std::span<const float> logits, const assay_sampling& sampling,
                        std::uint64_t draw);

/// log of the sum of exp(logits), in float64.
double log_sum_exp(std::span<const float> logits);

}  // namespace assay_torch
