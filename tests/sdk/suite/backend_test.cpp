// A backend that keeps the contract, and the same with one fault at a time: each must be found by
// the test that is there for it, and by no means pass.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "tests/sdk/suite/planted.hpp"

namespace {

using assay::suite::named;
using assay::suite::outcome_of;
using assay::suite::Planted;
using assay::suite::shown;
using assay::suite::Verdict;

constexpr int kVocab = 40;

std::string fault;  // what the backend below does wrong; empty: nothing

bool has(const char* name) { return fault == name; }

constexpr std::uint64_t kCaps = ASSAY_CAP_SCORE | ASSAY_CAP_LOGITS | ASSAY_CAP_GENERATE |
                                ASSAY_CAP_STREAMS | ASSAY_CAP_DETERMINISTIC | ASSAY_CAP_CONCURRENT |
                                ASSAY_CAP_QUANTIZE;

std::uint64_t caps = kCaps;  // what it declares, and answers

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

template <class Table>
bool reads_behind(const Table* table) {
  return *reinterpret_cast<const volatile unsigned char*>(table + 1) == 1;
}

struct Model {
  const assay_host* host = nullptr;
  int stage = 0;  // 0 made, 1 loaded, 2 unusable
  std::atomic<int> n_runs = 0, n_running = 0, n_late = 0;
  std::atomic<bool> had_two_runs = false, is_ended = false;
  std::vector<char> held;
};

float logit(std::int32_t before, std::int32_t token) {
  const auto mixed =
      static_cast<std::uint32_t>(before) * 2654435761u + static_cast<std::uint32_t>(token) * 40503u;
  return static_cast<float>((mixed >> 7) % 997) / 200.0F;
}

std::vector<float> row_after(std::int32_t before) {
  std::vector<float> row(kVocab);
  for (int t = 0; t < kVocab; ++t) row[static_cast<std::size_t>(t)] = logit(before, t);
  return row;
}

float log_sum(const std::vector<float>& row) {
  double sum = 0;
  for (const float value : row) sum += std::exp(static_cast<double>(value));
  return static_cast<float>(std::log(sum));
}

assay_status put(assay_error* error, assay_status code, const char* text) {
  error->code = has("wrong_code") ? ASSAY_INTERNAL : code;
  std::strcpy(error->where, "");
  std::strcpy(error->text, has("empty_text") ? "" : text);
  return code;
}

assay_status create(const assay_host* host, const assay_config*, const assay_resources*,
                    void** self, assay_error* error) noexcept {
  auto* model = new Model;
  model->host = host;
  if (has("writes_error")) std::strcpy(error->text, "all is well");
  if (has("prints")) std::puts("hello");
  *self = model;
  return ASSAY_OK;
}

void destroy(void* self) noexcept { delete static_cast<Model*>(self); }

assay_status estimate(const assay_host*, const assay_config*, const assay_job*,
                      assay_resources* need, assay_error*) noexcept {
  need->threads = 1;
  need->host_bytes = 1 << 20;
  if (has("estimate_writes_seed")) need->seed = 0;
  return ASSAY_OK;
}

assay_status load(void* self, const assay_job* job, assay_model_info* info,
                  assay_error* error) noexcept {
  auto& model = *static_cast<Model*>(self);
  if (model.stage != 0 && !has("loads_twice")) {
    return put(error, ASSAY_FAILED_PRECONDITION, "load was called before");
  }
  if (has("reads_behind_job") && reads_behind(job)) return ASSAY_INTERNAL;
  if (has("reads_behind_info") && reads_behind(info)) return ASSAY_INTERNAL;
  if (has("silent_load")) sleep_ms(1200);
  const std::string folder(job->model_dir.ptr, job->model_dir.len);
  if (!folder.empty() && !std::filesystem::exists(folder + "/model.bin")) {
    model.stage = has("usable_after_failed_load") ? 1 : 2;
    if (has("touches_info")) info->vocab = 3;
    return put(error, ASSAY_NOT_FOUND, "there is no such model");
  }
  model.stage = 1;
  info->vocab = kVocab;
  info->max_context = 64;
  info->bits_per_weight = has("odd_bits") ? -3 : 16;
  info->bos = has("odd_bos") ? kVocab : -1;
  info->eos = -1;
  if (has("overwrites_info")) std::memset(reinterpret_cast<char*>(info) + sizeof *info, 0, 8);
  return ASSAY_OK;
}

assay_status quantize(void* self, const assay_job* job, assay_error* error) noexcept {
  const auto& model = *static_cast<Model*>(self);
  if (model.stage != 0 && !has("quantizes_after_load")) {
    return put(error, ASSAY_FAILED_PRECONDITION, "quantize was called after load");
  }
  if (has("quantizes_nothing")) return ASSAY_OK;
  std::ofstream(std::string(job->out_dir.ptr, job->out_dir.len) + "/model.bin") << "weights";
  return ASSAY_OK;
}

struct Run {
  Model& model;
  const assay_batch& batch;
  const assay_result_sink& sink;

