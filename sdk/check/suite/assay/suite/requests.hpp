// A loaded backend, requests to it and what it answered, with the rules of the result sink checked
// as answers come. What answers should be is in the tests.
#pragma once

#include <assay/suite/probe.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace assay::suite {

/// How far log-probabilities of the same token may lie apart that were computed in another batch.
///
/// Units    nats
inline constexpr double kTolerance = 1e-3;

using Tokens = std::vector<std::int32_t>;

struct Draw {
  std::uint32_t max_new = 8, min_new = 0, top_k = 0;
  float temperature = 0, top_p = 1;
  std::uint64_t seed = 1;
  std::vector<Tokens> stops = {};
};

struct Ask {
  std::uint64_t id = 1;
  std::int32_t kind = ASSAY_REQ_SCORE;
  std::uint32_t want = ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY;
  Tokens tokens = {};
  std::uint64_t first = 1;
  std::uint64_t prefix_group = 0, prefix_len = 0;
  std::optional<Draw> draw = {};
};

struct Answer {
  int n_done = 0;
  assay_status code = ASSAY_OK;
  std::string text;
  std::optional<assay_usage> usage;
  std::vector<float> logprobs, token_logprobs;
  std::vector<std::uint8_t> greedy;
  Tokens tokens;
  std::vector<std::vector<float>> logits;  ///< a row each
  int n_calls = 0;                         ///< of scores, logits and tokens
  std::uint64_t next_score = 0, next_row = 0;
};

/// What came of one batch.
struct Answers {
  assay_status status = ASSAY_OK;
  assay_error error{};
  std::map<std::uint64_t, Answer> by_id;
  std::vector<std::uint64_t> order;  ///< of calls: the id of each, repeats left out
  double seconds = 0;

  const Answer& operator[](std::uint64_t id) const { return by_id.at(id); }
};

/// What the sink does; each may be left out.
struct Reaction {
  /// Called after each data call; what it gives is returned to the backend.
  std::function<std::int32_t(std::uint64_t id, const Answer& so_far)> on_data = {};
};

/// A backend that was loaded, or, with `is_loaded` false, only made.
class Loaded : public Made {
 public:
  explicit Loaded(Probe& probe, std::uint64_t want = ASSAY_CAP_SCORE) : Made(probe) {
    load(probe, want);
  }
  Loaded(Probe& probe, const check::Options& options, std::uint64_t want) : Made(probe, options) {
    load(probe, want);
  }

  const assay_model_info& info() const { return info_; }
  const assay_backend_v1& backend() const { return api<assay_backend_v1>(); }
  /// Tokens are drawn from [0, n_tokens()): the vocabulary, or, where it is not known, few enough
  /// for any.
  std::uint64_t n_tokens() const { return info_.vocab > 0 ? info_.vocab : 32; }
  /// The longest sequence of a test: 24, or the model's context.
  std::uint64_t longest() const {
    return info_.max_context > 0 && info_.max_context < 24 ? info_.max_context : 24;
  }

 private:
  void load(Probe& probe, std::uint64_t want);
  assay_model_info info_{};
};

/// Skips where the backend does not take token ids, or lacks a capability.
void need_cap(Probe& probe, std::uint64_t cap, const char* name);
void need_run(Probe& probe);

/// A load job for the model given to the test.
assay_job job_of(const Probe& probe, std::uint64_t want);

Tokens random_tokens(Probe& probe, const Loaded& loaded, std::uint64_t n);
/// n SCORE requests of random lengths with ids from 1.
std::vector<Ask> random_asks(Probe& probe, const Loaded& loaded, std::uint64_t n);
Ask generate_ask(Probe& probe, const Loaded& loaded, std::uint64_t id, Draw draw);

/// Runs one batch and checks what every batch must keep: OK, exactly one done for each id, data in
/// order, of the right kind, and plausible. `extra_stride`: bytes between requests.
Answers run_batch(Probe& probe, Loaded& loaded, const std::vector<Ask>& asks,
                  std::uint32_t flags = 0, const Reaction& reaction = {},
                  std::uint64_t extra_stride = 0);

/// Runs one batch; breaches of the sink's rules are found, a failed run is not.
Answers run_raw(Probe& probe, Loaded& loaded, const std::vector<Ask>& asks, std::uint32_t flags,
                const Reaction& reaction, std::uint64_t extra_stride);

/// The largest difference between two lists of log-probabilities; infinite where one is longer.
double distance(const std::vector<float>& a, const std::vector<float>& b);

/// Expects two answers to have the same scores within the tolerance.
void expect_same_scores(Probe& probe, const Answer& expected, const Answer& got,
                        const std::string& what);

/// "1.25e-02"
std::string shown(double value);

}  // namespace assay::suite
