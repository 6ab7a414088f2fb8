#include "support/recorder.hpp"

namespace assay_torch_test {
namespace {

Recorder& self(void* ctx) { return *static_cast<Recorder*>(ctx); }

std::int32_t verdict(Recorder& recorder) {
  if (recorder.refuse_after_ < 0) return 0;
  return recorder.refuse_after_-- == 0 ? 1 : 0;
}

}  // namespace

assay_result_sink Recorder::sink() {
  assay_result_sink sink{};
  sink.struct_size = sizeof sink;
  sink.ctx = this;
  sink.scores = [](void* ctx, std::uint64_t id, std::uint64_t first, const float* logprobs,
                   const std::uint8_t* greedy, std::uint64_t n) noexcept -> std::int32_t {
    Answer& answer = self(ctx).answers_[id];
    answer.first = first;
    if (logprobs != nullptr) answer.logprobs.insert(answer.logprobs.end(), logprobs, logprobs + n);
    if (greedy != nullptr) answer.greedy.insert(answer.greedy.end(), greedy, greedy + n);
    return verdict(self(ctx));
  };
  sink.logits = [](void* ctx, std::uint64_t id, std::uint64_t,
                   const assay_tensor* rows) noexcept -> std::int32_t {
    Answer& answer = self(ctx).answers_[id];
    const auto* values = static_cast<const float*>(rows->data);
    answer.logits.insert(answer.logits.end(), values, values + rows->shape[0] * rows->shape[1]);
    ++answer.logit_chunks;
    return verdict(self(ctx));
  };
  sink.tokens = [](void* ctx, std::uint64_t id, const std::int32_t* tokens, const float* logprobs,
                   std::uint64_t n) noexcept -> std::int32_t {
    Answer& answer = self(ctx).answers_[id];
    answer.tokens.insert(answer.tokens.end(), tokens, tokens + n);
    if (logprobs != nullptr) answer.logprobs.insert(answer.logprobs.end(), logprobs, logprobs + n);
    answer.token_calls.push_back(n);
    self(ctx).token_order_.push_back(id);
    return verdict(self(ctx));
  };
  sink.done = [](void* ctx, std::uint64_t id, const assay_error* failure,
                 const assay_usage* usage) noexcept {
    Answer& answer = self(ctx).answers_[id];
    ++answer.times_done;
    if (failure != nullptr) answer.failure = std::to_string(failure->code) + " " + failure->text;
    if (usage != nullptr) answer.usage = *usage;
    self(ctx).done_order_.push_back(id);
  };
  return sink;
}

void Requests::add(std::vector<std::int32_t> tokens, std::uint64_t first, std::uint32_t want) {
  tokens_.push_back(std::move(tokens));
  assay_request request{};
  request.id = requests_.size() + 1;
  request.kind = ASSAY_REQ_SCORE;
  request.want = want;
  request.n_tokens = tokens_.back().size();
  request.first = first;
  requests_.push_back(request);
}

void Requests::add_prompt(std::vector<std::int32_t> tokens, Sampled sampled, std::uint32_t want) {
  add(std::move(tokens), 0, want);
  auto kept = std::make_unique<Sampling>();
  kept->stops = std::move(sampled.stops);
  for (auto& stop : kept->stops) {
    stop.push_back(-1);
    kept->pointers.push_back(stop.data());
  }
  kept->pointers.push_back(nullptr);
  kept->sampling = {sizeof(assay_sampling), sampled.max_new,      sampled.min_new,
                    sampled.top_k,          sampled.temperature,  sampled.top_p,
                    sampled.seed,           kept->pointers.data()};
  requests_.back().kind = ASSAY_REQ_GENERATE;
  requests_.back().sampling = &kept->sampling;
  samplings_.push_back(std::move(kept));
}

assay_batch Requests::batch(std::uint32_t flags) {
  for (std::size_t i = 0; i < requests_.size(); ++i) requests_[i].tokens = tokens_[i].data();
  assay_batch batch{};
  batch.struct_size = sizeof batch;
  batch.flags = flags;
  batch.n = requests_.size();
  batch.stride = sizeof(assay_request);
  batch.requests = requests_.data();
  return batch;
}

}  // namespace assay_torch_test
