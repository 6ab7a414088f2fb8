// The accuracy metric: is the target the choice a model finds most likely? Builds no prompts and
// scores no tokens.
#include <algorithm>
#include <assay/sdk.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace {

[[noreturn]] void refuse(const char* column, const std::string& text) {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, column, text);
}

void check(std::span<const double> loglikelihoods, std::span<const std::int64_t> chars) {
  if (loglikelihoods.empty()) refuse("choice_loglikelihoods", "the item has no choices");
  if (loglikelihoods.size() != chars.size()) {
    refuse("choice_chars", "choice_loglikelihoods has " + std::to_string(loglikelihoods.size()) +
                               " elements and choice_chars has " + std::to_string(chars.size()) +
                               "; both must have one for each choice");
  }
  for (std::size_t i = 0; i < chars.size(); ++i) {
    if (std::isnan(loglikelihoods[i])) {
      refuse("choice_loglikelihoods",
             "the log-likelihood of choice " + std::to_string(i) + " is not a number");
    }
    if (chars[i] < 0) {
      refuse("choice_chars", "choice " + std::to_string(i) + " has " + std::to_string(chars[i]) +
                                 " characters, and a count cannot be negative");
    }
  }
}

/// The place of the first maximum. A target outside the choices is never equal to it.
///
/// Source   scoring.md 10
std::int64_t best(std::span<const double> values) {
  return std::distance(values.begin(), std::ranges::max_element(values));
}

/// Log-likelihood per character. A choice without characters cannot win by its shortness: it gets
/// what dividing by zero gives a negative number.
///
/// Units    nats per code point of the choice, the delimiter not counted
/// Source   scoring.md 10; the rule for empty choices is defined here
std::vector<double> per_character(std::span<const double> loglikelihoods,
                                  std::span<const std::int64_t> chars) {
  std::vector<double> values(loglikelihoods.size());
  std::ranges::transform(loglikelihoods, chars, values.begin(), [](double ll, std::int64_t n) {
    return n == 0 ? -std::numeric_limits<double>::infinity() : ll / static_cast<double>(n);
  });
  return values;
}

struct Accuracy : assay::Metric {
  static constexpr assay::Info info{"assay/accuracy", "1.0.0",
                                    "Share of items whose target is the likeliest choice",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Column columns[] = {
      {ASSAY_FLOATS, "choice_loglikelihoods", "nats, one for each choice"},
      {ASSAY_INTS, "choice_chars", "characters of each choice"},
      {ASSAY_INT, "target", "index of the right choice, from 0"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("acc", "share of items whose target has the highest log-likelihood")
          .within(0, 1)
          .primary(),
      assay::mean("acc_norm", "as acc, by log-likelihood per character of the choice")
          .within(0, 1)};

  explicit Accuracy(assay::Context) {}

  void score(const assay::Sample& item, assay::Values out) const {
    const auto loglikelihoods = item.numbers("choice_loglikelihoods");
    const auto chars = item.integers("choice_chars");
    check(loglikelihoods, chars);
    const std::int64_t target = item.integer("target");
    out("acc", best(loglikelihoods) == target ? 1 : 0);
    out("acc_norm", best(per_character(loglikelihoods, chars)) == target ? 1 : 0);
  }
};

}  // namespace

ASSAY_PLUGIN("assay/accuracy", "1.0.0", "assay", "Apache-2.0", Accuracy)
