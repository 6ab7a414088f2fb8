#include "schedule/generate.hpp"

#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "decoder/head.hpp"
#include "decoder/rope.hpp"
#include "schedule/outbox.hpp"
#include "schedule/request.hpp"
#include "schedule/sample.hpp"

namespace assay_torch {
namespace {

using Clock = std::chrono::steady_clock;
using Tokens = std::vector<std::int32_t>;

enum Finish : std::uint32_t { kGoesOn = 0, kStop = 1, kLength = 2, kToldToEnd = 3 };

std::vector<Tokens> stops_of(const assay_sampling& sampling) {
  std::vector<Tokens> stops;
  for (auto* stop = sampling.stops; stop != nullptr && *stop != nullptr; ++stop) {
    stops.emplace_back();
    for (const std::int32_t* token = *stop; *token >= 0; ++token) stops.back().push_back(*token);
  }
  return stops;
}

Verdict check_sampling(const assay_sampling& sampling) {
  const auto wrong = [](std::string text) {
    return Verdict{ASSAY_INVALID_ARGUMENT, std::move(text)};
  };
  if (sampling.min_new > sampling.max_new) {
    return wrong("min_new is " + std::to_string(sampling.min_new) + ", more than max_new, " +
                 std::to_string(sampling.max_new));
  }
  if (!std::isfinite(sampling.temperature) || sampling.temperature < 0) {
    return wrong("temperature must be 0 (greedy) or more, got " +
                 std::to_string(sampling.temperature));
  }
  if (sampling.temperature > 0 && !(sampling.top_p > 0 && sampling.top_p <= 1)) {
    return wrong("top_p must be above 0 and at most 1 (all), got " +
                 std::to_string(sampling.top_p));
  }
  const auto stops = stops_of(sampling);
  const auto empty = std::ranges::find_if(stops, &Tokens::empty);
  if (empty != stops.end()) {
    return wrong("stop " + std::to_string(empty - stops.begin()) +
                 " is empty; a stop has at least one token");
  }
  return {};
}

/// Tokens of the request that the cache holds before the last one is drawn.
std::int64_t kept_tokens(const assay_request& request) {
  return static_cast<std::int64_t>(request.n_tokens + request.sampling->max_new) - 1;
}

Verdict check(const DecoderSpec& spec, const assay_request& request) {
  if (request.sampling == nullptr)
    return {ASSAY_INVALID_ARGUMENT, "a generate request needs sampling, and has none"};
  if (request.n_tokens == 0)
    return {ASSAY_INVALID_ARGUMENT, "a prompt needs at least one token, and has none"};
  if (Verdict verdict = check_sampling(*request.sampling); verdict.code != ASSAY_OK) return verdict;
  const auto context = static_cast<std::uint64_t>(spec.max_context);
  if (request.n_tokens > context || request.sampling->max_new > context - request.n_tokens) {
    return {ASSAY_INVALID_ARGUMENT, "the prompt has " + std::to_string(request.n_tokens) +
                                        " tokens and max_new is " +
                                        std::to_string(request.sampling->max_new) +
                                        ", the model's context holds " + std::to_string(context)};
  }
  return check_tokens(spec, request);
}

/// A request that steps. Its slot is its place among those that do.
struct Sequence {
  const assay_request* request = nullptr;
  std::size_t place = 0;  ///< in the batch
  Tokens tokens;          ///< the prompt and what was drawn
  std::int64_t cached = 0;
  std::vector<Tokens> stops;
  Clock::time_point begin;
  bool is_over = false;

  const assay_sampling& sampling() const { return *request->sampling; }
  std::size_t drawn() const { return tokens.size() - request->n_tokens; }
  bool may_end() const { return drawn() >= sampling().min_new; }

