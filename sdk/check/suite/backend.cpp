// Tests of a backend's life: order of calls, the rules of the sink, refusals, cancelling, budgets.
#include <dirent.h>

#include <algorithm>
#include <assay/suite/requests.hpp>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <thread>

namespace assay::suite {
namespace {

std::uint64_t status_field(const char* name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != name) continue;
    std::uint64_t value = 0;
    status >> value;
    return value;
  }
  return 0;
}

std::uint64_t any_cap(const Probe& probe) {
  return probe.has_cap(ASSAY_CAP_SCORE) ? ASSAY_CAP_SCORE : ASSAY_CAP_GENERATE;
}

/// Requests of whichever kind the backend answers.
std::vector<Ask> some_asks(Probe& probe, const Loaded& loaded, std::uint64_t n) {
  if (probe.has_cap(ASSAY_CAP_SCORE)) return random_asks(probe, loaded, n);
  std::vector<Ask> asks;
  for (std::uint64_t i = 0; i < n; ++i) asks.push_back(generate_ask(probe, loaded, i + 1, {}));
  return asks;
}

void expect_all_ok(Probe& probe, const Answers& answers) {
  for (const auto& [id, answer] : answers.by_id) {
    probe.expect(answer.code == ASSAY_OK, "id " + std::to_string(id) + " failed with " +
                                              to_string(answer.code) + " (" + quoted(answer.text) +
                                              ")");
  }
}

void load_tells_of_the_model(Probe& probe) {
  const Loaded loaded(probe, any_cap(probe));
  const assay_model_info& info = loaded.info();
  probe.expect(info.struct_size == sizeof info, "load wrote over struct_size");
  probe.expect(!(info.bits_per_weight < 0) && info.bits_per_weight <= 64,
               "bits_per_weight is " + shown(info.bits_per_weight));
  for (const std::int32_t token : {info.bos, info.eos}) {
    probe.expect(token >= -1 && (info.vocab == 0 || token < static_cast<std::int64_t>(info.vocab)),
                 "bos or eos is " + std::to_string(token) + ", outside the vocabulary of " +
                     std::to_string(info.vocab));
  }
}

void run_before_load(Probe& probe) {
  need_run(probe);
  Made made(probe);
  const auto& backend = made.api<assay_backend_v1>();
  const std::int32_t token = 0;
  assay_request request{};
  request.id = 1;
  request.kind = ASSAY_REQ_SCORE;
  request.tokens = &token;
  request.n_tokens = request.first = 1;
  const assay_batch batch{sizeof batch, 0, 1, sizeof request, &request};
  bool was_called = false;
  const assay_result_sink sink{
      sizeof sink,
      0,
      &was_called,
      [](void* ctx, std::uint64_t, std::uint64_t, const float*, const std::uint8_t*,
         std::uint64_t) noexcept -> std::int32_t { return *static_cast<bool*>(ctx) = true; },
      [](void* ctx, std::uint64_t, std::uint64_t, const assay_tensor*) noexcept -> std::int32_t {
        return *static_cast<bool*>(ctx) = true;
      },
      [](void* ctx, std::uint64_t, const std::int32_t*, const float*,
         std::uint64_t) noexcept -> std::int32_t { return *static_cast<bool*>(ctx) = true; },
      [](void* ctx, std::uint64_t, const assay_error*, const assay_usage*) noexcept {
        *static_cast<bool*>(ctx) = true;
      }};
  assay_error error = check::fresh_error();
  const assay_status status = backend.run(made.self(), &batch, &sink, &error);
  probe.expect(
      status == ASSAY_FAILED_PRECONDITION,
      "run before load answered " + said(status, error) + "; expected FAILED_PRECONDITION");
}

void load_once(Probe& probe) {
  Loaded loaded(probe, any_cap(probe));
  const assay_job job = job_of(probe, any_cap(probe));
  assay_model_info info{};
  info.struct_size = sizeof info;
  assay_error error = check::fresh_error();
  const assay_status status = loaded.backend().load(loaded.self(), &job, &info, &error);
  probe.expect(
      status == ASSAY_FAILED_PRECONDITION,
      "load a second time answered " + said(status, error) + "; expected FAILED_PRECONDITION");
}

