// The numeric metric: is the output's number the right one? Converts no units and reads no words.
#include <algorithm>
#include <assay/sdk.hpp>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "number.hpp"

namespace {

struct Numeric : assay::Metric {
  static constexpr assay::Info info{"assay/numeric", "1.0.0",
                                    "Share of outputs whose number is the right one",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr const char* kWhich[] = {"first", "last", nullptr};
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  // `which` has no default: a metric that needs no word would be used for every task of text.
  static constexpr assay::Option options[] = {
      assay::choice("which", nullptr, kWhich, "The number of a text that counts."),
      assay::number("abs_tolerance", "0.0", "How far a right number may be off.").in(0, kInfinity),
      assay::number("rel_tolerance", "1e-6",
                    "How far a right number may be off, as a share of the target's.")
          .in(0, kInfinity)};
  static constexpr assay::Column columns[] = {
      {ASSAY_TEXT, "output", "the generated text"},
      {ASSAY_TEXTS, "targets", "every acceptable answer, each with a number"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("numeric", "share of outputs whose number equals a target's")
          .unit("1")
          .within(0, 1)
          .primary(),
      assay::mean("has_number", "share of outputs that hold a number").unit("1").within(0, 1)};

  numeric::Which which;
  double abs_tolerance, rel_tolerance;

  explicit Numeric(assay::Context context)
      : which(context.text("which") == "first" ? numeric::Which::kFirst : numeric::Which::kLast),
        abs_tolerance(context.number("abs_tolerance")),
        rel_tolerance(context.number("rel_tolerance")) {}

  double number_of(std::string_view target) const {
    if (const auto number = numeric::find_number(target, which)) return *number;
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "targets",
                       "the target \"" + shortened(target) +
                           "\" holds no number; leave such items out of the task, or use another "
                           "metric");
  }

  static std::string shortened(std::string_view text) {
    constexpr std::size_t kMostBytes = 80;
    std::string start;
    while (!text.empty() && start.size() < kMostBytes) start += assay::take_character(text).bytes;
    return start + (text.empty() ? "" : "...");
  }

  bool are_equal(double output, double target) const {
    return std::abs(output - target) <= std::max(abs_tolerance, rel_tolerance * std::abs(target));
  }

  void score(const assay::Sample& item, assay::Values out) const {
    const auto targets = item.texts("targets");
    if (targets.empty()) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "targets",
                         "the item has no target to compare with");
    }
    const std::optional<double> output = numeric::find_number(item.text("output"), which);
    bool is_right = false;
    for (const std::string_view target : targets) {
      const double number = number_of(target);
      is_right = is_right || (output && are_equal(*output, number));
    }
    out("numeric", is_right ? 1 : 0);
    out("has_number", output ? 1 : 0);
  }
};

}  // namespace

ASSAY_PLUGIN("assay/numeric", "1.0.0", "assay", "Apache-2.0", Numeric)
