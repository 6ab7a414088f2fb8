// The one way the host talks to a backend: load, then batches of requests. Values only, for the
// backend may live in another process; stop texts and time stamps are made beside it, wherever it
// is.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/text/text.hpp"
#include "host/worker/memory.hpp"

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

/// What stands before an answer where tokens are the backend's business: a chat, or a prompt where
/// there are no messages.
struct TextPrompt {
  std::vector<ChatTurn> messages;
  std::string prompt;
};

/// `continuation` is predicted from the prompt.
struct TextScoreRequest {
  std::uint64_t id = 0;
  TextPrompt prompt;
  std::string continuation;
};

struct Score {
  std::vector<float> logprobs;       ///< nats, one per scored token; of a text, one per piece
  std::vector<std::uint8_t> greedy;  ///< 1 where the token is the arg-max
  bool straddles = false;  ///< of a text: the first piece begins inside the prompt, counted whole
};

/// Called once per request, with its score or why there is none. Threads [any-thread], not two at
/// a time.
using ScoreSink = std::function<void(std::uint64_t id, Result<Score> score)>;

/// How answers are drawn and where they end.
struct Decoding {
  std::uint32_t max_new = 0, min_new = 0;
  std::uint32_t top_k = 0;           ///< 0: all
  float temperature = 0, top_p = 1;  ///< 0: greedy; 1: all
  std::vector<std::int32_t> end_tokens = {};
  std::vector<std::string> stop = {};  ///< looked for in the decoded text, none empty
};

struct GenerateRequest {
  std::uint64_t id = 0;
  std::vector<std::int32_t> tokens;
  std::uint64_t seed = 0;  ///< decides the draw alone
};

struct TextGenerateRequest {
  std::uint64_t id = 0;
  TextPrompt prompt;
  std::uint64_t seed = 0;  ///< as of GenerateRequest
};

/// kEnd: an end token; kStop: a stop text; kLength: max_new tokens.
enum class Finish { kEnd, kStop, kLength };

/// What a model said.
///
/// Units    seconds from the start of work on the request
struct Generation {
  std::vector<std::int32_t> tokens;       ///< all that were drawn, the last of a stop included
  std::optional<std::uint64_t> n_tokens;  ///< nothing: a backend of texts that does not count them
  std::string text;  ///< decoded, special tokens left out, cut before the first stop text
  Finish finish = Finish::kLength;
  std::optional<double> first_token_seconds;  ///< nothing: the backend does not stream
  double seconds = 0;
};

/// As ScoreSink.
using GenerationSink = std::function<void(std::uint64_t id, Result<Generation> generation)>;

/// One value of a layer whose weights a backend changed: "output_error". Threads [any-thread], not
/// two at a time.
using LayerSink = std::function<void(std::string_view layer, std::string_view name, double value)>;

/// What a backend that changes weights is lent for it.
struct Rounding {
  std::span<const ScoreRequest> calibration = {};  ///< sequences to look at; empty: none
  LayerSink layers = {};                           ///< empty: not wanted
};

/// How far a load or a quantization is, 0 to 1. Threads [any-thread]
using ProgressSink = std::function<void(double fraction, std::string_view what)>;

/// A backend of tokens is asked by score and generate, one of texts alone by score_texts and
/// generate_texts.
///
/// Threads  one call at a time
class Session {
 public:
  virtual ~Session() = default;

  /// max_tokens 0: not known. `rounding` is for a model that is simulated.
  virtual Result<ModelInfo> load(std::uint64_t max_tokens, const Rounding& rounding = {}) = 0;

  /// Writes a model directory into `out_dir`, which is there and may hold what an attempt at the
  /// same left. Instead of load: nothing can be asked afterwards.
  virtual Result<void> quantize(const std::filesystem::path& out_dir, const Rounding& rounding) = 0;

  /// The backend's own where it brings one, which is there after load, else the model directory's.
  /// A backend of texts alone has no tokenizer.
  ///
  /// Owns     the session
  virtual Result<const Tokenizer*> tokenizer() = 0;
  virtual Result<const ChatTemplate*> chat_template() = 0;

  /// What the backend says it keeps; empty where it does not say. After load, between the calls
  /// below.
  virtual Result<std::vector<DeviceMemory>> memory() = 0;
  /// Peaks of memory() begin anew.
  virtual Result<void> reset_memory_peaks() = 0;

  /// Returns when every request was answered. A failed call ends the session; requests it left
  /// open are answered with that failure first.
  virtual Result<void> score(std::span<const ScoreRequest> requests, const ScoreSink& sink) = 0;

  /// As score. A stop text ends its request as soon as it stands in the text decoded by
  /// tokenizer(), wherever the borders of tokens are.
  virtual Result<void> generate(std::span<const GenerateRequest> requests, const Decoding& decoding,
                                const GenerationSink& sink) = 0;

  /// As score.
  virtual Result<void> score_texts(std::span<const TextScoreRequest> requests,
                                   const ScoreSink& sink) = 0;

  /// As score. A stop text ends its request as soon as it stands in the answer.
  virtual Result<void> generate_texts(std::span<const TextGenerateRequest> requests,
                                      const Decoding& decoding, const GenerationSink& sink) = 0;
};

/// Creates the backend of a variant, in a worker unless the model says otherwise. One that is
/// quantized is created for quantize(), any other for load(). `on_progress` outlives the session.
Result<std::unique_ptr<Session>> open_session(const ModelSpec& model, std::uint64_t seed,
                                              const std::atomic<bool>& cancelled,
                                              ProgressSink on_progress = {});

}  // namespace assay::host
