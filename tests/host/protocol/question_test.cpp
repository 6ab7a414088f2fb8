#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "host/core/hash.hpp"
#include "host/protocol/filters.hpp"
#include "host/protocol/protocol.hpp"
#include "tests/host/protocol/items.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

TaskSpec asking(Protocol protocol) {
  TaskSpec task;
  task.name = "faq";
  task.protocol = protocol;
  task.seed = 1234;
  task.prompt.prompts = {"Q: {{ q }}\nA:"};
  task.prompt.target = "a";
  task.prompt.delimiter = " ";
  task.prompt.separator = "\n\n";
  task.generate.max_new_tokens = 16;
  return task;
}

PreparedItem only(const TaskSpec& task, Json record) {
  auto items = prepare_all(task, {std::move(record)});
  EXPECT_TRUE(items) << items.error().text;
  return std::move(items->front());
}

std::string text_of(const Span& span, std::uint64_t from = 0) {
  return *ledger().decode(std::span(span.tokens).subspan(from), true);
}

TEST(PrepareContinuation, ScoresTheTargetAfterThePrompt) {
  const PreparedItem item = only(asking(Protocol::kContinuation), {{"q", "sum b a"}, {"a", "116"}});
  ASSERT_EQ(item.spans.size(), 1u);
  EXPECT_EQ(text_of(item.spans[0]), "Q: sum b a\nA: 116");
  EXPECT_EQ(text_of(item.spans[0], item.spans[0].first), " 116");
  EXPECT_EQ(item.row.at("target"), "116");
  EXPECT_EQ(item.row.at("n_bytes"), 3);
  EXPECT_EQ(item.row.at("n_tokens"), item.spans[0].tokens.size() - item.spans[0].first);
  EXPECT_EQ(item.row.at("prompt_sha256"), sha256("Q: sum b a\nA:"));
}

TEST(PrepareContinuation, AnEmptyTargetIsTold) {
  TaskSpec task = asking(Protocol::kContinuation);
  task.prompt.delimiter = "";
  EXPECT_EQ(only(task, {{"q", "x"}, {"a", ""}}).status, "empty_continuation");
}

TEST(PrepareContinuation, RefusesSeveralTargetsAndNone) {
  const TaskSpec task = asking(Protocol::kContinuation);
  for (const Json& target : {Json({"a", "b"}), Json::array(), Json(nullptr)}) {
    const auto items = prepare_all(task, {{{"q", "x"}, {"a", target}}});
    ASSERT_FALSE(items) << target;
    EXPECT_EQ(items.error().text,
              "record 0: target = \"a\" gave " + target.dump() + ", expected one text");
  }
}

TEST(FinishContinuation, SumsAndAsksWhetherEveryTokenWasTheLikeliest) {
  const PreparedItem item = only(asking(Protocol::kContinuation), {{"q", "x"}, {"a", "116"}});
  const Score likely{{-0.25F, -0.5F}, {1, 1}}, unlikely{{-0.25F, -0.5F}, {1, 0}};
  const Json row = finish_row(item, Protocol::kContinuation, std::span(&likely, 1));
  EXPECT_EQ(row.at("loglikelihood"), -0.75);
  EXPECT_EQ(row.at("greedy"), true);
  EXPECT_EQ(finish_row(item, Protocol::kContinuation, std::span(&unlikely, 1)).at("greedy"), false);
}

TEST(PrepareGenerate, KeepsThePromptAndEveryRightAnswer) {
  const PreparedItem item =
      only(asking(Protocol::kGenerate), {{"q", "where"}, {"a", {"NYC", "New York"}}});
  EXPECT_EQ(text_of(item.spans[0]), "Q: where\nA:");
  EXPECT_EQ(item.spans[0].first, item.spans[0].tokens.size());
  EXPECT_EQ(item.row.at("target"), "NYC");
  EXPECT_EQ(item.row.at("targets"), Json({"NYC", "New York"}));
}

TEST(PrepareGenerate, AColumnThatIsNoTextIsWrittenAsItStandsAndANullRefused) {
  TaskSpec task = asking(Protocol::kGenerate);
  task.prompt.prompts = {"q"};
  EXPECT_EQ(text_of(only(task, {{"q", 116}, {"a", "x"}}).spans[0]), "116");
  const auto items = prepare_all(task, {{{"q", nullptr}, {"a", "x"}}});
  ASSERT_FALSE(items);
  EXPECT_EQ(items.error().text, "record 0: column \"q\" has no value");
}

