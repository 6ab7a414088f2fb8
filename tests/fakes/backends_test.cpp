// Other tests lean on these backends; here they are held to the contract themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "host/loader/instance.hpp"

namespace assay::host {
namespace {

struct Answer {
  std::vector<float> logprobs;
  std::vector<std::uint8_t> greedy;
  std::uint64_t next = 0;  ///< index of the token whose score must come next
  int n_done = 0;
  assay_status status = ASSAY_OK;
  std::string text;
};

using Answers = std::map<std::uint64_t, Answer>;

Json defaults() {
  return {{"vocab", 256},      {"max_context", 2048}, {"bits", 0.0},     {"bos", -1},
          {"eos", -1},         {"noise", 0.0},        {"chunk", 0},      {"fail_after", -1},
          {"refuse_every", 0}, {"slow_ms", 0},        {"fault", "none"}, {"answer", Json::array()}};
}

/// A loaded backend and the sink it answers into.
class Backend {
 public:
  explicit Backend(std::string_view id, const Json& changes = Json::object(),
                   const std::atomic<bool>* cancelled = nullptr)
      : registry_(Registry::scan({ASSAY_TEST_FAKES})) {
    Json options = defaults();
    options.update(changes);
    auto instance = Instance::create(*registry_.find(id), options,
                                     Lease{.node = "model.fake", .cancelled = cancelled});
    EXPECT_TRUE(instance) << instance.error().text;
    instance_ = std::make_unique<Instance>(*std::move(instance));
    assay_job job{};
    job.struct_size = sizeof job;
    job.context = 16;
    info_.struct_size = sizeof info_;
    assay_error error{};
    error.struct_size = sizeof error;
    EXPECT_EQ(api().load(instance_->self(), &job, &info_, &error), ASSAY_OK) << error.text;
  }

  const assay_model_info& info() const { return info_; }

  /// Scores each sequence from its second token on.
  Answers run(const std::vector<std::vector<std::int32_t>>& sequences, std::uint64_t first = 1) {
    std::vector<assay_request> requests;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      assay_request request{};
      request.id = i;
      request.kind = ASSAY_REQ_SCORE;
      request.want = ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY;
      request.tokens = sequences[i].data();
      request.n_tokens = sequences[i].size();
      request.first = first;
      requests.push_back(request);
    }
    answers_.clear();
    for (const assay_request& request : requests) answers_[request.id].next = request.first;
    const assay_batch batch = {sizeof batch, 0, requests.size(), sizeof(assay_request),
                               requests.data()};
    const assay_result_sink sink = {sizeof sink, 0, &answers_, take_scores, nullptr, nullptr, done};
    assay_error error{};
    error.struct_size = sizeof error;
    status = api().run(instance_->self(), &batch, &sink, &error);
    text = error.text;
    return answers_;
  }

  assay_status status = ASSAY_OK;  ///< of the last run
  std::string text;

 private:
  const assay_backend_v1& api() const { return instance_->api<assay_backend_v1>(); }
  static std::int32_t take_scores(void* ctx, std::uint64_t id, std::uint64_t first,
                                  const float* logprobs, const std::uint8_t* greedy,
                                  std::uint64_t n) noexcept {
    Answer& answer = (*static_cast<Answers*>(ctx))[id];
    EXPECT_EQ(first, answer.next);
    answer.next += n;
    answer.logprobs.insert(answer.logprobs.end(), logprobs, logprobs + n);
    answer.greedy.insert(answer.greedy.end(), greedy, greedy + n);
    return 0;
  }
  static void done(void* ctx, std::uint64_t id, const assay_error* failure,
                   const assay_usage*) noexcept {
    Answer& answer = (*static_cast<Answers*>(ctx))[id];
    ++answer.n_done;
    if (failure == nullptr) return;
    answer.status = failure->code;
    answer.text = failure->text;
  }

