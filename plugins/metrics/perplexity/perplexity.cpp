// The perplexity metric: figures of a text from the negative log-likelihoods of its items. Scores
// no token itself; which tokens count, and in which window, is the protocol's business.
#include <algorithm>
#include <assay/sdk.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <numbers>
#include <span>
#include <string>

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// A sum that carries along what rounding lost: over millions of items the order does not show.
///
/// Source   Neumaier 1974, improved Kahan-Babuska summation
class Sum {
 public:
  void add(double value) {
    const double total = total_ + value;
    const bool is_total_larger = std::abs(total_) >= std::abs(value);
    lost_ += is_total_larger ? (total_ - total) + value : (value - total) + total_;
    total_ = total;
  }
  double value() const { return total_ + lost_; }

 private:
  double total_ = 0;
  double lost_ = 0;
};

/// nats over units (tokens, bytes or words), summed over items, with the error of the quotient.
class Ratio {
 public:
  void add(double nats, double units) {
    nats_.add(nats);
    units_.add(units);
    ++n_;
    const auto n = static_cast<double>(n_);
    const double nats_step = nats - nats_mean_;
    const double units_step = units - units_mean_;
    nats_mean_ += nats_step / n;
    units_mean_ += units_step / n;
    nats_nats_ += nats_step * (nats - nats_mean_);
    nats_units_ += nats_step * (units - units_mean_);
    units_units_ += units_step * (units - units_mean_);
  }

  double units() const { return units_.value(); }
  double value() const { return nats_.value() / units_.value(); }
  std::uint64_t n() const { return n_; }

  /// sqrt(n / (n - 1) * sum (nats_i - r units_i)^2) / sum units. NaN below two items. The residuals
  /// sum to zero, so their squares follow from centred moments and no item is kept.
  ///
  /// Source   Cochran, Sampling Techniques, 3rd edition, equation 2.46 (ratio estimator), without
  ///          the finite population correction
  double std_error() const {
    if (n_ < 2) return kUnknown;
    const double r = value();
    const double squares = nats_nats_ - 2 * r * nats_units_ + r * r * units_units_;
    const auto n = static_cast<double>(n_);
    return std::sqrt(n / (n - 1) * std::max(squares, 0.0)) / units();
  }

 private:
  Sum nats_, units_;
  std::uint64_t n_ = 0;
  // Running means and centred second moments (Welford 1962, and its form for two variables).
  double nats_mean_ = 0, units_mean_ = 0;
  double nats_nats_ = 0, nats_units_ = 0, units_units_ = 0;
};

/// The item's number of units, which cannot be negative.
double units_of(const assay::Sample& item, const char* column) {
  const std::int64_t units = item.integer(column);
  if (units < 0) {
    throw assay::Error(
        ASSAY_INVALID_ARGUMENT, column,
        std::string(column) + " is " + std::to_string(units) + ", and a count cannot be negative");
  }
  return static_cast<double>(units);
}

std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

/// Refuses what no log-likelihood can be.
double nats_of(double nats, const char* column) {
  if (!std::isfinite(nats) || nats < 0) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, column,
                       std::string(column) + " is " + shown(nats) +
                           ", and a negative log-likelihood is a finite number from 0 up");
  }
  return nats;
}

double quotient(double dividend, double divisor) {
  return divisor > 0 ? dividend / divisor : kUnknown;
}

/// Both figures of one item's or one text's windows that weigh every window alike.
struct Windows {
  Sum losses, perplexities;
  double n = 0;

  void add(double mean_nll) {
    losses.add(mean_nll);
    perplexities.add(std::exp(mean_nll));
    n += 1;
  }
  double perplexity_of_mean() const { return std::exp(quotient(losses.value(), n)); }
  double mean_of_perplexities() const { return quotient(perplexities.value(), n); }
};