void no_quantize_after_load(Probe& probe) {
  if (!probe.has_cap(ASSAY_CAP_QUANTIZE)) probe.skip("no QUANTIZE");
  Loaded loaded(probe, any_cap(probe));
  const std::string out = probe.folder("quantized");
  assay_job job = job_of(probe, ASSAY_CAP_QUANTIZE);
  job.out_dir = {out.data(), out.size()};
  assay_error error = check::fresh_error();
  const assay_status status = loaded.backend().quantize(loaded.self(), &job, &error);
  probe.expect(
      status == ASSAY_FAILED_PRECONDITION,
      "quantize after load answered " + said(status, error) + "; expected FAILED_PRECONDITION");
}

void quantize_writes_a_model(Probe& probe) {
  if (!probe.has_cap(ASSAY_CAP_QUANTIZE)) probe.skip("no QUANTIZE");
  const std::string out = probe.folder("quantized");
  {
    Made made(probe);
    assay_job job = job_of(probe, ASSAY_CAP_QUANTIZE);
    job.out_dir = {out.data(), out.size()};
    assay_error error = check::fresh_error();
    const assay_status status = made.api<assay_backend_v1>().quantize(made.self(), &job, &error);
    probe.require(status == ASSAY_OK, "quantize answered " + said(status, error) + "; expected OK");
  }
  Settings settings = probe.settings();
  settings.model_dir = out;
  Probe again(probe.subject(), settings);
  try {
    const Loaded loaded(again, any_cap(probe));
  } catch (const EndOfTest&) {
    for (const std::string& finding : again.outcome().findings) {
      probe.expect(false, "of what quantize wrote: " + finding);
    }
  }
}

void failed_load_leaves_only_destroy(Probe& probe) {
  need_run(probe);
  Made made(probe);
  const auto& backend = made.api<assay_backend_v1>();
  const std::string nowhere = probe.settings().folder + "/there-is-no-such-model";
  assay_job job = job_of(probe, any_cap(probe));
  job.model_dir = {nowhere.data(), nowhere.size()};
  assay_model_info info;
  std::memset(&info, 0x5A, sizeof info);
  info.struct_size = sizeof info;
  assay_error error = check::fresh_error();
  const assay_status status = backend.load(made.self(), &job, &info, &error);
  if (status == ASSAY_OK) probe.skip("it loads without a model folder");
  const std::string fault = error_fault(status, error);
  probe.expect(fault.empty(),
               "load of a folder that is not there failed, and of its error " + fault);
  probe.expect(info.struct_size == sizeof info && is_untouched(info, 0x5A),
               "a failed load wrote into assay_model_info; expected it untouched");
  const assay_batch batch{sizeof batch, 0, 0, sizeof(assay_request), nullptr};
  const assay_result_sink sink{sizeof sink, 0, nullptr, nullptr, nullptr, nullptr, nullptr};
  error = check::fresh_error();
  const assay_status then = backend.run(made.self(), &batch, &sink, &error);
  probe.expect(
      then == ASSAY_FAILED_PRECONDITION,
      "run after a failed load answered " + said(then, error) + "; expected FAILED_PRECONDITION");
}

void one_done_per_id(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  // Two batches: ids are unique per instance, not dense.
  std::vector<Ask> asks = some_asks(probe, loaded, 9);
  expect_all_ok(probe, run_batch(probe, loaded, asks));
  const std::uint64_t ids[] = {0, std::numeric_limits<std::uint64_t>::max(), 1ULL << 63, 77,
                               1ULL << 32};
  asks = some_asks(probe, loaded, std::size(ids));
  for (std::size_t i = 0; i < asks.size(); ++i) asks[i].id = ids[i];
  expect_all_ok(probe, run_batch(probe, loaded, asks));
}

void empty_batch(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  run_batch(probe, loaded, {});
}

void unknown_kind(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  std::vector<Ask> asks = some_asks(probe, loaded, 3);
  asks[1].kind = 4711;
  asks[1].draw.reset();
  asks[1].want = 0;
  const Answers answers = run_batch(probe, loaded, asks);
  probe.expect(answers[asks[1].id].code == ASSAY_UNIMPLEMENTED,
               "a request of kind 4711 ended with " + to_string(answers[asks[1].id].code) +
                   "; expected UNIMPLEMENTED");
  for (const std::size_t i : {std::size_t{0}, std::size_t{2}}) {
    probe.expect(answers[asks[i].id].code == ASSAY_OK,
                 "a request beside one of an unknown kind ended with " +
                     to_string(answers[asks[i].id].code) + "; expected OK");
  }
}

