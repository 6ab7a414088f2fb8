// The number of words of each answer. Write your own score(). In a task of a manifest:
//   metrics = [{ use = "my-vendor/my-plugin", min_letters = 2 }]
#include <assay/sdk.hpp>
#include <cstdint>

namespace {

struct MyPlugin : assay::Metric {
  static constexpr assay::Info info{"my-vendor/my-plugin", "1.0.0", "Words per output",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::integer("min_letters", "1", "Shorter words are not counted.").in(1, 100)};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "what the model wrote"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("my_plugin", "words per output").within(0, 1e9).unit("1").primary()};

  explicit MyPlugin(assay::Context context) : min_letters(context.integer("min_letters")) {}

  double score(const assay::Sample& item) const {
    double words = 0;
    std::int64_t letters = 0;
    for (const char letter : item.text("output")) {
      // Bytes 10xxxxxx go on with a letter of UTF-8.
      if (letter == ' ' || letter == '\n' || letter == '\t') {
        letters = 0;
      } else if ((letter & 0xC0) != 0x80 && ++letters == min_letters) {
        ++words;
      }
    }
    return words;
  }

  std::int64_t min_letters;
};

}  // namespace

ASSAY_PLUGIN("my-vendor/my-plugin", "1.0.0", "my-vendor", "Proprietary", MyPlugin)
