#include <gtest/gtest.h>

#include <cmath>

#include "tests/plugins/metrics/reference.hpp"
#include "tests/plugins/plugin_host.hpp"

namespace plugin_test {
namespace {

Json item(double loglikelihood, bool greedy) {
  return {{"loglikelihood", loglikelihood}, {"greedy", greedy}};
}

TEST(Likelihood, IsTheShareOfGreedyContinuationsAndExpOfTheMean) {
  const Measured m =
      measure("assay/likelihood", {item(-std::log(2.0), true), item(-std::log(8.0), false)});
  ASSERT_EQ(m.said.text, "");
  EXPECT_EQ(m.samples.at("acc"), (std::vector<double>{1, 0}));
  EXPECT_DOUBLE_EQ(m.totals.at("acc").value, 0.5);
  EXPECT_NEAR(m.samples.at("perplexity")[1], 8, 1e-14);    // exp(log 8), rounded twice
  EXPECT_NEAR(m.totals.at("perplexity").value, 4, 1e-14);  // exp((log 2 + log 8) / 2)
  // The mean's error is |log 8 - log 2| / 2 = log 2, times the perplexity.
  EXPECT_NEAR(m.totals.at("perplexity").std_error, 4 * std::log(2.0), 1e-14);
  EXPECT_EQ(m.totals.at("perplexity").n, 2u);
}

TEST(Likelihood, HasTheFiguresOfTheHarness) {
  // scoring.md 16, to eight digits: perplexity of [-1, -2, -3, -0.5]. Its squared deviations from
  // -1.625 sum to 3.6875, so the error is sqrt(3.6875 / 3 / 4) of the perplexity.
  const Measured m = measure("assay/likelihood",
                             {item(-1, true), item(-2, false), item(-3, false), item(-0.5, true)});
  EXPECT_NEAR(m.totals.at("perplexity").value, 5.0784190, 5e-8);
  EXPECT_NEAR(m.totals.at("perplexity").std_error, 5.0784190 * std::sqrt(3.6875 / 12), 5e-8);
}

TEST(Likelihood, AgreesWithEveryLambadaItemOfTheOracle) {
  for (const char* model : {"tinystories-656k", "random-llama-17m"}) {
    const std::string task = "reference/oracle/" + std::string(model) + "/lambada_openai-0shot";
    const std::string results = shared_file(task + ".results.json");
    if (results.empty()) GTEST_SKIP() << "needs the shared reference data (ASSAY_SHARED)";
    std::vector<Json> items;
    for (const Json& sample : gzipped_lines(task + ".samples.jsonl.gz")) {
      items.push_back(item(sample.at("ll").at(0), sample.at("greedy") == 1));
    }
    const Measured m = measure("assay/likelihood", items);
    ASSERT_EQ(m.said.text, "");
    const Json found = Json::parse(read_file(results));
    const Json& raw = found.at("results").at("lambada_openai");
    const double perplexity = raw.at("perplexity,none"), error = raw.at("perplexity_stderr,none");
    // Log-likelihoods are stored with seven decimals, so their mean is good to 5e-8 nats.
    EXPECT_NEAR(m.totals.at("perplexity").value, perplexity, perplexity * 1e-7);
    // The harness draws its error by bootstrap; ours is of first order: they differ by about half
    // the square of the relative error (0.44 for the second model), and by chance.
    const double relative = error / perplexity;
    EXPECT_NEAR(m.totals.at("perplexity").std_error / perplexity, relative, relative * relative);
    EXPECT_DOUBLE_EQ(m.totals.at("acc").value, raw.at("acc,none").get<double>());
  }
}

TEST(Likelihood, OfCertainContinuationsIsOne) {
  const Measured m = measure("assay/likelihood", std::vector<Json>(3, item(0, true)));
  EXPECT_EQ(m.totals.at("perplexity").value, 1);
  EXPECT_EQ(m.totals.at("perplexity").std_error, 0);
}

TEST(Likelihood, DoesNotDependOnHowItemsAreSplitIntoBatches) {
  std::vector<Json> items;
  for (int i = 1; i < 50; ++i) items.push_back(item(-0.37 * i, i % 3 == 0));
  const Measured whole = measure("assay/likelihood", items, 100);
  const Measured split = measure("assay/likelihood", items, 7);
  for (const auto& [name, total] : whole.totals) {
    EXPECT_EQ(total.value, split.totals.at(name).value) << name;  // the same sums in one order
  }
}

TEST(Likelihood, OfOneItemHasNoStandardErrorAndOfNoneNoFigure) {
  const Measured one = measure("assay/likelihood", {item(-1, true)});
  EXPECT_TRUE(std::isnan(one.totals.at("perplexity").std_error));
  EXPECT_TRUE(measure("assay/likelihood", {}).totals.empty());
}

TEST(Likelihood, LeavesOutAPerplexityThatFloat64CannotHold) {
  const Measured m = measure("assay/likelihood", {item(-800, false), item(-1e4, true)});
  ASSERT_EQ(m.said.text, "");
  EXPECT_FALSE(m.totals.contains("perplexity"));
  EXPECT_FALSE(m.samples.contains("perplexity"));
  EXPECT_EQ(m.totals.at("acc").value, 0.5);
}

TEST(Likelihood, RefusesWhatNoLogLikelihoodCanBe) {
  EXPECT_EQ(measure("assay/likelihood", {item(-1, true), item(0.5, true)}).said.text,
            "row 1: loglikelihood is 0.5, and a log-likelihood is a finite number up to 0");
  Json bad = item(0, true);
  bad["loglikelihood"] = nullptr;
  EXPECT_EQ(measure("assay/likelihood", {bad}).said.text,
            "row 0: loglikelihood is nan, and a log-likelihood is a finite number up to 0");
}

}  // namespace
}  // namespace plugin_test
