#include "tests/host/graph/graph_fixture.hpp"

namespace assay::host {
namespace {

/// Tasks of the protocols continuation and generate.
class PromptTasks : public GraphTest {
 protected:
  /// A right manifest with a task "a", whose further keys begin at line 25.
  static std::string task(const std::string& keys) {
    return std::string(kRight) + R"([task.a]
protocol = "generate"
dataset = "faq"
prompt = "{{ question }}"
target = "answer"
)" + keys;
  }

  TaskSpec spec(const std::string& manifest) const {
    const ParsedManifest parsed = read(manifest);
    BuiltGraph built = build_graph(parsed, registry_);
    EXPECT_EQ(shown(parsed.manifest.sources, built.errors), "");
    return std::move(built.graph.tasks.at(1));
  }
};

constexpr const char* kColumns = "(columns: question, answer, category, options)";

TEST_F(PromptTasks, AreWiredWithEveryKey) {
  write("tiny/chat_template.jinja", "{{ messages[0].content }}");
  const TaskSpec a = spec(task(R"(max_new_tokens = 20
min_new_tokens = 1
stop = ["\n", "Question:"]
temperature = 0.7
top_k = 40
top_p = 0.9
seed = 9
shots = 2
description = "Answer."
chat = true
filters = ["strip", { regex = "[0-9]+" }]
)"));
  EXPECT_EQ(a.protocol, Protocol::kGenerate);
  EXPECT_EQ(a.seed, 9U);
  EXPECT_EQ(a.prompt.prompts, std::vector<std::string>{"{{ question }}"});
  EXPECT_FALSE(a.prompt.has_many_prompts);
  EXPECT_EQ(a.prompt.target, "answer");
  EXPECT_EQ(a.prompt.shots, 2U);
  EXPECT_EQ(a.prompt.shots_from, 0U);
  EXPECT_EQ(a.prompt.description, "Answer.");
  EXPECT_TRUE(a.prompt.is_chat);
  EXPECT_EQ(a.generate.max_new_tokens, 20U);
  EXPECT_EQ(a.generate.min_new_tokens, 1U);
  EXPECT_EQ(a.generate.stop, (std::vector<std::string>{"\n", "Question:"}));
  EXPECT_EQ(a.generate.temperature, 0.7);
  EXPECT_EQ(a.generate.top_k, 40U);
  EXPECT_EQ(a.generate.top_p, 0.9);
  ASSERT_EQ(a.generate.filters.size(), 2U);
  EXPECT_EQ(a.generate.filters[1].pattern, "[0-9]+");
}

TEST_F(PromptTasks, OfAContinuationAreWired) {
  const TaskSpec a = spec(std::string(kRight) + R"([task.a]
protocol = "continuation"
dataset = "faq"
prompt = ""
target = " {{ answer }}"
delimiter = ""
separator = "\n"
)");
  EXPECT_EQ(a.protocol, Protocol::kContinuation);
  EXPECT_EQ(a.prompt.prompts, std::vector<std::string>{""});
  EXPECT_EQ(a.prompt.target, " {{ answer }}");
  EXPECT_EQ(a.prompt.delimiter, "");
  EXPECT_EQ(a.prompt.separator, "\n");
  EXPECT_FALSE(a.prompt.is_chat);
  EXPECT_EQ(a.primary, "ll");
}

TEST_F(PromptTasks, TakeTheMetricsThatFitAndTheOnePrimaryFigureAmongThem) {
  const TaskSpec a = spec(task(""));
  // acme/finds has an option without a default; acme/exact-match calls nothing primary.
  ASSERT_EQ(a.metrics.size(), 2U);
  EXPECT_EQ(a.metrics[0].use.component->id(), "acme/exact-match");
  EXPECT_EQ(a.metrics[1].use.component->id(), "acme/contains");
  EXPECT_EQ(a.primary, "contains");
}

TEST_F(PromptTasks, TakeThePrimaryFigureOfTheFirstMetricThatIsNamed) {
  EXPECT_EQ(spec(task("metrics = [\"acme/exact-match\", \"acme/contains\"]\n")).primary, "exact");
  EXPECT_EQ(spec(task("metrics = [\"acme/contains\", \"acme/exact-match\"]\n")).primary,
            "contains");
}

TEST_F(PromptTasks, WantAWordWhenSeveralMetricsThatFitHaveAPrimaryFigure) {
  registry_.add(acme_too(), "too.so");
  std::string manifest = task("");
  const std::string keys = "group_by = [\"category\"]";  // of the other task
  manifest.replace(manifest.find(keys), keys.size(), "metrics = [\"acme/accuracy\"]");
  EXPECT_EQ(
      mistakes(manifest),
      R"(run.toml:20:1: task.a names no metrics, and those that fit offer 2 primary figures: contains, f1
  20 | [task.a]
     | ^^^^^^^^
help: write primary = "contains", or metrics = [...] with those that are meant
)");
  EXPECT_EQ(mistakes(manifest + "primary = \"f1\"\n"), "");
  EXPECT_EQ(mistakes(manifest + "metrics = [\"acme/overlap\", \"acme/contains\"]\n"), "");
}

TEST_F(PromptTasks, NameMetricsThatReadWhatTheyMeasure) {
  EXPECT_EQ(
      mistakes(task("metrics = [\"acme/likelihood\", \"acme/contains\"]\n")),
      R"(run.toml:25:12: acme/likelihood needs a column "loglikelihood" of type float; task.a has none (columns: output, raw_output, tokens, n_tokens, finish, target, targets, first_token_seconds, seconds, question, answer, category, options)
  25 | metrics = ["acme/likelihood", "acme/contains"]
     |            ^^^^^^^^^^^^^^^^^
run.toml:25:12: acme/likelihood needs a column "greedy" of type bool; task.a has none (columns: output, raw_output, tokens, n_tokens, finish, target, targets, first_token_seconds, seconds, question, answer, category, options)
  25 | metrics = ["acme/likelihood", "acme/contains"]
     |            ^^^^^^^^^^^^^^^^^
)");
}

TEST_F(PromptTasks, ReadColumnsThatAreThere) {
  EXPECT_EQ(
      mistakes(std::string(kRight) + R"([task.a]
protocol = "generate"
dataset = "faq"
prompt = "qestion"
target = "anser"
description = "{{ topc }}"
[task.b]
protocol = "continuation"
dataset = "faq"
prompt = "{{ questin }}"
target = "Paris"
[task.c]
protocol = "generate"
dataset = "faq"
prompt = 5
target = true
)"),
      std::string(
          R"(run.toml:23:10: task.a: prompt = "qestion" is neither a column of dataset faq nor a template )") +
          kColumns + R"(
  23 | prompt = "qestion"
     |          ^^^^^^^^^
help: did you mean "question"?
run.toml:24:10: task.a: target = "anser" is neither a column of dataset faq nor a template )" +
          kColumns + R"(
  24 | target = "anser"
     |          ^^^^^^^
help: did you mean "answer"?
run.toml:25:15: task.a: description reads "topc", but dataset faq has no such column )" +
          kColumns + R"(
  25 | description = "{{ topc }}"
     |               ^^^^^^^^^^^^
run.toml:29:10: task.b: prompt reads "questin", but dataset faq has no such column )" +
          kColumns + R"(
  29 | prompt = "{{ questin }}"
     |          ^^^^^^^^^^^^^^^
help: did you mean "question"?
run.toml:30:10: task.b: target = "Paris" is neither a column of dataset faq nor a template )" +
          kColumns + R"(
  30 | target = "Paris"
     |          ^^^^^^^