void undeclared_kind(Probe& probe) {
  need_run(probe);
  const bool scores = probe.has_cap(ASSAY_CAP_SCORE), generates = probe.has_cap(ASSAY_CAP_GENERATE);
  if (scores && generates) probe.skip("it declares SCORE and GENERATE");
  Loaded loaded(probe, any_cap(probe));
  const Ask ask = scores ? generate_ask(probe, loaded, 1, {}) : random_asks(probe, loaded, 1)[0];
  const Answers answers = run_batch(probe, loaded, {ask});
  probe.expect(answers[1].code == ASSAY_UNIMPLEMENTED,
               std::string("a ") + (scores ? "GENERATE" : "SCORE") + " request ended with " +
                   to_string(answers[1].code) + " though not declared; expected UNIMPLEMENTED");
}

void unknown_bits(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  std::vector<Ask> asks = some_asks(probe, loaded, 3);
  const Answers plain = run_batch(probe, loaded, asks);
  for (Ask& ask : asks) {
    ask.want |= 1u << 30;
    ask.id += 10;
  }
  const Answers marked = run_batch(probe, loaded, asks, 1u << 30);
  for (const Ask& ask : asks) {
    expect_same_scores(probe, plain[ask.id - 10], marked[ask.id],
                       "with unknown bits in want and flags");
    probe.expect(plain[ask.id - 10].tokens == marked[ask.id].tokens,
                 "with unknown bits in want and flags other tokens came");
  }
}

void larger_stride(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  std::vector<Ask> asks = some_asks(probe, loaded, 4);
  const Answers plain = run_batch(probe, loaded, asks);
  for (Ask& ask : asks) ask.id += 10;
  const Answers wide = run_batch(probe, loaded, asks, 0, {}, 40);
  for (const Ask& ask : asks) {
    expect_same_scores(probe, plain[ask.id - 10], wide[ask.id], "with a larger stride");
    probe.expect(plain[ask.id - 10].tokens == wide[ask.id].tokens,
                 "with a larger stride other tokens came");
  }
}

void refuses_a_bad_request_alone(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  const bool scores = probe.has_cap(ASSAY_CAP_SCORE);
  const std::uint64_t vocab = loaded.info().vocab;
  struct Case {
    std::string what;
    Ask ask;
  };
  std::vector<Case> cases;
  const auto add = [&](const std::string& what, const std::function<void(Ask&)>& spoil) {
    Ask ask = some_asks(probe, loaded, 1)[0];
    spoil(ask);
    cases.push_back({what, std::move(ask)});
  };
  if (scores) {
    add("first = 0", [](Ask& ask) { ask.first = 0; });
    add("first beyond the tokens", [](Ask& ask) { ask.first = ask.tokens.size() + 1; });
    add("no tokens", [](Ask& ask) {
      ask.tokens.clear();
      ask.first = 1;
    });
  }
  add("token -7", [](Ask& ask) { ask.tokens.back() = -7; });
  if (vocab > 0) {
    add("a token beyond the vocabulary",
        [&](Ask& ask) { ask.tokens.back() = static_cast<std::int32_t>(vocab); });
  }
  std::uint64_t next_id = 1;
  for (Case& bad : cases) {
    std::vector<Ask> asks = some_asks(probe, loaded, 3);
    asks[1] = bad.ask;
    for (Ask& ask : asks) ask.id = next_id++;
    const Answers answers = run_batch(probe, loaded, asks);
    probe.expect(answers[asks[1].id].code != ASSAY_OK,
                 "a request with " + bad.what + " ended with OK; expected a failure of its own");
    for (const std::size_t i : {std::size_t{0}, std::size_t{2}}) {
      probe.expect(answers[asks[i].id].code == ASSAY_OK,
                   "a request beside one with " + bad.what + " ended with " +
                       to_string(answers[asks[i].id].code) + "; expected OK");
    }
  }
}

void stays_usable_after_too_much(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  const std::uint64_t context = loaded.info().max_context;
  if (context == 0 || context > 1u << 16) probe.skip("no limit of the context to go beyond");
  std::vector<Ask> asks = some_asks(probe, loaded, 2);
  // One more than can be worked on: of a request to score the last token is only predicted.
  asks[0].tokens = random_tokens(probe, loaded, context + 2);
  asks[0].first = asks[0].draw ? asks[0].tokens.size() : context;
  const Answers answers = run_batch(probe, loaded, asks);
  const assay_status code = answers[asks[0].id].code;
  probe.expect(code == ASSAY_RESOURCE_EXHAUSTED || code == ASSAY_INVALID_ARGUMENT,
               "a request of " + std::to_string(context + 2) +
                   " tokens, two more than max_context, ended with " + to_string(code) +
                   "; expected RESOURCE_EXHAUSTED or INVALID_ARGUMENT");
  probe.expect(answers[asks[1].id].code == ASSAY_OK,
               "its neighbour ended with " + to_string(answers[asks[1].id].code) + "; expected OK");
  std::vector<Ask> more = some_asks(probe, loaded, 2);
  for (Ask& ask : more) ask.id += 100;
  expect_all_ok(probe, run_batch(probe, loaded, more));
}

