// Sums of two numbers, as questions. Write your own next(). In a manifest:
//   [dataset.sums]
//   use     = "my-vendor/my-plugin"
//   largest = 3
#include <assay/sdk.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

struct MyPlugin : assay::Dataset {
  static constexpr assay::Info info{"my-vendor/my-plugin", "1.0.0", "Sums of two numbers",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::integer("largest", "9", "The largest summand.").in(0, 1000)};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "question", "such as 1+2="},
                                              {ASSAY_INT, "sum", "the answer"}};

  explicit MyPlugin(assay::Context context) : largest(context.integer("largest")) {}

  void rewind(std::string_view split) {
    if (!split.empty()) {
      throw assay::Error(ASSAY_NOT_FOUND, "split",
                         "there is no split \"" + std::string(split) + "\"; leave split out");
    }
    a = b = 0;
  }

  bool next(assay::Row& row) {
    if (a > largest) return false;
    row << std::to_string(a) + "+" + std::to_string(b) + "=" << a + b;
    if (++b > largest) {
      b = 0;
      ++a;
    }
    return true;
  }

  std::int64_t largest;
  std::int64_t a = 0, b = 0;
};

}  // namespace

ASSAY_PLUGIN("my-vendor/my-plugin", "1.0.0", "my-vendor", "Proprietary", MyPlugin)
