// The number of words of each output. Copy this folder, rename it, and write your own score().
#include <assay/sdk.hpp>

namespace {

struct Words : assay::Metric {
  static constexpr assay::Info info{"acme/words", "1.0.0", "Words per output",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "what the model wrote"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("words", "words per output").within(0, 1e9).unit("1").primary()};

  explicit Words(assay::Context) {}

  double score(const assay::Sample& item) const {
    double words = 0;
    bool was_space = true;
    for (const char letter : item.text("output")) {
      const bool is_space = letter == ' ' || letter == '\n' || letter == '\t';
      if (was_space && !is_space) ++words;
      was_space = is_space;
    }
    return words;
  }
};

}  // namespace

ASSAY_PLUGIN("acme/words", "1.0.0", "Acme", "Apache-2.0", Words)