  void done(std::uint64_t id, assay_status code, const assay_usage* usage) const {
    assay_error failure{};
    failure.struct_size = sizeof failure;
    if (code != ASSAY_OK) put(&failure, code, "cannot answer this");
    if (has("no_done") && id % 3 == 2) return;
    const std::uint64_t of = has("foreign_id") && id % 3 == 2 ? id + 1'000'000 : id;
    for (int times = has("done_twice") ? 2 : 1; times > 0; --times) {
      sink.done(sink.ctx, of, code == ASSAY_OK ? nullptr : &failure,
                code == ASSAY_OK && !has("no_usage") ? usage : nullptr);
    }
  }

  const assay_request& request(std::uint64_t i) const {
    if (has("ignores_stride")) return batch.requests[i];
    return *ASSAY_REQUEST(&batch, i);
  }

  assay_status refusal(const assay_request& r) const {
    if (r.kind != ASSAY_REQ_SCORE && r.kind != ASSAY_REQ_GENERATE) {
      return has("any_kind") ? ASSAY_INVALID_ARGUMENT : ASSAY_UNIMPLEMENTED;
    }
    const bool scores = r.kind == ASSAY_REQ_SCORE;
    const bool is_declared = (caps & (scores ? ASSAY_CAP_SCORE : ASSAY_CAP_GENERATE)) != 0;
    if (!is_declared && !has("answers_undeclared")) return ASSAY_UNIMPLEMENTED;
    if (scores && (r.first == 0 || r.first > r.n_tokens)) return ASSAY_INVALID_ARGUMENT;
    if (r.n_tokens == 0) return ASSAY_INVALID_ARGUMENT;
    if (r.n_tokens > 64) return has("odd_refusal") ? ASSAY_INTERNAL : ASSAY_RESOURCE_EXHAUSTED;
    for (std::uint64_t i = 0; i < r.n_tokens; ++i) {
      const bool is_inside = r.tokens[i] >= 0 && r.tokens[i] < kVocab;
      if (!is_inside && !has("takes_any_token")) return ASSAY_INVALID_ARGUMENT;
    }
    return ASSAY_OK;
  }

  /// What the sink answered.
  std::int32_t score(const assay_request& r) const {
    const std::uint64_t n = r.n_tokens - r.first;
    std::vector<float> logprobs(n), rows;
    std::vector<std::uint8_t> greedy(n);
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::int32_t before = r.tokens[r.first + i - 1];
      // Inside the row, were one let through that is not.
      const std::int32_t token = std::abs(r.tokens[r.first + i]) % kVocab;
      std::vector<float> row = row_after(before);
      logprobs[i] = row[static_cast<std::size_t>(token)] - log_sum(row);
      const auto top = std::max_element(row.begin(), row.end()) - row.begin();
      greedy[i] = top == token ? 1 : 0;
      if (has("positive")) logprobs[i] = -logprobs[i];
      if (has("nan")) logprobs[i] = std::nanf("");
      if (has("depends_on_batch")) logprobs[i] -= static_cast<float>(batch.n) * 0.01F;
      if (has("depends_on_span")) logprobs[i] -= static_cast<float>(r.first) * 0.01F;
      if (has("looks_ahead")) logprobs[i] -= static_cast<float>(r.tokens[r.n_tokens - 1]) * 0.01F;
      if (has("hints_matter")) logprobs[i] -= static_cast<float>(r.prefix_len) * 0.01F;
      if (has("not_deterministic")) {
        static float drift = 0;
        logprobs[i] -= drift += 1e-5F;
      }
      if (has("bits_matter") && (r.want >> 30 & 1) != 0) logprobs[i] -= 1;
      if (model.had_two_runs && has("runs_share_a_row")) logprobs[i] -= 0.01F;
      if (has("never_greedy")) greedy[i] = 0;
      if (has("off_logits")) row[0] += 3;
      rows.insert(rows.end(), row.begin(), row.end());
    }
    const bool gives_all = has("ignores_want");
    const float* scores = (r.want & ASSAY_WANT_LOGPROBS) || gives_all ? logprobs.data() : nullptr;
    const std::uint8_t* flags = (r.want & ASSAY_WANT_GREEDY) || gives_all ? greedy.data() : nullptr;
    const std::uint64_t given = has("one_short") ? n - std::min<std::uint64_t>(n, 1) : n;
    if (n == 0 && !has("scores_nothing")) return 0;
    if (has("scores_nothing") && n == 0) {
      const float zero = 0;
      return sink.scores(sink.ctx, r.id, r.first, &zero, nullptr, 1);
    }
    const std::uint64_t at = has("relative_index") ? 0 : r.first;
    std::int32_t told = 0;
    if (scores != nullptr || flags != nullptr) {
      told = sink.scores(sink.ctx, r.id, at, scores, flags, given);
    }
    if ((r.want & ASSAY_WANT_LOGITS) == 0 || told != 0) return told;
    const std::int64_t shape[] = {static_cast<std::int64_t>(n),
                                  has("narrow_logits") ? kVocab - 1 : kVocab};
    const assay_tensor tensor{rows.data(), {1, 0}, 2, 2, 32, 1, shape, nullptr, 0};
    return sink.logits(sink.ctx, r.id, r.first, &tensor);
  }

