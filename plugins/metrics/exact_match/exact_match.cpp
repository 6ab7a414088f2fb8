// The exact_match metric: is the output one of the acceptable answers, letter by letter? Extracts
// nothing from the output; that is what a task's filters are for.
#include <algorithm>
#include <assay/sdk.hpp>
#include <string>
#include <string_view>

namespace {

struct ExactMatch : assay::Metric {
  static constexpr assay::Info info{"assay/exact_match", "1.0.0",
                                    "Share of outputs that are an acceptable answer",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::flag("ignore_case", "false", "Compare in lower case."),
      assay::flag("ignore_punctuation", "false", "Compare without ASCII punctuation."),
      assay::flag("strip", "true", "Compare without white space at both ends.")};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "the generated text"},
                                              {ASSAY_TEXTS, "targets", "every acceptable answer"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("exact_match", "share of outputs equal to a target")
          .unit("1")
          .within(0, 1)
          .primary()};

  bool ignores_case, ignores_punctuation, strips;

  explicit ExactMatch(assay::Context context)
      : ignores_case(context.flag("ignore_case")),
        ignores_punctuation(context.flag("ignore_punctuation")),
        strips(context.flag("strip")) {}

  /// White space last: punctuation may hide it.
  std::string compared(std::string_view given) const {
    std::string text(given);
    if (ignores_case) text = assay::lower(text);
    if (ignores_punctuation) text = assay::without_punctuation(text);
    return strips ? std::string(assay::stripped(text)) : text;
  }

  double score(const assay::Sample& item) const {
    const auto targets = item.texts("targets");
    if (targets.empty()) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "targets",
                         "the item has no target to compare with");
    }
    const std::string output = compared(item.text("output"));
    const auto is_output = [&](std::string_view target) { return compared(target) == output; };
    return std::ranges::any_of(targets, is_output) ? 1 : 0;
  }
};

}  // namespace

ASSAY_PLUGIN("assay/exact_match", "1.0.0", "assay", "Apache-2.0", ExactMatch)
