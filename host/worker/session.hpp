// The one way the host talks to a backend: load, then batches of score requests. Values only, so
// that the backend may live in another process.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/core/result.hpp"
#include "host/graph/graph.hpp"

namespace assay::host {

struct ModelInfo {
  std::uint32_t vocab = 0;
  std::uint64_t max_context = 0;
  std::uint64_t weight_bytes = 0;
  double bits_per_weight = 0;
  std::int32_t bos = -1, eos = -1;
};

/// tokens[first..] are predicted from what precedes them.
struct ScoreRequest {
  std::uint64_t id = 0;
  std::vector<std::int32_t> tokens;
  std::uint64_t first = 0;
  std::uint64_t prefix_group = 0, prefix_len = 0;
};

struct Score {
  std::vector<float> logprobs;       ///< nats, one per scored token
  std::vector<std::uint8_t> greedy;  ///< 1 where the token is the arg-max
};

/// Called once per request, with its score or why there is none. Threads [any-thread], not two at
/// a time.
using ScoreSink = std::function<void(std::uint64_t id, Result<Score> score)>;

/// Threads  one call at a time
class Session {
 public:
  virtual ~Session() = default;

  virtual Result<ModelInfo> load(std::uint64_t max_tokens) = 0;

  /// Returns when every request was answered. A failed call ends the session; requests it left
  /// open are answered with that failure first.
  virtual Result<void> score(std::span<const ScoreRequest> requests, const ScoreSink& sink) = 0;
};

/// Creates the backend of a variant inside this process.
Result<std::unique_ptr<Session>> open_in_process(const ModelSpec& model, std::uint64_t seed,
                                                 const std::atomic<bool>& cancelled);

}  // namespace assay::host
