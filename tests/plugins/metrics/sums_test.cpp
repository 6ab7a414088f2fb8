// Metrics that offer their totals as functions of sums: of all items they are the totals that
// finish gives.
#include <assay/ext.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/plugins/plugin_host.hpp"

namespace plugin_test {
namespace {

const assay_metric_sums_v1& sums_of(const assay_component& metric) {
  for (std::uint64_t i = 0; i < metric.n_extensions; ++i) {
    if (std::string_view(metric.extensions[i].id) == ASSAY_METRIC_SUMS_1) {
      return *static_cast<const assay_metric_sums_v1*>(metric.extensions[i].api);
    }
  }
  throw std::runtime_error(std::string(metric.id) + " has no sums");
}

double sum(const std::vector<double>& samples) {
  return std::accumulate(samples.begin(), samples.end(), 0.0, [](double total, double value) {
    return std::isnan(value) ? total : total + value;
  });
}

void expect_sums_give_the_totals(const std::string& id, const std::vector<Json>& items) {
  const Measured measured = measure(id, items);
  ASSERT_EQ(measured.said.text, "");
  Component metric(id);
  ASSERT_TRUE(metric.create(Json::object()).is_ok());
  const assay_metric_sums_v1& table = sums_of(metric.constants());
  std::vector<double> sums;
  for (std::uint64_t i = 0; i < table.n_terms; ++i) {
    sums.push_back(sum(measured.samples.at(table.terms[i])));
  }
  const auto n = static_cast<double>(items.size());
  std::vector<double> out(metric.constants().n_outputs);
  ASSERT_EQ(table.totals(metric.self(), sums.data(), &n, 1, out.data(), nullptr), ASSAY_OK);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::string name = metric.constants().outputs[i]->name;
    const double total = measured.totals.at(name).value;
    EXPECT_NEAR(out[i], total, 1e-13 * total) << name;  // the same sums, added in another order
  }

  // Of nothing, every total is undefined.
  const std::vector<double> nothing(sums.size());
  const double none = 0;
  ASSERT_EQ(table.totals(metric.self(), nothing.data(), &none, 1, out.data(), nullptr), ASSAY_OK);
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_TRUE(std::isnan(out[i])) << i;
}

TEST(MetricSums, OfPerplexityGiveItsTotals) {
  std::vector<Json> items;
  for (int i = 0; i < 50; ++i) {
    const int tokens = 5 + i * 7 % 20;
    const double nll = tokens * (2 + 0.3 * std::sin(i));
    items.push_back(
        {{"nll", nll},
         {"n_tokens", tokens},
         {"n_bytes", 4 * tokens},
         {"n_words", tokens / 2},
         {"window_nll", std::vector<double>(static_cast<std::size_t>(i % 4), nll / tokens)}});
  }
  expect_sums_give_the_totals("assay/perplexity", items);
}

TEST(MetricSums, OfLikelihoodGiveItsTotals) {
  std::vector<Json> items;
  for (int i = 0; i < 50; ++i) {
    items.push_back({{"loglikelihood", -1.5 - std::sin(i)}, {"greedy", i % 3 == 0}});
  }
  expect_sums_give_the_totals("assay/likelihood", items);
}

}  // namespace
}  // namespace plugin_test
