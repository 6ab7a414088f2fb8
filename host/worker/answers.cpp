#include "host/worker/answers.hpp"

#include <assay/ext.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "host/core/utf8.hpp"
#include "host/worker/collector.hpp"
#include "host/worker/stops.hpp"

namespace assay::host {
namespace {

/// The scores that arrived for one request so far.
struct OpenScore {
  std::uint64_t first = 0, n_scores = 0;
  Score score;
  std::string fault;
};

class ScoreCollector final : public Collector<Score, OpenScore> {
 public:
  ScoreCollector(std::span<const ScoreRequest> requests, const Component& component,
                 const ScoreSink& sink)
      : Collector(component, sink) {
    for (const ScoreRequest& request : requests) {
      expect(request.id, {request.first, request.tokens.size() - request.first, {}, {}});
    }
  }

 private:
  std::int32_t scores(OpenScore& open, std::uint64_t first, const float* logprobs,
                      const std::uint8_t* greedy, std::uint64_t n) override {
    if (logprobs == nullptr || greedy == nullptr) {
      open.fault = "left out log-probabilities or greedy flags that were asked for";
      return 1;
    }
    const std::uint64_t n_there = open.score.logprobs.size();
    if (first != open.first + n_there || n_there + n > open.n_scores) {
      open.fault = "gave scores for other positions than were asked for";
      return 1;
    }
    if (std::any_of(logprobs, logprobs + n, [](float logprob) { return logprob > 0; })) {
      open.fault = "gave a log-probability above 0";
      return 1;
    }
    open.score.logprobs.insert(open.score.logprobs.end(), logprobs, logprobs + n);
    open.score.greedy.insert(open.score.greedy.end(), greedy, greedy + n);
    return 0;
  }

  Result<Score> finish(OpenScore& open, const assay_usage* /*usage*/) override {
    if (open.score.logprobs.size() == open.n_scores) return std::move(open.score);
    return broken("finished with " + std::to_string(open.score.logprobs.size()) + " of " +
                  std::to_string(open.n_scores) + " scores");
  }
};

using Clock = std::chrono::steady_clock;

// assay_usage.finish
constexpr std::uint32_t kStopMatched = 1, kAtLength = 2, kToldToEnd = 3;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// The answer that arrived for one request so far.
struct OpenGeneration {
  std::vector<std::int32_t> tokens;
  Clock::time_point first_token, last_token;
  std::string fault;
};

class GenerationCollector final : public Collector<Generation, OpenGeneration> {
 public:
  GenerationCollector(std::span<const GenerateRequest> requests, const Decoding& decoding,
                      const Tokenizer& tokenizer, const Component& component,
                      const GenerationSink& sink)
      : Collector(component, sink),
        decoding_(decoding),
        tokenizer_(tokenizer),
        streams_((component.constants->caps & ASSAY_CAP_STREAMS) != 0) {
    for (const GenerateRequest& request : requests) expect(request.id, {});
  }

 private:
  std::int32_t tokens(OpenGeneration& open, const std::int32_t* tokens, std::uint64_t n) override {
    if (open.tokens.size() + n > decoding_.max_new) {
      open.fault = "gave more than the " + std::to_string(decoding_.max_new) + " tokens asked for";
      return 1;
    }
    if (std::any_of(tokens, tokens + n, [](std::int32_t token) { return token < 0; })) {
      open.fault = "gave a negative token";
      return 1;
    }
    open.last_token = Clock::now();
    if (open.tokens.empty()) open.first_token = open.last_token;
    open.tokens.insert(open.tokens.end(), tokens, tokens + n);
    auto stops = has_new_stop(tokenizer_, open.tokens, n, decoding_.stop);
    if (!stops) {
      open.fault = "gave tokens that cannot be decoded: " + stops.error().text;
      return 1;
    }
    return *stops && open.tokens.size() >= decoding_.min_new ? 1 : 0;
  }

