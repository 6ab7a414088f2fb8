#include "host/worker/session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "host/loader/registry.hpp"

namespace assay::host {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

const std::string kModel = std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger/model";

const Tokenizer& ledger() {
  static const auto tokenizer = Tokenizer::open(kModel);
  return *tokenizer;
}

const Registry& registry() {
  static const Registry found = Registry::scan({ASSAY_TEST_FAKES});
  return found;
}

std::vector<std::int32_t> tokens_of(const std::string& text) {
  return ledger().encode(text, AddSpecial::kNone)->ids;
}

class SessionTest : public testing::Test {
 protected:
  void open(const Json& options, const char* id = "fake/hash") {
    ModelSpec model;
    model.name = "m";
    model.path = kModel;
    model.backend.component = registry().find(id, ASSAY_BACKEND);
    ASSERT_NE(model.backend.component, nullptr);
    Json all{{"vocab", 1280},
             {"max_context", 512},
             {"bits", 0.0},
             {"bos", 0},
             {"eos", 1},
             {"noise", 0.0},
             {"chunk", 0},
             {"fail_after", -1},
             {"refuse_every", 0},
             {"slow_ms", 0},
             {"answer", Json::array()},
             {"fault", "none"}};
    all.update(options);
    model.backend.options = all;
    auto opened = open_session(model, 1, cancelled_);
    ASSERT_TRUE(opened) << opened.error().text;
    session_ = std::move(*opened);
    ASSERT_TRUE(session_->load(0));
  }

  Result<void> generate(std::size_t n = 1) {
    std::vector<GenerateRequest> requests;
    for (std::size_t i = 0; i < n; ++i) requests.push_back({i, {5, 6, 7}, 100 + i});
    return session_->generate(requests, decoding_, [&](std::uint64_t id, Result<Generation> said) {
      EXPECT_TRUE(answers_.emplace(id, std::move(said)).second) << id;
    });
  }

  const Generation& said(std::uint64_t id = 0) {
    const auto& answer = answers_.at(id);
    EXPECT_TRUE(answer) << answer.error().text;
    return *answer;
  }