  bool has_stopped() const {
    return may_end() && std::ranges::any_of(stops, [this](const Tokens& stop) {
             return stop.size() <= drawn() &&
                    std::equal(stop.rbegin(), stop.rend(), tokens.rbegin());
           });
  }
  Finish finish() const {
    if (has_stopped()) return kStop;
    return drawn() == sampling().max_new ? kLength : kGoesOn;
  }
  assay_usage usage(Finish finish) const {
    assay_usage usage{};
    usage.struct_size = sizeof usage;
    usage.finish = finish;
    usage.prompt_tokens = request->n_tokens;
    usage.new_tokens = drawn();
    usage.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return usage;
  }
};

/// A request that waits for a slot.
struct Waiting {
  const assay_request* request = nullptr;
  std::size_t place = 0;
};

Sequence make_sequence(const Waiting& waiting) {
  const assay_request& request = *waiting.request;
  return {.request = &request,
          .place = waiting.place,
          .tokens = {request.tokens, request.tokens + request.n_tokens},
          .stops = stops_of(*request.sampling),
          .begin = Clock::now()};
}

/// A token, or why there is none.
struct Choice {
  std::int32_t token = -1;
  std::optional<float> logprob = {};
  Verdict verdict = {};
};

/// Writes to the logits: tokens that may not come are -infinity afterwards.
Choice choose(const Sequence& sequence, std::span<float> logits) {
  if (!std::ranges::all_of(logits, [](float logit) { return std::isfinite(logit); })) {
    return {.verdict = {ASSAY_INTERNAL,
                        "a logit for new token " + std::to_string(sequence.drawn()) +
                            " is not finite: the model overflows its dtype on this text"}};
  }
  const bool wants_logprob = (sequence.request->want & ASSAY_WANT_LOGPROBS) != 0;
  const double norm = wants_logprob ? log_sum_exp(logits) : 0;
  if (!sequence.may_end()) {
    for (const Tokens& stop : sequence.stops) {
      if (stop.size() == 1 && static_cast<std::size_t>(stop[0]) < logits.size())
        logits[static_cast<std::size_t>(stop[0])] = -std::numeric_limits<float>::infinity();
    }
    if (std::ranges::none_of(logits, [](float logit) { return std::isfinite(logit); })) {
      return {.verdict = {ASSAY_INVALID_ARGUMENT,
                          "every token of the vocabulary is a stop, and min_new forbids stops"}};
    }
  }
  Choice choice{.token = next_token(logits, sequence.sampling(), sequence.drawn())};
  if (wants_logprob) {
    const auto logit = static_cast<double>(logits[static_cast<std::size_t>(choice.token)]);
    choice.logprob = static_cast<float>(logit - norm);
  }
  return choice;
}

/// The new tokens of some sequences, in one forward pass.
std::vector<Choice> advance(const Decoder& decoder, std::span<Sequence> sequences,
                            std::int64_t first_slot, KvCache& cache) {
  std::vector<std::int64_t> tokens, last_rows;
  std::vector<Segment> segments;
  for (Sequence& sequence : sequences) {
    if (is_cache_outgrown(decoder.spec, sequence.cached, std::ssize(sequence.tokens)))
      sequence.cached = 0;
    segments.push_back({.length = std::ssize(sequence.tokens) - sequence.cached,
                        .past = sequence.cached,
                        .slot = first_slot + std::ssize(segments)});
    tokens.insert(tokens.end(), sequence.tokens.begin() + sequence.cached, sequence.tokens.end());
    last_rows.push_back(std::ssize(tokens) - 1);
    sequence.cached = std::ssize(sequence.tokens);
  }
  const auto as_tensor = [&](const std::vector<std::int64_t>& values) {
    return at::tensor(values, at::kLong).to(decoder.device);
  };
  const auto hidden = forward(decoder, as_tensor(tokens), segments, &cache);
  std::vector<Choice> choices;
  each_logits(*decoder.head, decoder.spec.vocab, hidden.index_select(0, as_tensor(last_rows)),
              [&](std::int64_t, const at::Tensor& logits) {
                auto* row = logits.mutable_data_ptr<float>();
                const auto vocab = static_cast<std::size_t>(logits.size(1));
                for (std::int64_t i = 0; i < logits.size(0); ++i, row += vocab)
                  choices.push_back(choose(sequences[choices.size()], {row, vocab}));
                return true;
              });
  return choices;
}

/// Requests that wait, and those that step: the i-th of them has slot i.
class Generation {
 public:
  Generation(const Decoder& decoder, const ScheduleSettings& settings, Outbox& outbox,
             std::vector<Waiting> waiting, KvCache cache)
      : decoder_(decoder),
        settings_(settings),
        outbox_(outbox),
        waiting_(std::move(waiting)),
        cache_(std::move(cache)) {}