run.toml:34:10: prompt must be a text, got the whole number 5
  34 | prompt = 5
     |          ^
help: write it in quotes: "5"
run.toml:35:10: target must be a text, got true
  35 | target = true
     |          ^^^^
help: write it in quotes: "true"
)");
}

TEST_F(PromptTasks, TakeAListOfAnswersWhereTheyGenerateOnly) {
  EXPECT_EQ(mistakes(std::string(kRight) + R"([task.a]
protocol = "generate"
dataset = "faq"
prompt = "question"
target = "options"
[task.b]
protocol = "generate"
dataset = "faq"
prompt = "question"
target = "{{ [answer, answer | upper] }}"
)"),
            "");
  EXPECT_EQ(mistakes(std::string(kRight) + R"([task.a]
protocol = "continuation"
dataset = "faq"
prompt = "options"
target = "options"
)"),
            R"(run.toml:23:10: task.a: prompt = "options" is a column of lists, a prompt is one text
  23 | prompt = "options"
     |          ^^^^^^^^^
help: write a template that makes a text of it, such as "{{ options | join(', ') }}"
run.toml:24:10: task.a: target = "options" is a column of lists, one text is scored
  24 | target = "options"
     |          ^^^^^^^^^
help: write a template that makes a text of it, such as "{{ options | join(', ') }}"
)");
}

TEST_F(PromptTasks, PointAtAPatternThatDoesNotCompile) {
  EXPECT_EQ(
      mistakes(
          task("filters = [\"strip\", { regex = \"(a\" }, { replace = \"[b\", with = \"\" }]\n")),
      R"x(run.toml:25:31: task.a: filters: the regular expression "(a" is wrong at its character 2: missing closing parenthesis
  25 | filters = ["strip", { regex = "(a" }, { replace = "[b", with = "" }]
     |                               ^^^^
run.toml:25:51: task.a: filters: the regular expression "[b" is wrong at its character 2: missing terminating ] for character class
  25 | filters = ["strip", { regex = "(a" }, { replace = "[b", with = "" }]
     |                                                   ^^^^
)x");
}

