// The likelihood metric: is the continuation what a model would write, and how surprised is it?
// Scores no token itself.
#include <assay/sdk.hpp>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace {

struct Likelihood : assay::Metric {
  static constexpr assay::Info info{
      "assay/likelihood", "1.0.0", "How likely the right continuation is", ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Column columns[] = {
      {ASSAY_FLOAT, "loglikelihood", "nats, of the whole continuation"},
      {ASSAY_BOOL, "greedy", "is every token of it the likeliest?"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("acc", "share of continuations that greedy decoding would write")
          .unit("1")
          .within(0, 1)
          .primary(),
      assay::total("perplexity", "exp of the mean nats per continuation")
          .unit("1")
          .within(1, std::numeric_limits<double>::infinity())
          .less_is_better()};

  static constexpr const char* terms[] = {"acc", "nats"};

  std::vector<double> nats;  // of each continuation

  explicit Likelihood(assay::Context) {}

  void score(const assay::Sample& item, assay::Values out) {
    const double loglikelihood = item.number("loglikelihood");
    if (!std::isfinite(loglikelihood) || loglikelihood > 0) {
      char shown[32];
      std::snprintf(shown, sizeof shown, "%.9g", loglikelihood);
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "loglikelihood",
                         "loglikelihood is " + std::string(shown) +
                             ", and a log-likelihood is a finite number up to 0");
    }
    nats.push_back(-loglikelihood);
    out("acc", item.flag("greedy") ? 1 : 0);
    out("nats", -loglikelihood);
    // A figure beyond float64 is none, here and in the total.
    const double own = std::exp(-loglikelihood);
    if (std::isfinite(own)) out("perplexity", own);
  }

  /// The standard error is that of the mean nats, carried through exp (the delta method).
  ///
  /// Source   scoring.md 5.6 and 11
  void finish(assay::Totals out) const {
    if (nats.empty()) return;
    const auto n = static_cast<double>(nats.size());
    const double mean = std::accumulate(nats.begin(), nats.end(), 0.0) / n;
    double squares = 0;
    for (const double value : nats) squares += (value - mean) * (value - mean);
    const double std_error = nats.size() < 2 ? std::numeric_limits<double>::quiet_NaN()
                                             : std::sqrt(squares / (n - 1) / n);
    const double perplexity = std::exp(mean);
    if (std::isfinite(perplexity)) out("perplexity", perplexity, perplexity * std_error);
  }

  void totals(std::span<const double> sums, double items, std::span<double> out) const {
    const double perplexity = std::exp(sums[1] / items);
    out[0] = sums[0] / items;
    out[1] = std::isfinite(perplexity) ? perplexity : std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace

ASSAY_PLUGIN("assay/likelihood", "1.0.0", "assay", "Apache-2.0", Likelihood)
