#include "tests/host/graph/graph_fixture.hpp"

namespace assay::host {
namespace {

class Tasks : public GraphTest {};

constexpr const char* kColumns = "(columns: question, answer, category, options)";

TEST_F(Tasks, ReadTemplatesThatCompileAndColumnsThatAreThere) {
  const std::string said = mistakes_with(R"([task.a]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
[task.b]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
text = "question"
[task.c]
protocol = "multiple_choice"
dataset = "faq"
prompt = "{{ question }}"
choices = "opshuns"
target = "{{ nwer }}"
description = "{{ topic }}"
)");
  EXPECT_EQ(
      said,
      std::string(
          R"(run.toml:20:1: task.a: text reads "text", but dataset faq has no such column )") +
          kColumns + R"(
  20 | [task.a]
     | ^^^^^^^^
run.toml:30:8: task.b: text = "question" reads no column of dataset faq )" +
          kColumns + R"(
  30 | text = "question"
     |        ^^^^^^^^^^
help: write text = "{{ question }}"
run.toml:35:11: task.c: choices = "opshuns" is neither a column of dataset faq nor a template )" +
          kColumns + R"(
  35 | choices = "opshuns"
     |           ^^^^^^^^^
run.toml:36:10: task.c: target reads "nwer", but dataset faq has no such column )" +
          kColumns + R"(
  36 | target = "{{ nwer }}"
     |          ^^^^^^^^^^^^
help: did you mean "answer"?
run.toml:37:15: task.c: description reads "topic", but dataset faq has no such column )" +
          kColumns + R"(
  37 | description = "{{ topic }}"
     |               ^^^^^^^^^^^^^
)");
}

TEST_F(Tasks, SayWhatIsWrongInsideATemplate) {
  const std::string said = mistakes_with(R"([task.a]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
text = "{{ question"
)");
  EXPECT_EQ(said.substr(0, said.find("text: ") + 6), "run.toml:25:8: task.a: text: ");
}

TEST_F(Tasks, TakeALiteralIndexOrChoiceAsTarget) {
  EXPECT_EQ(mistakes_with(R"([task.a]
protocol = "multiple_choice"
dataset = "faq"
prompt = "{{ question }}"
choices = ["yes", "no"]
target = "1"
[task.b]
protocol = "multiple_choice"
dataset = "faq"
prompts = ["{{ question }} a", "{{ question }} b"]
choices = " it was."
target = "0"
[task.c]
protocol = "multiple_choice"
dataset = "faq"
prompt = "{{ question }}"
choices = ["yes", "no"]
target = "yes"
)"),
            "");
}

TEST_F(Tasks, CheckTheColumnsOfTheDatasetTheExamplesComeFrom) {
  EXPECT_EQ(
      mistakes_with(R"([dataset.lines]
use = "acme/lines"
path = "lines.txt"
[task.a]
protocol = "multiple_choice"
dataset = "faq"
prompt = "{{ category }}: {{ question }}"
choices = ["yes", "no"]
target = "{{ answer }}"
shots = 2
shots_from = "lines"
[task.b]
protocol = "multiple_choice"
dataset = "faq"
prompt = "{{ question }}"
choices = ["yes", "no"]
target = "{{ answer }}"
shots_from = "lines"
)"),
      R"(run.toml:26:10: task.a: prompt reads "category", but dataset lines has no such column (columns: question, answer)
  26 | prompt = "{{ category }}: {{ question }}"
     |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
run.toml:37:14: task.b takes no examples, shots_from has no use
  37 | shots_from = "lines"
     |              ^^^^^^^
help: write shots = 5, or leave shots_from out
)");
}

TEST_F(Tasks, CheckColumnsByNameInTheDatasetTheExamplesComeFrom) {
  write("few.txt", "question");
  EXPECT_EQ(
      mistakes_with(R"([dataset.few]
use = "acme/lines"
path = "few.txt"
[task.a]
protocol = "continuation"
dataset = "faq"
prompt = "question"
target = "answer"
shots = 2
shots_from = "few"
)"),
      R"(run.toml:27:10: task.a: target reads "answer", but dataset few has no such column (columns: question)
  27 | target = "answer"
     |          ^^^^^^^^
)");
}

