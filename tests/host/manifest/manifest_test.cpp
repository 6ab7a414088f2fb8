#include "host/manifest/manifest.hpp"

#include <sys/stat.h>

#include "tests/host/manifest/workspace.hpp"

namespace assay::host {
namespace {

class ReadManifest : public Workspace {};

constexpr std::string_view kWhole = R"(assay = 1
name  = "4-bit forms"
seed  = 7

[model.base]
backend = "assay/torch"
path    = "models/tiny"
dtype   = "float32"

[model.int4]
backend = "acme/int4"
path = "/models/tiny"
device = "cuda:1"
threads = 4
memory_budget = "4GiB"
isolation = "none"
kv.bits = 3
simulate = { method = "rtn", bits = 4 }

[dataset.wiki]
use = "assay/text"
split = "test"
limit = 10
path = "wiki.txt"

[task.wiki]
protocol = "perplexity"
dataset = "wiki"
window = 512
stride = 128
join = "\n\n"
bos = "always"

[task.quiz]
protocol = "multiple_choice"
dataset = { use = "acme/tsv", file = "quiz.tsv" }
models = ["base"]
limit = 5
seed = 9
group_by = ["category"]
metrics = ["assay/accuracy", { use = "acme/score", alpha = 0.5 }]
primary = "acc"
prompt = "Q: {{ question }}"
choices = ["a", "b"]
target = "answer"
shots = 2
shots_from = "wiki"
description = "Answer."
delimiter = ""
separator = "\n"

[compare]
baseline = "base"
noise_floor = "1%"

[[gate]]
task = "wiki"
metric = "perplexity"
max_increase = "5%"

[[gate]]
task = "quiz"
metric = "acc"
group = "category=fraud"
candidates = ["int4"]
min = 0.5

[[report]]
use = "assay/markdown"
file = "report.md"
wide = true
)";

TEST_F(ReadManifest, KeepsEveryHostKeyAndLeavesTheRestAsOptions) {
  const ParsedManifest parsed = read(kWhole);
  EXPECT_EQ(shown(parsed.manifest.sources, parsed.errors), "");
  const Manifest& m = parsed.manifest;
  EXPECT_EQ(m.name, "4-bit forms");
  EXPECT_EQ(m.seed, 7U);

  ASSERT_EQ(m.models.size(), 2U);
  EXPECT_EQ(m.models[0].name, "base");
  EXPECT_EQ(m.models[0].backend.value, "assay/torch");
  EXPECT_EQ(m.models[0].path.value, folder() / "models/tiny");
  EXPECT_EQ(m.models[0].device.value, "cpu");
  EXPECT_FALSE(m.models[0].device.given());
  ASSERT_EQ(m.models[0].options.size(), 1U);
  EXPECT_EQ(m.models[0].options[0].key, "dtype");
  EXPECT_EQ(m.models[0].options[0].value.place.line, 8U);
  EXPECT_EQ(m.models[0].options[0].value.place.column, 11U);
  EXPECT_EQ(m.models[0].options[0].value.place.length, 9U);
  EXPECT_EQ(m.models[1].path.value, "/models/tiny");
  EXPECT_EQ(m.models[1].device.value, "cuda:1");
  EXPECT_EQ(m.models[1].threads.value, 4U);
  EXPECT_EQ(m.models[1].memory_budget_bytes.value, 4ULL << 30);
  ASSERT_EQ(m.models[1].options.size(), 2U);
  EXPECT_EQ(m.models[1].options[0].key, "kv");
  EXPECT_EQ(m.models[1].options[1].key, "simulate");

  ASSERT_EQ(m.datasets.size(), 2U);
  EXPECT_EQ(m.datasets[0].split.value, "test");
  EXPECT_EQ(m.datasets[0].limit.value, 10U);
  EXPECT_EQ(m.datasets[0].options[0].key, "path");
  EXPECT_EQ(m.datasets[1].name, "quiz");
  EXPECT_EQ(m.datasets[1].use.value, "acme/tsv");
  EXPECT_EQ(m.datasets[1].options[0].key, "file");

  ASSERT_EQ(m.tasks.size(), 2U);
  const TaskNode& wiki = m.tasks[0];
  EXPECT_EQ(wiki.protocol.value, Protocol::kPerplexity);
  EXPECT_EQ(wiki.window.value, 512U);
  EXPECT_EQ(wiki.stride.value, 128U);
  EXPECT_EQ(wiki.text.value, "{{ text }}");
  EXPECT_EQ(wiki.join->value, "\n\n");
  EXPECT_EQ(wiki.bos.value, Bos::kAlways);
  EXPECT_FALSE(wiki.seed.given());
  const TaskNode& quiz = m.tasks[1];
  EXPECT_EQ(quiz.protocol.value, Protocol::kMultipleChoice);
  EXPECT_EQ(quiz.dataset.value, "quiz");
  EXPECT_EQ(quiz.models[0].value, "base");
  EXPECT_EQ(quiz.limit.value, 5U);
  EXPECT_EQ(quiz.seed.value, 9U);
  EXPECT_EQ(quiz.group_by[0].value, "category");
  ASSERT_EQ(quiz.metrics.size(), 2U);
  EXPECT_EQ(quiz.metrics[0].use.value, "assay/accuracy");
  EXPECT_EQ(quiz.metrics[1].use.value, "acme/score");
  EXPECT_EQ(quiz.metrics[1].options[0].key, "alpha");
  EXPECT_EQ(quiz.primary.value, "acc");
  EXPECT_EQ(quiz.prompts[0].value, "Q: {{ question }}");
  EXPECT_TRUE(quiz.choices_is_list);
  EXPECT_EQ(quiz.choices[1].value, "b");
  EXPECT_EQ(quiz.target.value, "answer");
  EXPECT_EQ(quiz.shots.value, 2U);
  EXPECT_EQ(quiz.shots_from.value, "wiki");
  EXPECT_EQ(quiz.description.value, "Answer.");
  EXPECT_EQ(quiz.delimiter.value, "");
  EXPECT_EQ(quiz.separator.value, "\n");

  EXPECT_EQ(m.compare->baseline.value, "base");
  EXPECT_DOUBLE_EQ(m.compare->noise_floor.value, 0.01);
  ASSERT_EQ(m.gates.size(), 2U);
  EXPECT_EQ(m.gates[0].threshold.value, Threshold::kMaxIncrease);
  EXPECT_DOUBLE_EQ(m.gates[0].bound.value, 0.05);
  EXPECT_TRUE(m.gates[0].bound.is_relative);
  EXPECT_EQ(m.gates[1].group.value, "category=fraud");
  EXPECT_EQ(m.gates[1].candidates[0].value, "int4");
  EXPECT_EQ(m.gates[1].threshold.value, Threshold::kMin);
  EXPECT_FALSE(m.gates[1].bound.is_relative);
  ASSERT_EQ(m.reports.size(), 1U);
  EXPECT_EQ(m.reports[0].file.value, "report.md");
  EXPECT_EQ(m.reports[0].options[0].key, "wide");
}

TEST_F(ReadManifest, CutAfterAnyByteAnswersWithoutACrash) {
  for (std::size_t end = 0; end <= kWhole.size(); ++end) {
    const ParsedManifest parsed = read(kWhole.substr(0, end));
    for (const Diagnostic& error : parsed.errors) {
      EXPECT_FALSE(render(parsed.manifest.sources, error).empty());
    }
  }
}

TEST_F(ReadManifest, WithAnyByteChangedAnswersWithoutACrash) {
  constexpr std::string_view kBytes("\0\"'[]{}=.#\n\\\xFF-9", 15);
  for (std::size_t i = 0; i < kWhole.size(); ++i) {
    std::string text(kWhole);
    text[i] = kBytes[i % kBytes.size()];
    const ParsedManifest parsed = read(text);
    for (const Diagnostic& error : parsed.errors) {
      EXPECT_FALSE(render(parsed.manifest.sources, error).empty());
    }
  }
}

TEST_F(ReadManifest, RefusesAnEmptySimulate) {
  EXPECT_EQ(errors_of("assay = 1\n[model.a]\nbackend = \"x/y\"\npath = \"m\"\nsimulate = {}\n"),
            R"(run.toml:5:12: simulate is an empty table
  5 | simulate = {}
    |            ^^
help: write simulate = { method = "rtn", bits = 4 }
)");
}

TEST_F(ReadManifest, NamedAfterItsFileWhenItHasNoName) {
  EXPECT_EQ(read("assay = 1\n").manifest.name, "run");
  EXPECT_EQ(read("assay = 1\n").manifest.seed, 1234U);
}

TEST_F(ReadManifest, SaysThatTheFileIsNotThere) {
  const auto parsed = read_manifest("nowhere.toml");
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().code, ASSAY_NOT_FOUND);
  EXPECT_EQ(parsed.error().text, "nowhere.toml cannot be opened: No such file or directory");
}

