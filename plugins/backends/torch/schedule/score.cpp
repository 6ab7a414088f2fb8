#include "schedule/score.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "decoder/head.hpp"
#include "schedule/request.hpp"
#include "schedule/schedule.hpp"

namespace assay_torch {
namespace {

constexpr std::uint32_t kScores = ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY;

Verdict check(const DecoderSpec& spec, const assay_request& request) {
  if (request.first < 1 || request.first > request.n_tokens) {
    return {ASSAY_INVALID_ARGUMENT,
            "first must be between 1 and the " + std::to_string(request.n_tokens) +
                " tokens of the request, got " + std::to_string(request.first)};
  }
  if (request.n_tokens - 1 > static_cast<std::uint64_t>(spec.max_context)) {
    return {ASSAY_INVALID_ARGUMENT, "the request feeds " + std::to_string(request.n_tokens - 1) +
                                        " tokens, the model's context holds " +
                                        std::to_string(spec.max_context)};
  }
  return check_tokens(spec, request);
}

std::int64_t fed(const assay_request& request) {
  return static_cast<std::int64_t>(request.n_tokens) - 1;
}

std::int64_t scored(const assay_request& request) {
  return static_cast<std::int64_t>(request.n_tokens - request.first);
}

/// The requests of one forward pass and where their rows lie in it.
struct Pass {
  std::vector<const assay_request*> requests;
  std::vector<Segment> segments;
  std::vector<std::int64_t> first_tokens;  ///< position of each request's first token in the pass
  at::Tensor tokens;                       ///< [sum of lengths]
};

at::Tensor longs(std::int64_t size) { return at::empty({size}, at::kLong); }

Pass make_pass(std::vector<const assay_request*> requests, const at::Device& device) {
  Pass pass;
  pass.requests = std::move(requests);
  std::int64_t total = 0;
  for (const assay_request* request : pass.requests) {
    pass.segments.push_back({.length = fed(*request)});
    pass.first_tokens.push_back(total);
    total += fed(*request);
  }
  auto tokens = longs(total);
  auto* out = tokens.mutable_data_ptr<std::int64_t>();
  for (const assay_request* request : pass.requests)
    out = std::copy_n(request->tokens, fed(*request), out);
  pass.tokens = tokens.to(device);
  return pass;
}

/// Rows of the hidden states that predict something wanted, and what each predicts.
struct Rows {
  at::Tensor hidden, targets;
};

Rows scored_rows(const Pass& pass, const at::Tensor& hidden) {
  std::int64_t total = 0;
  for (const assay_request* request : pass.requests)
    total += (request->want & kScores) != 0 ? scored(*request) : 0;
  auto positions = longs(total), targets = longs(total);
  auto* position = positions.mutable_data_ptr<std::int64_t>();
  auto* target = targets.mutable_data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < pass.requests.size(); ++i) {
    const assay_request& request = *pass.requests[i];
    if ((request.want & kScores) == 0) continue;
    for (std::uint64_t t = request.first; t < request.n_tokens; ++t) {
      *position++ = pass.first_tokens[i] + static_cast<std::int64_t>(t) - 1;
      *target++ = request.tokens[t];
    }
  }
  const bool is_all = total == hidden.size(0);
  return {is_all ? hidden : hidden.index_select(0, positions.to(hidden.device())),
          targets.to(hidden.device())};
}

/// Sends one request's rows of logits. False: the sink wants no more.
bool send_logits(const Decoder& decoder, const assay_request& request, const at::Tensor& rows,
                 const assay_result_sink& sink) {
  bool goes_on = true;
  each_logits(*decoder.head, decoder.spec.vocab, rows,
              [&](std::int64_t first_row, const at::Tensor& logits) {
                const std::int64_t shape[] = {logits.size(0), logits.size(1)};
                assay_tensor view{};
                view.data = logits.mutable_data_ptr();
                view.device = {1, 0};
                view.ndim = 2;
                view.code = 2;
                view.bits = 32;
                view.lanes = 1;
                view.shape = shape;
                goes_on =
                    sink.logits(sink.ctx, request.id,
                                request.first + static_cast<std::uint64_t>(first_row), &view) == 0;
                return goes_on;
              });
  return goes_on;
}

class PassRunner {
 public:
  PassRunner(const Decoder& decoder, const assay_result_sink& sink)
      : decoder_(decoder), sink_(sink) {}

  void run(std::vector<const assay_request*> requests) {
    begin_ = std::chrono::steady_clock::now();
    const Pass pass = make_pass(std::move(requests), decoder_.device);
    const at::Tensor hidden = forward(decoder_, pass.tokens, pass.segments);
    std::uint32_t want = 0;
    for (const assay_request* request : pass.requests) want |= request->want;
    TargetScores scores;
    if ((want & kScores) != 0) {
      const Rows rows = scored_rows(pass, hidden);
      scores = score_targets(*decoder_.head, decoder_.spec.vocab, rows.hidden, rows.targets,
                             (want & ASSAY_WANT_GREEDY) != 0);
    }
    std::int64_t row = 0;
    for (; answered_ < pass.requests.size(); ++answered_) {
      const assay_request& request = *pass.requests[answered_];
      const auto logit_rows = hidden.narrow(
          0, pass.first_tokens[answered_] + static_cast<std::int64_t>(request.first) - 1,
          scored(request));
      answer(request, scores, row, logit_rows);
      if ((request.want & kScores) != 0) row += scored(request);
    }
  }

