#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "tests/plugins/metrics/reference.hpp"
#include "tests/plugins/plugin_host.hpp"
#include "tests/plugins/test_files.hpp"

namespace plugin_test {
namespace {

Json item(double nll, std::int64_t tokens, std::int64_t bytes, std::int64_t words,
          std::vector<double> windows = {}) {
  return {{"nll", nll},
          {"n_tokens", tokens},
          {"n_bytes", bytes},
          {"n_words", words},
          {"window_nll", std::move(windows)}};
}

void expect_relative(double value, double expected, double tolerance) {
  EXPECT_NEAR(value, expected, std::abs(expected) * tolerance);
}

TEST(Perplexity, OfUniformTokensIsTheVocabularySize) {
  const double nats = std::log(4.0);
  const Measured m = measure("assay/perplexity", {item(3 * nats, 3, 6, 2, {nats, nats})});
  ASSERT_EQ(m.said.text, "");
  EXPECT_NEAR(m.totals.at("perplexity").value, 4.0, 1e-12);       // exp(log 4)
  EXPECT_NEAR(m.totals.at("bits_per_byte").value, 1.0, 1e-12);    // 3 tokens of 2 bits in 6 bytes
  EXPECT_NEAR(m.totals.at("word_perplexity").value, 8.0, 1e-12);  // 4^(3/2)
  EXPECT_NEAR(m.totals.at("window_perplexity_unweighted").value, 4.0, 1e-12);
  EXPECT_NEAR(m.totals.at("mean_window_perplexity").value, 4.0, 1e-12);
}

TEST(Perplexity, WeighsTokensAndNotItems) {
  // One item of 1 token at 3 nats, one of 3 tokens at 1 nat each: 6 nats over 4 tokens.
  const Measured m = measure("assay/perplexity", {item(3, 1, 2, 1, {3}), item(3, 3, 4, 2, {1, 1})});
  EXPECT_NEAR(m.totals.at("perplexity").value, std::exp(1.5), 1e-12);
  EXPECT_NEAR(m.totals.at("bits_per_byte").value, 1 / std::numbers::ln2, 1e-12);
  EXPECT_NEAR(m.totals.at("word_perplexity").value, std::exp(2.0), 1e-12);
  EXPECT_NEAR(m.totals.at("window_perplexity_unweighted").value, std::exp(5.0 / 3), 1e-12);
  EXPECT_NEAR(m.totals.at("mean_window_perplexity").value, (std::exp(3.0) + 2 * std::exp(1.0)) / 3,
              1e-12);
}

TEST(Perplexity, HasTheStandardErrorOfARatio) {
  // r = 6/4; residuals 3 - 1.5 * 1 = 1.5 and 3 - 1.5 * 3 = -1.5; sqrt(2/1 * 4.5) / 4 = 0.75.
  const Measured m = measure("assay/perplexity", {item(3, 1, 2, 1, {3}), item(3, 3, 4, 2, {1, 1})});
  EXPECT_NEAR(m.totals.at("perplexity").std_error, std::exp(1.5) * 0.75, 1e-12);
  // Bytes: r = 6/6, residuals 1 and -1; sqrt(2 * 2) / 6. Words: r = 6/3, residuals 1 and -1.
  EXPECT_NEAR(m.totals.at("bits_per_byte").std_error, 2.0 / 6 / std::numbers::ln2, 1e-12);
  EXPECT_NEAR(m.totals.at("word_perplexity").std_error, std::exp(2.0) * 2 / 3, 1e-12);
  EXPECT_EQ(m.totals.at("perplexity").n, 2u);
  EXPECT_TRUE(std::isnan(m.totals.at("mean_window_perplexity").std_error));
}

TEST(Perplexity, OfOneItemHasNoStandardError) {
  const Measured m = measure("assay/perplexity", {item(3, 3, 6, 2)});
  for (const char* output : {"perplexity", "bits_per_byte", "word_perplexity"}) {
    EXPECT_TRUE(std::isnan(m.totals.at(output).std_error)) << output;
  }
}

TEST(Perplexity, OfEqualItemsHasAStandardErrorOfZero) {
  const Measured m = measure("assay/perplexity", std::vector<Json>(100, item(0.1, 3, 7, 2)));
  EXPECT_EQ(m.totals.at("perplexity").std_error, 0.0);  // no item differs from the mean
}

TEST(Perplexity, GivesEachItemItsOwnFigures) {
  const Measured m = measure("assay/perplexity", {item(2, 2, 2, 0, {1}), item(6, 2, 3, 1)});
  EXPECT_NEAR(m.samples.at("perplexity")[0], std::exp(1.0), 1e-12);
  EXPECT_NEAR(m.samples.at("perplexity")[1], std::exp(3.0), 1e-12);
  EXPECT_NEAR(m.samples.at("bits_per_byte")[1], 2 / std::numbers::ln2, 1e-12);
  EXPECT_TRUE(std::isnan(m.samples.at("word_perplexity")[0]));
  EXPECT_TRUE(std::isnan(m.samples.at("mean_window_perplexity")[1]));
}

TEST(Perplexity, DoesNotDependOnHowItemsAreSplitIntoBatches) {
  std::vector<Json> items;
  for (int i = 1; i < 50; ++i) items.push_back(item(0.37 * i, i % 7 + 1, 3 * i, i, {0.1 * i}));
  const Measured whole = measure("assay/perplexity", items, 100);
  const Measured split = measure("assay/perplexity", items, 3);
  for (const auto& [name, total] : whole.totals) {
    EXPECT_EQ(total.value, split.totals.at(name).value) << name;  // the same sums in the same order
  }
}

TEST(Perplexity, GivesTheGoldenValuesOfTheHarness) {
  // scoring.md 16, made with lm-evaluation-harness's own functions to ten digits.
  const Measured m = measure("assay/perplexity", {item(100, 40, 20, 20), item(50, 20, 12, 12)});
  expect_relative(m.totals.at("word_perplexity").value, 108.5813867, 1e-9);
  expect_relative(m.totals.at("bits_per_byte").value, 6.7626330, 1e-8);
}

TEST(Perplexity, LeavesOutTheFigureOfATextWithoutWordsOrWindows) {
  const Measured m = measure("assay/perplexity", {item(2, 2, 2, 0)});
  EXPECT_EQ(m.said.text, "");
  EXPECT_FALSE(m.totals.contains("word_perplexity"));
  EXPECT_FALSE(m.totals.contains("mean_window_perplexity"));
  EXPECT_TRUE(m.totals.contains("perplexity"));
}

TEST(Perplexity, OfZeroTokensIsAnError) {
  const Measured nothing = measure("assay/perplexity", {});
  EXPECT_EQ(nothing.said.text, "");
  EXPECT_TRUE(nothing.totals.empty()) << "of no items there is nothing to say";
  EXPECT_EQ(measure("assay/perplexity", {item(0, 0, 0, 0)}).said.text,
            "perplexity of zero tokens is undefined");
}

TEST(Perplexity, RefusesWhatNoLogLikelihoodCanBe) {
  Json bad = item(1, 1, 1, 1);
  bad["nll"] = -1.5;
  EXPECT_EQ(measure("assay/perplexity", {bad}).said.text,
            "row 0: nll is -1.5, and a negative log-likelihood is a finite number from 0 up");
  bad["nll"] = nullptr;
  EXPECT_EQ(measure("assay/perplexity", {bad}).said.text,
            "row 0: nll is nan, and a negative log-likelihood is a finite number from 0 up");
  EXPECT_EQ(measure("assay/perplexity", {item(1, 1, 1, 1, {-2})}).said.text,
            "row 0: window_nll is -2, and a negative log-likelihood is a finite number from 0 up");
  EXPECT_EQ(measure("assay/perplexity", {item(1, -1, 1, 1)}).said.text,
            "row 0: n_tokens is -1, and a count cannot be negative");
}

/// One item per window: rows are [scored tokens, nll].
Measured measure_windows(const Json& rows) {
  std::vector<Json> items;
  for (const Json& row : rows) {
    const auto tokens = row[0].get<std::int64_t>();
    const double nll = row[1].get<double>();
    std::vector<double> windows;
    if (tokens > 0) windows.push_back(nll / static_cast<double>(tokens));
    items.push_back(item(nll, tokens, tokens, tokens, std::move(windows)));
  }
  return measure("assay/perplexity", items);
}

// The windows' sums are stored with ten digits, so mean nll is good to 14 * 5e-11 nats.
constexpr double kWindowTolerance = 1e-9;

void expect_strided(const Json& rows, const Json& expected) {
  const Measured m = measure_windows(rows);
  ASSERT_EQ(m.said.text, "");
  expect_relative(m.totals.at("perplexity").value, expected.at("ppl_token_weighted"),
                  kWindowTolerance);
  expect_relative(m.totals.at("window_perplexity_unweighted").value,
                  expected.at("ppl_exp_mean_of_window_losses"), kWindowTolerance);
  expect_relative(m.totals.at("mean_window_perplexity").value, expected.at("mean_of_window_ppls"),
                  kWindowTolerance);
}

TEST(Perplexity, AgreesWithTransformersOnStridedWindows) {
  for (const Json& run : reference_numbers().at("strided")) {
    SCOPED_TRACE(run.at("windows").get<std::string>());
    expect_strided(run.at("rows"), run);
  }
}

TEST(Perplexity, AgreesWithTheHarnessOnRollingPages) {
  const Json& rolling = reference_numbers().at("rolling");
  std::vector<Json> items;
  for (const Json& row : rolling.at("rows")) {
    items.push_back(item(-row[1].get<double>(), row[0], row[3], row[2]));
  }
  const Measured m = measure("assay/perplexity", items);
  // The pages' sums are stored with nine digits.
  expect_relative(m.totals.at("word_perplexity").value, rolling.at("word_perplexity"), 1e-7);
  expect_relative(m.totals.at("bits_per_byte").value, rolling.at("bits_per_byte"), 1e-8);
}

TEST(Perplexity, AgreesWithEveryStridedWindowOfTheOracle) {
  const struct {
    const char *text, *stride, *windows;
  } runs[] = {{"wikitext2-joined", "512", "wikitext2-joined-L512-S512"},
              {"wikitext2-joined", "256", "wikitext2-joined-L512-S256"},
              {"wikitext2-joined", "128", "wikitext2-joined-L512-S128"},
              {"wikitext2-joined-nobos", "512", "wikitext2-joined-nobos-L512-S512"},
              {"wikitext2-raw", "512", "wikitext2-raw-L512-S512"},
              {"wikitext2-raw", "256", "wikitext2-raw-L512-S256"}};
  for (const auto& run : runs) {
    SCOPED_TRACE(run.windows);
    const std::string folder = "reference/oracle/tinystories-656k/";
    const std::string figures = shared_file(folder + run.text + ".perplexity.json");
    if (figures.empty()) GTEST_SKIP() << "needs the shared reference data (ASSAY_SHARED)";
    Json rows = Json::array();
    for (const Json& window : gzipped_lines(folder + run.windows + ".windows.jsonl.gz")) {
      rows.push_back({window.at("scored"), window.at("nll")});
    }
    expect_strided(rows, Json::parse(read_file(figures)).at("strides").at(run.stride));
  }
}

}  // namespace
}  // namespace plugin_test