  Result<Generation> finish(OpenGeneration& open, const assay_usage* usage) override {
    if (usage == nullptr) return broken("finished an answer without saying what it took");
    if (usage->new_tokens < open.tokens.size()) {
      return broken("counted " + std::to_string(usage->new_tokens) + " new tokens and gave " +
                    std::to_string(open.tokens.size()));
    }
    const auto& ends = decoding_.end_tokens;
    const bool is_ended = !open.tokens.empty() &&
                          std::find(ends.begin(), ends.end(), open.tokens.back()) != ends.end();
    // Not every tokenizer calls its end tokens special.
    auto text = tokenizer_.decode(
        std::span(open.tokens).first(open.tokens.size() - (is_ended ? 1 : 0)), true);
    if (!text) return broken("gave tokens that cannot be decoded: " + text.error().text);
    const auto stop = first_stop(*text, decoding_.stop);
    if (usage->finish == kToldToEnd && !stop) return Failure{ASSAY_CANCELLED, "interrupted"};

    Generation said;
    said.finish = stop ? Finish::kStop : is_ended ? Finish::kEnd : Finish::kLength;
    said.text = stop ? text->substr(0, *stop) : std::move(*text);
    said.seconds = usage->seconds;
    if (streams_ && !open.tokens.empty()) {
      const double after_first = seconds_between(open.first_token, open.last_token);
      said.first_token_seconds = std::max(0.0, usage->seconds - after_first);
    }
    said.n_tokens = open.tokens.size();
    said.tokens = std::move(open.tokens);
    return said;
  }

  const Decoding& decoding_;
  const Tokenizer& tokenizer_;
  const bool streams_;
};

/// The scores of one continuation so far.
struct OpenTextScore {
  std::int64_t n_bytes = 0, scored_to = 0;
  bool is_begun = false;
  Score score;
  std::string fault;
};

class TextScoreCollector final : public Collector<Score, OpenTextScore> {
 public:
  TextScoreCollector(std::span<const TextScoreRequest> requests, const Component& component,
                     const ScoreSink& sink)
      : Collector(component, sink) {
    for (const TextScoreRequest& request : requests) {
      OpenTextScore open;
      open.n_bytes = static_cast<std::int64_t>(request.continuation.size());
      expect(request.id, std::move(open));
    }
  }

 private:
  std::int32_t pieces(OpenTextScore& open, std::int64_t begin, const std::int64_t* end,
                      const float* logprobs, const std::uint8_t* greedy, std::uint64_t n) override {
    if (n == 0) return 0;
    if (end == nullptr || logprobs == nullptr || greedy == nullptr) {
      open.fault = "left out ends, log-probabilities or greedy flags that were asked for";
      return 1;
    }
    const bool follows = open.is_begun ? begin == open.scored_to : begin <= 0;
    for (std::uint64_t i = 0; i < n; ++i) {
      if (!follows || end[i] < open.scored_to || end[i] > open.n_bytes) {
        open.fault = "gave scores for other bytes than were asked for";
        return 1;
      }
      open.scored_to = end[i];
    }
    if (!open.is_begun) open.score.straddles = begin < 0;
    open.is_begun = true;
    open.score.logprobs.insert(open.score.logprobs.end(), logprobs, logprobs + n);
    open.score.greedy.insert(open.score.greedy.end(), greedy, greedy + n);
    return 0;
  }

  Result<Score> finish(OpenTextScore& open, const assay_usage* /*usage*/) override {
    if (open.scored_to == open.n_bytes) return std::move(open.score);
    return broken("finished with scores for " + std::to_string(open.scored_to) + " of " +
                  std::to_string(open.n_bytes) + " bytes");
  }
};

/// The answer that arrived as text for one request so far.
struct OpenText {
  std::string text;
  std::uint64_t n_tokens = 0;
  bool is_counted = true;
  Clock::time_point first_piece, last_piece;
  std::string fault;
};

class TextCollector final : public Collector<Generation, OpenText> {
 public:
  TextCollector(std::span<const TextGenerateRequest> requests, const Decoding& decoding,
                const Component& component, const GenerationSink& sink)
      : Collector(component, sink),
        decoding_(decoding),
        streams_((component.constants->caps & ASSAY_CAP_STREAMS) != 0) {
    for (const TextGenerateRequest& request : requests) expect(request.id, {});
  }

 private:
  // What is not counted in tokens is bounded all the same.
  static constexpr std::size_t kMaxAnswerBytes = 16u << 20;

