// Requests on their way into a backend and results on their way out, with the rules of the sink
// kept in one place. What a backend computes is its own.
#pragma once

#include <assay/abi.h>

#include <assay/checked.hpp>
#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

using Request = assay_request;

inline std::span<const std::int32_t> tokens_of(const Request& request) {
  return {request.tokens, static_cast<std::size_t>(request.n_tokens)};
}

/// The requests of one run, walked by the host's stride.
///
/// Owns     borrowed until run returns
class Batch {
 public:
  explicit Batch(const assay_batch& batch) : batch_(&batch) {}

  std::size_t size() const { return static_cast<std::size_t>(batch_->n); }
  const Request& operator[](std::size_t i) const { return *ASSAY_REQUEST(batch_, i); }
  /// ASSAY_BATCH_*.
  std::uint32_t flags() const { return batch_->flags; }
  const assay_batch& raw() const { return *batch_; }

  class Iterator {
   public:
    Iterator(const Batch& batch, std::size_t i) : batch_(&batch), i_(i) {}
    const Request& operator*() const { return (*batch_)[i_]; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return i_ == other.i_; }

   private:
    const Batch* batch_;
    std::size_t i_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  const assay_batch* batch_;
};

/// Where results go. Each request gets its data, ascending and without gaps, then exactly one
/// done() or fail(). What breaks that is dropped and logged, and in the checking build fails the
/// run.
///
/// Threads  [any-thread] until run returns; calls for one id never overlap
/// Owns     everything given is read before the call returns, which may wait
class Sink {
 public:
  Sink(const Batch& batch, const assay_result_sink& host_sink, const assay_host* table)
      : host_sink_(&host_sink), table_(table), answers_(new Answer[batch.size()]) {
    places_.reserve(batch.size());
    for (const Request& request : batch) {
      Answer& answer = answers_[places_.size()];
      answer.next = request.kind == ASSAY_REQ_SCORE ? request.first : 0;
      if (!places_.emplace(request.id, places_.size()).second) {
        throw Error(ASSAY_INVALID_ARGUMENT, std::to_string(request.id),
                    "two requests of one batch have the id " + std::to_string(request.id));
      }
    }
  }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // False: no more of this request, go on to done().

  /// Of tokens[first], tokens[first + 1], ...; either span is empty when it is not wanted.
  ///
  /// Units    log-probabilities in nats
  bool scores(std::uint64_t id, std::uint64_t first, std::span<const float> logprobs,
              std::span<const std::uint8_t> greedy) {
    if (!logprobs.empty() && !greedy.empty() && logprobs.size() != greedy.size()) {
      throw Error(ASSAY_INTERNAL, std::to_string(id),
                  std::to_string(logprobs.size()) + " log-probabilities and " +
                      std::to_string(greedy.size()) + " greedy flags were given for one chunk");
    }
    const std::size_t n = logprobs.empty() ? greedy.size() : logprobs.size();
    return put_scores(id, first, logprobs.empty() ? nullptr : logprobs.data(),
                      greedy.empty() ? nullptr : greedy.data(), n) == 0;
  }
  /// Shapes   rows [n, vocab] in host memory, f32, f16 or bf16; row i belongs to tokens[first +
  /// i]
  bool logits(std::uint64_t id, std::uint64_t first, const assay_tensor& rows) {
    return put_logits(id, first, rows) == 0;
  }
  bool tokens(std::uint64_t id, std::span<const std::int32_t> tokens,
              std::span<const float> logprobs) {
    return put_tokens(id, tokens.data(), logprobs.empty() ? nullptr : logprobs.data(),
                      tokens.size()) == 0;
  }

  void done(std::uint64_t id) { put_done(id, nullptr, nullptr); }
  void done(std::uint64_t id, const assay_usage& usage) { put_done(id, nullptr, &usage); }
  void fail(std::uint64_t id, assay_status code, std::string_view text) {
    assay_error error{};
    error.struct_size = sizeof error;
    put(&error, code, std::to_string(id), text);
    put_done(id, &error, nullptr);
  }

  /// The same as a C sink, for code on the bare ABI. Valid as long as this.
  const assay_result_sink& raw() const { return raw_; }

  /// The layer's: answers for requests that got none, and how often a rule was broken.
  void answer_the_rest(const Batch& batch) {
    for (const Request& request : batch) {
      if (answers_[places_.at(request.id)].is_done) continue;
      broke("every-request-is-answered", request.id, "run returned without done()");
      fail(request.id, ASSAY_INTERNAL, "the backend gave no answer to this request");
    }
  }
  std::uint64_t n_broken() const { return n_broken_; }
  bool is_done(std::uint64_t id) const { return answers_[places_.at(id)].is_done; }

