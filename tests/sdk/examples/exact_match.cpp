#include <assay/sdk.hpp>
#include <algorithm>
struct ExactMatch : assay::Metric {
  static constexpr assay::Info info{"acme/exact-match", "1.0.0", "1 when output equals target", ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {assay::flag("ignore_case", "false", "Compare letters without case.")};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "what the model wrote"}, {ASSAY_TEXT, "target", "the reference"}};
  static constexpr assay::Output outputs[] = {assay::mean("exact_match", "share of items that match").within(0, 1).primary()};
  bool fold;
  explicit ExactMatch(assay::Context c) : fold(c.flag("ignore_case")) {}
  double score(const assay::Sample& s) const {
    auto same = [&](unsigned char a, unsigned char b) { return fold ? std::tolower(a) == std::tolower(b) : a == b; };
    return std::ranges::equal(s.text("output"), s.text("target"), same);
  }
};
ASSAY_PLUGIN("acme/metrics", "1.0.0", "Acme", "Apache-2.0", ExactMatch)