TEST_F(ReadManifest, SaysThatAFolderIsNoManifest) {
  std::filesystem::create_directory("study");
  const auto parsed = read_manifest("study");
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().text, "study is a folder, expected a TOML file");
}

TEST_F(ReadManifest, RefusesMoreThan16MiB) {
  write("run.toml", std::string((16U << 20) + 1, '#'));
  const auto parsed = read_manifest("run.toml");
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(parsed.error().text,
            "run.toml has more than 16 MiB; a manifest names data, it does not hold it");
}

TEST_F(ReadManifest, AsksAnEmptyFileForItsFormat) {
  EXPECT_EQ(errors_of(""), R"(run.toml:1:1: the manifest lacks "assay"
  1 | 
    | ^
help: begin it with assay = 1, the format of manifests
)");
}

TEST_F(ReadManifest, ReadsPastAByteOrderMark) {
  EXPECT_EQ(errors_of("\xEF\xBB\xBF"
                      "assay = 2\n"),
            R"(run.toml:1:9: assay must be 1, got the whole number 2
  1 | assay = 2
    |         ^
help: it is the manifest format; this version reads format 1
)");
}

TEST_F(ReadManifest, ReadsLinesThatEndInCarriageReturns) {
  EXPECT_EQ(errors_of("assay = 1\r\nnme = \"x\"\r\n"),
            R"(run.toml:2:1: unknown key "nme" in the manifest
  2 | nme = "x"
    | ^^^
help: did you mean "name"?
)");
}