  void run() {
    while (has_waiting() || !active_.empty()) {
      if (settings_.cancelled && settings_.cancelled()) return cancel();
      pass(has_waiting() && std::ssize(active_) < cache_.slots ? admit() : 0);
    }
  }

 private:
  bool has_waiting() const { return next_ < waiting_.size(); }

  /// Moves requests from the queue to free slots, as many as one pass takes. The first of them.
  std::size_t admit() {
    const std::size_t first = active_.size();
    std::int64_t tokens = 0;
    for (; has_waiting() && std::ssize(active_) < cache_.slots; ++next_) {
      tokens += static_cast<std::int64_t>(waiting_[next_].request->n_tokens);
      if (active_.size() > first && tokens > settings_.pass_tokens) break;
      active_.push_back(make_sequence(waiting_[next_]));
    }
    return first;
  }

  /// Steps the sequences from `first` on.
  void pass(std::size_t first) {
    const auto sequences = std::span(active_).subspan(first);
    try {
      const auto choices = advance(decoder_, sequences, static_cast<std::int64_t>(first), cache_);
      for (const std::size_t i : in_order_of_requests(sequences)) take(sequences[i], choices[i]);
    } catch (const std::exception& error) {
      if (!is_out_of_memory(error)) throw;
      for (Sequence& sequence : sequences) {
        refuse(sequence, {ASSAY_RESOURCE_EXHAUSTED,
                          "no memory for a pass of " + std::to_string(sequences.size()) +
                              " sequences; lower batch_sequences or batch_tokens"});
      }
    }
    close_slots();
  }

  static std::vector<std::size_t> in_order_of_requests(std::span<const Sequence> sequences) {
    std::vector<std::size_t> order(sequences.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return sequences[i].place; });
    return order;
  }

  void take(Sequence& sequence, const Choice& choice) {
    if (choice.verdict.code != ASSAY_OK) return refuse(sequence, choice.verdict);
    sequence.tokens.push_back(choice.token);
    const bool goes_on = outbox_.push(sequence.place, choice.token, choice.logprob);
    Finish finish = sequence.finish();
    if (finish == kGoesOn && !goes_on) finish = kToldToEnd;
    if (finish == kGoesOn) return;
    sequence.is_over = true;
    outbox_.done(sequence.place, sequence.usage(finish));
  }

  void refuse(Sequence& sequence, Verdict verdict) {
    if (std::exchange(sequence.is_over, true)) return;
    outbox_.fail(sequence.place, std::move(verdict));
  }

  void close_slots() {
    const auto use = [this](std::size_t i) {
      const std::int64_t tokens = std::min(std::ssize(active_[i].tokens), cache_.capacity);
      return SlotUse{static_cast<std::int64_t>(i), tokens};
    };
    for (std::size_t i = active_.size(); i-- > 0;) {
      if (!active_[i].is_over) continue;
      close_slot(cache_, use(i), use(active_.size() - 1));
      if (i + 1 < active_.size()) active_[i] = std::move(active_.back());
      active_.pop_back();
    }
  }

  void cancel() {
    for (const std::size_t i : in_order_of_requests(active_))
      outbox_.done(active_[i].place, active_[i].usage(kToldToEnd));
    for (; has_waiting(); ++next_)
      outbox_.fail(waiting_[next_].place, {ASSAY_CANCELLED, "cancelled before it was started"});
  }

  const Decoder& decoder_;
  const ScheduleSettings& settings_;
  Outbox& outbox_;
  std::vector<Waiting> waiting_;
  std::size_t next_ = 0;
  std::vector<Sequence> active_;
  KvCache cache_;
};

std::vector<std::uint64_t> ids_of(const assay_batch& batch) {
  std::vector<std::uint64_t> ids;
  for (std::uint64_t i = 0; i < batch.n; ++i) ids.push_back(ASSAY_REQUEST(&batch, i)->id);
  return ids;
}

/// Answers what is wrong or wants no token; the rest waits.
std::vector<Waiting> check_all(const DecoderSpec& spec, const assay_batch& batch, Outbox& outbox) {
  std::vector<Waiting> waiting;
  for (std::uint64_t i = 0; i < batch.n; ++i) {
    const assay_request& request = *ASSAY_REQUEST(&batch, i);
    if (Verdict verdict = check(spec, request); verdict.code != ASSAY_OK) {
      outbox.fail(i, std::move(verdict));
    } else if (request.sampling->max_new == 0) {
      outbox.done(i, make_sequence({&request, i}).usage(kLength));
    } else {
      waiting.push_back({&request, i});
    }
  }
  return waiting;
}

/// The cache of a batch: how large it may be, and how large it is to be.
struct Room {
  std::int64_t token_bytes = 0, most_bytes = 0;
  std::int64_t slots = 0, capacity = 0;

