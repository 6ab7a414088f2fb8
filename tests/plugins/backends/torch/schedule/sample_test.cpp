#include "schedule/sample.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

using ::testing::ElementsAre;

constexpr float kNever = -std::numeric_limits<float>::infinity();

assay_sampling at_temperature(float temperature, std::uint32_t top_k = 0, float top_p = 1) {
  assay_sampling sampling{};
  sampling.struct_size = sizeof sampling;
  sampling.temperature = temperature;
  sampling.top_k = top_k;
  sampling.top_p = top_p;
  return sampling;
}

/// Logits of these probabilities, up to a constant.
std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (double p : probabilities) logits.push_back(static_cast<float>(std::log(p) + 3));
  return logits;
}

std::vector<std::int32_t> tokens_of(const std::vector<Candidate>& candidates) {
  std::vector<std::int32_t> tokens;
  for (const Candidate& candidate : candidates) tokens.push_back(candidate.token);
  return tokens;
}

// The first outputs of splitmix64.c with the states 0 and 1234567, shifted right by 11 bits; the
// second row is the one printed in its users' test vectors (Rosetta Code, "Pseudo-random numbers/
// Splitmix64").
TEST(Uniform, IsSplitMix64) {
  EXPECT_EQ(uniform(0, 0), static_cast<double>(0xE220A8397B1DCDAFU >> 11) * 0x1.0p-53);
  EXPECT_EQ(uniform(0, 1), static_cast<double>(0x6E789E6AA1B965F4U >> 11) * 0x1.0p-53);
  const std::uint64_t expected[] = {6457827717110365317U, 3203168211198807973U,
                                    9817491932198370423U, 4593380528125082431U,
                                    16408922859458223821U};
  for (std::uint64_t draw = 0; draw < 5; ++draw)
    EXPECT_EQ(uniform(1234567, draw), static_cast<double>(expected[draw] >> 11) * 0x1.0p-53);
}

TEST(Candidates, AreTheSoftmaxAtATemperature) {
  // At temperature 2 odds of 9 to 1 become 3 to 1.
  const auto got = candidates(logits_of({0.1, 0.9}), at_temperature(2));
  EXPECT_NEAR(got[0].probability, 0.25, 1e-7);  // float32 logits
  EXPECT_NEAR(got[1].probability, 0.75, 1e-7);
}

TEST(Candidates, OfTopKAreTheLargestAndWhatTiesWithTheLast) {
  const auto logits = logits_of({0.1, 0.4, 0.2, 0.2, 0.1});
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 1))), ElementsAre(1));
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 2))), ElementsAre(1, 2, 3));
  const auto three = candidates(logits, at_temperature(1, 3));
  EXPECT_THAT(tokens_of(three), ElementsAre(1, 2, 3));
  EXPECT_NEAR(three[0].probability, 0.5, 1e-7);
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 9))), ElementsAre(0, 1, 2, 3, 4));
}

TEST(Candidates, OfTopPIncludeTheOneThatReachesIt) {
  const auto logits = logits_of({0.05, 0.5, 0.15, 0.3});
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 0, 0.01F))), ElementsAre(1));
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 0, 0.49F))), ElementsAre(1));
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 0, 0.51F))), ElementsAre(1, 3));
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 0, 0.81F))), ElementsAre(1, 2, 3));
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 0, 0.96F))), ElementsAre(0, 1, 2, 3));
}

TEST(Candidates, OfTopPCountWhatTopKLeft) {
  // Of 0.5 and 0.3 the first is 0.625 of the whole.
  const auto logits = logits_of({0.05, 0.5, 0.15, 0.3});
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 2, 0.6F))), ElementsAre(1));
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 2, 0.65F))), ElementsAre(1, 3));
}

TEST(Candidates, OfTopPTakeTheLowerOfEqualIds) {
  const std::vector<float> logits(4, 1.5F);
  EXPECT_THAT(tokens_of(candidates(logits, at_temperature(1, 0, 0.4F))), ElementsAre(0, 1));
}