  Decoding decoding_{.max_new = 8, .end_tokens = {1}};
  std::map<std::uint64_t, Result<Generation>> answers_;
  std::atomic<bool> cancelled_ = false;
  std::unique_ptr<Session> session_;
};

TEST_F(SessionTest, AnAnswerEndsAtItsEndTokenWhichIsKeptButNotDecoded) {
  auto answer = tokens_of(" 116");
  answer.push_back(1);
  open({{"answer", answer}});
  ASSERT_TRUE(generate());
  EXPECT_EQ(said().text, " 116");
  EXPECT_EQ(said().finish, Finish::kEnd);
  EXPECT_EQ(said().tokens, answer);
  ASSERT_TRUE(said().first_token_seconds);
  EXPECT_GE(*said().first_token_seconds, 0);
}

TEST_F(SessionTest, AnAnswerEndsAtMaxNewTokens) {
  open(Json::object());
  ASSERT_TRUE(generate());
  EXPECT_EQ(said().finish, Finish::kLength);
  EXPECT_THAT(said().tokens, SizeIs(8));
}

TEST_F(SessionTest, AStopTextEndsTheRequestAndIsCutAway) {
  const auto answer = tokens_of(" yes\ncard 12 is next");
  decoding_.max_new = 32;
  decoding_.stop = {"\ncard", "never"};
  open({{"answer", answer}});
  ASSERT_TRUE(generate());
  EXPECT_EQ(said().text, " yes");
  EXPECT_EQ(said().finish, Finish::kStop);
  EXPECT_LT(said().tokens.size(), answer.size()) << "the backend was not told to end";
}

TEST_F(SessionTest, NothingEndsBeforeMinNewTokens) {
  auto answer = tokens_of(" no");
  answer.push_back(1);
  decoding_.min_new = 6;
  open({{"answer", answer}});
  ASSERT_TRUE(generate());
  EXPECT_GE(said().tokens.size(), 6u);
}

TEST_F(SessionTest, SeedsReachTheBackendOneByOne) {
  decoding_.temperature = 1;
  open(Json::object());
  ASSERT_TRUE(generate(2));
  EXPECT_NE(said(0).tokens, said(1).tokens);
  const auto first = said(0).tokens;
  answers_.clear();
  ASSERT_TRUE(generate(1));
  EXPECT_EQ(said(0).tokens, first);
}

TEST_F(SessionTest, ARefusedRequestFailsAloneWithTheBackendsWords) {
  open({{"refuse_every", 2}});
  ASSERT_TRUE(generate(3));
  EXPECT_TRUE(answers_.at(0));
  ASSERT_FALSE(answers_.at(1));
  EXPECT_THAT(answers_.at(1).error().text, HasSubstr("refuses every 2. request"));
  EXPECT_TRUE(answers_.at(2));
}

TEST_F(SessionTest, AnInterruptedAnswerIsNoAnswer) {
  cancelled_ = true;
  open({{"slow_ms", 50}});
  ASSERT_TRUE(generate(2));
  EXPECT_EQ(answers_.at(0).error().code, ASSAY_CANCELLED);
  EXPECT_EQ(answers_.at(1).error().code, ASSAY_CANCELLED);
}

struct Fault {
  const char* name;
  const char* text;     ///< of the request, "" where it is answered
  const char* failure;  ///< of the call, "" where it succeeds
};

class SessionFaults : public SessionTest, public testing::WithParamInterface<Fault> {};

TEST_P(SessionFaults, AreToldAndEveryRequestIsAnsweredOnce) {
  open({{"fault", GetParam().name}, {"answer", {5, 1}}});
  const auto ran = generate(2);
  ASSERT_THAT(answers_, SizeIs(2));
  for (const auto& [id, answer] : answers_) {
    const std::string text = answer ? "" : answer.error().text;
    EXPECT_THAT(text, HasSubstr(GetParam().text)) << id;
    EXPECT_EQ(text.empty(), std::string(GetParam().text).empty()) << text;
  }
  const std::string failure = ran ? "" : ran.error().text;
  EXPECT_THAT(failure, HasSubstr(GetParam().failure));
  EXPECT_EQ(failure.empty(), std::string(GetParam().failure).empty()) << failure;
}

INSTANTIATE_TEST_SUITE_P(
    All, SessionFaults,
    testing::Values(Fault{"done_twice", "", "finished a request that is not in flight (id 0)"},
                    Fault{"foreign_id", "returned without answering this request",
                          "finished a request that is not in flight (id 1000000)"},
                    Fault{"no_done", "returned without answering this request", ""},
                    Fault{"no_usage", "finished an answer without saying what it took", ""}),
    [](const auto& fault) { return std::string(fault.param.name); });

TEST_F(SessionTest, MoreTokensThanAskedForAreAFault) {
  open({{"fault", "too_many_tokens"}});
  ASSERT_TRUE(generate());
  ASSERT_FALSE(answers_.at(0));
  EXPECT_THAT(answers_.at(0).error().text, HasSubstr("gave more than the 8 tokens asked for"));
}

TEST_F(SessionTest, ScoresArriveInPiecesAndInOrder) {
  open({{"chunk", 2}});
  std::map<std::uint64_t, Result<Score>> scores;
  const std::vector<ScoreRequest> requests{{7, {5, 6, 7, 8, 9, 10}, 1, 0, 0}, {9, {5, 6}, 2, 0, 0}};
  ASSERT_TRUE(session_->score(requests, [&](std::uint64_t id, Result<Score> score) {
    scores.emplace(id, std::move(score));
  }));
  EXPECT_THAT(scores.at(7)->logprobs, SizeIs(5));
  EXPECT_THAT(scores.at(9)->logprobs, SizeIs(0));
}

TEST_F(SessionTest, ABackendThatOnlyScoresRefusesEachRequest) {
  open(Json::object(), "fake/uniform");
  ASSERT_TRUE(generate());
  EXPECT_EQ(answers_.at(0).error().code, ASSAY_UNIMPLEMENTED);
}

TEST_F(SessionTest, TellsTheMemoryOfABackendThatKnows) {
  open(Json::object(), "fake/ext-memory");
  const ScoreRequest request{0, {1, 2, 3, 4}, 1};
  ASSERT_TRUE(session_->score({&request, 1}, [](std::uint64_t, const Result<Score>&) {}));
  const auto memory = session_->memory();
  ASSERT_TRUE(memory) << memory.error().text;
  ASSERT_THAT(*memory, SizeIs(1)) << "on the CPU the device is the host";
  const DeviceMemory& cpu = memory->front();
  EXPECT_EQ(cpu.device, "cpu");
  EXPECT_EQ(cpu.weights, 4096U);
  EXPECT_EQ(cpu.kv_peak, 64U);
  EXPECT_EQ(cpu.kv_per_token, 16);
  EXPECT_EQ(cpu.allocated, std::nullopt);
  ASSERT_TRUE(session_->reset_memory_peaks());
  EXPECT_EQ(session_->memory()->front().kv_peak, 0U);
}

TEST_F(SessionTest, HasNoMemoryToTellOfABackendThatDoesNotKnow) {
  open(Json::object());
  const auto memory = session_->memory();
  ASSERT_TRUE(memory);
  EXPECT_TRUE(memory->empty());
  EXPECT_TRUE(session_->reset_memory_peaks());
}

class TextSession : public SessionTest {
 protected:
  void SetUp() override { decoding_ = {.max_new = 32, .stop = {"next"}}; }