  std::int32_t draw(const assay_request& r, std::int32_t before, std::uint32_t step) const {
    const std::vector<float> row = row_after(before);
    auto top = static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
    // A walk that does not repeat soon, for tests that place a stop in it.
    if (r.sampling->temperature == 0) {
      if (has("greedy_drifts")) top = (top + model.n_runs) % kVocab;
      if (has("depends_on_batch")) top = (top + static_cast<std::int32_t>(batch.n)) % kVocab;
      if (has("not_the_likeliest")) top = (top + 1) % kVocab;
      return top;
    }
    std::uint64_t seed = r.sampling->seed;
    if (has("seed_of_batch")) seed += batch.n;
    if (has("one_seed")) seed = 1;
    return static_cast<std::int32_t>((seed * 7919 + step * 104729 + 13) % kVocab);
  }

  bool is_stop(const assay_request& r, const std::vector<std::int32_t>& said) const {
    for (const std::int32_t* const* stop = r.sampling->stops; *stop != nullptr; ++stop) {
      std::size_t n = 0;
      while ((*stop)[n] != -1) ++n;
      if (has("single_stops") && n > 1) continue;
      if (said.size() >= n &&
          std::equal(*stop, *stop + n, said.end() - static_cast<std::ptrdiff_t>(n))) {
        return true;
      }
    }
    return false;
  }

  assay_usage generate(const assay_request& r) const {
    assay_usage usage{};
    usage.struct_size = sizeof usage;
    usage.finish = 2;
    usage.prompt_tokens = r.n_tokens;
    std::vector<std::int32_t> said;
    std::int32_t token = r.tokens[r.n_tokens - 1];
    const std::uint32_t most = r.sampling->max_new + (has("one_more") ? 1 : 0);
    while (said.size() < most) {
      token = draw(r, token, static_cast<std::uint32_t>(said.size()));
      said.push_back(token);
      const bool may_end = said.size() >= r.sampling->min_new || has("ignores_min_new");
      const bool stops = may_end && !has("ignores_stops") && is_stop(r, said);
      if (stops && has("drops_stop")) {
        usage.finish = 1;
        break;
      }
      const bool goes_on =
          has("all_at_once") || sink.tokens(sink.ctx, r.id, &said.back(), nullptr, 1) == 0;
      if (stops || (!goes_on && !has("ignores_sink"))) {
        usage.finish = stops ? 1 : 3;
        if (has("finish_0")) usage.finish = 0;
        break;
      }
    }
    if (has("all_at_once")) sink.tokens(sink.ctx, r.id, said.data(), nullptr, said.size());
    usage.new_tokens = said.size() + (has("odd_usage") ? 1 : 0);
    return usage;
  }

  void answer(std::uint64_t i) const {
    const assay_request& r = request(i);
    assay_usage usage{};
    usage.struct_size = sizeof usage;
    usage.prompt_tokens = r.n_tokens;
    assay_status code = refusal(r);
    const bool is_cancelled = model.host->cancelled(model.host) != 0;
    if (is_cancelled && has("ignores_cancel") && model.n_late++ < 4) sleep_ms(300);
    if (is_cancelled && !has("ignores_cancel")) {
      code = has("cancel_is_failure") ? ASSAY_INTERNAL : ASSAY_CANCELLED;
    }
    if (model.is_ended) code = ASSAY_CANCELLED;
    if (code == ASSAY_OK && (batch.flags & ASSAY_BATCH_TOGETHER) != 0) {
      code = has("together_by_halves") && i % 2 == 0 ? ASSAY_OK : ASSAY_UNIMPLEMENTED;
    }
    if (code == ASSAY_OK && r.kind == ASSAY_REQ_SCORE && score(r) != 0) {
      if (has("told_is_failure")) code = ASSAY_INTERNAL;
      if (has("sink_ends_all")) model.is_ended = true;
    }
    if (code == ASSAY_OK && r.kind == ASSAY_REQ_GENERATE) usage = generate(r);
    done(r.id, code, &usage);
  }
};

