#include <algorithm>
#include <assay/error.hpp>
#include <assay/suite/requests.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>

namespace assay::suite {
namespace {

/// Requests as they cross: an array by stride, with what they point to.
class Packed {
 public:
  Packed(const std::vector<Ask>& asks, std::uint32_t flags, std::uint64_t extra) {
    const std::uint64_t stride = sizeof(assay_request) + extra;
    // What a later minor appends means nothing to this one.
    bytes_.assign(asks.size() * stride, 0xAB);
    samplings_.resize(asks.size());
    stops_.resize(asks.size());
    sequences_.resize(asks.size());
    for (std::size_t i = 0; i < asks.size(); ++i) {
      const assay_request request = request_of(asks[i], i);
      std::memcpy(bytes_.data() + i * stride, &request, sizeof request);
    }
    batch_ = {sizeof(assay_batch), flags, asks.size(), stride,
              reinterpret_cast<const assay_request*>(bytes_.data())};
  }
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;

  const assay_batch& batch() const { return batch_; }

 private:
  assay_request request_of(const Ask& ask, std::size_t i) {
    assay_request request{};
    request.id = ask.id;
    request.kind = ask.kind;
    request.want = ask.want;
    request.tokens = ask.tokens.data();
    request.n_tokens = ask.tokens.size();
    request.first = ask.first;
    request.prefix_group = ask.prefix_group;
    request.prefix_len = ask.prefix_len;
    if (!ask.draw) return request;
    for (Tokens stop : ask.draw->stops) {
      stop.push_back(-1);
      sequences_[i].push_back(std::move(stop));
    }
    for (const Tokens& stop : sequences_[i]) stops_[i].push_back(stop.data());
    stops_[i].push_back(nullptr);
    samplings_[i] = {sizeof(assay_sampling), ask.draw->max_new,     ask.draw->min_new,
                     ask.draw->top_k,        ask.draw->temperature, ask.draw->top_p,
                     ask.draw->seed,         stops_[i].data()};
    request.sampling = &samplings_[i];
    return request;
  }