  /// How many of the requests, from the first, were answered before an exception ended the pass.
  std::size_t answered() const { return answered_; }

 private:
  void answer(const assay_request& request, const TargetScores& scores, std::int64_t row,
              const at::Tensor& logit_rows) {
    bool goes_on = true;
    if ((request.want & kScores) != 0) {
      const auto n = static_cast<std::uint64_t>(scored(request));
      const float* logprobs = scores.logprobs.const_data_ptr<float>() + row;
      const auto* bad =
          std::find_if(logprobs, logprobs + n, [](float v) { return !std::isfinite(v); });
      if (bad != logprobs + n) {
        return fail(sink_, request.id, ASSAY_INTERNAL,
                    "the log-probability of the token at position " +
                        std::to_string(request.first + static_cast<std::uint64_t>(bad - logprobs)) +
                        " is not finite: the model overflows its dtype on this text");
      }
      const std::uint8_t* greedy = nullptr;
      if ((request.want & ASSAY_WANT_GREEDY) != 0) {
        greedy = reinterpret_cast<const std::uint8_t*>(scores.greedy.const_data_ptr<bool>()) + row;
      }
      goes_on = sink_.scores(sink_.ctx, request.id, request.first,
                             (request.want & ASSAY_WANT_LOGPROBS) != 0 ? logprobs : nullptr, greedy,
                             n) == 0;
    }
    if (goes_on && (request.want & ASSAY_WANT_LOGITS) != 0)
      goes_on = send_logits(decoder_, request, logit_rows, sink_);
    assay_usage usage{};
    usage.struct_size = sizeof usage;
    usage.finish = goes_on ? 0 : 3;
    usage.prompt_tokens = static_cast<std::uint64_t>(fed(request));
    usage.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    sink_.done(sink_.ctx, request.id, nullptr, &usage);
  }

  const Decoder& decoder_;
  const assay_result_sink& sink_;
  std::chrono::steady_clock::time_point begin_;
  std::size_t answered_ = 0;
};

void run_pass(const Decoder& decoder, const std::vector<const assay_request*>& requests,
              const assay_result_sink& sink) {
  PassRunner runner(decoder, sink);
  try {
    return runner.run(requests);
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) throw;
  }
  std::int64_t tokens = 0;
  for (const assay_request* request : requests) tokens += fed(*request);
  for (std::size_t i = runner.answered(); i < requests.size(); ++i) {
    fail(sink, requests[i]->id, ASSAY_RESOURCE_EXHAUSTED,
         "no memory for a pass of " + std::to_string(tokens) + " tokens; lower batch_tokens");
  }
}

void run_all(const Decoder& decoder, const std::vector<const assay_request*>& requests,
             std::uint32_t flags, const assay_result_sink& sink, const ScheduleSettings& settings) {
  const bool is_ordered = (flags & ASSAY_BATCH_ORDERED) != 0;
  const bool is_together = (flags & ASSAY_BATCH_TOGETHER) != 0;
  std::vector<std::int64_t> lengths;
  for (const assay_request* request : requests) lengths.push_back(fed(*request));
  const auto passes = plan_passes(
      lengths, is_together ? std::numeric_limits<std::int64_t>::max() : settings.pass_tokens,
      is_ordered ? Order::kAsGiven : Order::kLongestFirst);
  for (const auto& pass : passes) {
    std::vector<const assay_request*> members;
    for (std::size_t index : pass) members.push_back(requests[index]);
    if (settings.cancelled && settings.cancelled()) {
      for (const assay_request* request : members) {
        fail(sink, request->id, ASSAY_CANCELLED, "cancelled before it was scored");
      }
    } else {
      run_pass(decoder, members, sink);
    }
  }
}

}  // namespace

void score(const Decoder& decoder, const assay_batch& batch, const assay_result_sink& sink,
           const ScheduleSettings& settings) {
  std::vector<const assay_request*> requests;
  for (std::uint64_t i = 0; i < batch.n; ++i) {
    const assay_request& request = *ASSAY_REQUEST(&batch, i);
    const Verdict verdict = check(decoder.spec, request);
    if (verdict.code == ASSAY_OK && request.first < request.n_tokens) {
      requests.push_back(&request);
      continue;
    }
    if ((batch.flags & ASSAY_BATCH_ORDERED) != 0)
      run_all(decoder, std::exchange(requests, {}), batch.flags, sink, settings);
    if (verdict.code != ASSAY_OK) {
      fail(sink, request.id, verdict.code, verdict.text);
    } else {
      assay_usage nothing{};
      nothing.struct_size = sizeof nothing;
      sink.done(sink.ctx, request.id, nullptr, &nothing);
    }
  }
  run_all(decoder, requests, batch.flags, sink, settings);
}

}  // namespace assay_torch