assay_status run(void* self, const assay_batch* batch, const assay_result_sink* sink,
                 assay_error* error) noexcept {
  auto& model = *static_cast<Model*>(self);
  if (model.stage != 1 && !has("runs_unloaded")) {
    return put(error, ASSAY_FAILED_PRECONDITION, "run was called before load");
  }
  ++model.n_runs;
  if (has("fails_empty_batch") && batch->n == 0) {
    return put(error, ASSAY_INVALID_ARGUMENT, "an empty batch");
  }
  const Run all{model, *batch, *sink};
  if (has("reads_behind_batch") && reads_behind(batch)) return ASSAY_INTERNAL;
  if (has("reads_behind_sink") && reads_behind(sink)) return ASSAY_INTERNAL;
  if (has("silent_run")) sleep_ms(1200);
  if (has("allocates_much")) model.held.assign(std::size_t{160} << 20, 'x');
  std::vector<std::jthread> helpers;
  for (int i = 0; has("six_threads") && i < 6; ++i) {
    helpers.emplace_back([](const std::stop_token& stop) {
      while (!stop.stop_requested()) sleep_ms(1);
    });
  }
  ++model.n_running;
  for (int ms = 0; has("runs_share_a_row") && !model.had_two_runs && ms < 500; ++ms) {
    if (model.n_running > 1) model.had_two_runs = true;
    sleep_ms(1);
  }
  for (std::uint64_t i = 0; has("one_bad_fails_all") && i < batch->n; ++i) {
    if (all.refusal(all.request(i)) == ASSAY_OK) continue;
    return put(error, ASSAY_INVALID_ARGUMENT, "a request is bad");
  }
  const bool is_ordered = (batch->flags & ASSAY_BATCH_ORDERED) != 0 && !has("ignores_ordered");
  for (std::uint64_t i = 0; i < batch->n; ++i) {
    all.answer(is_ordered || !has("ignores_ordered") ? i : batch->n - 1 - i);
  }
  --model.n_running;
  return ASSAY_OK;
}

constexpr assay_backend_v1 kApi{sizeof kApi, 0, estimate, load, quantize, run};
constexpr assay_component kComponent{sizeof kComponent,
                                     ASSAY_BACKEND,
                                     "acme/planted",
                                     "1.0.0",
                                     "A backend with a planted fault",
                                     kCaps,
                                     nullptr,
                                     0,
                                     nullptr,
                                     0,
                                     nullptr,
                                     0,
                                     create,
                                     destroy,
                                     &kApi,
                                     nullptr,
                                     0};

assay_component planted() {
  assay_component component = kComponent;
  component.caps = caps;
  return component;
}

class PlantedBackend : public testing::TestWithParam<Planted> {
 public:
  ~PlantedBackend() override {
    fault.clear();
    caps = kCaps;
  }
};

TEST_P(PlantedBackend, IsFound) {
  fault.clear();
  if (GetParam().caps != 0) caps = GetParam().caps;
  const auto sound = outcome_of(GetParam().test, planted());
  EXPECT_EQ(sound.verdict, Verdict::kPassed) << shown(sound);
  fault = GetParam().fault;
  const auto outcome = outcome_of(GetParam().test, planted());
  EXPECT_EQ(outcome.verdict, Verdict::kFailed) << fault << " was not found";
  EXPECT_FALSE(outcome.findings.empty());
}