  // Eight bytes at a time keep the requests aligned.
  std::vector<unsigned char> bytes_;
  std::vector<assay_sampling> samplings_;
  std::vector<std::vector<const std::int32_t*>> stops_;
  std::vector<std::vector<Tokens>> sequences_;
  assay_batch batch_{};
};

float half_to_float(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1F;
  const int fraction = bits & 0x3FF;
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) {
    return fraction == 0 ? sign * std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

float bfloat_to_float(std::uint16_t bits) {
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

/// The sink: keeps what comes and finds what breaks its rules.
class Recorder {
 public:
  Recorder(Probe& probe, Loaded& loaded, const std::vector<Ask>& asks, const Reaction& reaction,
           Answers& answers)
      : probe_(probe),
        host_(loaded.host()),
        vocab_(loaded.info().vocab),
        reaction_(reaction),
        answers_(answers) {
    for (const Ask& ask : asks) {
      asks_[ask.id] = &ask;
      Answer& answer = answers_.by_id[ask.id];
      answer.next_score = answer.next_row = ask.first;
    }
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  const assay_result_sink& sink() const { return sink_; }

 private:
  static Recorder& of(void* ctx) { return *static_cast<Recorder*>(ctx); }

  void broken(const std::string& sentence) { probe_.expect(false, sentence); }

  /// Nothing where the id was not asked or is done.
  Answer* open(std::uint64_t id, const char* call) {
    host_.take_sign_of_life();
    const std::string named = std::string(call) + " for id " + std::to_string(id);
    if (!asks_.contains(id)) {
      broken(named + ", which no request of the batch has");
      return nullptr;
    }
    Answer& answer = answers_.by_id[id];
    if (answer.n_done > 0) {
      if (std::string_view(call) == "done") {
        ++answer.n_done;
        broken("a second done for id " + std::to_string(id));
      } else {
        broken(named + " came after its done");
      }
      return nullptr;
    }
    if (answers_.order.empty() || answers_.order.back() != id) answers_.order.push_back(id);
    return &answer;
  }

  std::int32_t react(std::uint64_t id, Answer& answer) {
    ++answer.n_calls;
    return reaction_.on_data ? reaction_.on_data(id, answer) : 0;
  }

  std::int32_t take_scores(std::uint64_t id, std::uint64_t first, const float* logprobs,
                           const std::uint8_t* greedy, std::uint64_t n) {
    const std::scoped_lock hold(lock_);
    Answer* answer = open(id, "scores");
    if (answer == nullptr) return 1;
    const Ask& ask = *asks_[id];
    const std::string of_id = " of id " + std::to_string(id);
    if (ask.kind != ASSAY_REQ_SCORE) broken("scores came" + of_id + ", which asked for none");
    if (first != answer->next_score) {
      broken("scores" + of_id + " begin at " + std::to_string(first) + "; expected " +
             std::to_string(answer->next_score));
    }
    if (first + n > ask.tokens.size()) {
      broken("scores" + of_id + " end at " + std::to_string(first + n) + " of " +
             std::to_string(ask.tokens.size()) + " tokens");
      return 1;
    }
    answer->next_score = first + n;
    expect_wanted(logprobs, ask.want & ASSAY_WANT_LOGPROBS, "logprobs", of_id);
    expect_wanted(greedy, ask.want & ASSAY_WANT_GREEDY, "greedy", of_id);
    for (std::uint64_t i = 0; logprobs != nullptr && i < n; ++i) {
      if (!(logprobs[i] <= 0)) {
        broken("the score of token " + std::to_string(first + i) + of_id + " is " +
               shown(static_cast<double>(logprobs[i])) + "; expected a log-probability, at most 0");
      }
    }
    for (std::uint64_t i = 0; greedy != nullptr && i < n; ++i) {
      if (greedy[i] > 1) broken("a greedy flag" + of_id + " is neither 0 nor 1");
    }
    if (logprobs != nullptr) {
      answer->logprobs.insert(answer->logprobs.end(), logprobs, logprobs + n);
    }
    if (greedy != nullptr) answer->greedy.insert(answer->greedy.end(), greedy, greedy + n);
    return react(id, *answer);
  }

  void expect_wanted(const void* array, bool is_wanted, const char* name,
                     const std::string& of_id) {
    if ((array != nullptr) == is_wanted) return;
    broken(std::string(name) + of_id +
           (is_wanted ? " is NULL and was wanted" : " came and was not wanted; expected NULL"));
  }

  std::int32_t take_logits(std::uint64_t id, std::uint64_t first, const assay_tensor* rows) {
    const std::scoped_lock hold(lock_);
    Answer* answer = open(id, "logits");
    if (answer == nullptr) return 1;
    const Ask& ask = *asks_[id];
    const std::string of_id = " of id " + std::to_string(id);
    if ((ask.want & ASSAY_WANT_LOGITS) == 0) broken("logits came" + of_id + ", which wanted none");
    const std::string fault = tensor_fault(*rows);
    if (!fault.empty()) {
      broken("the logits" + of_id + " " + fault);
      return 1;
    }
    const auto n = static_cast<std::uint64_t>(rows->shape[0]);
    if (first != answer->next_row || first + n > ask.tokens.size()) {
      broken("rows of logits" + of_id + " are for tokens " + std::to_string(first) + " to " +
             std::to_string(first + n) + "; expected " + std::to_string(answer->next_row) +
             " onwards, at most " + std::to_string(ask.tokens.size()));
      return 1;
    }
    answer->next_row = first + n;
    for (std::uint64_t i = 0; i < n; ++i) answer->logits.push_back(row_of(*rows, i));
    return react(id, *answer);
  }

  std::string tensor_fault(const assay_tensor& rows) const {
    if (rows.data == nullptr || rows.shape == nullptr) return "have no data or no shape";
    if (rows.ndim != 2) return "have " + std::to_string(rows.ndim) + " dimensions; expected 2";
    if (rows.device.type != 1 && rows.device.type != 3) {
      return "are on device type " + std::to_string(rows.device.type) + "; expected host memory";
    }
    const bool is_float = rows.code == 2 && (rows.bits == 32 || rows.bits == 16);
    const bool is_bfloat = rows.code == 4 && rows.bits == 16;
    if ((!is_float && !is_bfloat) || rows.lanes != 1) return "are neither f32, f16 nor bf16";
    if (vocab_ > 0 && rows.shape[1] != vocab_) {
      return "are " + std::to_string(rows.shape[1]) + " wide; expected vocab, " +
             std::to_string(vocab_);
    }
    const bool is_row_major = rows.strides == nullptr ||
                              (rows.strides[1] == 1 && rows.strides[0] >= rows.shape[1]) ||
                              rows.shape[0] <= 1;
    return is_row_major ? "" : "are not row-major";
  }

  static std::vector<float> row_of(const assay_tensor& rows, std::uint64_t i) {
    const auto width = static_cast<std::uint64_t>(rows.shape[1]);
    const std::uint64_t step =
        rows.strides == nullptr ? width : static_cast<std::uint64_t>(rows.strides[0]);
    const std::uint64_t size = rows.bits / 8u;
    const char* start = static_cast<const char*>(rows.data) + rows.byte_offset + i * step * size;
    std::vector<float> row(width);
    for (std::uint64_t k = 0; k < width; ++k) {
      if (size == 4) {
        std::memcpy(&row[k], start + k * 4, 4);
        continue;
      }
      std::uint16_t bits;
      std::memcpy(&bits, start + k * 2, 2);
      row[k] = rows.code == 2 ? half_to_float(bits) : bfloat_to_float(bits);
    }
    return row;
  }

  std::int32_t take_tokens(std::uint64_t id, const std::int32_t* tokens, const float* logprobs,
                           std::uint64_t n) {
    const std::scoped_lock hold(lock_);
    Answer* answer = open(id, "tokens");
    if (answer == nullptr) return 1;
    const std::string of_id = " of id " + std::to_string(id);
    if (asks_[id]->kind != ASSAY_REQ_GENERATE) {
      broken("tokens came" + of_id + ", which does not generate");
    }
    for (std::uint64_t i = 0; i < n; ++i) {
      if (tokens[i] < 0 || (vocab_ > 0 && static_cast<std::uint32_t>(tokens[i]) >= vocab_)) {
        broken("the token " + std::to_string(tokens[i]) + of_id + " is outside the vocabulary of " +
               std::to_string(vocab_));
      }
      if (logprobs != nullptr && !(logprobs[i] <= 0)) {
        broken("the log-probability of a token" + of_id + " is " +
               shown(static_cast<double>(logprobs[i])) + "; expected at most 0");
      }
    }
    answer->tokens.insert(answer->tokens.end(), tokens, tokens + n);
    if (logprobs != nullptr) {
      answer->token_logprobs.insert(answer->token_logprobs.end(), logprobs, logprobs + n);
    }
    return react(id, *answer);
  }

  void take_done(std::uint64_t id, const assay_error* failure, const assay_usage* usage) {
    const std::scoped_lock hold(lock_);
    Answer* answer = open(id, "done");
    if (answer == nullptr) return;
    ++answer->n_done;
    if (usage != nullptr) answer->usage = *usage;
    if (failure == nullptr) {
      if (usage == nullptr) {
        broken("done of id " + std::to_string(id) +
               " has neither failure nor usage; usage may be NULL on failure only");
      }
      return;
    }
    answer->code = failure->code;
    answer->text.assign(failure->text, strnlen(failure->text, sizeof failure->text));
    if (failure->code == ASSAY_OK) {
      broken("the failure of id " + std::to_string(id) + " has the code OK");
    }
    const std::string fault = error_fault(failure->code, *failure);
    if (!fault.empty()) broken("of the failure of id " + std::to_string(id) + " " + fault);
  }

  Probe& probe_;
  check::FakeHost& host_;
  const std::uint32_t vocab_;
  const Reaction& reaction_;
  Answers& answers_;
  std::map<std::uint64_t, const Ask*> asks_;
  std::recursive_mutex lock_;
  const assay_result_sink sink_{
      sizeof(assay_result_sink),
      0,
      this,
      [](void* ctx, std::uint64_t id, std::uint64_t first, const float* logprobs,
         const std::uint8_t* greedy,
         std::uint64_t n) noexcept { return of(ctx).take_scores(id, first, logprobs, greedy, n); },
      [](void* ctx, std::uint64_t id, std::uint64_t first, const assay_tensor* rows) noexcept {
        return of(ctx).take_logits(id, first, rows);
      },
      [](void* ctx, std::uint64_t id, const std::int32_t* tokens, const float* logprobs,
         std::uint64_t n) noexcept { return of(ctx).take_tokens(id, tokens, logprobs, n); },
      [](void* ctx, std::uint64_t id, const assay_error* failure,
         const assay_usage* usage) noexcept { of(ctx).take_done(id, failure, usage); }};
};

}  // namespace

void need_run(Probe& probe) {
  if (!probe.has_cap(ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE)) {
    probe.skip("neither SCORE nor GENERATE is declared");
  }
  if (static_cast<const assay_backend_v1*>(probe.subject().api(nullptr))->run == nullptr) {
    probe.skip("run is NULL: it takes no token ids");
  }
}

void need_cap(Probe& probe, std::uint64_t cap, const char* name) {
  need_run(probe);
  if (!probe.has_cap(cap)) probe.skip("no " + std::string(name));
}

assay_job job_of(const Probe& probe, std::uint64_t want) {
  assay_job job{};
  job.struct_size = sizeof job;
  job.want = static_cast<std::uint32_t>(want);
  job.model_dir = {probe.settings().model_dir.data(), probe.settings().model_dir.size()};
  return job;
}

void Loaded::load(Probe& probe, std::uint64_t want) {
  const assay_job job = job_of(probe, want);
  info_.struct_size = sizeof info_;
  info_.bos = info_.eos = -1;
  assay_error error = check::fresh_error();
  probe.require(backend().load != nullptr, "load is NULL");
  host().begin_work();
  const assay_status status = backend().load(self(), &job, &info_, &error);
  host().take_sign_of_life();
  const bool has_model = !probe.settings().model_dir.empty();
  probe.require(status == ASSAY_OK, "load answered " + said(status, error) + "; expected OK" +
                                        (has_model ? "" : " (give a model with --model-dir)"));
}

Tokens random_tokens(Probe& probe, const Loaded& loaded, std::uint64_t n) {
  Tokens tokens;
  for (std::uint64_t i = 0; i < n; ++i) {
    tokens.push_back(static_cast<std::int32_t>(probe.below(loaded.n_tokens())));
  }
  return tokens;
}

std::vector<Ask> random_asks(Probe& probe, const Loaded& loaded, std::uint64_t n) {
  std::vector<Ask> asks;
  for (std::uint64_t i = 0; i < n; ++i) {
    Ask ask;
    ask.id = i + 1;
    const std::uint64_t length = 2 + probe.below(loaded.longest() - 1);
    ask.tokens = random_tokens(probe, loaded, length);
    ask.first = 1 + probe.below(length - 1);
    asks.push_back(std::move(ask));
  }
  return asks;
}

Ask generate_ask(Probe& probe, const Loaded& loaded, std::uint64_t id, Draw draw) {
  Ask ask;
  ask.id = id;
  ask.kind = ASSAY_REQ_GENERATE;
  ask.want = 0;
  ask.tokens = random_tokens(probe, loaded, 4);
  ask.first = ask.tokens.size();
  ask.draw = std::move(draw);
  return ask;
}

Answers run_raw(Probe& probe, Loaded& loaded, const std::vector<Ask>& asks, std::uint32_t flags,
                const Reaction& reaction, std::uint64_t extra_stride) {
  Answers answers;
  answers.error = patterned_error();
  Recorder recorder(probe, loaded, asks, reaction, answers);
  const Packed packed(asks, flags, extra_stride);
  loaded.host().begin_work();
  const auto start = std::chrono::steady_clock::now();
  answers.status =
      loaded.backend().run(loaded.self(), &packed.batch(), &recorder.sink(), &answers.error);
  answers.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  loaded.host().take_sign_of_life();
  for (const auto& [id, answer] : answers.by_id) {
    probe.expect(answer.n_done > 0 || answers.status != ASSAY_OK,
                 "run answered OK without a done for id " + std::to_string(id));
  }
  return answers;
}

Answers run_batch(Probe& probe, Loaded& loaded, const std::vector<Ask>& asks, std::uint32_t flags,
                  const Reaction& reaction, std::uint64_t extra_stride) {
  Answers answers = run_raw(probe, loaded, asks, flags, reaction, extra_stride);
  probe.require(answers.status == ASSAY_OK,
                "run answered " + said(answers.status, answers.error) + "; expected OK");
  for (const Ask& ask : asks) {
    const Answer& answer = answers[ask.id];
    const bool is_whole = answer.next_score == ask.tokens.size();
    const bool wants_scores = (ask.want & (ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY)) != 0;
    if (ask.kind != ASSAY_REQ_SCORE || answer.code != ASSAY_OK || reaction.on_data) continue;
    if (wants_scores) {
      probe.expect(is_whole, "done of id " + std::to_string(ask.id) + " came after " +
                                 std::to_string(answer.next_score - ask.first) +
                                 " scores; expected " +
                                 std::to_string(ask.tokens.size() - ask.first));
    }
    if ((ask.want & ASSAY_WANT_LOGITS) != 0) {
      probe.expect(answer.next_row == ask.tokens.size(),
                   "done of id " + std::to_string(ask.id) + " came after " +
                       std::to_string(answer.logits.size()) + " rows of logits; expected " +
                       std::to_string(ask.tokens.size() - ask.first));
    }
  }
  return answers;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;  // minus infinity too
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return largest;
}

void expect_same_scores(Probe& probe, const Answer& expected, const Answer& got,
                        const std::string& what) {
  probe.expect(got.code == ASSAY_OK && expected.code == ASSAY_OK,
               what + ": the request failed with " +
                   to_string(got.code == ASSAY_OK ? expected.code : got.code));
  if (got.code != ASSAY_OK || expected.code != ASSAY_OK) return;
  const double apart = distance(expected.logprobs, got.logprobs);
  probe.expect(apart <= kTolerance, what + ": scores are up to " + shown(apart) +
                                        " nats apart; expected at most " + shown(kTolerance));
}

std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

}  // namespace assay::suite
