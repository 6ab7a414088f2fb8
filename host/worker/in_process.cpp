#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "host/loader/instance.hpp"
#include "host/worker/collector.hpp"
#include "host/worker/session.hpp"
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
    constexpr std::uint32_t kToldToEnd = 3;
    if (usage->finish == kToldToEnd && !stop) return Failure{ASSAY_CANCELLED, "interrupted"};

    Generation said;
    said.finish = stop ? Finish::kStop : is_ended ? Finish::kEnd : Finish::kLength;
    said.text = stop ? text->substr(0, *stop) : std::move(*text);
    said.seconds = usage->seconds;
    if (streams_ && !open.tokens.empty()) {
      const double after_first = seconds_between(open.first_token, open.last_token);
      said.first_token_seconds = std::max(0.0, usage->seconds - after_first);
    }
    said.tokens = std::move(open.tokens);
    return said;
  }

  const Decoding& decoding_;
  const Tokenizer& tokenizer_;
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

Wire wire_of(std::span<const ScoreRequest> requests) {
  Wire wire;
  for (const ScoreRequest& request : requests) {
    wire.requests.push_back({request.id, ASSAY_REQ_SCORE, ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY,
                             request.tokens.data(), request.tokens.size(), request.first,
                             request.prefix_group, request.prefix_len, nullptr});
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

/// Everything a manifest can ask for of what the backend offers.
std::uint32_t wanted_of(const Component& component) {
  return static_cast<std::uint32_t>(component.constants->caps) &
         (ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE);
}

class InProcess final : public Session {
 public:
  InProcess(Instance instance, std::string model_dir)
      : instance_(std::move(instance)), model_dir_(std::move(model_dir)) {}

  Result<ModelInfo> load(std::uint64_t max_tokens) override {
    const assay_job job = job_for(max_tokens);
    assay_model_info info{};
    info.struct_size = sizeof(info);
    info.bos = info.eos = -1;
    assay_error error{};
    error.struct_size = sizeof(error);
    const assay_status status =
        instance_.api<assay_backend_v1>().load(instance_.self(), &job, &info, &error);
    if (status != ASSAY_OK) return failure_from(instance_.component(), status, error);
    return ModelInfo{info.vocab,           info.max_context, info.weight_bytes,
                     info.bits_per_weight, info.bos,         info.eos};
  }

  Result<void> score(std::span<const ScoreRequest> requests, const ScoreSink& sink) override {
    if (requests.empty()) return {};
    ScoreCollector collector(requests, instance_.component(), sink);
    return run(wire_of(requests), collector);
  }

  Result<void> generate(std::span<const GenerateRequest> requests, const Decoding& decoding,
                        const Tokenizer& tokenizer, const GenerationSink& sink) override {
    if (requests.empty()) return {};
    GenerationCollector collector(requests, decoding, tokenizer, instance_.component(), sink);
    return run(wire_of(requests, decoding), collector);
  }

 private:
  template <class Answer, class State>
  Result<void> run(const Wire& wire, Collector<Answer, State>& collector) {
    const assay_batch batch = wire.batch();
    assay_error error{};
    error.struct_size = sizeof(error);
    const assay_status status =
        instance_.api<assay_backend_v1>().run(instance_.self(), &batch, &collector.table(), &error);
    if (status != ASSAY_OK) {
      Failure failure = failure_from(instance_.component(), status, error);
      collector.fail_the_rest(failure);
      return failure;
    }
    const Failure unanswered{ASSAY_INTERNAL, std::string(instance_.component().id()) +
                                                 " returned without answering this request"};
    collector.fail_the_rest(unanswered);
    if (!collector.misbehaviour().empty()) {
      return Failure{ASSAY_INTERNAL, std::string(instance_.component().id()) + " " +
                                         collector.misbehaviour() + ": its results are not used"};
    }
    return {};
  }

  assay_job job_for(std::uint64_t max_tokens) const {
    assay_job job{};
    job.struct_size = sizeof(job);
    job.want = wanted_of(instance_.component());
    job.model_dir = {model_dir_.data(), model_dir_.size()};
    job.context = max_tokens;
    return job;
  }

  Instance instance_;
  std::string model_dir_;
};

Result<void> check_budget(const ModelSpec& model, const Lease& lease) {
  if (model.memory_budget_bytes == 0) return {};
  const std::string dir = model.path.string();
  assay_job job{};
  job.struct_size = sizeof(job);
  job.want = wanted_of(*model.backend.component);
  job.model_dir = {dir.data(), dir.size()};
  const auto need = Instance::estimate(*model.backend.component, model.backend.options, lease, job);
  if (!need) return need.error().code == ASSAY_UNIMPLEMENTED ? Result<void>{} : need.error();
  if (need->host_bytes <= model.memory_budget_bytes) return {};
  return Failure{ASSAY_RESOURCE_EXHAUSTED,
                 "model." + model.name + " needs about " + std::to_string(need->host_bytes) +
                     " bytes, more than its memory_budget of " +
                     std::to_string(model.memory_budget_bytes) + " bytes"};
}

}  // namespace

Result<std::unique_ptr<Session>> open_in_process(const ModelSpec& model, std::uint64_t seed,
                                                 const std::atomic<bool>& cancelled) {
  const Component& component = *model.backend.component;
  const auto* api = static_cast<const assay_backend_v1*>(component.constants->api);
  if (api->run == nullptr || wanted_of(component) == 0) {
    return Failure{ASSAY_UNIMPLEMENTED, std::string(component.id()) +
                                            " neither scores nor generates tokens; use another "
                                            "backend"};
  }
  Lease lease;
  lease.node = "model." + model.name;
  lease.threads =
      model.threads > 0 ? model.threads : std::max(1u, std::thread::hardware_concurrency());
  lease.host_bytes = model.memory_budget_bytes;
  lease.device = model.device;
  lease.seed = seed;
  lease.cancelled = &cancelled;
  if (auto fits = check_budget(model, lease); !fits) return std::move(fits).error();
  auto instance = Instance::create(component, model.backend.options, lease);
  if (!instance) return std::move(instance).error();
  return std::unique_ptr<Session>(
      std::make_unique<InProcess>(std::move(*instance), model.path.string()));
}

}  // namespace assay::host