void sink_ends_a_request(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  std::vector<Ask> asks = some_asks(probe, loaded, 4);
  Reaction reaction;
  reaction.on_data = [&](std::uint64_t id, const Answer&) { return id == asks[1].id ? 1 : 0; };
  const Answers answers = run_batch(probe, loaded, asks, 0, reaction);
  for (const Ask& ask : asks) {
    const Answer& answer = answers[ask.id];
    if (ask.id == asks[1].id) {
      // The answer may lag: what matters is that done comes, and comes as no failure of the model.
      probe.expect(answer.code == ASSAY_OK || answer.code == ASSAY_CANCELLED,
                   "a request the sink had ended failed with " + to_string(answer.code));
      continue;
    }
    probe.expect(answer.code == ASSAY_OK,
                 "a request beside one that the sink ended failed with " + to_string(answer.code));
    if (ask.kind == ASSAY_REQ_SCORE) {
      probe.expect(answer.next_score == ask.tokens.size(),
                   "a request beside one that the sink ended got " +
                       std::to_string(answer.logprobs.size()) + " scores; expected " +
                       std::to_string(ask.tokens.size() - ask.first));
    }
  }
}

void expect_cancelled(Probe& probe, const Answers& answers, double seconds) {
  const double grace = probe.settings().limits.grace;
  probe.expect(seconds <= grace, "run went on for " + shown(seconds) +
                                     " s though it was cancelled; expected at most " +
                                     shown(grace) + " s");
  probe.expect(answers.status == ASSAY_OK || answers.status == ASSAY_CANCELLED,
               "a cancelled run answered " + said(answers.status, answers.error) +
                   "; expected OK, each open request being done with CANCELLED");
  for (const auto& [id, answer] : answers.by_id) {
    probe.expect(
        answer.n_done == 0 || answer.code == ASSAY_OK || answer.code == ASSAY_CANCELLED,
        "a cancelled request ended with " + to_string(answer.code) + "; expected CANCELLED");
  }
}

void cancel_within_grace(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  std::vector<Ask> asks = some_asks(probe, loaded, 256);
  using Clock = std::chrono::steady_clock;
  Clock::time_point cancelled_at{};
  Reaction reaction;
  reaction.on_data = [&](std::uint64_t, const Answer&) {
    if (cancelled_at == Clock::time_point{}) {
      cancelled_at = Clock::now();
      loaded.host().cancel();
    }
    return 0;
  };
  const Answers answers = run_raw(probe, loaded, asks, 0, reaction, 0);
  if (cancelled_at == Clock::time_point{}) probe.skip("it gave no data to cancel after");
  expect_cancelled(probe, answers,
                   std::chrono::duration<double>(Clock::now() - cancelled_at).count());
}

void cancelled_before_run(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  loaded.host().cancel();
  const Answers answers = run_raw(probe, loaded, some_asks(probe, loaded, 64), 0, {}, 0);
  expect_cancelled(probe, answers, answers.seconds);
}

void signs_of_life(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, any_cap(probe));
  const double loading = loaded.host().longest_silence_seconds();
  run_batch(probe, loaded, some_asks(probe, loaded, 64));
  const double longest = std::max(loading, loaded.host().longest_silence_seconds());
  const double silence = probe.settings().limits.silence;
  probe.expect(longest < silence, "no progress, cancelled or sink call for " + shown(longest) +
                                      " s; expected one at least every " + shown(silence) + " s");
}

void thread_budget(Probe& probe) {
  need_run(probe);
  if (probe.subject().is_remote()) probe.skip("threads of a worker are counted by its host");
  const std::uint64_t before = status_field("Threads:");
  Loaded loaded(probe, any_cap(probe));
  std::uint64_t most = 0;
  Reaction reaction;
  reaction.on_data = [&](std::uint64_t, const Answer&) {
    most = std::max(most, status_field("Threads:"));
    return 0;
  };
  run_batch(probe, loaded, some_asks(probe, loaded, 16), 0, reaction);
  // One thread is granted, the calling one; four helpers of drivers are tolerated.
  const std::uint64_t started = most > before ? most - before : 0;
  probe.expect(started <= 4, "with a budget of one thread it started " + std::to_string(started) +
                                 " more; expected at most 4");
}