 private:
  struct Answer {
    std::atomic<bool> is_done = false;
    std::atomic<std::uint64_t> next = 0;  // the position scores must go on from
  };

  static Sink& of(void* ctx) { return *static_cast<Sink*>(ctx); }

  void broke(const char* rule, std::uint64_t id, const char* what) noexcept {
    ++n_broken_;
    wall(nullptr, [&] {
      log_misbehaviour(table_, "plugin", rule, "request " + std::to_string(id) + ": " + what);
    });
  }

  /// The open answer of that id, or null when there is none.
  Answer* open_answer(std::uint64_t id) noexcept {
    const auto place = places_.find(id);
    if (place == places_.end()) {
      broke("answers-are-for-requests-of-the-batch", id, "no such request in this batch");
      return nullptr;
    }
    Answer& answer = answers_[place->second];
    if (!answer.is_done) return &answer;
    broke("done-is-the-last-call", id, "data or another done() after done()");
    return nullptr;
  }

  std::int32_t put_scores(std::uint64_t id, std::uint64_t first, const float* logprobs,
                          const std::uint8_t* greedy, std::uint64_t n) noexcept {
    Answer* answer = open_answer(id);
    if (answer == nullptr) return 1;
    if (kIsChecked && first != answer->next) {
      broke("chunks-ascend-without-gaps", id, "scores do not begin where the last ones ended");
    }
    answer->next = first + n;
    return host_sink_->scores(host_sink_->ctx, id, first, logprobs, greedy, n);
  }
  std::int32_t put_logits(std::uint64_t id, std::uint64_t first,
                          const assay_tensor& rows) noexcept {
    if (open_answer(id) == nullptr) return 1;
    return host_sink_->logits(host_sink_->ctx, id, first, &rows);
  }
  std::int32_t put_tokens(std::uint64_t id, const std::int32_t* tokens, const float* logprobs,
                          std::uint64_t n) noexcept {
    if (open_answer(id) == nullptr) return 1;
    return host_sink_->tokens(host_sink_->ctx, id, tokens, logprobs, n);
  }
  void put_done(std::uint64_t id, const assay_error* failure, const assay_usage* usage) noexcept {
    Answer* answer = open_answer(id);
    if (answer == nullptr) return;
    if (answer->is_done.exchange(true)) return;
    host_sink_->done(host_sink_->ctx, id, failure, usage);
  }

  const assay_result_sink* host_sink_;
  const assay_host* table_;
  std::unordered_map<std::uint64_t, std::size_t> places_;
  std::unique_ptr<Answer[]> answers_;
  std::atomic<std::uint64_t> n_broken_ = 0;
  const assay_result_sink raw_{
      sizeof(assay_result_sink),
      0,
      this,
      [](void* ctx, std::uint64_t id, std::uint64_t first, const float* logprobs,
         const std::uint8_t* greedy,
         std::uint64_t n) noexcept { return of(ctx).put_scores(id, first, logprobs, greedy, n); },
      [](void* ctx, std::uint64_t id, std::uint64_t first, const assay_tensor* rows) noexcept {
        return of(ctx).put_logits(id, first, *rows);
      },
      [](void* ctx, std::uint64_t id, const std::int32_t* tokens, const float* logprobs,
         std::uint64_t n) noexcept { return of(ctx).put_tokens(id, tokens, logprobs, n); },
      [](void* ctx, std::uint64_t id, const assay_error* failure,
         const assay_usage* usage) noexcept { of(ctx).put_done(id, failure, usage); }};
};

/// Where score() and generate() put the results of their one request. The layer calls done().
class Results {
 public:
  Results(Sink& sink, const Request& request, assay_usage& usage)
      : sink_(&sink), id_(request.id), want_(request.want), usage_(&usage) {}

  /// Passes on what the request wants of the two.
  bool scores(std::uint64_t first, std::span<const float> logprobs,
              std::span<const std::uint8_t> greedy) {
    if ((want_ & ASSAY_WANT_LOGPROBS) == 0) logprobs = {};
    if ((want_ & ASSAY_WANT_GREEDY) == 0) greedy = {};
    return (logprobs.empty() && greedy.empty()) || sink_->scores(id_, first, logprobs, greedy);
  }
  bool logits(std::uint64_t first, const assay_tensor& rows) {
    return sink_->logits(id_, first, rows);
  }
  bool tokens(std::span<const std::int32_t> tokens, std::span<const float> logprobs) {
    return sink_->tokens(id_, tokens, logprobs);
  }
  /// What done() reports; zeros unless written.
  assay_usage& usage() { return *usage_; }

 private:
  Sink* sink_;
  std::uint64_t id_;
  std::uint32_t want_;
  assay_usage* usage_;
};

}  // namespace v1
}  // namespace assay