TEST_F(Tasks, RefuseGroupsThatCannotBe) {
  EXPECT_EQ(
      mistakes_with(R"([task.a]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
text = "{{ question }}"
join = "\n\n"
group_by = ["category", "categry", "category"]
)"),
      std::string(
          R"(run.toml:27:13: task.a has join and group_by: joined text is one stream and has no groups
  27 | group_by = ["category", "categry", "category"]
     |             ^^^^^^^^^^
help: leave one of them out
run.toml:27:25: task.a: group_by = "categry", but dataset faq has no such column )") +
          kColumns + R"(
  27 | group_by = ["category", "categry", "category"]
     |                         ^^^^^^^^^
help: did you mean "category"?
run.toml:27:36: group_by names "category" twice
  27 | group_by = ["category", "categry", "category"]
     |                                    ^^^^^^^^^^
)");
}

TEST_F(Tasks, RefuseMetricsThatDoNotFit) {
  EXPECT_EQ(mistakes_with(R"([task.a]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
text = "{{ question }}"
metrics = ["acme/pages", "acme/page", "acme/accuracy", { use = "acme/scaled", fctor = 2 }]
primary = "pll"
models = ["base", "base", "rtn5"]
)"),
            R"(run.toml:26:12: unknown component "acme/pages"
  26 | metrics = ["acme/pages", "acme/page", "acme/accuracy", { use = "acme/scaled", fctor = 2 }]
     |            ^^^^^^^^^^^^
help: `assay plugins list` shows all components found
run.toml:26:26: "acme/page" is a reporter, expected a metric
  26 | metrics = ["acme/pages", "acme/page", "acme/accuracy", { use = "acme/scaled", fctor = 2 }]
     |                          ^^^^^^^^^^^
help: the metrics found are acme/ppl, acme/accuracy, acme/exact-match, acme/scaled, acme/contains, acme/finds, acme/likelihood
run.toml:26:39: acme/accuracy needs a column "choice_loglikelihoods" of type floats; task.a has none (columns: token_nll, first_token, n_tokens, n_bytes, n_words, nll, window_nll, question, answer, category, options)
  26 | metrics = ["acme/pages", "acme/page", "acme/accuracy", { use = "acme/scaled", fctor = 2 }]
     |                                       ^^^^^^^^^^^^^^^
run.toml:26:39: acme/accuracy needs a column "target" of type int; task.a has none (columns: token_nll, first_token, n_tokens, n_bytes, n_words, nll, window_nll, question, answer, category, options)
  26 | metrics = ["acme/pages", "acme/page", "acme/accuracy", { use = "acme/scaled", fctor = 2 }]
     |                                       ^^^^^^^^^^^^^^^
run.toml:26:64: task.a.metrics lacks "factor", required by acme/scaled
  26 | metrics = ["acme/pages", "acme/page", "acme/accuracy", { use = "acme/scaled", fctor = 2 }]
     |                                                                ^^^^^^^^^^^^^
help: factor: The factor.
run.toml:26:79: acme/scaled has no option "fctor"
  26 | metrics = ["acme/pages", "acme/page", "acme/accuracy", { use = "acme/scaled", fctor = 2 }]
     |                                                                               ^^^^^
help: did you mean "factor"?
run.toml:28:19: model "base" is named twice
  28 | models = ["base", "base", "rtn5"]
     |                   ^^^^^^
run.toml:28:27: there is no [model.rtn5]
  28 | models = ["base", "base", "rtn5"]
     |                           ^^^^^^
help: did you mean "rtn4"?
)");
}

