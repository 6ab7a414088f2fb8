// The backend layer: order of calls, one answer for each request, refusals, both sides' struct
// sizes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <assay/plugin.hpp>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace assay {
namespace {

using check::Created;
using check::FakeHost;
using check::fresh_error;
using check::SpyResults;

const std::int32_t kTokens[] = {5, 6, 7};

assay_request score_request(std::uint64_t id, std::uint64_t first = 1) {
  return {id, ASSAY_REQ_SCORE, ASSAY_WANT_LOGPROBS, kTokens, 3, first, 0, 0, nullptr};
}
assay_batch batch_of(const std::vector<assay_request>& requests) {
  return {sizeof(assay_batch), 0, requests.size(), sizeof(assay_request), requests.data()};
}

struct Call {
  assay_status status;
  std::string text;
};

Call load(const Created& backend) {
  assay_job job{};
  job.struct_size = sizeof job;
  assay_model_info info{};
  info.struct_size = sizeof info;
  assay_error error = fresh_error();
  const assay_status status =
      backend.api<assay_backend_v1>().load(backend.self(), &job, &info, &error);
  return {status, error.text};
}
Call quantize(const Created& backend) {
  assay_job job{};
  job.struct_size = sizeof job;
  assay_error error = fresh_error();
  const assay_status status =
      backend.api<assay_backend_v1>().quantize(backend.self(), &job, &error);
  return {status, error.text};
}
Call run(const Created& backend, const std::vector<assay_request>& requests, SpyResults& results) {
  const assay_batch batch = batch_of(requests);
  assay_error error = fresh_error();
  const assay_status status =
      backend.api<assay_backend_v1>().run(backend.self(), &batch, &results.sink, &error);
  return {status, error.text};
}

/// One request at a time; the option names the fault.
struct Simple : Backend {
  static constexpr Info info{"test/simple", "1.0.0", "Half a nat per token",
                             ASSAY_CAP_SCORE | ASSAY_CAP_QUANTIZE};
  static constexpr Option options[] = {text("fault", "\"\"", "What goes wrong.")};
  Context context;
  std::string fault;