TEST_F(PromptTasks, WantAChatTemplateOfEachModel) {
  std::filesystem::create_directory("other");
  write("other/chat_template.jinja", "{{ messages");
  // Both variants of one directory at once, in the order of the models.
  EXPECT_EQ(
      mistakes(task("chat = true\n[model.other]\nbackend = \"acme/rounds\"\npath = \"other\"\n")),
      R"(run.toml:25:8: task.a: chat of model.base, model.rtn4: FOLDER/tiny: the model has no chat template, neither a file chat_template.jinja nor chat_template in tokenizer_config.json; write chat = false, or put the template its chats were trained with into chat_template.jinja
  25 | chat = true
     |        ^^^^
help: models = [...] names the models a task runs on, where these cannot chat
run.toml:25:8: task.a: chat of model.other: FOLDER/other/chat_template.jinja: line 1, column 4 of the template: unexpected end of input, expected end of variable block
  25 | chat = true
     |        ^^^^
help: models = [...] names the models a task runs on, where these cannot chat
)");
  write("tiny/chat_template.jinja", "{{ messages[0].content }}");
  EXPECT_EQ(mistakes(task("chat = true\n")), "");
}

TEST_F(PromptTasks, SayNothingOfTheTemplateOfAModelThatIsNotThere) {
  const std::string said = mistakes(std::string(R"(assay = 1
[model.far]
backend = "acme/rounds"
path = "nowhere"
[dataset.faq]
use = "acme/pairs"
[task.a]
protocol = "continuation"
dataset = "faq"
prompt = "question"
target = "answer"
chat = true
)"));
  EXPECT_EQ(said, R"(run.toml:4:8: model directory FOLDER/nowhere does not exist
  4 | path = "nowhere"
    |        ^^^^^^^^^
help: input paths are relative to the manifest
)");
}

TEST_F(PromptTasks, CutAfterAnyByteAnswerWithoutACrash) {
  const std::string whole = task(R"(chat = true
stop = ["a", "b"]
temperature = 0.5
top_p = 0.5
filters = ["strip", { regex = "a(b", match = "last" }, { replace = "x", with = "" }]
group_by = ["category", "answer"]
[[gate]]
task = "a"
metric = "contains"
group = "category=x,answer=y"
min = 0.5
)");
  for (std::size_t end = std::string(kRight).size(); end <= whole.size(); ++end) {
    const ParsedManifest parsed = read(std::string_view(whole).substr(0, end));
    for (const Diagnostic& error : build_graph(parsed, registry_).errors) {
      EXPECT_FALSE(render(parsed.manifest.sources, error).empty());
    }
  }
}

TEST_F(PromptTasks, AreWrittenOutWithEveryDefault) {
  write("tiny/chat_template.jinja", "{{ messages[0].content }}");
  const BuiltGraph built = build(std::string(kRight) + R"([task.a]
protocol = "generate"
dataset = "faq"
prompt = "question"
target = "answer"
[task.b]
protocol = "generate"
dataset = "faq"
prompt = "question"
target = "answer"
chat = true
stop = "\n"
temperature = 1
filters = ["strip", "first_line", "number", { number = "first", otherwise = "" },
           { regex = "a", match = "last" }, { replace = ",", with = "." }]
[task.c]
protocol = "continuation"
dataset = "faq"
prompt = "question"
target = "answer"
)");
  ASSERT_TRUE(built.errors.empty());
  const auto keys_of = [&](const char* task) {
    Json json = built.graph.effective.at("task").at(task);
    for (const char* key : {"dataset", "models", "limit", "group_by", "metrics", "bos"}) {
      json.erase(key);
    }
    return json.dump();
  };
  EXPECT_EQ(keys_of("a"),
            R"({"protocol":"generate","seed":1234,"primary":"contains","prompt":"question",)"
            R"("target":"answer","shots":0,"shots_from":"faq","description":"","delimiter":" ",)"
            R"("separator":"\n\n","chat":false,"max_new_tokens":256,"min_new_tokens":0,"stop":[],)"
            R"("temperature":0.0,"top_k":0,"top_p":1.0,"filters":[]})");
  EXPECT_EQ(keys_of("b"),
            R"({"protocol":"generate","seed":1234,"primary":"contains","prompt":"question",)"
            R"("target":"answer","shots":0,"shots_from":"faq","description":"","delimiter":null,)"
            R"("separator":null,"chat":true,"max_new_tokens":256,"min_new_tokens":0,)"
            R"("stop":["\n"],"temperature":1.0,"top_k":0,"top_p":1.0,"filters":["strip",)"
            R"("first_line",{"number":"last","otherwise":"[invalid]"},)"
            R"({"number":"first","otherwise":""},)"
            R"({"regex":"a","match":"last","otherwise":"[invalid]"},)"
            R"({"replace":",","with":"."}]})");
  EXPECT_EQ(keys_of("c"),
            R"({"protocol":"continuation","seed":1234,"primary":"ll","prompt":"question",)"
            R"("target":"answer","shots":0,"shots_from":"faq","description":"","delimiter":" ",)"
            R"("separator":"\n\n","chat":false})");
}

}  // namespace
}  // namespace assay::host
