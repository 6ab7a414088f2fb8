// The f1 metric: how many words does the output share with an acceptable answer? Knows no synonyms
// and no language but English articles.
#include <algorithm>
#include <assay/sdk.hpp>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

bool is_article(std::string_view word) { return word == "a" || word == "an" || word == "the"; }

/// The text with a space in the place of every article.
std::string without_articles(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    std::size_t size = 0;  // of the word the text begins with
    while (size < text.size()) {
      const assay::Character character = assay::first_character(text.substr(size));
      if (!assay::is_word_character(character.code)) break;
      size += character.bytes.size();
    }
    const std::string_view word = text.substr(0, size);
    if (is_article(word)) {
      result += ' ';
    } else {
      result += word;
    }
    text.remove_prefix(size);
    if (!text.empty()) result += assay::take_character(text).bytes;
  }
  return result;
}

std::vector<std::string> split_at_white_space(std::string_view text) {
  std::vector<std::string> words;
  bool is_inside = false;
  while (!text.empty()) {
    const assay::Character character = assay::take_character(text);
    const bool was_inside = std::exchange(is_inside, !assay::is_white_space(character.code));
    if (!is_inside) continue;
    if (!was_inside) words.emplace_back();
    words.back() += character.bytes;
  }
  return words;
}

/// The words of a text without case, punctuation and articles.
///
/// Source   normalize_answer of the SQuAD v1.1 and v2.0 evaluation scripts
std::vector<std::string> words_of(std::string_view text) {
  return split_at_white_space(without_articles(assay::without_punctuation(assay::lower(text))));
}

/// 2 p r / (p + r), where p and r are the shares of the output's and of the target's words that
/// the two have in common, each word as often as both have it. Both without words: 1.
///
/// Source   compute_f1 of the SQuAD v2.0 evaluation script
double f1_of(std::vector<std::string> output, std::vector<std::string> target) {
  if (output.empty() || target.empty()) return output.empty() && target.empty() ? 1 : 0;
  std::ranges::sort(output);
  std::ranges::sort(target);
  std::vector<std::string> shared;
  std::ranges::set_intersection(output, target, std::back_inserter(shared));
  // 2 p r / (p + r) with p = shared / output and r = shared / target.
  return 2 * static_cast<double>(shared.size()) /
         static_cast<double>(output.size() + target.size());
}

struct F1 : assay::Metric {
  static constexpr assay::Info info{"assay/f1", "1.0.0",
                                    "Words an output shares with an acceptable answer",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "the generated text"},
                                              {ASSAY_TEXTS, "targets", "every acceptable answer"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("f1", "harmonic mean of precision and recall of words, of the best target")
          .unit("1")
          .within(0, 1)
          .primary(),
      assay::mean("exact", "share of outputs with the words of a target in its order")
          .unit("1")
          .within(0, 1)};

  explicit F1(assay::Context) {}

  void score(const assay::Sample& item, assay::Values out) const {
    const auto targets = item.texts("targets");
    if (targets.empty()) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "targets",
                         "the item has no target to compare with");
    }
    const std::vector<std::string> output = words_of(item.text("output"));
    double best = 0;
    bool is_exact = false;
    for (const std::string_view text : targets) {
      const std::vector<std::string> target = words_of(text);
      best = std::max(best, f1_of(output, target));
      is_exact = is_exact || output == target;
    }
    out("f1", best);
    out("exact", is_exact ? 1 : 0);
  }
};

}  // namespace

ASSAY_PLUGIN("assay/f1", "1.0.0", "assay", "Apache-2.0", F1)
