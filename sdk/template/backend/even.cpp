// A model that finds every token equally likely. Copy this folder, rename it, and load your own in
// load(); batch as you like by writing run(const assay::Batch&, assay::Sink&) instead of score().
#include <assay/sdk.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

namespace {

struct Even : assay::Backend {
  static constexpr assay::Info info{"acme/even", "1.0.0", "Every token equally likely",
                                    ASSAY_CAP_SCORE | ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::integer("vocab", "256", "Tokens it knows.").in(2, 1 << 20)};

  explicit Even(assay::Context given)
      : context(given), vocab(static_cast<std::uint32_t>(given.integer("vocab"))) {}

  void load(const assay_job&, assay_model_info& model) {
    model.vocab = vocab;
    model.max_context = 2048;
  }

  void score(const assay::Request& request, assay::Results results) {
    context.checkpoint();
    const auto n = static_cast<std::size_t>(request.n_tokens - request.first);
    const std::vector<float> logprobs(n, -std::log(static_cast<float>(vocab)));
    // All are equal, and of equals the lowest id is the greedy one.
    std::vector<std::uint8_t> greedy;
    for (const std::int32_t token : assay::tokens_of(request).subspan(request.first)) {
      greedy.push_back(token == 0 ? 1 : 0);
    }
    results.scores(request.first, logprobs, greedy);
  }

  assay::Context context;
  std::uint32_t vocab;
};

}  // namespace

ASSAY_PLUGIN("acme/even", "1.0.0", "Acme", "Apache-2.0", Even)