  Registry registry_;
  std::unique_ptr<Instance> instance_;
  assay_model_info info_{};
  Answers answers_;
};

TEST(FakeUniform, GivesEveryTokenTheSameChance) {
  Backend backend("fake/uniform");
  const Answers answers = backend.run({{1, 2, 3, 250}});
  ASSERT_EQ(answers.at(0).logprobs.size(), 3u);
  for (const float value : answers.at(0).logprobs) {
    EXPECT_FLOAT_EQ(value, -std::log(256.0f));
  }
  EXPECT_THAT(answers.at(0).greedy, testing::ElementsAre(0, 0, 0));
  EXPECT_EQ(backend.info().vocab, 256u);
}

TEST(FakeUniform, HoldsTokenZeroForTheBestBecauseTiesGoToTheLowest) {
  Backend backend("fake/uniform");
  EXPECT_THAT(backend.run({{7, 0}}).at(0).greedy, testing::ElementsAre(1));
}

TEST(FakeHash, IsADistributionWithOneBestToken) {
  Backend backend("fake/hash", {{"vocab", 50}});
  std::vector<std::vector<std::int32_t>> pairs;
  for (std::int32_t token = 0; token < 50; ++token) pairs.push_back({13, token});
  double sum = 0;
  int n_greedy = 0;
  float best = -INFINITY;
  float greedy = 0;
  for (const auto& [id, answer] : backend.run(pairs)) {
    sum += std::exp(static_cast<double>(answer.logprobs[0]));
    best = std::max(best, answer.logprobs[0]);
    if (answer.greedy[0] == 1) {
      ++n_greedy;
      greedy = answer.logprobs[0];
    }
  }
  EXPECT_NEAR(sum, 1.0, 1e-5);  // 50 values rounded to f32
  EXPECT_EQ(n_greedy, 1);
  EXPECT_EQ(greedy, best);
}

TEST(FakeHash, DependsOnTheTokenBeforeAndOnNothingElse) {
  Backend backend("fake/hash");
  const Answers answers = backend.run({{1, 2, 3}, {9, 2, 3}, {9, 8, 3}});
  EXPECT_EQ(answers.at(0).logprobs[1], answers.at(1).logprobs[1]);
  EXPECT_NE(answers.at(1).logprobs[1], answers.at(2).logprobs[1]);
}

TEST(FakeHash, IsMovedByNoise) {
  Backend clean("fake/hash");
  Backend noisy("fake/hash", {{"noise", 0.5}});
  EXPECT_NE(clean.run({{1, 2}}).at(0).logprobs[0], noisy.run({{1, 2}}).at(0).logprobs[0]);
}

TEST(FakeHash, GivesTheSameScoresInChunks) {
  Backend whole("fake/hash");
  Backend pieces("fake/hash", {{"chunk", 2}});
  const std::vector<std::int32_t> tokens = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(whole.run({tokens}).at(0).logprobs, pieces.run({tokens}).at(0).logprobs);
}

TEST(FakeHash, ScoresNothingWhereFirstIsTheEnd) {
  Backend backend("fake/hash");
  const Answers answers = backend.run({{1, 2}}, 2);
  EXPECT_EQ(answers.at(0).n_done, 1);
  EXPECT_EQ(answers.at(0).status, ASSAY_OK);
  EXPECT_THAT(answers.at(0).logprobs, testing::IsEmpty());
}

TEST(FakeHash, RefusesATokenOutsideItsVocabularyAndGoesOn) {
  Backend backend("fake/hash", {{"vocab", 10}});
  const Answers answers = backend.run({{1, 10}, {1, 9}});
  EXPECT_EQ(backend.status, ASSAY_OK);
  EXPECT_EQ(answers.at(0).status, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(answers.at(0).text, "token 10 at position 1 is outside the vocabulary of 10");
  EXPECT_EQ(answers.at(1).status, ASSAY_OK);
}

TEST(FakeHash, RefusesEveryNthRequestWhenAsked) {
  Backend backend("fake/hash", {{"refuse_every", 2}});
  const Answers answers = backend.run({{1, 2}, {1, 2}, {1, 2}, {1, 2}});
  EXPECT_EQ(backend.status, ASSAY_OK);
  for (const auto& [id, answer] : answers) {
    EXPECT_EQ(answer.n_done, 1);
    EXPECT_EQ(answer.status, id % 2 == 1 ? ASSAY_RESOURCE_EXHAUSTED : ASSAY_OK);
  }
}

TEST(FakeHash, FailsAfterNRequestsWhenAskedAndLeavesTheRestOpen) {
  Backend backend("fake/hash", {{"fail_after", 2}});
  const Answers answers = backend.run({{1, 2}, {1, 2}, {1, 2}});
  EXPECT_EQ(backend.status, ASSAY_INTERNAL);
  EXPECT_EQ(backend.text, "fails after 2 requests, as asked");
  EXPECT_EQ(answers.at(1).n_done, 1);
  EXPECT_EQ(answers.at(2).n_done, 0);
}

TEST(FakeHash, AnswersEveryRequestWithCancelledOnceCancelled) {
  const std::atomic<bool> cancelled = true;
  Backend backend("fake/hash", {{"slow_ms", 60000}}, &cancelled);
  const Answers answers = backend.run({{1, 2}, {3, 4}});
  EXPECT_EQ(backend.status, ASSAY_OK);
  for (const auto& [id, answer] : answers) {
    EXPECT_EQ(answer.n_done, 1);
    EXPECT_EQ(answer.status, ASSAY_CANCELLED);
  }
}

}  // namespace
}  // namespace assay::host