  std::int32_t text(OpenText& open, std::string_view piece, std::uint64_t n_tokens) override {
    if (open.text.size() + piece.size() > kMaxAnswerBytes) {
      open.fault = "gave an answer of more than 16 MiB";
      return 1;
    }
    if (utf8_fault(piece)) {
      open.fault = "gave an answer that is not UTF-8";
      return 1;
    }
    open.n_tokens += n_tokens;
    open.is_counted = open.is_counted && n_tokens > 0;
    if (open.n_tokens > decoding_.max_new) {
      open.fault = "gave more than the " + std::to_string(decoding_.max_new) + " tokens asked for";
      return 1;
    }
    open.last_piece = Clock::now();
    if (open.text.empty()) open.first_piece = open.last_piece;
    open.text += piece;
    const bool may_end = !open.is_counted || open.n_tokens >= decoding_.min_new;
    return may_end && first_stop(open.text, decoding_.stop) ? 1 : 0;
  }

  Result<Generation> finish(OpenText& open, const assay_usage* usage) override {
    if (usage == nullptr) return broken("finished an answer without saying what it took");
    const auto stop = first_stop(open.text, decoding_.stop);
    if (usage->finish == kToldToEnd && !stop) return Failure{ASSAY_CANCELLED, "interrupted"};
    Generation said;
    said.finish = stop || usage->finish == kStopMatched ? Finish::kStop
                  : usage->finish == kAtLength          ? Finish::kLength
                                                        : Finish::kEnd;
    said.seconds = usage->seconds;
    if (streams_ && !open.text.empty()) {
      const double after_first = seconds_between(open.first_piece, open.last_piece);
      said.first_token_seconds = std::max(0.0, usage->seconds - after_first);
    }
    if (usage->new_tokens > 0) {
      said.n_tokens = usage->new_tokens;
    } else if (open.is_counted) {
      said.n_tokens = open.n_tokens;
    }
    said.text = stop ? open.text.substr(0, *stop) : std::move(open.text);
    return said;
  }

  const Decoding& decoding_;
  const bool streams_;
};

/// A batch as the ABI has it: the requests, and what they point at.
struct Wire {
  std::vector<assay_request> requests;
  std::vector<assay_sampling> samplings;
  std::vector<std::int32_t> stop_tokens;   ///< each end token followed by -1
  std::vector<const std::int32_t*> stops;  ///< ends with NULL

  assay_batch batch() const {
    return {sizeof(assay_batch), 0, requests.size(), sizeof(assay_request), requests.data()};
  }
};

Wire wire_of(std::span<const ScoreRequest> requests,
             std::uint32_t want = ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY) {
  Wire wire;
  for (const ScoreRequest& request : requests) {
    wire.requests.push_back({request.id, ASSAY_REQ_SCORE, want, request.tokens.data(),
                             request.tokens.size(), request.first, request.prefix_group,
                             request.prefix_len, nullptr});
  }
  return wire;
}

Wire wire_of(std::span<const GenerateRequest> requests, const Decoding& decoding) {
  Wire wire;
  for (const std::int32_t token : decoding.end_tokens) {
    wire.stop_tokens.push_back(token);
    wire.stop_tokens.push_back(-1);
  }
  for (std::size_t i = 0; i < wire.stop_tokens.size(); i += 2) {
    wire.stops.push_back(wire.stop_tokens.data() + i);
  }
  wire.stops.push_back(nullptr);
  wire.samplings.reserve(requests.size());
  for (const GenerateRequest& request : requests) {
    wire.samplings.push_back({sizeof(assay_sampling), decoding.max_new, decoding.min_new,
                              decoding.top_k, decoding.temperature, decoding.top_p, request.seed,
                              wire.stops.data()});
    wire.requests.push_back({request.id, ASSAY_REQ_GENERATE, 0, request.tokens.data(),
                             request.tokens.size(), request.tokens.size(), 0, 0,
                             &wire.samplings.back()});
  }
  return wire;
}

assay_str borrowed(std::string_view text) { return {text.data(), text.size()}; }

/// A batch of texts as the ABI has it.
struct TextWire {
  std::vector<assay_text_request> requests;
  std::vector<std::vector<assay_message>> chats;
  std::vector<assay_sampling> samplings;
  std::vector<assay_str> stops;

  assay_text_batch batch() const {
    return {sizeof(assay_text_batch), 0, requests.size(), sizeof(assay_text_request),
            requests.data()};
  }

