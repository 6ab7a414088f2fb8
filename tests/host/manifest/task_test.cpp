#include "tests/host/manifest/workspace.hpp"

namespace assay::host {
namespace {

class ReadTask : public Workspace {};

TEST_F(ReadTask, RefusesProtocolsItDoesNotHave) {
  EXPECT_EQ(errors_of(R"(assay = 1
[task.a]
protocol = "perplexety"
dataset = "d"
[task.b]
protocol = "generate"
dataset = "d"
prompt = "{{ q }}"
max_new_tokens = 50
[task.c]
protocol = 5
dataset = "d"
[task.d]
protocol = "chat"
dataset = "d"
)"),
            R"(run.toml:3:12: unknown protocol "perplexety"
  3 | protocol = "perplexety"
    |            ^^^^^^^^^^^^
help: did you mean "perplexity"?
run.toml:6:12: protocol "generate" is not supported by this version
  6 | protocol = "generate"
    |            ^^^^^^^^^^
help: use perplexity or multiple_choice
run.toml:11:12: protocol must be a text, got the whole number 5
  11 | protocol = 5
     |            ^
help: write it in quotes: "5"
run.toml:14:12: unknown protocol "chat"
  14 | protocol = "chat"
     |            ^^^^^^
help: the protocols are perplexity and multiple_choice
)");
}

TEST_F(ReadTask, RefusesKeysOfLaterWorkByName) {
  EXPECT_EQ(errors_of(R"(assay = 1
[task.mmlu]
from = "assay/mmlu"
data = "data/mmlu"
[task.a]
protocol = "multiple_choice"
dataset = "d"
prompt = "q"
choices = "c"
target = "t"
sample = "20%"
shot_sampler = "first"
chat = true
)"),
            R"(run.toml:3:1: from is not supported by this version
  3 | from = "assay/mmlu"
    | ^^^^
help: write the protocol, the dataset and the templates in the task itself
run.toml:4:1: data is not supported by this version
  4 | data = "data/mmlu"
    | ^^^^
help: name a [dataset.x] with dataset
run.toml:11:1: sample is not supported by this version
  11 | sample = "20%"
     | ^^^^^^
help: limit takes the first items of a task
run.toml:12:1: shot_sampler is not supported by this version
  12 | shot_sampler = "first"
     | ^^^^^^^^^^^^
help: leave it out: shots are drawn with the task's seed
run.toml:13:1: chat is not supported by this version
  13 | chat = true
     | ^^^^
help: write the chat template's text into prompt and description
)");
}

TEST_F(ReadTask, SaysWhatEachProtocolNeeds) {
  EXPECT_EQ(errors_of(R"(assay = 1
[task.a]
[task.b]
protocol = "perplexity"
dataset = "d"
[task.c]
protocol = "multiple_choice"
dataset = "d"
)"),
            R"(run.toml:2:1: task.a lacks "protocol"
  2 | [task.a]
    | ^^^^^^^^
help: protocol: perplexity or multiple_choice
run.toml:2:1: task.a lacks "dataset"
  2 | [task.a]
    | ^^^^^^^^
help: dataset: the name of a [dataset.x], or a table { use = ..., ... }
run.toml:3:1: task.b lacks "window"
  3 | [task.b]
    | ^^^^^^^^
help: window: the most tokens the model sees at once, such as 2048
run.toml:3:1: task.b lacks "stride"
  3 | [task.b]
    | ^^^^^^^^
help: stride: tokens from one window to the next, such as 512
run.toml:6:1: task.c lacks "prompt"
  6 | [task.c]
    | ^^^^^^^^
help: prompt: the template of the question, such as "{{ question }}"
run.toml:6:1: task.c lacks "choices"
  6 | [task.c]
    | ^^^^^^^^
help: choices: a column that holds a list, or a list of templates
run.toml:6:1: task.c lacks "target"
  6 | [task.c]
    | ^^^^^^^^
help: target: the index of the right choice, or its text
)");
}

TEST_F(ReadTask, KeepsTheStrideWithinTheWindow) {
  EXPECT_EQ(errors_of(R"(assay = 1
[task.a]
protocol = "perplexity"
dataset = "d"
window = 2048
stride = 0
[task.b]
protocol = "perplexity"
dataset = "d"
window = 1
stride = 1
[task.c]
protocol = "perplexity"
dataset = "d"
window = 512
stride = 513
bos = "sometimes"
)"),
            R"(run.toml:6:10: stride must be between 1 and 2048, got 0
  6 | stride = 0
    |          ^
run.toml:10:10: window must be between 2 and 16777216, got 1
  10 | window = 1
     |          ^
run.toml:16:10: stride must be between 1 and 512, got 513
  16 | stride = 513
     |          ^^^
run.toml:17:7: bos must be one of auto, always, never, got "sometimes"
  17 | bos = "sometimes"
     |       ^^^^^^^^^^^
)");
}

TEST_F(ReadTask, TellsKeysOfTheOtherProtocolFromMisspeltOnes) {
  EXPECT_EQ(errors_of(R"(assay = 1
[task.a]
protocol = "perplexity"
dataset = "d"
window = 512
strid = 256
stride = 256
shots = 5
[task.b]
protocol = "multiple_choice"
dataset = "d"
prompt = "{{ q }}"
choices = "c"
target = "t"
window = 5
temperature = 1
)"),
            R"(run.toml:6:1: unknown key "strid" in task.a
  6 | strid = 256
    | ^^^^^
help: did you mean "stride"?
run.toml:8:1: shots belongs to protocol "multiple_choice", task.a has another
  8 | shots = 5
    | ^^^^^
run.toml:15:1: window belongs to protocol "perplexity", task.b has another
  15 | window = 5
     | ^^^^^^
run.toml:16:1: unknown key "temperature" in task.b
  16 | temperature = 1
     | ^^^^^^^^^^^
help: protocol multiple_choice has the keys prompt, prompts, choices, target, shots, shots_from, description, delimiter, separator
)");
}

TEST_F(ReadTask, TakesOnePromptOrSeveral) {
  const ParsedManifest parsed = read(R"(assay = 1
[task.a]
protocol = "multiple_choice"
dataset = "d"
prompts = ["{{ a }}", "{{ b }}"]
choices = "{{ rest }}"
target = "answer"
)");
  EXPECT_EQ(shown(parsed.manifest.sources, parsed.errors), "");
  EXPECT_EQ(parsed.manifest.tasks[0].prompts.size(), 2U);
  EXPECT_FALSE(parsed.manifest.tasks[0].choices_is_list);

  EXPECT_EQ(errors_of(R"(assay = 1
[task.a]
protocol = "multiple_choice"
dataset = "d"
prompt = "{{ a }}"
prompts = ["{{ a }}", "{{ b }}"]
choices = ["x", "y"]
target = "answer"
[task.b]
protocol = "multiple_choice"
dataset = "d"
prompts = ["{{ a }}"]
choices = []
target = "answer"
[task.c]
protocol = "multiple_choice"
dataset = "d"
prompt = "{{ a }}"
choices = ["x"]
target = "answer"
[task.d]
protocol = "multiple_choice"
dataset = "d"
prompt = "{{ a }}"
choices = { a = 1 }
target = "answer"
)"),
            R"(run.toml:6:1: a task has prompt or prompts, not both
  6 | prompts = ["{{ a }}", "{{ b }}"]
    | ^^^^^^^
help: prompts are contexts that differ, before one and the same continuation
run.toml:7:11: with prompts there is one continuation, choices has 2
  7 | choices = ["x", "y"]
    |           ^^^^^^^^^^
help: write choices = "..."
run.toml:12:1: prompts must name at least 2 contexts, got 1
  12 | prompts = ["{{ a }}"]
     | ^^^^^^^
help: write prompt for a single one
run.toml:13:11: choices is an empty list
  13 | choices = []
     |           ^^
help: leave it out, or name at least one
run.toml:19:11: choices must name at least 2, got 1
  19 | choices = ["x"]
     |           ^^^^^
run.toml:25:11: choices must be a template that gives a list, or a list of templates, got a table
  25 | choices = { a = 1 }
     |           ^^^^^^^^^
)");
}

TEST_F(ReadTask, RefusesAnInlineDatasetWhoseNameIsTaken) {
  EXPECT_EQ(errors_of(R"(assay = 1
[dataset.faq]
use = "assay/jsonl"
[task.faq]
protocol = "perplexity"
dataset = { use = "assay/text" }
window = 4
stride = 2
[task.other]
protocol = "perplexity"
dataset = { path = "x" }
window = 4
stride = 2
)"),
            R"(run.toml:6:11: the dataset of task.faq would be called "faq", as [dataset.faq] is
  6 | dataset = { use = "assay/text" }
    |           ^^^^^^^^^^^^^^^^^^^^^^
help: give one of them another name
run.toml:11:11: task.other.dataset lacks "use"
  11 | dataset = { path = "x" }
     |           ^^^^^^^^^^^^^^
help: use: the id of a dataset component, such as "assay/jsonl"
)");
}

TEST_F(ReadTask, WantsAListOfMetrics) {
  EXPECT_EQ(errors_of(R"(assay = 1
[task.a]
protocol = "perplexity"
dataset = "d"
window = 4
stride = 2
metrics = "assay/perplexity"
[task.b]
protocol = "perplexity"
dataset = "d"
window = 4
stride = 2
metrics = [3, { ues = "x/y" }]
group_by = ["a", 2]
)"),
            R"(run.toml:7:11: metrics must be a list, got the text "assay/perplexity"
  7 | metrics = "assay/perplexity"
    |           ^^^^^^^^^^^^^^^^^^
help: write metrics = ["assay/accuracy"]
run.toml:13:12: each of metrics must be an id or a table { use = ..., ... }, got the whole number 3
  13 | metrics = [3, { ues = "x/y" }]
     |            ^
run.toml:13:15: task.b.metrics lacks "use"
  13 | metrics = [3, { ues = "x/y" }]
     |               ^^^^^^^^^^^^^^^
help: use: the id of a metric, such as "assay/accuracy"
run.toml:14:18: each of group_by must be a text, got the whole number 2
  14 | group_by = ["a", 2]
     |                  ^
help: write it in quotes: "2"
)");
}

}  // namespace
}  // namespace assay::host
