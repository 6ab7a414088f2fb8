#include "schedule/outbox.hpp"

#include <utility>

namespace assay_torch {

Outbox::Outbox(const assay_result_sink& sink, std::vector<std::uint64_t> ids, Delivery delivery)
    : sink_(sink), ids_(std::move(ids)), delivery_(delivery), waiting_(ids_.size()) {}

bool Outbox::push(std::size_t place, std::int32_t token, std::optional<float> logprob) {
  Waiting& waiting = waiting_[place];
  waiting.tokens.push_back(token);
  if (logprob) waiting.logprobs.push_back(*logprob);
  if (delivery_ == Delivery::kAsItComes || place == turn_) deliver(place);
  return !waiting.is_refused;
}

void Outbox::done(std::size_t place, const assay_usage& usage) {
  waiting_[place].usage = usage;
  go_on(place);
}

void Outbox::fail(std::size_t place, Verdict verdict) {
  waiting_[place].failure = std::move(verdict);
  go_on(place);
}

void Outbox::deliver(std::size_t place) {
  Waiting& waiting = waiting_[place];
  if (waiting.tokens.empty()) return;
  if (!waiting.is_refused) {
    const float* logprobs = waiting.logprobs.empty() ? nullptr : waiting.logprobs.data();
    waiting.is_refused = sink_.tokens(sink_.ctx, ids_[place], waiting.tokens.data(), logprobs,
                                      waiting.tokens.size()) != 0;
  }
  waiting.tokens.clear();
  waiting.logprobs.clear();
}

void Outbox::end(std::size_t place) {
  const Waiting& waiting = waiting_[place];
  if (waiting.failure) {
    assay_torch::fail(sink_, ids_[place], waiting.failure->code, waiting.failure->text);
  } else {
    sink_.done(sink_.ctx, ids_[place], nullptr, &*waiting.usage);
  }
}

void Outbox::go_on(std::size_t place) {
  if (delivery_ == Delivery::kAsItComes) return end(place);
  for (; turn_ < waiting_.size(); ++turn_) {
    deliver(turn_);
    if (!waiting_[turn_].is_over()) return;
    end(turn_);
  }
}

}  // namespace assay_torch