void estimate_keeps_to_its_fields(Probe& probe) {
  const assay_job job = job_of(probe, any_cap(probe));
  check::FakeHost host;
  assay_resources need;
  std::memset(&need, 0, sizeof need);
  need.struct_size = sizeof need;
  need.seed = 0x5A5A;
  assay_error error = patterned_error();
  const auto options = std::make_unique<check::Options>(probe.options());
  const assay_status status = probe.subject().estimate(host, *options, job, &need, &error);
  if (status == ASSAY_UNIMPLEMENTED) probe.skip("no estimate");
  if (status == ASSAY_UNAVAILABLE) {
    const std::string fault = error_fault(status, error);
    probe.expect(fault.empty(), "estimate answered UNAVAILABLE, and of its error " + fault);
    return;
  }
  probe.require(status == ASSAY_OK, "estimate answered " + said(status, error) + "; expected OK");
  probe.expect(need.struct_size == sizeof need, "estimate wrote over struct_size");
  if (!probe.subject().is_remote()) {
    probe.expect(need.seed == 0x5A5A && need.scratch_dir.ptr == nullptr && need.devices == nullptr,
                 "estimate wrote beyond threads, host_bytes, device_bytes and n_devices");
  }
}

void estimate_covers_the_peak(Probe& probe) {
  need_run(probe);
  if (probe.subject().is_remote()) probe.skip("the memory of a worker is measured by its host");
  std::uint64_t want = 0;
  for (const std::uint64_t cap : {ASSAY_CAP_SCORE, ASSAY_CAP_GENERATE}) {
    if (probe.has_cap(cap)) want |= cap;
  }
  assay_job job = job_of(probe, want);
  job.context = 24;
  job.batch = 16;
  check::FakeHost host;
  assay_resources need{};
  need.struct_size = sizeof need;
  assay_error error = check::fresh_error();
  const assay_status status = probe.subject().estimate(host, probe.options(), job, &need, &error);
  if (status != ASSAY_OK || need.host_bytes == 0) probe.skip("no estimate of host_bytes");
  // Code, thread stacks and the allocator's own keeping are not the model's.
  constexpr std::uint64_t kOverheadBytes = 96u << 20;
  // The peak of this process so far is not the model's: 5 starts it anew.
  std::ofstream("/proc/self/clear_refs") << 5;
  const std::uint64_t before_kib = status_field("VmRSS:");
  Loaded loaded(probe, want);
  run_batch(probe, loaded, some_asks(probe, loaded, 16));
  const std::uint64_t peak_kib = status_field("VmHWM:");
  const double grown = static_cast<double>(peak_kib - std::min(peak_kib, before_kib)) * 1024;
  const double bound = 1.1 * static_cast<double>(need.host_bytes);
  probe.expect(grown <= bound + static_cast<double>(kOverheadBytes),
               "loading and running took " + shown(grown / 1048576) + " MiB; the estimate is " +
                   shown(static_cast<double>(need.host_bytes) / 1048576) +
                   " MiB, of which 110 % and 96 MiB were expected to do");
}

