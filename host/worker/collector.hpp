// What a backend pushes for the requests of one batch, held against the contract: data only for ids
// in flight, one done for each. What the data means is the derived collectors'.
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "host/core/result.hpp"
#include "host/loader/instance.hpp"

namespace assay::host {

/// `State` is what arrived for one request so far, and has a `std::string fault`: what the backend
/// did wrong in it, or "". Hooks are called one at a time.
///
/// Threads  [any-thread] the tables until the call they are given to returns; the sink is called
/// from
///          there, not two at a time
template <class Answer, class State>
class Collector {
 public:
  using Sink = std::function<void(std::uint64_t id, Result<Answer> answer)>;

  Collector(const Component& component, const Sink& sink) : component_(component), sink_(sink) {
    table_.struct_size = sizeof(table_);
    table_.ctx = this;
    table_.scores = [](void* ctx, std::uint64_t id, std::uint64_t first, const float* logprobs,
                       const std::uint8_t* greedy, std::uint64_t n) noexcept -> std::int32_t {
      return self(ctx).with(
          id, [&](State& state) { return self(ctx).scores(state, first, logprobs, greedy, n); });
    };
    table_.logits = [](void* ctx, std::uint64_t id, std::uint64_t,
                       const assay_tensor*) noexcept -> std::int32_t {
      return self(ctx).with(id, [](State&) { return std::int32_t{1}; });
    };
    table_.tokens = [](void* ctx, std::uint64_t id, const std::int32_t* tokens, const float*,
                       std::uint64_t n) noexcept -> std::int32_t {
      return self(ctx).with(id, [&](State& state) { return self(ctx).tokens(state, tokens, n); });
    };
    table_.done = done_of;

    text_table_.struct_size = sizeof(text_table_);
    text_table_.ctx = this;
    text_table_.text = [](void* ctx, std::uint64_t id, assay_str piece,
                          std::uint64_t n_tokens) noexcept -> std::int32_t {
      const std::string_view text =
          piece.ptr != nullptr ? std::string_view(piece.ptr, piece.len) : std::string_view();
      return self(ctx).with(id,
                            [&](State& state) { return self(ctx).text(state, text, n_tokens); });
    };
    text_table_.scores = [](void* ctx, std::uint64_t id, std::int64_t begin,
                            const std::int64_t* end, const float* logprobs,
                            const std::uint8_t* greedy, std::uint64_t n) noexcept -> std::int32_t {
      return self(ctx).with(id, [&](State& state) {
        return self(ctx).pieces(state, begin, end, logprobs, greedy, n);
      });
    };
    text_table_.done = done_of;
  }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;
  virtual ~Collector() = default;

  const assay_result_sink& table() const { return table_; }
  const assay_text_sink& text_table() const { return text_table_; }

  /// Answers every request the backend left open.
  void fail_the_rest(const Failure& failure) {
    while (!open_.empty()) answer(open_.begin()->first, failure);
  }

  /// What the backend did against the contract that no request can be blamed for, or "".
  const std::string& misbehaviour() const { return misbehaviour_; }

 protected:
  void expect(std::uint64_t id, State state) { open_.emplace(id, std::move(state)); }

  Failure broken(const std::string& what) const {
    return Failure{ASSAY_INTERNAL, std::string(component_.id()) + " " + what};
  }

 private:
  // Non-zero: no more of this request.
  virtual std::int32_t scores(State&, std::uint64_t /*first*/, const float* /*logprobs*/,
                              const std::uint8_t* /*greedy*/, std::uint64_t /*n*/) {
    return 1;
  }
  virtual std::int32_t tokens(State&, const std::int32_t* /*tokens*/, std::uint64_t /*n*/) {
    return 1;
  }
  virtual std::int32_t text(State&, std::string_view /*piece*/, std::uint64_t /*n_tokens*/) {
    return 1;
  }
  virtual std::int32_t pieces(State&, std::int64_t /*begin*/, const std::int64_t* /*end*/,
                              const float* /*logprobs*/, const std::uint8_t* /*greedy*/,
                              std::uint64_t /*n*/) {
    return 1;
  }
  virtual Result<Answer> finish(State& state, const assay_usage* usage) = 0;

  static void done_of(void* ctx, std::uint64_t id, const assay_error* failure,
                      const assay_usage* usage) noexcept {
    self(ctx).done(id, failure, usage);
  }

  static Collector& self(void* ctx) { return *static_cast<Collector*>(ctx); }

  template <class Body>
  std::int32_t with(std::uint64_t id, Body&& body) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(id);
    if (found != open_.end()) return body(found->second);
    complain(id, "gave results for a request that is not in flight");
    return 1;
  }

  void done(std::uint64_t id, const assay_error* failure, const assay_usage* usage) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(id);
    if (found == open_.end()) return complain(id, "finished a request that is not in flight");
    State& state = found->second;
    if (failure != nullptr) {
      answer(id, failure_from(component_, failure->code, *failure));
    } else if (!state.fault.empty()) {
      answer(id, broken(state.fault));
    } else {
      answer(id, finish(state, usage));
    }
  }

  void answer(std::uint64_t id, Result<Answer> result) {
    open_.erase(id);
    sink_(id, std::move(result));
  }

  void complain(std::uint64_t id, const char* what) {
    if (misbehaviour_.empty()) {
      misbehaviour_ = std::string(what) + " (id " + std::to_string(id) + ")";
    }
  }

  const Component& component_;
  const Sink& sink_;
  std::mutex mutex_;
  std::map<std::uint64_t, State> open_;
  std::string misbehaviour_;
  assay_result_sink table_{};
  assay_text_sink text_table_{};
};

}  // namespace assay::host
