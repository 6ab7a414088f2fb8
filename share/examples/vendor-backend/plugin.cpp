// The adapter: requests of assay on one side, the engine's own calls on the other.
#include <algorithm>
#include <assay/sdk.hpp>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine.hpp"

namespace {

/// The likeliest token, of equals the lowest id.
std::int32_t greedy_of(const std::vector<float>& logprobs) {
  return static_cast<std::int32_t>(std::ranges::max_element(logprobs) - logprobs.begin());
}

/// Does the answer end with one of these token sequences, each ended by -1?
bool ends_with_stop(const std::vector<std::int32_t>& answer, const std::int32_t* const* stops) {
  for (; stops != nullptr && *stops != nullptr; ++stops) {
    std::size_t n = 0;
    while ((*stops)[n] != -1) ++n;
    if (n > 0 && n <= answer.size() &&
        std::equal(*stops, *stops + n, answer.end() - static_cast<std::ptrdiff_t>(n))) {
      return true;
    }
  }
  return false;
}

struct Engine : assay::Backend {
  static constexpr assay::Info info{
      "acme/engine", "3.1.0", "Acme's engine",
      ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE | ASSAY_CAP_STREAMS | ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::integer("vocab", "512", "Tokens of the model.").in(2, 1 << 16),
      assay::integer("bits", "16", "Bits that are kept of a logit.").in(2, 16)};

  explicit Engine(assay::Context given) : context(given), settings(settings_of(given)) {}

  static engine::Settings settings_of(const assay::Context& context) {
    return {static_cast<std::uint32_t>(context.integer("vocab")),
            static_cast<int>(context.integer("bits"))};
  }
  static void estimate(assay::Context context, const assay_job&, assay_resources& need) {
    need.threads = 1;
    need.host_bytes = std::uint64_t{settings_of(context).vocab} * 64 + (1 << 20);
  }

  void load(const assay_job& job, assay_model_info& info_of_model) {
    try {
      model = engine::Model::load(std::string(assay::view_of(job.model_dir)), settings);
    } catch (const std::runtime_error& failure) {
      // What the user can mend gets a code of its own; all else the layer reports as INTERNAL.
      throw assay::Error(ASSAY_NOT_FOUND, "path", failure.what());
    }
    info_of_model.vocab = model->vocab();
    info_of_model.max_context = 4096;
    info_of_model.weight_bytes = model->bytes();
    info_of_model.bits_per_weight = settings.bits;
  }

  void score(const assay::Request& request, assay::Results results) {
    const auto tokens = assay::tokens_of(request);
    std::vector<float> logprobs;
    std::vector<std::uint8_t> greedy;
    for (std::size_t at = request.first; at < tokens.size(); ++at) {
      context.checkpoint();
      const std::vector<float> next = model->after(tokens.data(), at);
      logprobs.push_back(next.at(static_cast<std::size_t>(tokens[at])));
      greedy.push_back(greedy_of(next) == tokens[at] ? 1 : 0);
    }
    results.scores(request.first, logprobs, greedy);
  }

  void generate(const assay::Request& request, assay::Results results) {
    const auto start = std::chrono::steady_clock::now();
    const assay_sampling& sampling = *request.sampling;
    std::vector<std::int32_t> text(request.tokens, request.tokens + request.n_tokens);
    std::vector<std::int32_t> answer;
    std::mt19937_64 random(sampling.seed);
    std::uint32_t finish = 2;
    while (finish == 2 && answer.size() < sampling.max_new) {
      context.checkpoint();
      const std::vector<float> next = model->after(text.data(), text.size());
      const std::int32_t token =
          sampling.temperature > 0 ? drawn(next, sampling, random) : greedy_of(next);
      text.push_back(token);
      answer.push_back(token);
      const float logprob = next[static_cast<std::size_t>(token)];
      if (!results.tokens({&token, 1}, {&logprob, 1})) {
        finish = 3;
      } else if (sampling.min_new < sampling.max_new && answer.size() >= sampling.min_new &&
                 ends_with_stop(answer, sampling.stops)) {
        finish = 1;
      }
    }
    results.usage().finish = finish;
    results.usage().prompt_tokens = request.n_tokens;
    results.usage().new_tokens = answer.size();
    results.usage().seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  /// From the likeliest tokens that top_k and top_p leave, at the temperature.
  static std::int32_t drawn(const std::vector<float>& logprobs, const assay_sampling& sampling,
                            std::mt19937_64& random) {
    std::vector<std::size_t> order(logprobs.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::stable_sort(
        order, [&](std::size_t a, std::size_t b) { return logprobs[a] > logprobs[b]; });
    if (sampling.top_k > 0) order.resize(std::min<std::size_t>(order.size(), sampling.top_k));
    std::vector<double> shares;
    double sum = 0;
    for (const std::size_t token : order) {
      shares.push_back(std::exp(static_cast<double>(logprobs[token] - logprobs[order[0]]) /
                                static_cast<double>(sampling.temperature)));
      sum += shares.back();
    }
    double kept = 0;
    std::size_t n = 0;
    while (n < shares.size() && (n == 0 || kept < static_cast<double>(sampling.top_p) * sum))
      kept += shares[n++];
    double place = std::ldexp(static_cast<double>(random() >> 11), -53) * kept;
    std::size_t i = 0;
    while (i + 1 < n && place >= shares[i]) place -= shares[i++];
    return static_cast<std::int32_t>(order[i]);
  }

  assay::Context context;
  engine::Settings settings;
  std::unique_ptr<engine::Model> model;
};

}  // namespace

ASSAY_PLUGIN("acme/engine", "3.1.0", "Acme", "Proprietary", Engine)
