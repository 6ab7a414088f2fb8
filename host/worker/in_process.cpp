#include <algorithm>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "host/loader/instance.hpp"
#include "host/worker/session.hpp"

namespace assay::host {
namespace {

/// What arrived for one request so far.
struct Pending {
  std::uint64_t n_scores = 0;
  Score score;
  std::string fault;
};

/// Collects what a backend pushes and hands each finished request on. Answers are taken only for
/// ids in flight; a second done of an id is told, not obeyed.
class Collector {
 public:
  Collector(std::span<const ScoreRequest> requests, const Component& component,
            const ScoreSink& sink)
      : component_(component), sink_(sink) {
    for (const ScoreRequest& request : requests) {
      pending_[request.id].n_scores = request.tokens.size() - request.first;
      first_[request.id] = request.first;
    }
    table_.struct_size = sizeof(table_);
    table_.ctx = this;
    table_.scores = [](void* ctx, std::uint64_t id, std::uint64_t first, const float* logprobs,
                       const std::uint8_t* greedy, std::uint64_t n) noexcept -> std::int32_t {
      return static_cast<Collector*>(ctx)->scores(id, first, logprobs, greedy, n);
    };
    table_.logits = [](void*, std::uint64_t, std::uint64_t,
                       const assay_tensor*) noexcept -> std::int32_t { return 1; };
    table_.tokens = [](void*, std::uint64_t, const std::int32_t*, const float*,
                       std::uint64_t) noexcept -> std::int32_t { return 1; };
    table_.done = [](void* ctx, std::uint64_t id, const assay_error* failure,
                     const assay_usage*) noexcept {
      static_cast<Collector*>(ctx)->done(id, failure);
    };
  }

  const assay_result_sink& table() const { return table_; }

  /// Answers every request the backend left open.
  void fail_the_rest(const Failure& failure) {
    while (!pending_.empty()) finish(pending_.begin()->first, failure);
  }

  /// What the backend did against the contract, or "".
  const std::string& misbehaviour() const { return misbehaviour_; }

 private:
  std::int32_t scores(std::uint64_t id, std::uint64_t first, const float* logprobs,
                      const std::uint8_t* greedy, std::uint64_t n) {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(id);
    if (found == pending_.end()) return complain(id, "gave scores for a request not in flight");
    Pending& pending = found->second;
    if (logprobs == nullptr || greedy == nullptr) {
      pending.fault = "left out log-probabilities or greedy flags that were asked for";
      return 1;
    }
    if (first != first_[id] + pending.score.logprobs.size() ||
        pending.score.logprobs.size() + n > pending.n_scores) {
      pending.fault = "gave scores for other positions than were asked for";
      return 1;
    }
    pending.score.logprobs.insert(pending.score.logprobs.end(), logprobs, logprobs + n);
    pending.score.greedy.insert(pending.score.greedy.end(), greedy, greedy + n);
    return 0;
  }

  void done(std::uint64_t id, const assay_error* failure) {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(id);
    if (found == pending_.end()) {
      complain(id, "finished a request that is not in flight");
      return;
    }
    Pending& pending = found->second;
    if (failure != nullptr) {
      finish(id, failure_from(component_, failure->code, *failure));
    } else if (!pending.fault.empty()) {
      finish(id, broken(pending.fault));
    } else if (pending.score.logprobs.size() != pending.n_scores) {
      finish(id, broken("finished with " + std::to_string(pending.score.logprobs.size()) + " of " +
                        std::to_string(pending.n_scores) + " scores"));
    } else {
      Score score = std::move(pending.score);
      pending_.erase(found);
      sink_(id, std::move(score));
    }
  }

  Failure broken(const std::string& what) const {
    return Failure{ASSAY_INTERNAL, std::string(component_.id()) + " " + what, ""};
  }

  void finish(std::uint64_t id, Failure failure) {
    pending_.erase(id);
    sink_(id, std::move(failure));
  }

  std::int32_t complain(std::uint64_t id, const char* what) {
    if (misbehaviour_.empty())
      misbehaviour_ = std::string(what) + " (id " + std::to_string(id) + ")";
    return 1;
  }

  const Component& component_;
  const ScoreSink& sink_;
  std::mutex mutex_;
  std::map<std::uint64_t, Pending> pending_;
  std::map<std::uint64_t, std::uint64_t> first_;
  std::string misbehaviour_;
  assay_result_sink table_{};
};

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
    std::vector<assay_request> wire(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const ScoreRequest& request = requests[i];
      wire[i] = assay_request{request.id,
                              ASSAY_REQ_SCORE,
                              ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY,
                              request.tokens.data(),
                              request.tokens.size(),
                              request.first,
                              request.prefix_group,
                              request.prefix_len,
                              nullptr};
    }
    const assay_batch batch{sizeof(assay_batch), 0, wire.size(), sizeof(assay_request),
                            wire.data()};
    Collector collector(requests, instance_.component(), sink);
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

  Result<void> generate(std::span<const GenerateRequest>, const Decoding&, const Tokenizer&,
                        const GenerationSink&) override {
    return Failure{ASSAY_UNIMPLEMENTED, "generation is not built yet"};
  }

 private:
  assay_job job_for(std::uint64_t max_tokens) const {
    assay_job job{};
    job.struct_size = sizeof(job);
    job.want = ASSAY_CAP_SCORE;
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
  job.want = ASSAY_CAP_SCORE;
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
  if (api->run == nullptr || (component.constants->caps & ASSAY_CAP_SCORE) == 0) {
    return Failure{ASSAY_UNIMPLEMENTED,
                   std::string(component.id()) + " does not score tokens; use another backend"};
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