void overlapping_runs(Probe& probe) {
  need_cap(probe, ASSAY_CAP_CONCURRENT, "CONCURRENT");
  Loaded loaded(probe, any_cap(probe));
  std::vector<Ask> asks = some_asks(probe, loaded, 16);
  const Answers alone = run_batch(probe, loaded, asks);
  std::vector<Ask> first(asks.begin(), asks.begin() + 8), second(asks.begin() + 8, asks.end());
  for (Ask& ask : first) ask.id += 100;
  for (Ask& ask : second) ask.id += 100;
  Answers of_first, of_second;
  std::exception_ptr thrown;
  std::thread other([&] {
    try {
      of_second = run_batch(probe, loaded, second);
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  of_first = run_batch(probe, loaded, first);
  other.join();
  if (thrown) std::rethrow_exception(thrown);
  for (const Ask& ask : first) {
    expect_same_scores(probe, alone[ask.id - 100], of_first[ask.id], "while another run went on");
  }
  for (const Ask& ask : second) {
    expect_same_scores(probe, alone[ask.id - 100], of_second[ask.id], "while another run went on");
  }
}

constexpr Test kTests[] = {
    {"backend.load-tells-of-the-model", ASSAY_BACKEND, nullptr, Level::kMust, 20, true,
     "load fills what it knows of the model, plausibly.", load_tells_of_the_model},
    {"backend.run-before-load", ASSAY_BACKEND, nullptr, Level::kMust, 11, true,
     "run before load answers FAILED_PRECONDITION.", run_before_load},
    {"backend.load-once", ASSAY_BACKEND, nullptr, Level::kMust, 11, true,
     "load a second time answers FAILED_PRECONDITION.", load_once},
    {"backend.no-quantize-after-load", ASSAY_BACKEND, nullptr, Level::kMust, 11, true,
     "quantize after load answers FAILED_PRECONDITION.", no_quantize_after_load},
    {"backend.quantize-writes-a-model", ASSAY_BACKEND, nullptr, Level::kMust, 11, true,
     "quantize, legal without load, writes a folder that the same component loads.",
     quantize_writes_a_model},
    {"backend.failed-load-leaves-only-destroy", ASSAY_BACKEND, nullptr, Level::kMust, 11, true,
     "After a failed load, which touches no out-parameter, only destroy is left.",
     failed_load_leaves_only_destroy},
    {"backend.one-done-per-id", ASSAY_BACKEND, nullptr, Level::kMust, 16, true,
     "Every id of a batch gets exactly one done, whatever the id.", one_done_per_id},
    {"backend.empty-batch", ASSAY_BACKEND, nullptr, Level::kShould, 0, true,
     "A batch without requests is answered with OK.", empty_batch},
    {"backend.unknown-kind", ASSAY_BACKEND, nullptr, Level::kMust, 21, true,
     "A request of an unknown kind is done with UNIMPLEMENTED; its neighbours are answered.",
     unknown_kind},
    {"backend.undeclared-kind", ASSAY_BACKEND, nullptr, Level::kMust, 21, true,
     "A request of a kind that is not declared is done with UNIMPLEMENTED.", undeclared_kind},
    {"backend.unknown-bits", ASSAY_BACKEND, nullptr, Level::kMust, 21, true,
     "Unknown bits of want and flags are ignored.", unknown_bits},
    {"backend.larger-stride", ASSAY_BACKEND, nullptr, Level::kMust, 27, true,
     "Requests are walked by the batch's stride.", larger_stride},
    {"backend.refuses-a-bad-request-alone", ASSAY_BACKEND, nullptr, Level::kMust, 15, true,
     "A request that cannot be answered fails by its own done; its neighbours are answered.",
     refuses_a_bad_request_alone},
    {"backend.stays-usable-after-too-much", ASSAY_BACKEND, nullptr, Level::kMust, 11, true,
     "A request that is too long fails alone, and the instance stays usable.",
     stays_usable_after_too_much},
    {"backend.sink-ends-a-request", ASSAY_BACKEND, nullptr, Level::kMust, 9, true,
     "When a sink returns non-zero the request goes on to done, and others are not touched.",
     sink_ends_a_request},
    {"backend.cancel-within-grace", ASSAY_BACKEND, nullptr, Level::kMust, 14, true,
     "A cancelled run returns within 5 seconds, each id done once.", cancel_within_grace},
    {"backend.cancelled-before-run", ASSAY_BACKEND, nullptr, Level::kMust, 14, true,
     "A run that is cancelled beforehand returns within 5 seconds.", cancelled_before_run},
    {"backend.signs-of-life", ASSAY_BACKEND, nullptr, Level::kMust, 14, true,
     "While it works a plugin calls progress, cancelled or a sink at least every 60 s.",
     signs_of_life},
    {"backend.thread-budget", ASSAY_BACKEND, nullptr, Level::kMust, 10, false,
     "The compute budget of threads is kept; four helpers of drivers are tolerated.",
     thread_budget},
    {"backend.estimate-keeps-to-its-fields", ASSAY_BACKEND, nullptr, Level::kMust, 23, true,
     "estimate fills host_bytes, device_bytes, threads and n_devices and nothing else.",
     estimate_keeps_to_its_fields},
    {"backend.estimate-covers-the-peak", ASSAY_BACKEND, nullptr, Level::kShould, 23, false,
     "The peak of memory is at most 110 % of the estimate.", estimate_covers_the_peak},
    {"backend.overlapping-runs", ASSAY_BACKEND, nullptr, Level::kMust, 8, true,
     "With CONCURRENT a run may overlap with another, and neither changes the other.",
     overlapping_runs},
};

}  // namespace

std::span<const Test> backend_tests() { return kTests; }

}  // namespace assay::suite
