#include "host/worker/session.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "host/core/hash.hpp"
#include "host/loader/instance.hpp"
#include "host/worker/answers.hpp"
#include "host/worker/far_answers.hpp"
#include "host/worker/remote.hpp"

namespace assay::host {
namespace {

class BackendSession final : public Session {
 public:
  BackendSession(Instance instance, std::string model_dir, assay_device device)
      : instance_(std::move(instance)), model_dir_(std::move(model_dir)), device_(device) {}

  Result<ModelInfo> load(std::uint64_t max_tokens, const Rounding& rounding) override {
    const assay_job job = job_of(instance_.component(), model_dir_, max_tokens);
    auto info = load_here(instance_, job, rounding);
    if (info) info_ = *info;
    return info;
  }

  Result<void> quantize(const std::filesystem::path& out_dir, const Rounding& rounding) override {
    return quantize_here(instance_, model_dir_, out_dir.string(), rounding);
  }

  Result<const Tokenizer*> tokenizer() override {
    if (!tokenizer_) {
      auto opened = tokenizer_of(instance_, info_, model_dir_);
      if (!opened) return std::move(opened).error();
      tokenizer_ = std::move(*opened);
    }
    return &*tokenizer_;
  }

  Result<const ChatTemplate*> chat_template() override {
    if (!chat_template_) {
      auto opened = chat_template_of(instance_, model_dir_);
      if (!opened) return std::move(opened).error();
      chat_template_ = std::move(*opened);
    }
    return &*chat_template_;
  }

  Result<std::vector<DeviceMemory>> memory() override { return memory_of(instance_, device_); }
  Result<void> reset_memory_peaks() override { return host::reset_memory_peaks(instance_); }

  Result<void> score(std::span<const ScoreRequest> requests, const ScoreSink& sink) override {
    return score_here(instance_, requests, sink);
  }

  Result<void> generate(std::span<const GenerateRequest> requests, const Decoding& decoding,
                        const GenerationSink& sink) override {
    if (Remote* remote = instance_.remote()) {
      return generate_there(worker_of(*remote), instance_.component(), requests, decoding, sink);
    }
    auto decoder = tokenizer();
    if (!decoder) return std::move(decoder).error();
    return generate_here(instance_, requests, decoding, **decoder, sink);
  }

  Result<void> score_texts(std::span<const TextScoreRequest> requests,
                           const ScoreSink& sink) override {
    return score_texts_here(instance_, requests, sink);
  }

  Result<void> generate_texts(std::span<const TextGenerateRequest> requests,
                              const Decoding& decoding, const GenerationSink& sink) override {
    if (Remote* remote = instance_.remote()) {
      return generate_texts_there(worker_of(*remote), instance_.component(), requests, decoding,
                                  sink);
    }
    return generate_texts_here(instance_, requests, decoding, sink);
  }

 private:
  Instance instance_;
  std::string model_dir_;
  assay_device device_;
  ModelInfo info_;
  std::optional<Tokenizer> tokenizer_;  // these two: made when first asked for
  std::optional<ChatTemplate> chat_template_;
};

Result<void> check_budget(const ModelSpec& model, const Lease& lease) {
  if (model.memory_budget_bytes == 0) return {};
  const std::string dir = model.path.string();
  assay_job job = job_of(*model.backend.component, dir, 0);
  if (model.is_quantized) job.want = ASSAY_CAP_QUANTIZE;
  const auto need = Instance::estimate(*model.backend.component, model.backend.options, lease, job);
  if (!need) return need.error().code == ASSAY_UNIMPLEMENTED ? Result<void>{} : need.error();
  if (need->host_bytes <= model.memory_budget_bytes) return {};
  return Failure{ASSAY_RESOURCE_EXHAUSTED,
                 "model." + model.name + " needs about " + std::to_string(need->host_bytes) +
                     " bytes, more than its memory_budget of " +
                     std::to_string(model.memory_budget_bytes) + " bytes"};
}

}  // namespace

Result<std::unique_ptr<Session>> open_session(const ModelSpec& model, std::uint64_t seed,
                                              const std::atomic<bool>& cancelled,
                                              ProgressSink on_progress) {
  const Component& component = *model.backend.component;
  const auto* api = static_cast<const assay_backend_v1*>(component.constants->api);
  if ((api->run == nullptr && !is_text_only(component)) || job_of(component, "", 0).want == 0) {
    return Failure{ASSAY_UNIMPLEMENTED, std::string(component.id()) +
                                            " neither scores nor generates; use another backend"};
  }
  Lease lease;
  lease.node = "model." + model.name;
  lease.threads =
      model.threads > 0 ? model.threads : std::max(1u, std::thread::hardware_concurrency());
  lease.host_bytes = model.memory_budget_bytes;
  lease.device = model.device;
  // Not the run's own: the order of requests follows from that.
  lease.seed = seed_from("backend:" + std::to_string(seed));
  lease.cancelled = &cancelled;
  lease.on_progress = std::move(on_progress);
  lease.in_worker = model.isolation == Isolated::kWorker;
  lease.timeout_seconds = model.timeout_seconds;
  if (auto fits = check_budget(model, lease); !fits) return std::move(fits).error();
  auto instance = Instance::create(component, model.backend.options, lease);
  if (!instance) return std::move(instance).error();
  return std::unique_ptr<Session>(
      std::make_unique<BackendSession>(std::move(*instance), model.path.string(), model.device));
}

}  // namespace assay::host