TEST(Candidates, LeaveOutWhatMayNotCome) {
  const auto got = candidates(std::vector<float>{kNever, 1, kNever, 1}, at_temperature(1, 3));
  EXPECT_THAT(tokens_of(got), ElementsAre(1, 3));
  EXPECT_EQ(got[0].probability, 0.5);
}

// transformers computes in float32.
TEST(Candidates, AreThoseOfTransformers) {
  const auto cases = nlohmann::json::parse(
      assay_torch_test::read_bytes(assay_torch_test::golden("sampling.json")));
  ASSERT_GT(cases.size(), 100U);
  for (const auto& each : cases) {
    const auto got =
        candidates(each["logits"].get<std::vector<float>>(),
                   at_temperature(each["temperature"].get<float>(),
                                  each["top_k"].get<std::uint32_t>(), each["top_p"].get<float>()));
    ASSERT_EQ(tokens_of(got), each["tokens"].get<std::vector<std::int32_t>>()) << each;
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i].probability, each["probabilities"][i].get<double>(), 1e-6) << each;
  }
}

TEST(NextToken, AtTemperatureZeroIsTheLargestAndTheLowestOfEquals) {
  EXPECT_EQ(next_token(std::vector<float>{1, 3, 2, 3}, at_temperature(0), 0), 1);
  EXPECT_EQ(next_token(std::vector<float>{kNever, kNever, -9}, at_temperature(0), 0), 2);
}

TEST(NextToken, IsTheFirstWhoseCumulatedProbabilityExceedsTheUniform) {
  // uniform(0, 0) = 0.8833 and uniform(0, 1) = 0.4315.
  const auto logits = logits_of({0.25, 0.25, 0.25, 0.25});
  EXPECT_EQ(next_token(logits, at_temperature(1), 0), 3);
  EXPECT_EQ(next_token(logits, at_temperature(1), 1), 1);
}

TEST(NextToken, OfATinyTemperatureIsTheGreedyOne) {
  const std::vector<float> logits = {1, 3, 2};
  for (std::uint64_t draw = 0; draw < 100; ++draw)
    EXPECT_EQ(next_token(logits, at_temperature(1e-38F), draw), 1);
}

// Pearson's chi-square with 5 degrees of freedom exceeds 20.5 once in 1000; the draws are fixed, so
// this cannot come and go. Seeds that count up, as a host would give them, and draws that count up.
TEST(NextToken, ComesAsOftenAsItsProbability) {
  const std::vector<double> probabilities = {0.3, 0.05, 0.25, 0.15, 0.05, 0.2};
  const auto logits = logits_of(probabilities);
  const int draws = 20000;
  for (const bool counts_seeds : {true, false}) {
    std::vector<int> counts(probabilities.size());
    assay_sampling sampling = at_temperature(1);
    for (std::uint64_t i = 0; i < draws; ++i) {
      sampling.seed = counts_seeds ? i : 42;
      ++counts[static_cast<std::size_t>(next_token(logits, sampling, counts_seeds ? 0 : i))];
    }
    double chi_square = 0;
    for (std::size_t token = 0; token < counts.size(); ++token) {
      const double expected = probabilities[token] * draws;
      chi_square += std::pow(counts[token] - expected, 2) / expected;
    }
    EXPECT_LT(chi_square, 20.5) << (counts_seeds ? "seeds" : "draws");
    EXPECT_GT(chi_square, 0.2) << "once in 1000 so close: not random";
  }
}

TEST(LogSumExp, NeitherOverflowsNorVanishes) {
  EXPECT_NEAR(log_sum_exp(std::vector<float>{1000, 1000}), 1000 + std::log(2.0), 1e-12);
  EXPECT_NEAR(log_sum_exp(std::vector<float>{-1000, kNever}), -1000, 1e-12);
}

}  // namespace
}  // namespace assay_torch
