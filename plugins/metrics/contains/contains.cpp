// The contains metric: does the output contain an acceptable answer? Does not look for what the
// answer means.
#include <algorithm>
#include <assay/sdk.hpp>
#include <cstddef>
#include <string>
#include <string_view>

namespace {

/// Is there a word character at neither end of text.substr(begin, size)?
bool is_bounded(std::string_view text, std::size_t begin, std::size_t size) {
  const std::string_view before = text.substr(0, begin), behind = text.substr(begin + size);
  return (before.empty() || !assay::is_word_character(assay::last_character(before).code)) &&
         (behind.empty() || !assay::is_word_character(assay::first_character(behind).code));
}

bool contains_word(std::string_view text, std::string_view target) {
  for (std::size_t at = text.find(target); at != std::string_view::npos;
       at = text.find(target, at + 1)) {
    if (is_bounded(text, at, target.size())) return true;
  }
  return false;
}

struct Contains : assay::Metric {
  static constexpr assay::Info info{"assay/contains", "1.0.0",
                                    "Share of outputs that contain an acceptable answer",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::flag("ignore_case", "false", "Compare in lower case."),
      assay::flag("strip", "true", "Leave white space around a target out.")};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "the generated text"},
                                              {ASSAY_TEXTS, "targets", "every acceptable answer"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("contains", "share of outputs that contain a target")
          .unit("1")
          .within(0, 1)
          .primary(),
      assay::mean("contains_word", "as contains, the target not being part of a longer word")
          .unit("1")
          .within(0, 1)};

  bool ignores_case, strips;

  explicit Contains(assay::Context context)
      : ignores_case(context.flag("ignore_case")), strips(context.flag("strip")) {}

  std::string compared(std::string_view text) const {
    return ignores_case ? assay::lower(text) : std::string(text);
  }

  void score(const assay::Sample& item, assay::Values out) const {
    const std::string output = compared(item.text("output"));
    const auto targets = item.texts("targets");
    if (targets.empty()) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "targets", "the item has no target to look for");
    }
    bool is_contained = false, is_word = false;
    for (const std::string_view given : targets) {
      const std::string target = compared(strips ? assay::stripped(given) : given);
      if (target.empty()) {
        throw assay::Error(ASSAY_INVALID_ARGUMENT, "targets",
                           "a target is empty, and every output contains nothing; give the item "
                           "an answer, or use assay/exact_match");
      }
      is_contained = is_contained || output.find(target) != std::string::npos;
      is_word = is_word || contains_word(output, target);
    }
    out("contains", is_contained ? 1 : 0);
    out("contains_word", is_word ? 1 : 0);
  }
};

}  // namespace

ASSAY_PLUGIN("assay/contains", "1.0.0", "assay", "Apache-2.0", Contains)