  explicit Simple(Context given) : context(given), fault(given.text("fault")) {}
  static void estimate(Context given, const assay_job&, assay_resources& need) {
    if (given.text("fault") == "estimate")
      throw Error(ASSAY_UNAVAILABLE, "needs compute capability 8.9");
    need.host_bytes = 1000;
    need.threads = 2;
    need.n_devices = 1;
  }
  void load(const assay_job&, assay_model_info& model) {
    if (fault == "load") throw Error(ASSAY_NOT_FOUND, "no weights");
    model.vocab = 10;
    model.max_context = 77;
  }
  void quantize(const assay_job&) {}
  void score(const Request& request, Results results) {
    if (fault == "score" && request.id == 2) throw Error(ASSAY_RESOURCE_EXHAUSTED, "too long");
    const std::vector<float> values(request.n_tokens - request.first, -0.5F);
    results.scores(request.first, values, {});
    if (fault == "reads options late") context.text("fault");
  }
};

const assay_component& simple() { return *detail::component_of<Simple>(); }
check::Options with(const char* fault) { return {{"fault", std::string(fault)}}; }

TEST(BackendLayer, HoldsToTheOrderOfCalls) {
  FakeHost host;
  SpyResults results;
  const Created loaded(simple(), host, with(""));
  const Call early = run(loaded, {score_request(1)}, results);
  EXPECT_EQ(early.status, ASSAY_FAILED_PRECONDITION);
  EXPECT_EQ(early.text, "run was called before load");
  EXPECT_TRUE(results.answers.empty());
  EXPECT_EQ(load(loaded).status, ASSAY_OK) << "a refused call leaves the instance as it was";
  EXPECT_EQ(load(loaded).text, "load was called after load");
  EXPECT_EQ(quantize(loaded).text, "quantize was called after load");
  EXPECT_EQ(run(loaded, {score_request(1)}, results).status, ASSAY_OK);

  const Created quantized(simple(), host, with(""));
  EXPECT_EQ(quantize(quantized).status, ASSAY_OK);
  EXPECT_EQ(quantize(quantized).status, ASSAY_FAILED_PRECONDITION);
  EXPECT_EQ(load(quantized).text, "load was called after quantize");
}

TEST(BackendLayer, LeavesOnlyDestroyAfterAFailedLoad) {
  FakeHost host;
  const Created backend(simple(), host, with("load"));
  EXPECT_EQ(load(backend).text, "no weights");
  const Call again = load(backend);
  EXPECT_EQ(again.status, ASSAY_FAILED_PRECONDITION);
  EXPECT_EQ(again.text, "load was called on an instance that failed before; only destroy is left");
}

TEST(BackendLayer, FailsOneRequestAndGoesOn) {
  FakeHost host;
  const Created backend(simple(), host, with("score"));
  SpyResults results;
  ASSERT_EQ(load(backend).status, ASSAY_OK);
  ASSERT_EQ(run(backend, {score_request(1), score_request(2), score_request(3)}, results).status,
            ASSAY_OK);
  EXPECT_EQ(results.answers[2].code, ASSAY_RESOURCE_EXHAUSTED);
  EXPECT_EQ(results.answers[2].text, "too long");
  EXPECT_EQ(results.answers[3].logprobs, (std::vector<float>{-0.5F, -0.5F}));
  for (std::uint64_t id = 1; id <= 3; ++id) EXPECT_EQ(results.answers[id].n_done, 1);
}

TEST(BackendLayer, AnswersUnknownKindsAndBadBoundsItself) {
  FakeHost host;
  const Created backend(simple(), host, with(""));
  SpyResults results;
  ASSERT_EQ(load(backend).status, ASSAY_OK);
  assay_request strange = score_request(1);
  strange.kind = 99;
  assay_request generate = score_request(2);
  generate.kind = ASSAY_REQ_GENERATE;
  const std::vector<assay_request> requests = {strange, generate, score_request(3, 0),
                                               score_request(4, 4)};
  ASSERT_EQ(run(backend, requests, results).status, ASSAY_OK);
  EXPECT_EQ(results.answers[1].code, ASSAY_UNIMPLEMENTED);
  EXPECT_EQ(results.answers[1].text, "test/simple does not answer requests of kind 99");
  EXPECT_EQ(results.answers[2].code, ASSAY_UNIMPLEMENTED);
  EXPECT_EQ(results.answers[3].code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(results.answers[3].text, "first is 0 in a request of 3 tokens; expected 1 to 3");
  EXPECT_EQ(results.answers[4].code, ASSAY_INVALID_ARGUMENT);
}

TEST(BackendLayer, AnswersWhatIsLeftWithCancelled) {
  FakeHost host;
  const Created backend(simple(), host, with(""));
  SpyResults results;
  ASSERT_EQ(load(backend).status, ASSAY_OK);
  host.cancel();
  ASSERT_EQ(run(backend, {score_request(1)}, results).status, ASSAY_OK);
  EXPECT_EQ(results.answers[1].code, ASSAY_CANCELLED);
}

TEST(BackendLayer, WalksRequestsByTheHostsStride) {
  struct Later {
    assay_request request;
    std::uint64_t added_in_1_1;
  };
  const Later requests[] = {{score_request(1), 9}, {score_request(2, 2), 9}};
  const assay_batch batch{sizeof(assay_batch), 0, 2, sizeof(Later), &requests[0].request};
  FakeHost host;
  const Created backend(simple(), host, with(""));
  SpyResults results;
  ASSERT_EQ(load(backend).status, ASSAY_OK);
  ASSERT_EQ(backend.api<assay_backend_v1>().run(backend.self(), &batch, &results.sink, nullptr),
            ASSAY_OK);
  EXPECT_EQ(results.answers[1].logprobs.size(), 2U);
  EXPECT_EQ(results.answers[2].logprobs.size(), 1U);
}

TEST(BackendLayer, WritesOnlyTheFieldsOfModelInfoThatTheHostKnows) {
  FakeHost host;
  const Created backend(simple(), host, with(""));
  struct {
    assay_model_info info;
    std::uint64_t behind = 0xABAB;
  } larger{};
  larger.info.struct_size = sizeof larger;  // a later host's struct has one more field
  assay_job job{};
  job.struct_size = sizeof job;
  ASSERT_EQ(backend.api<assay_backend_v1>().load(backend.self(), &job, &larger.info, nullptr),
            ASSAY_OK);
  EXPECT_EQ(larger.info.struct_size, sizeof larger) << "the size is the caller's";
  EXPECT_EQ(larger.info.max_context, 77U);
  EXPECT_EQ(larger.info.bos, -1) << "none unless the backend says so";
  EXPECT_EQ(larger.behind, 0xABABU);
}

TEST(BackendLayer, LeavesModelInfoAloneWhenLoadFails) {
  FakeHost host;
  const Created backend(simple(), host, with("load"));
  assay_job job{};
  assay_model_info info{};
  info.struct_size = sizeof info;
  info.vocab = 123;
  backend.api<assay_backend_v1>().load(backend.self(), &job, &info, nullptr);
  EXPECT_EQ(info.vocab, 123U);
}

TEST(BackendLayer, EstimatesWithoutAnInstance) {
  FakeHost host;
  const auto& api = *static_cast<const assay_backend_v1*>(simple().api);
  assay_job job{};
  assay_resources need{};
  need.struct_size = sizeof need;
  const check::Options fine = with(""), bad = with("estimate");
  ASSERT_EQ(api.estimate(host.table(), fine.config(), &job, &need, nullptr), ASSAY_OK);
  EXPECT_EQ(need.host_bytes, 1000U);
  EXPECT_EQ(need.threads, 2U);
  EXPECT_EQ(need.n_devices, 1U);
  assay_error error = fresh_error();
  EXPECT_EQ(api.estimate(host.table(), bad.config(), &job, &need, &error), ASSAY_UNAVAILABLE);
  EXPECT_STREQ(error.text, "needs compute capability 8.9");
}

TEST(BackendLayer, RefusesOptionsReadAfterTheConstructor) {
  FakeHost host;
  const Created backend(simple(), host, with("reads options late"));
  SpyResults results;
  ASSERT_EQ(load(backend).status, ASSAY_OK);
  ASSERT_EQ(run(backend, {score_request(1)}, results).status, ASSAY_OK);
  EXPECT_EQ(results.answers[1].text,
            "option \"fault\" is read after the constructor; keep its value instead");
}

/// Handles the sink itself; the option names the fault.
struct Batched : Backend {
  static constexpr Info info{"test/batched", "1.0.0", "Breaks rules", ASSAY_CAP_SCORE};
  static constexpr Option options[] = {text("fault", "\"\"", "What goes wrong.")};
  std::string fault;

  explicit Batched(Context given) : fault(given.text("fault")) {}
  void load(const assay_job&, assay_model_info&) {}
  void run(const Batch& batch, Sink& sink) {
    const std::vector<float> one = {-1};
    for (const Request& request : batch) {
      if (fault == "forgets" && request.id == 2) continue;
      if (fault == "throws" && request.id == 2) throw std::runtime_error("device is lost");
      for (std::uint64_t at = request.first; at < request.n_tokens; ++at) {
        if (!sink.scores(request.id, at, one, {})) break;
      }
      sink.done(request.id);
      if (fault == "twice") sink.done(request.id);
      if (fault == "late") sink.scores(request.id, 1, one, {});
      if (fault == "foreign") sink.raw().done(sink.raw().ctx, 999, nullptr, nullptr);
    }
  }
};

SpyResults& run_batched(FakeHost& host, const char* fault, SpyResults& results, Call* call) {
  const Created backend(*detail::component_of<Batched>(), host, with(fault));
  load(backend);
  *call = run(backend, {score_request(1), score_request(2), score_request(3)}, results);
  if (call->status != ASSAY_OK) {
    EXPECT_EQ(run(backend, {score_request(4)}, results).text,
              "run was called on an instance that failed before; only destroy is left");
  }
  return results;
}

TEST(Sink, PassesOnWhatAGoodBackendGives) {
  FakeHost host;
  SpyResults results;
  Call call{};
  run_batched(host, "", results, &call);
  EXPECT_EQ(call.status, ASSAY_OK);
  EXPECT_EQ(results.answers[3].logprobs, (std::vector<float>{-1, -1}));
  EXPECT_TRUE(host.log().empty());
}

TEST(Sink, TellsTheBackendWhenTheHostWantsNoMore) {
  FakeHost host;
  SpyResults results;
  results.reply = 1;
  Call call{};
  run_batched(host, "", results, &call);
  EXPECT_EQ(results.answers[1].logprobs.size(), 1U);
  EXPECT_EQ(results.answers[1].n_done, 1);
}

TEST(Sink, LetsThroughOneDoneForEachRequest) {
  FakeHost host;
  SpyResults results;
  Call call{};
  run_batched(host, "twice", results, &call);
  EXPECT_EQ(call.status, ASSAY_OK);
  for (std::uint64_t id = 1; id <= 3; ++id) EXPECT_EQ(results.answers[id].n_done, 1);
  ASSERT_EQ(host.log().size(), 3U);
  EXPECT_EQ(host.log()[0].text,
            "misbehaviour of the plugin rule=done-is-the-last-call: request 1: data or another "
            "done() after done()");
}

TEST(Sink, DropsDataThatComesAfterDone) {
  FakeHost host;
  SpyResults results;
  Call call{};
  run_batched(host, "late", results, &call);
  EXPECT_EQ(results.answers[1].logprobs.size(), 2U);
  EXPECT_EQ(host.log().size(), 3U);
}

TEST(Sink, DropsAnswersToRequestsOfNoOne) {
  FakeHost host;
  SpyResults results;
  Call call{};
  run_batched(host, "foreign", results, &call);
  EXPECT_FALSE(results.answers.contains(999));
  EXPECT_EQ(host.log()[0].text,
            "misbehaviour of the plugin rule=answers-are-for-requests-of-the-batch: request 999: "
            "no such request in this batch");
}

TEST(Sink, AnswersRequestsTheBackendForgot) {
  FakeHost host;
  SpyResults results;
  Call call{};
  run_batched(host, "forgets", results, &call);
  EXPECT_EQ(call.status, ASSAY_OK);
  EXPECT_EQ(results.answers[2].n_done, 1);
  EXPECT_EQ(results.answers[2].code, ASSAY_INTERNAL);
  EXPECT_EQ(results.answers[2].text, "the backend gave no answer to this request");
}

TEST(Sink, LeavesOpenRequestsToTheHostWhenRunFails) {
  FakeHost host;
  SpyResults results;
  Call call{};
  run_batched(host, "throws", results, &call);
  EXPECT_EQ(call.status, ASSAY_INTERNAL);
  EXPECT_EQ(call.text, "device is lost");
  EXPECT_EQ(results.answers[1].n_done, 1);
  EXPECT_FALSE(results.answers.contains(2));
}

TEST(Sink, RefusesABatchWithTwoRequestsOfOneId) {
  FakeHost host;
  const Created backend(*detail::component_of<Batched>(), host, with(""));
  SpyResults results;
  ASSERT_EQ(load(backend).status, ASSAY_OK);
  EXPECT_EQ(run(backend, {score_request(1), score_request(1)}, results).text,
            "two requests of one batch have the id 1");
}

}  // namespace
}  // namespace assay
