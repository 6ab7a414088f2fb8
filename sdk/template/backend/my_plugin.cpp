// A model that finds every token equally likely. Load your own in load(); batch as you like by
// writing run(const assay::Batch&, assay::Sink&) instead of score() and generate(). In a manifest:
//   [model.mine]
//   backend = "my-vendor/my-plugin"
//   path    = "model-folder"
//   vocab   = 512
#include <algorithm>
#include <assay/sdk.hpp>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace {

/// Does the answer end with one of these token sequences, each ended by -1?
bool ends_with_stop(const std::vector<std::int32_t>& answer, const std::int32_t* const* stops) {
  for (; stops != nullptr && *stops != nullptr; ++stops) {
    const std::int32_t* const begin = *stops;
    const std::int32_t* const end = std::find(begin, begin + answer.size() + 1, -1);
    const auto n = static_cast<std::size_t>(end - begin);
    if (n > 0 && n <= answer.size() && std::equal(begin, end, answer.end() - (end - begin))) {
      return true;
    }
  }
  return false;
}

struct MyPlugin : assay::Backend {
  static constexpr assay::Info info{
      "my-vendor/my-plugin", "1.0.0", "Every token equally likely",
      ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE | ASSAY_CAP_STREAMS | ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::integer("vocab", "256", "Tokens it knows.").in(2, 1 << 20)};

  explicit MyPlugin(assay::Context given)
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

  void generate(const assay::Request& request, assay::Results results) {
    const auto start = std::chrono::steady_clock::now();
    const assay_sampling& sampling = *request.sampling;
    const float logprob = -std::log(static_cast<float>(vocab));
    std::mt19937_64 random(sampling.seed);  // of this request alone
    std::vector<std::int32_t> answer;
    std::uint32_t finish = 2;
    while (finish == 2 && answer.size() < sampling.max_new) {
      context.checkpoint();
      answer.push_back(static_cast<std::int32_t>(random() % choices(sampling)));
      const bool goes_on = results.tokens({&answer.back(), 1}, {&logprob, 1});
      if (!goes_on) finish = 3;
      if (goes_on && answer.size() >= sampling.min_new && sampling.min_new < sampling.max_new &&
          ends_with_stop(answer, sampling.stops)) {
        finish = 1;
      }
    }
    assay_usage& usage = results.usage();
    usage.finish = finish;
    usage.prompt_tokens = request.n_tokens;
    usage.new_tokens = answer.size();
    usage.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  /// How many tokens, counted from id 0, the next one is drawn from.
  std::uint64_t choices(const assay_sampling& sampling) const {
    if (sampling.temperature <= 0) return 1;
    const std::uint64_t top_k = sampling.top_k == 0 ? vocab : std::min(sampling.top_k, vocab);
    const double kept = std::ceil(static_cast<double>(sampling.top_p) * static_cast<double>(top_k));
    return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(kept), 1, top_k);
  }

  assay::Context context;
  std::uint32_t vocab;
};

}  // namespace

ASSAY_PLUGIN("my-vendor/my-plugin", "1.0.0", "my-vendor", "Proprietary", MyPlugin)