constexpr Planted kPlanted[] = {
    {"no_done", "backend.one-done-per-id"},
    {"done_twice", "backend.one-done-per-id"},
    {"foreign_id", "backend.one-done-per-id"},
    {"no_usage", "backend.one-done-per-id"},
    {"odd_bits", "backend.load-tells-of-the-model"},
    {"odd_bos", "backend.load-tells-of-the-model"},
    {"runs_unloaded", "backend.run-before-load"},
    {"loads_twice", "backend.load-once"},
    {"any_kind", "backend.unknown-kind"},
    {"bits_matter", "backend.unknown-bits"},
    {"usable_after_failed_load", "backend.failed-load-leaves-only-destroy"},
    {"touches_info", "backend.failed-load-leaves-only-destroy"},
    {"fails_empty_batch", "backend.empty-batch"},
    {"odd_refusal", "backend.stays-usable-after-too-much"},
    {"quantizes_after_load", "backend.no-quantize-after-load"},
    {"quantizes_nothing", "backend.quantize-writes-a-model"},
    {"answers_undeclared", "backend.undeclared-kind", ASSAY_CAP_SCORE},
    {"answers_undeclared", "backend.undeclared-kind", ASSAY_CAP_GENERATE},
    {"ignores_stride", "backend.larger-stride"},
    {"takes_any_token", "backend.refuses-a-bad-request-alone"},
    {"one_bad_fails_all", "backend.refuses-a-bad-request-alone"},
    {"told_is_failure", "backend.sink-ends-a-request"},
    {"sink_ends_all", "backend.sink-ends-a-request"},
    {"ignores_cancel", "backend.cancel-within-grace"},
    {"cancel_is_failure", "backend.cancel-within-grace"},
    {"ignores_cancel", "backend.cancelled-before-run"},
    {"cancel_is_failure", "backend.cancelled-before-run"},
    {"silent_load", "backend.signs-of-life"},
    {"silent_run", "backend.signs-of-life"},
    {"six_threads", "backend.thread-budget"},
    {"allocates_much", "backend.estimate-covers-the-peak"},
    {"runs_share_a_row", "backend.overlapping-runs"},
    {"estimate_writes_seed", "backend.estimate-keeps-to-its-fields"},
    {"one_short", "score.are-log-probabilities"},
    {"positive", "score.are-log-probabilities"},
    {"nan", "score.are-log-probabilities"},
    {"relative_index", "score.are-log-probabilities"},
    {"ignores_want", "score.give-what-is-wanted"},
    {"scores_nothing", "score.nothing-to-score"},
    {"depends_on_span", "score.one-span-or-two"},
    {"looks_ahead", "score.depend-on-what-is-before-only"},
    {"off_logits", "score.logits-agree"},
    {"narrow_logits", "score.logits-agree"},
    {"never_greedy", "score.greedy-is-the-arg-max"},
    {"hints_matter", "score.hints-change-nothing"},
    {"ignores_ordered", "score.ordered"},
    {"together_by_halves", "score.together"},
    {"depends_on_batch", "score.one-or-many"},
    {"not_deterministic", "score.deterministic"},
    {"one_more", "generate.keeps-to-its-length"},
    {"odd_usage", "generate.usage-tells-the-truth"},
    {"ignores_stops", "generate.stop-token-ends"},
    {"drops_stop", "generate.stop-token-ends"},
    {"finish_0", "generate.stop-token-ends"},
    {"ignores_stops", "generate.stop-sequence-ends"},
    {"single_stops", "generate.stop-sequence-ends"},
    {"ignores_min_new", "generate.least-length-holds"},
    {"depends_on_batch", "generate.alike-in-batches"},
    {"greedy_drifts", "generate.greedy-repeats"},
    {"not_the_likeliest", "generate.greedy-is-the-likeliest"},
    {"seed_of_batch", "generate.seed-decides"},
    {"one_seed", "generate.seeds-differ"},
    {"ignores_sink", "generate.sink-ends-generation"},
    {"all_at_once", "generate.streams-step-by-step"},
    {"together_by_halves", "generate.together-steps-together"},
    {"no_done", "fuzz.requests"},
    {"wrong_code", "errors.texts-are-sound"},
    {"empty_text", "errors.texts-are-sound"},
    {"writes_error", "errors.written-on-failure-only"},
    {"prints", "errors.nothing-on-standard-output"},
    {"overwrites_info", "skew.calls-of-a-later-minor"},
};

INSTANTIATE_TEST_SUITE_P(Each, PlantedBackend, testing::ValuesIn(kPlanted), named);

class PlantedBackendDeath : public PlantedBackend {};

TEST_P(PlantedBackendDeath, IsMet) {
  fault.clear();
  const auto sound = outcome_of(GetParam().test, planted());
  EXPECT_EQ(sound.verdict, Verdict::kPassed) << shown(sound);
  fault = GetParam().fault;
  EXPECT_DEATH(outcome_of(GetParam().test, planted()), "") << fault << " was not found";
}

constexpr Planted kDeaths[] = {
    {"reads_behind_job", "skew.calls-of-the-first-minor"},
    {"reads_behind_info", "skew.calls-of-the-first-minor"},
    {"reads_behind_batch", "skew.calls-of-the-first-minor"},
    {"reads_behind_sink", "skew.calls-of-the-first-minor"},
};

INSTANTIATE_TEST_SUITE_P(Each, PlantedBackendDeath, testing::ValuesIn(kDeaths), named);

}  // namespace