TEST(PrepareGenerate, ExamplesStandBeforeThePromptWithTheirFirstAnswer) {
  TaskSpec task = asking(Protocol::kGenerate);
  task.prompt.shots = 1;
  task.prompt.shots_from = 1;
  task.prompt.description = "Answer.\n";
  const auto items =
      prepare_all(task, {{{"q", "one"}, {"a", "1"}}}, {{{"q", "two"}, {"a", {"2", "II"}}}});
  ASSERT_TRUE(items) << items.error().text;
  EXPECT_EQ(text_of(items->front().spans[0]), "Answer.\nQ: two\nA: 2\n\nQ: one\nA:");
}

TEST(PrepareGenerate, AnEmptyPromptBeginsWithThePrefixToken) {
  TaskSpec task = asking(Protocol::kGenerate);
  task.prompt.prompts = {""};
  task.bos = Bos::kNever;
  EXPECT_THAT(only(task, {{"q", ""}, {"a", "x"}}).spans[0].tokens, ElementsAre(0));
}

TEST(RowHead, ARecordWithoutItsCategoryIsInAGroupOfItsOwn) {
  TaskSpec task = asking(Protocol::kGenerate);
  task.group_by = {"kind", "year"};
  const PreparedItem item = only(task, {{"q", "x"}, {"a", "y"}, {"kind", nullptr}, {"year", 2024}});
  EXPECT_EQ(item.row.at("groups"), Json({{"kind", "(missing)"}, {"year", "2024"}}));
}

std::vector<PreparedItem> texts_of(const TaskSpec& task, Json record) {
  std::vector<PreparedItem> items;
  const auto done = prepare_texts(task, records_of({record}), records_of({record}),
                                  [&](PreparedItem item) -> Result<void> {
                                    items.push_back(prepared_from_bytes(to_bytes(item)));
                                    return {};
                                  });
  EXPECT_TRUE(done) << done.error().text;
  return items;
}

TEST(PrepareTexts, PromptsAreTheSameTextsAndNothingIsCountedInTokens) {
  for (const Protocol protocol : {Protocol::kContinuation, Protocol::kGenerate}) {
    const TaskSpec task = asking(protocol);
    const Json record{{"q", "sum b a"}, {"a", "116"}};
    const PreparedItem text = texts_of(task, record).at(0);
    EXPECT_EQ(text.row.at("prompt_sha256"), only(task, record).row.at("prompt_sha256"));
    EXPECT_EQ(text.row.at("target"), "116");
    EXPECT_EQ(text.row.at("prompt_tokens"), nullptr);
    EXPECT_TRUE(text.spans.empty());
    ASSERT_EQ(text.texts.size(), 1u);
    EXPECT_EQ(text.texts[0].prompt.prompt, "Q: sum b a\nA:");
    EXPECT_EQ(text.texts[0].continuation, protocol == Protocol::kGenerate ? "" : " 116");
  }
}

TEST(PrepareTexts, SpaceAtTheEndOfAPromptBelongsToWhatFollows) {
  TaskSpec task = asking(Protocol::kContinuation);
  task.prompt.prompts = {"{{ q }}: \n"};
  task.prompt.delimiter = "";
  const PreparedItem item = texts_of(task, {{"q", "x"}, {"a", "1"}}).at(0);
  EXPECT_EQ(item.texts[0].prompt.prompt, "x:");
  EXPECT_EQ(item.texts[0].continuation, " \n1");
}

TEST(PrepareTexts, AChatStaysTurns) {
  TaskSpec task = asking(Protocol::kGenerate);
  task.prompt.is_chat = true;
  task.prompt.description = "Be short.";
  const PreparedItem item = texts_of(task, {{"q", "x"}, {"a", "1"}}).at(0);
  const auto& turns = item.texts[0].prompt.messages;
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_EQ(turns[0].role + ": " + turns[0].text, "system: Be short.");
  EXPECT_EQ(turns[1].role + ": " + turns[1].text, "user: Q: x\nA:");
  const auto request = text_generate_request_of(item, task);
  PreparedItem tokens = only(asking(Protocol::kGenerate), {{"q", "x"}, {"a", "1"}});
  EXPECT_EQ(request->seed, generate_request_of(tokens, task, 0)->seed);
}

TEST(GenerateRequest, CutsThePromptToWhatTheContextLeaves) {
  const TaskSpec task = asking(Protocol::kGenerate);
  PreparedItem item = only(task, {{"q", std::string(200, 'x')}, {"a", "y"}});
  const auto prompt = item.spans[0].tokens;
  const auto request = generate_request_of(item, task, 40);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->tokens, std::vector<std::int32_t>(prompt.end() - 24, prompt.end()));
  EXPECT_EQ(item.row.at("truncated_tokens"), prompt.size() - 24);
}