  assay_text_request& add(std::uint64_t id, const TextPrompt& prompt) {
    std::vector<assay_message>& chat = chats.emplace_back();
    for (const ChatTurn& turn : prompt.messages) {
      chat.push_back({borrowed(turn.role), borrowed(turn.text)});
    }
    assay_text_request request{};
    request.id = id;
    request.messages = {chat.data(), chat.size(), sizeof(assay_message)};
    request.prompt = borrowed(prompt.prompt);
    return requests.emplace_back(request);
  }
};

TextWire wire_of(std::span<const TextScoreRequest> requests) {
  TextWire wire;
  for (const TextScoreRequest& request : requests) {
    assay_text_request& made = wire.add(request.id, request.prompt);
    made.kind = ASSAY_REQ_SCORE;
    made.want = ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY;
    made.continuation = borrowed(request.continuation);
  }
  return wire;
}

TextWire wire_of(std::span<const TextGenerateRequest> requests, const Decoding& decoding) {
  TextWire wire;
  for (const std::string& stop : decoding.stop) wire.stops.push_back(borrowed(stop));
  wire.samplings.reserve(requests.size());
  for (const TextGenerateRequest& request : requests) {
    wire.samplings.push_back({sizeof(assay_sampling), decoding.max_new, decoding.min_new,
                              decoding.top_k, decoding.temperature, decoding.top_p, request.seed,
                              nullptr});
    assay_text_request& made = wire.add(request.id, request.prompt);
    made.kind = ASSAY_REQ_GENERATE;
    made.sampling = &wire.samplings.back();
    made.stops = wire.stops.data();
    made.n_stops = wire.stops.size();
  }
  return wire;
}

/// Calls the backend's run, and holds what it left undone against it.
template <class Answer, class State>
Result<void> run(const Instance& backend, Collector<Answer, State>& collector,
                 const std::function<assay_status(assay_error*)>& call) {
  const Component& component = backend.component();
  if (auto ran = backend.call("run", call); !ran) {
    collector.fail_the_rest(ran.error());
    return ran;
  }
  collector.fail_the_rest(
      {ASSAY_INTERNAL, std::string(component.id()) + " returned without answering this request"});
  if (!collector.misbehaviour().empty()) {
    return Failure{ASSAY_INTERNAL, std::string(component.id()) + " " + collector.misbehaviour() +
                                       ": its results are not used"};
  }
  return {};
}

template <class Answer, class State>
Result<void> run(const Instance& backend, const Wire& wire, Collector<Answer, State>& collector) {
  const assay_batch batch = wire.batch();
  return run(backend, collector, [&](assay_error* error) {
    return backend.api<assay_backend_v1>().run(backend.self(), &batch, &collector.table(), error);
  });
}

template <class Answer, class State>
Result<void> run(const Instance& backend, const TextWire& wire,
                 Collector<Answer, State>& collector) {
  const auto* api = backend.extension<assay_backend_text_v1>(ASSAY_BACKEND_TEXT_1);
  if (api == nullptr || api->run == nullptr) {
    Failure failure{ASSAY_UNIMPLEMENTED,
                    std::string(backend.component().id()) + " answers no texts"};
    collector.fail_the_rest(failure);
    return failure;
  }
  const assay_text_batch batch = wire.batch();
  return run(backend, collector, [&](assay_error* error) {
    return api->run(backend.self(), &batch, &collector.text_table(), error);
  });
}

/// A job with what a backend is lent to round weights, in the tables of the ABI.
class LentRounding {
 public:
  LentRounding(assay_job job, const Rounding& rounding)
      : job_(job), layers_(rounding.layers), wire_(wire_of(rounding.calibration, 0)) {
    batch_ = wire_.batch();
    if (!rounding.calibration.empty()) job_.calibration = &batch_;
    if (layers_) job_.layers = &sink_;
  }
  LentRounding(const LentRounding&) = delete;
  LentRounding& operator=(const LentRounding&) = delete;

  const assay_job& job() const { return job_; }

 private:
  static void take(void* ctx, assay_str layer, const char* name, double value) noexcept {
    auto& lent = *static_cast<LentRounding*>(ctx);
    if (name == nullptr) return;
    const std::scoped_lock hold(lent.lock_);
    lent.layers_(mended_utf8({layer.ptr, layer.ptr == nullptr ? 0 : layer.len}), mended_utf8(name),
                 value);
  }