  std::int64_t fitting(std::int64_t tokens) const { return most_bytes / (tokens * token_bytes); }
  std::string text(std::int64_t sequences, std::int64_t tokens) const {
    return "keys and values of " + std::to_string(sequences) +
           (sequences == 1 ? " sequence of " : " sequences of ") + std::to_string(tokens) +
           " tokens take " + std::to_string(sequences * tokens * token_bytes) + " bytes";
  }
};

void refuse_all(std::span<const Waiting> waiting, const std::string& text, Outbox& outbox) {
  for (const Waiting& each : waiting) outbox.fail(each.place, {ASSAY_RESOURCE_EXHAUSTED, text});
}

/// Refuses what has no room; `sequences`: the most that shall step together.
void fit(std::vector<Waiting>& waiting, std::int64_t sequences, bool is_together, Room& room,
         Outbox& outbox) {
  const std::string limit = ", cache_bytes is " + std::to_string(room.most_bytes) + "; raise it, ";
  if (!is_together) {
    std::erase_if(waiting, [&](const Waiting& each) {
      const std::int64_t tokens = kept_tokens(*each.request);
      if (room.fitting(tokens) > 0) return false;
      refuse_all({&each, 1}, room.text(1, tokens) + limit + "or lower max_new", outbox);
      return true;
    });
  }
  for (const Waiting& each : waiting)
    room.capacity = std::max(room.capacity, kept_tokens(*each.request));
  if (waiting.empty()) return;
  const std::int64_t wanted = std::min(std::ssize(waiting), sequences);
  room.slots = std::min(wanted, room.fitting(room.capacity));
  if (is_together && room.slots < wanted) {
    refuse_all(waiting, room.text(wanted, room.capacity) + limit + "or send fewer", outbox);
    waiting.clear();
  }
}

std::optional<KvCache> try_cache(const Decoder& decoder, const Room& room) {
  try {
    return make_cache(decoder.spec, room.slots, room.capacity, decoder.embedding.options());
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) throw;
    return std::nullopt;
  }
}

}  // namespace

std::int64_t cache_bytes_per_token(const DecoderSpec& spec, std::int64_t element_bytes) {
  return 2 * spec.layers * spec.kv_heads * spec.head_dim * element_bytes;
}

void generate(const Decoder& decoder, const assay_batch& batch, const assay_result_sink& sink,
              const ScheduleSettings& given) {
  const bool is_together = (batch.flags & ASSAY_BATCH_TOGETHER) != 0;
  const bool is_ordered = (batch.flags & ASSAY_BATCH_ORDERED) != 0 && !is_together;
  ScheduleSettings settings = given;
  if (is_together)
    settings.pass_tokens = settings.sequences = std::numeric_limits<std::int64_t>::max();

  Outbox outbox(sink, ids_of(batch), is_ordered ? Delivery::kInOrder : Delivery::kAsItComes);
  std::vector<Waiting> waiting = check_all(decoder.spec, batch, outbox);
  Room room{.token_bytes = cache_bytes_per_token(decoder.spec, decoder.embedding.element_size()),
            .most_bytes = settings.cache_bytes};
  fit(waiting, settings.sequences, is_together, room, outbox);
  if (waiting.empty()) return;
  std::optional<KvCache> cache = try_cache(decoder, room);
  if (!cache) {
    return refuse_all(
        waiting, room.text(room.slots, room.capacity) + ", and there is no such memory", outbox);
  }
  const CountedCache counted(*cache, settings.cache_use);
  Generation(decoder, settings, outbox, std::move(waiting), std::move(*cache)).run();
}

}  // namespace assay_torch