TEST(GenerateRequest, WhereNothingFitsTheItemSaysSo) {
  const TaskSpec task = asking(Protocol::kGenerate);
  PreparedItem item = only(task, {{"q", "x"}, {"a", "y"}});
  EXPECT_FALSE(generate_request_of(item, task, 16));
  EXPECT_EQ(item.status, "too_long");
}

TEST(GenerateRequest, SeedsFollowTheRecordAndTheTaskAndNotTheOrder) {
  TaskSpec task = asking(Protocol::kGenerate);
  const Json a{{"q", "x"}, {"a", "1"}}, b{{"q", "y"}, {"a", "2"}};
  auto forth = prepare_all(task, {a, b}), back = prepare_all(task, {b, a});
  const auto seed = [&](PreparedItem& item) { return generate_request_of(item, task, 0)->seed; };
  EXPECT_EQ(seed((*forth)[0]), seed((*back)[1]));
  EXPECT_NE(seed((*forth)[0]), seed((*forth)[1]));
  const std::uint64_t before = seed((*forth)[0]);
  task.seed = 5;
  EXPECT_NE(seed((*forth)[0]), before);
}

TEST(FinishGeneration, FiltersTheOutputAndKeepsWhatWasSaid) {
  const TaskSpec task = asking(Protocol::kGenerate);
  const std::vector<Filter> steps{{Filter::Kind::kStrip}};
  const auto filters = Filters::compile(steps);
  Generation said;
  said.tokens = {4, 5};
  said.n_tokens = 2;
  said.text = " 116 ";
  said.finish = Finish::kEnd;
  said.seconds = 0.5;
  const auto row = finish_generation(only(task, {{"q", "x"}, {"a", "y"}}), *filters, said);
  ASSERT_TRUE(row) << row.error().text;
  EXPECT_EQ(row->at("output"), "116");
  EXPECT_EQ(row->at("raw_output"), " 116 ");
  EXPECT_EQ(row->at("tokens"), Json({4, 5}));
  EXPECT_EQ(row->at("n_tokens"), 2);
  EXPECT_EQ(row->at("finish"), "end");
  EXPECT_EQ(row->at("first_token_seconds"), nullptr);
  EXPECT_EQ(row->at("seconds"), 0.5);
}

/// A model folder with nothing but a chat template.
class ChatTest : public testing::Test {
 protected:
  ChatTest() {
    fs::create_directories(dir_);
    std::ofstream(dir_ / "chat_template.jinja")
        << "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
           "{% if add_generation_prompt %}[assistant] {% endif %}";
    std::ofstream(dir_ / "tokenizer_config.json") << R"({"bos_token": "<s>", "eos_token": "</s>"})";
    fs::copy_file(std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger/model/tokenizer.json",
                  dir_ / "tokenizer.json");
  }
  ~ChatTest() override { fs::remove_all(dir_); }

  const fs::path dir_ = fs::path(testing::TempDir()) / ("assay-chat-" + std::to_string(getpid()));
};

TEST_F(ChatTest, DescriptionExamplesAndPromptAreTurns) {
  const auto chat = ChatTemplate::open(dir_);
  ASSERT_TRUE(chat) << chat.error().text;
  TaskSpec task = asking(Protocol::kGenerate);
  task.prompt.is_chat = true;
  task.prompt.prompts = {"q"};
  task.prompt.shots = 1;
  task.prompt.shots_from = 1;
  task.prompt.description = "Be brief.";
  const auto items =
      prepare_all(task, {{{"q", "one"}, {"a", "1"}}}, {{{"q", "two"}, {"a", "2"}}}, &*chat);
  ASSERT_TRUE(items) << items.error().text;
  const auto& tokens = items->front().spans[0].tokens;
  EXPECT_EQ(*ledger().decode(tokens, false),
            "<s>[system] Be brief.\n[user] two\n[assistant] 2\n[user] one\n[assistant] ");
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), *ledger().bos()), 1) << "BOS came twice";
}

TEST_F(ChatTest, AContinuationFollowsTheTemplateWithoutDelimiter) {
  const auto chat = ChatTemplate::open(dir_);
  ASSERT_TRUE(chat) << chat.error().text;
  TaskSpec task = asking(Protocol::kContinuation);
  task.prompt.is_chat = true;
  task.prompt.prompts = {"q"};
  const auto items = prepare_all(task, {{{"q", "one"}, {"a", "1"}}}, {}, &*chat);
  ASSERT_TRUE(items) << items.error().text;
  EXPECT_EQ(text_of(items->front().spans[0]), "[user] one\n[assistant] 1");
}

}  // namespace
}  // namespace assay::host