  void open_endpoint(const Json& options) {
    ModelSpec model;
    model.name = "m";
    model.backend.component = registry().find("fake/endpoint", ASSAY_BACKEND);
    ASSERT_NE(model.backend.component, nullptr);
    model.backend.options = {
        {"rule", "sum"}, {"counts", true}, {"straddles", false}, {"off_by", 0}, {"fault", "none"}};
    model.backend.options.update(options);
    auto opened = open_session(model, 1, cancelled_);
    ASSERT_TRUE(opened) << opened.error().text;
    session_ = std::move(*opened);
    ASSERT_TRUE(session_->load(0));
  }

  Result<Generation> answer(const TextPrompt& prompt) {
    std::optional<Result<Generation>> said;
    const std::vector<TextGenerateRequest> requests{{7, prompt, 1}};
    const auto ran = session_->generate_texts(requests, decoding_,
                                              [&](std::uint64_t id, Result<Generation> answer) {
                                                EXPECT_EQ(id, 7u);
                                                said.emplace(std::move(answer));
                                              });
    EXPECT_TRUE(ran) << ran.error().text;
    return *said;
  }

  Result<Score> score(const std::string& continuation) {
    std::optional<Result<Score>> scored;
    const std::vector<TextScoreRequest> requests{{7, {{}, "1 + 2"}, continuation}};
    const auto ran = session_->score_texts(
        requests, [&](std::uint64_t, Result<Score> score) { scored.emplace(std::move(score)); });
    EXPECT_TRUE(ran) << ran.error().text;
    return *scored;
  }
};

TEST_F(TextSession, AStopTextEndsAnAnswerWhereverPiecesBegin) {
  open_endpoint(Json::object());
  const auto said = answer({{}, "1 + 2"});
  ASSERT_TRUE(said) << said.error().text;
  EXPECT_EQ(said->text, " 3.\nWhat comes ");
  EXPECT_EQ(said->finish, Finish::kStop);
  EXPECT_EQ(said->n_tokens, 4u);
  EXPECT_TRUE(said->tokens.empty());
  ASSERT_TRUE(said->first_token_seconds);
  EXPECT_LE(*said->first_token_seconds, 0.25);
  decoding_.stop = {".\nW"};
  EXPECT_EQ(answer({{}, "1 + 2"})->text, " 3");
  decoding_.stop = {};
  EXPECT_EQ(answer({{}, "1 + 2"})->finish, Finish::kEnd);
}

TEST_F(TextSession, AChatReachesItTurnByTurn) {
  open_endpoint(Json::object());
  decoding_.stop = {"."};
  EXPECT_EQ(answer({{{"system", "Add 5."}, {"user", "40 + 2"}}, ""})->text, " 42");
}

TEST_F(TextSession, TokensAreCountedOnlyWhereTheyAreTold) {
  open_endpoint({{"counts", false}});
  EXPECT_EQ(answer({{}, "1 + 2"})->n_tokens, std::nullopt);
}

TEST_F(TextSession, PiecesOfAContinuationCoverItWhole) {
  open_endpoint(Json::object());
  const auto whole = score(" 3");
  ASSERT_TRUE(whole) << whole.error().text;
  EXPECT_THAT(whole->logprobs, ElementsAre(-0.25F, -0.25F));
  EXPECT_FALSE(whole->straddles);
  open_endpoint({{"straddles", true}});
  EXPECT_TRUE(score(" 3")->straddles);
}

TEST_F(TextSession, FaultsAreTold) {
  for (const auto& [fault, sentence] :
       {std::pair{"bytes_left", "fake/endpoint finished with scores for 3 of 4 bytes"},
        std::pair{"bytes_beyond", "gave scores for other bytes than were asked for"},
        std::pair{"gap", "gave scores for other bytes than were asked for"}}) {
    open_endpoint({{"fault", fault}});
    const auto scored = score(" 345");
    ASSERT_FALSE(scored) << fault;
    EXPECT_THAT(scored.error().text, HasSubstr(sentence));
  }
  for (const auto& [fault, sentence] :
       {std::pair{"not_utf8", "fake/endpoint gave an answer that is not UTF-8"},
        std::pair{"too_many", "fake/endpoint gave more than the 32 tokens asked for"}}) {
    open_endpoint({{"fault", fault}});
    const auto said = answer({{}, "1 + 2"});
    ASSERT_FALSE(said) << fault;
    EXPECT_THAT(said.error().text, HasSubstr(sentence));
  }
}

}  // namespace
}  // namespace assay::host