TEST_F(ReadManifest, RefusesRootKeysItDoesNotKnow) {
  EXPECT_EQ(errors_of("assay = 1\nmodels = 3\nquux = 1\n"),
            R"(run.toml:2:1: unknown key "models" in the manifest
  2 | models = 3
    | ^^^^^^
help: did you mean "model"?
run.toml:3:1: unknown key "quux" in the manifest
  3 | quux = 1
    | ^^^^
help: a manifest has assay, name, seed, include and the tables model, dataset, calibration, task, compare, gate, report
)");
}

TEST_F(ReadManifest, RefusesValuesOfTheWrongType) {
  EXPECT_EQ(errors_of(R"(assay = 1
name = 3
seed = "7"
[model.a]
backend = ["assay/torch"]
path = true
threads = 1.5
memory_budget = "lots"
simulate = "rtn"
[model]
b = 4
[compare]
baseline = 0.5
)"),
            R"(run.toml:2:8: name must be a text, got the whole number 3
  2 | name = 3
    |        ^
help: write it in quotes: "3"
run.toml:3:8: seed must be a whole number, got the text "7"
  3 | seed = "7"
    |        ^^^
help: write it without quotes: seed = 7
run.toml:5:11: backend must be a text, got a list
  5 | backend = ["assay/torch"]
    |           ^^^^^^^^^^^^^^^
run.toml:6:8: path must be a text, got true
  6 | path = true
    |        ^^^^
help: write it in quotes: "true"
run.toml:7:11: threads must be a whole number, got the number 1.5
  7 | threads = 1.5
    |           ^^^
run.toml:8:17: memory_budget must be a size such as "4GiB", got the text "lots"
  8 | memory_budget = "lots"
    |                 ^^^^^^
run.toml:9:12: simulate must be a table, got the text "rtn"
  9 | simulate = "rtn"
    |            ^^^^^
help: write simulate = { method = "rtn", bits = 4 }
run.toml:11:1: model.b must be a table, got the whole number 4
  11 | b = 4
     | ^
help: keys stand under a header [model.x] with a name for x
run.toml:13:12: baseline must be a text, got the number 0.5
  13 | baseline = 0.5
     |            ^^^
)");
}