struct Perplexity : assay::Metric {
  static constexpr assay::Info info{"assay/perplexity", "1.0.0",
                                    "How well a text is predicted, per token, byte and word",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Column columns[] = {
      {ASSAY_FLOAT, "nll", "nats, summed over the scored tokens"},
      {ASSAY_INT, "n_tokens", "scored tokens"},
      {ASSAY_INT, "n_bytes", "bytes of the text"},
      {ASSAY_INT, "n_words", "words of the text"},
      {ASSAY_FLOATS, "window_nll", "mean nats per token of each window that scores any"}};
  static constexpr assay::Output outputs[] = {
      assay::total("perplexity", "exp of the mean nats per token").less_is_better().primary(),
      assay::total("bits_per_byte", "bits per byte of the text").unit("bits").less_is_better(),
      assay::total("word_perplexity", "exp of the nats per word").less_is_better(),
      assay::total("window_perplexity_unweighted",
                   "exp of the mean of the windows' means, every window alike")
          .less_is_better(),
      assay::total("mean_window_perplexity", "mean of the windows' perplexities").less_is_better()};
  static constexpr const char* terms[] = {
      "nll", "n_tokens", "n_bytes", "n_words", "window_nll", "window_perplexities", "n_windows"};

  Ratio per_token, per_byte, per_word;
  Windows windows;

  explicit Perplexity(assay::Context) {}

  void score(const assay::Sample& item, assay::Values out) {
    const double nats = nats_of(item.number("nll"), "nll");
    const double tokens = units_of(item, "n_tokens");
    const double bytes = units_of(item, "n_bytes");
    const double words = units_of(item, "n_words");
    per_token.add(nats, tokens);
    per_byte.add(nats, bytes);
    per_word.add(nats, words);
    Windows own;
    for (const double mean_nll : item.numbers("window_nll")) {
      own.add(nats_of(mean_nll, "window_nll"));
      windows.add(mean_nll);
    }
    out("perplexity", std::exp(quotient(nats, tokens)));
    out("bits_per_byte", quotient(nats, bytes) / std::numbers::ln2);
    out("word_perplexity", std::exp(quotient(nats, words)));
    out("window_perplexity_unweighted", own.perplexity_of_mean());
    out("mean_window_perplexity", own.mean_of_perplexities());
    out("nll", nats);
    out("n_tokens", tokens);
    out("n_bytes", bytes);
    out("n_words", words);
    out("window_nll", own.losses.value());
    out("window_perplexities", own.perplexities.value());
    out("n_windows", own.n);
  }

  void totals(std::span<const double> sums, double, std::span<double> out) const {
    out[0] = std::exp(quotient(sums[0], sums[1]));
    out[1] = quotient(sums[0], sums[2]) / std::numbers::ln2;
    out[2] = std::exp(quotient(sums[0], sums[3]));
    out[3] = std::exp(quotient(sums[4], sums[6]));
    out[4] = quotient(sums[5], sums[6]);
  }

  void finish(assay::Totals out) {
    if (per_token.n() == 0) return;  // of no items there is nothing to say
    if (per_token.units() == 0) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "n_tokens",
                         "perplexity of zero tokens is undefined");
    }
    const auto exponential = [&out](const char* name, const Ratio& ratio) {
      const double value = std::exp(ratio.value());
      out(name, value, value * ratio.std_error(), ratio.n());
    };
    exponential("perplexity", per_token);
    // A text without bytes or words has no figure per byte or word.
    if (per_byte.units() > 0) {
      out("bits_per_byte", per_byte.value() / std::numbers::ln2,
          per_byte.std_error() / std::numbers::ln2, per_byte.n());
    }
    if (per_word.units() > 0) exponential("word_perplexity", per_word);
    if (windows.n > 0) {
      const std::uint64_t n = per_token.n();
      out("window_perplexity_unweighted", windows.perplexity_of_mean(), kUnknown, n);
      out("mean_window_perplexity", windows.mean_of_perplexities(), kUnknown, n);
    }
  }
};

}  // namespace

ASSAY_PLUGIN("assay/perplexity", "1.0.0", "assay", "Apache-2.0", Perplexity)