TEST_F(Tasks, WantOneMetricForEachOutput) {
  registry_.add(acme_too(), "too.so");
  EXPECT_EQ(mistakes_with("[[report]]\nuse = \"acme/console\"\n"),
            R"(run.toml:11:1: task.faq: acme/accuracy and acme/accuracy-too both measure "acc"
  11 | [task.faq]
     | ^^^^^^^^^^
help: name the one that is meant: metrics = ["acme/accuracy"]
)");
}

TEST_F(Tasks, WantAPrimaryOutputThatIsMeasured) {
  EXPECT_EQ(mistakes_with(R"([task.a]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
text = "{{ question }}"
primary = "acc"
)"),
            R"(run.toml:26:11: task.a: primary = "acc" is measured by no metric
  26 | primary = "acc"
     |           ^^^^^
help: its metrics measure bits, ppl
)");
}

TEST_F(Tasks, NeedABackendThatScores) {
  EXPECT_EQ(
      mistakes_with("[model.w]\nbackend = \"acme/writer\"\npath = \"tiny\"\n"),
      R"(run.toml:11:1: task.faq needs a backend that scores tokens; acme/writer of model.w does not
  11 | [task.faq]
     | ^^^^^^^^^^
help: name the models it runs on with models = [...]
)");
}

TEST_F(Tasks, NeedABackendThatGeneratesWhereTheyGenerate) {
  EXPECT_EQ(
      mistakes_with(R"([model.w]
backend = "acme/writer"
path = "tiny"
[model.s]
backend = "acme/int4"
path = "tiny"
calib = "calib.txt"
[task.a]
protocol = "generate"
dataset = "faq"
prompt = "{{ question }}"
target = "answer"
)"),
      R"(run.toml:11:1: task.faq needs a backend that scores tokens; acme/writer of model.w does not
  11 | [task.faq]
     | ^^^^^^^^^^
help: name the models it runs on with models = [...]
run.toml:27:1: task.a needs a backend that generates tokens; acme/int4 of model.s does not
  27 | [task.a]
     | ^^^^^^^^
help: name the models it runs on with models = [...]
)");
}

TEST_F(Tasks, OfAnUnknownProtocolSayNothingOfBackends) {
  EXPECT_EQ(mistakes_with(R"([task.a]
protocol = "generat"
dataset = "faq"
models = ["w"]
[model.w]
backend = "acme/writer"
path = "tiny"
[task.faq]
models = ["base"]
)")
                .find("needs a backend"),
            std::string::npos);
}

TEST_F(Tasks, SayThatNoMetricWasFound) {
  registry_ = Registry();
  registry_.add(acme_too(), "too.so");
  const std::string said = mistakes(R"(assay = 1
[task.a]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
)");
  EXPECT_EQ(
      said,
      R"(run.toml:2:1: task.a has no metric: none of those found reads what perplexity measures
  2 | [task.a]
    | ^^^^^^^^
help: `assay plugins list` shows all components found; name one with metrics
run.toml:4:11: there is no [dataset.faq]
  4 | dataset = "faq"
    |           ^^^^^
run.toml: the manifest has no model
help: write [model.base] with backend and path
)");
}

TEST(RowColumns, AreThoseOfTheTable) {
  const auto names = [](Protocol protocol) {
    std::string text;
    for (const RowColumn& column : row_columns(protocol)) text += std::string(column.name) + " ";
    return text;
  };
  EXPECT_EQ(names(Protocol::kPerplexity),
            "token_nll first_token n_tokens n_bytes n_words nll window_nll ");
  EXPECT_EQ(names(Protocol::kMultipleChoice),
            "choice_loglikelihoods choice_greedy choice_tokens choice_bytes choice_chars choices "
            "target ");
  EXPECT_EQ(names(Protocol::kContinuation), "loglikelihood greedy n_tokens n_bytes target ");
  EXPECT_EQ(names(Protocol::kGenerate),
            "output raw_output tokens n_tokens finish target targets first_token_seconds seconds ");
}

}  // namespace
}  // namespace assay::host