TEST_F(ReadManifest, RefusesValuesOutOfRange) {
  EXPECT_EQ(errors_of(R"(assay = 1
seed = -1
[model.a]
backend = "x/y"
path = "m"
threads = 0
device = "cuda"
[dataset.d]
use = "x/y"
limit = 0
)"),
            R"(run.toml:2:8: seed must be at least 0, got -1
  2 | seed = -1
    |        ^^
run.toml:6:11: threads must be between 1 and 4096, got 0
  6 | threads = 0
    |           ^
run.toml:7:10: device must be "cpu" or "cuda:N", got "cuda"
  7 | device = "cuda"
    |          ^^^^^^
help: did you mean "cuda:0"?
run.toml:10:9: limit must be at least 1, got 0
  10 | limit = 0
     |         ^
)");
}

TEST_F(ReadManifest, SaysWhichKeysATableLacksAtItsHeader) {
  EXPECT_EQ(errors_of(R"(assay = 1
[model.a]
[dataset.d]
[compare]
[[report]]
[[gate]]
)"),
            R"(run.toml:2:1: model.a lacks "backend"
  2 | [model.a]
    | ^^^^^^^^^
help: backend: the id of a backend, such as "assay/torch"
run.toml:3:1: dataset.d lacks "use"
  3 | [dataset.d]
    | ^^^^^^^^^^^
help: use: the id of a dataset component, such as "assay/jsonl"
run.toml:4:1: compare lacks "baseline"
  4 | [compare]
    | ^^^^^^^^^
help: baseline: the [model.x] that all others are compared with
run.toml:5:1: report lacks "use"
  5 | [[report]]
    | ^^^^^^^^^^
help: use: the id of a reporter, such as "assay/console"
run.toml:6:1: gate lacks "task"
  6 | [[gate]]
    | ^^^^^^^^
help: task: the name of a [task.x]
run.toml:6:1: gate lacks "metric"
  6 | [[gate]]
    | ^^^^^^^^
help: metric: an output of one of the task's metrics, such as "acc"
run.toml:6:1: gate lacks a threshold
  6 | [[gate]]
    | ^^^^^^^^
help: one of max_increase, max_drop, min_retained, min, max
)");
}

TEST_F(ReadManifest, RefusesKeysOfLaterWorkByName) {
  EXPECT_EQ(errors_of(R"(assay = 1
[gate_policy]
mode = "proof"
[model.a]
backend = "assay/torch"
path = "m"
isolation = "sandbox"
timeout = "soon"
[model.b]
backend = "assay/torch"
path = "m"
isolation = "none"
)"),
            R"(run.toml:2:2: gate_policy is not supported by this version
  2 | [gate_policy]
    |  ^^^^^^^^^^^
help: leave it out: a gate compares the figure with its threshold
run.toml:7:13: isolation must be "worker" or "none", got "sandbox"
  7 | isolation = "sandbox"
    |             ^^^^^^^^^
run.toml:8:11: timeout must be a duration such as "90s" or "10min", at most 7 days, got the text "soon"
  8 | timeout = "soon"
    |           ^^^^^^
help: a backend that gives no sign of life for that long is ended
)");
}

TEST_F(ReadManifest, RefusesNamesThatCannotNameAFolder) {
  EXPECT_EQ(errors_of(R"(assay = 1
[model."../up"]
backend = "x/y"
path = "m"
[task.""]
protocol = "perplexity"
dataset = "d"
window = 4
stride = 2
)"),
            R"(run.toml:2:8: "../up" cannot be the name of a model
  2 | [model."../up"]
    |        ^^^^^^^
help: use letters, digits, "_", "-" and ".", not first, at most 100 of them
run.toml:5:7: "" cannot be the name of a task
  5 | [task.""]
    |       ^^
help: use letters, digits, "_", "-" and ".", not first, at most 100 of them
)");
}

