#include <assay/sdk.hpp>
#include <cmath>
struct Uniform : assay::Backend {   // every token equally likely
  static constexpr assay::Info info{"acme/uniform", "1.0.0", "A uniform distribution over bytes", ASSAY_CAP_SCORE | ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {assay::integer("vocab", "256", "Vocabulary size.").in(2, 1 << 20)};
  assay::Context cx; uint32_t vocab;
  explicit Uniform(assay::Context c) : cx(c), vocab(uint32_t(c.integer("vocab"))) {}
  void load(const assay_job&, assay_model_info& m) { m.vocab = vocab; m.max_context = 2048; m.bits_per_weight = 0; m.bos = m.eos = -1; }
  void score(const assay::Request& r, assay::Results out) {
    cx.checkpoint();
    auto n = r.n_tokens - r.first;
    std::vector<float> lp(n, -std::log(float(vocab)));
    std::vector<uint8_t> greedy(n, 0);
    out.scores(r.first, lp, greedy);
  }
};
ASSAY_PLUGIN("acme/backends", "1.0.0", "Acme", "Proprietary", Uniform)
