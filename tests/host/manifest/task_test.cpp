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
protocol = "latency"
dataset = "d"
prompt_tokens = 128
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
run.toml:6:12: protocol "latency" is not supported by this version
  6 | protocol = "latency"
    |            ^^^^^^^^^
help: use perplexity, continuation, multiple_choice or generate
run.toml:10:12: protocol must be a text, got the whole number 5
  10 | protocol = 5
     |            ^
help: write it in quotes: "5"
run.toml:13:12: unknown protocol "chat"
  13 | protocol = "chat"
     |            ^^^^^^
help: the protocols are perplexity, continuation, multiple_choice, generate
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
[task.d]
protocol = "continuation"
dataset = "d"
[task.e]
protocol = "generate"
dataset = "d"
)"),
            R"(run.toml:2:1: task.a lacks "protocol"
  2 | [task.a]
    | ^^^^^^^^
help: protocol: perplexity, continuation, multiple_choice or generate
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
run.toml:9:1: task.d lacks "prompt"
  9 | [task.d]
    | ^^^^^^^^
help: prompt: the template of the question, such as "{{ question }}"
run.toml:9:1: task.d lacks "target"
  9 | [task.d]
    | ^^^^^^^^
help: target: the text that is scored after the prompt, such as "{{ answer }}"
run.toml:12:1: task.e lacks "prompt"
  12 | [task.e]
     | ^^^^^^^^
help: prompt: the template of the question, such as "{{ question }}"
run.toml:12:1: task.e lacks "target"
  12 | [task.e]
     | ^^^^^^^^
help: target: what is right, such as "{{ answer }}", or a column that holds a list of it
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

TEST_F(ReadTask, TellsKeysOfOtherProtocolsFromMisspeltOnes) {
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
shuts = 1
[task.c]
protocol = "continuation"
dataset = "d"
prompt = "{{ q }}"
target = "t"
prompts = ["{{ q }}", "{{ r }}"]
choices = "c"
max_new_tokens = 5
join = ""
[task.d]
protocol = "generate"
dataset = "d"
prompt = "{{ q }}"
target = "t"
choices = "c"
until = "\n"
)"),
            R"(run.toml:6:1: unknown key "strid" in task.a
  6 | strid = 256
    | ^^^^^
help: did you mean "stride"?
run.toml:8:1: shots belongs to protocols "continuation", "multiple_choice" and "generate", task.a has another
  8 | shots = 5
    | ^^^^^
run.toml:15:1: window belongs to protocol "perplexity", task.b has another
  15 | window = 5
     | ^^^^^^
run.toml:16:1: temperature belongs to protocol "generate", task.b has another
  16 | temperature = 1
     | ^^^^^^^^^^^
run.toml:17:1: unknown key "shuts" in task.b
  17 | shuts = 1
     | ^^^^^
help: did you mean "shots"?
run.toml:23:1: prompts belongs to protocol "multiple_choice", task.c has another
  23 | prompts = ["{{ q }}", "{{ r }}"]
     | ^^^^^^^
run.toml:24:1: choices belongs to protocol "multiple_choice", task.c has another
  24 | choices = "c"
     | ^^^^^^^
run.toml:25:1: max_new_tokens belongs to protocol "generate", task.c has another
  25 | max_new_tokens = 5
     | ^^^^^^^^^^^^^^
run.toml:26:1: join belongs to protocol "perplexity", task.c has another
  26 | join = ""
     | ^^^^
run.toml:32:1: choices belongs to protocol "multiple_choice", task.d has another
  32 | choices = "c"
     | ^^^^^^^
run.toml:33:1: unknown key "until" in task.d
  33 | until = "\n"
     | ^^^^^
help: protocol generate has the keys prompt, target, shots, shots_from, description, delimiter, separator, chat, max_new_tokens, min_new_tokens, stop, temperature, top_k, top_p, filters
)");
}

TEST_F(ReadTask, TakesAContinuation) {
  const ParsedManifest parsed = read(R"(assay = 1
[task.a]
protocol = "continuation"
dataset = "d"
prompt = "{{ q }}"
target = "{{ a }}"
shots = 3
shots_from = "train"
description = "Answer."
delimiter = ""
separator = "\n"
)");
  EXPECT_EQ(shown(parsed.manifest.sources, parsed.errors), "");
  const TaskNode& task = parsed.manifest.tasks.at(0);
  EXPECT_EQ(task.protocol.value, Protocol::kContinuation);
  ASSERT_EQ(task.prompts.size(), 1U);
  EXPECT_EQ(task.prompts[0].value, "{{ q }}");
  EXPECT_EQ(task.target.value, "{{ a }}");
  EXPECT_EQ(task.shots.value, 3U);
  EXPECT_EQ(task.shots_from.value, "train");
  EXPECT_EQ(task.description.value, "Answer.");
  EXPECT_EQ(task.delimiter.value, "");
  EXPECT_EQ(task.separator.value, "\n");
  EXPECT_FALSE(task.chat.value);
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