TEST_F(ReadManifest, WantsTwoBracketsForGatesAndOneForCompare) {
  EXPECT_EQ(errors_of("assay = 1\n[gate]\ntask = \"t\"\n[[compare]]\nbaseline = \"b\"\n"),
            R"(run.toml:2:1: gate must be a list of tables, got a table
  2 | [gate]
    | ^^^^^^
help: write [[gate]] with two brackets
run.toml:4:1: compare must be a table, got a list
  4 | [[compare]]
    | ^^^^^^^^^^^
help: write [compare] and below it baseline = "..."
)");
}

TEST_F(ReadManifest, ReadsTheBoundOfAGateInEachSpelling) {
  const auto bound = [this](const std::string& line) {
    const ParsedManifest parsed =
        read("assay = 1\n[[gate]]\ntask = \"t\"\nmetric = \"m\"\n" + line + "\n");
    return shown(parsed.manifest.sources, parsed.errors) +
           std::to_string(parsed.manifest.gates[0].bound.value) +
           (parsed.manifest.gates[0].bound.is_relative ? " relative" : "");
  };
  EXPECT_EQ(bound("max_drop = 0.5"), "0.500000");
  EXPECT_EQ(bound("max_drop = \"5 %\""), "0.050000 relative");
  EXPECT_EQ(bound("max_increase = 1"), "1.000000");
  EXPECT_EQ(bound("min_retained = \"97%\""), "0.970000 relative");
  EXPECT_EQ(bound("min_retained = 0.97"), "0.970000 relative");
  EXPECT_EQ(bound("min = -3"), "-3.000000");
  EXPECT_EQ(bound("max = \"85%\""), "0.850000 relative");
}

TEST_F(ReadManifest, RefusesGatesThatSayTooMuchOrNonsense) {
  EXPECT_EQ(errors_of(R"(assay = 1
[[gate]]
task = "t"
metric = "m"
min = 1
max = 2
[[gate]]
task = "t"
metric = "m"
min_retained = 97
[[gate]]
task = "t"
metric = "m"
group = "fraud"
max_drop = "-5%"
[[gate]]
task = "t"
metric = "m"
candidates = "a"
max_incraese = "5"
[[gate]]
task = "t"
metric = "m"
max_increase = "five"
)"),
            R"(run.toml:6:1: a gate has one threshold, this one has min and max
  6 | max = 2
    | ^^^
help: write a second [[gate]]
run.toml:10:16: min_retained must be between 0 and 2 (200%), got 97
  10 | min_retained = 97
     |                ^^
help: write min_retained = "97%"
run.toml:14:9: group must be "key=value" or "*", got "fraud"
  14 | group = "fraud"
     |         ^^^^^^^
help: leave it out to gate the whole task
run.toml:15:12: max_drop must be at least 0, got -0.05
  15 | max_drop = "-5%"
     |            ^^^^^
run.toml:16:1: gate lacks a threshold
  16 | [[gate]]
     | ^^^^^^^^
help: one of max_increase, max_drop, min_retained, min, max
run.toml:19:14: candidates must be a list of texts, got the text "a"
  19 | candidates = "a"
     |              ^^^
help: write it in brackets: candidates = ["a"]
run.toml:20:1: unknown key "max_incraese" in gate
  20 | max_incraese = "5"
     | ^^^^^^^^^^^^
help: did you mean "max_increase"?
run.toml:24:16: max_increase must be a number or a percentage such as "5%", got the text "five"
  24 | max_increase = "five"
     |                ^^^^^^
)");
}

TEST_F(ReadManifest, RefusesDates) {
  EXPECT_EQ(errors_of("assay = 1\n[dataset.d]\nuse = \"x/y\"\nday = 2024-01-01\n"),
            R"(run.toml:4:7: dates and times have no use in a manifest
  4 | day = 2024-01-01
    |       ^^^^^^^^^^
help: write it in quotes to have a text
)");
}

}  // namespace
}  // namespace assay::host