  assay_job job_;
  const LayerSink& layers_;
  Wire wire_;
  assay_batch batch_{};
  std::mutex lock_;
  const assay_layer_sink sink_{sizeof(assay_layer_sink), 0, this, take};
};

/// Everything a manifest can ask for of what the backend offers.
std::uint32_t wanted_of(const Component& component) {
  return static_cast<std::uint32_t>(component.constants->caps) &
         (ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE);
}

}  // namespace

assay_job job_of(const Component& backend, std::string_view model_dir, std::uint64_t max_tokens) {
  assay_job job{};
  job.struct_size = sizeof(job);
  job.want = wanted_of(backend);
  job.model_dir = {model_dir.data(), model_dir.size()};
  job.context = max_tokens;
  return job;
}

Result<ModelInfo> load_here(const Instance& backend, const assay_job& job,
                            const Rounding& rounding) {
  const LentRounding lent(job, rounding);
  assay_model_info info{};
  info.struct_size = sizeof(info);
  info.bos = info.eos = -1;
  auto loaded = backend.call("load", [&](assay_error* error) {
    return backend.api<assay_backend_v1>().load(backend.self(), &lent.job(), &info, error);
  });
  if (!loaded) return std::move(loaded).error();
  return ModelInfo{info.vocab,           info.max_context, info.weight_bytes,
                   info.bits_per_weight, info.bos,         info.eos};
}

Result<void> quantize_here(const Instance& backend, std::string_view model_dir,
                           std::string_view out_dir, const Rounding& rounding) {
  const auto& api = backend.api<assay_backend_v1>();
  if (api.quantize == nullptr) {
    return Failure{ASSAY_UNIMPLEMENTED,
                   std::string(backend.component().id()) + " cannot quantize; use another backend"};
  }
  assay_job job = job_of(backend.component(), model_dir, 0);
  job.want = ASSAY_CAP_QUANTIZE;
  job.out_dir = borrowed(out_dir);
  const LentRounding lent(job, rounding);
  return backend.call("quantize", [&](assay_error* error) {
    return api.quantize(backend.self(), &lent.job(), error);
  });
}

Result<Tokenizer> tokenizer_of(const Instance& backend, const ModelInfo& info,
                               const std::filesystem::path& model_dir) {
  if (backend.extension<assay_backend_tokenizer_v1>(ASSAY_BACKEND_TOKENIZER_1) == nullptr) {
    return Tokenizer::open(model_dir);
  }
  return Tokenizer::open(backend, info.bos, info.eos);
}

Result<ChatTemplate> chat_template_of(const Instance& backend,
                                      const std::filesystem::path& model_dir) {
  if (backend.extension<assay_backend_template_v1>(ASSAY_BACKEND_TEMPLATE_1) == nullptr) {
    return ChatTemplate::open(model_dir);
  }
  return ChatTemplate::open(backend);
}

Result<void> score_here(const Instance& backend, std::span<const ScoreRequest> requests,
                        const ScoreSink& sink) {
  if (requests.empty()) return {};
  ScoreCollector collector(requests, backend.component(), sink);
  return run(backend, wire_of(requests), collector);
}

Result<void> generate_here(const Instance& backend, std::span<const GenerateRequest> requests,
                           const Decoding& decoding, const Tokenizer& tokenizer,
                           const GenerationSink& sink) {
  if (requests.empty()) return {};
  GenerationCollector collector(requests, decoding, tokenizer, backend.component(), sink);
  return run(backend, wire_of(requests, decoding), collector);
}

Result<void> score_texts_here(const Instance& backend, std::span<const TextScoreRequest> requests,
                              const ScoreSink& sink) {
  if (requests.empty()) return {};
  TextScoreCollector collector(requests, backend.component(), sink);
  return run(backend, wire_of(requests), collector);
}

Result<void> generate_texts_here(const Instance& backend,
                                 std::span<const TextGenerateRequest> requests,
                                 const Decoding& decoding, const GenerationSink& sink) {
  if (requests.empty()) return {};
  TextCollector collector(requests, decoding, backend.component(), sink);
  return run(backend, wire_of(requests, decoding), collector);
}

}  // namespace assay::host
