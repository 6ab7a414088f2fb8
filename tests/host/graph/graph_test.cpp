#include "host/graph/graph.hpp"

#include <cmath>

#include "tests/host/graph/graph_fixture.hpp"

namespace assay::host {
namespace {

class BuildGraph : public GraphTest {};

TEST_F(BuildGraph, WiresAManifestThatIsRight) {
  const BuiltGraph built = build(std::string(kRight) + R"([[gate]]
task = "faq"
metric = "acc"
group = "*"
min_retained = "97%"
[[report]]
use = "acme/page"
[[report]]
use = "acme/console"
)");
  ASSERT_TRUE(built.errors.empty());
  const Graph& g = built.graph;
  EXPECT_EQ(g.name, "run");
  EXPECT_EQ(g.models.at(1).path, folder() / "tiny");
  EXPECT_EQ(g.models.at(1).device.type, 1);
  EXPECT_EQ(g.datasets.at(0).columns,
            (std::vector<std::string>{"question", "answer", "category", "options"}));
  const TaskSpec& task = g.tasks.at(0);
  EXPECT_EQ(task.models, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(task.seed, 1234U);
  EXPECT_EQ(task.primary, "acc");
  ASSERT_EQ(task.metrics.size(), 1U);
  EXPECT_EQ(task.metrics[0].use.component->id(), "acme/accuracy");
  EXPECT_TRUE(task.metrics[0].outputs.at(0).is_mean);
  EXPECT_EQ(task.metrics[0].outputs.at(0).hi, 1.0);
  EXPECT_EQ(g.baseline, 0U);
  EXPECT_EQ(g.gates.at(0).candidates, (std::vector<std::size_t>{1}));
  EXPECT_EQ(g.reports.at(0).file, "page.md");
  EXPECT_EQ(g.reports.at(1).file, "");
}

TEST_F(BuildGraph, TakesEveryMetricThatFitsAndTheFirstOnesPrimaryOutput) {
  const BuiltGraph built = build(std::string(kRight) + R"([task.wiki]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
text = "{{ question }}"
)");
  ASSERT_TRUE(built.errors.empty());
  const TaskSpec& task = built.graph.tasks.at(1);
  ASSERT_EQ(task.metrics.size(), 1U);  // acme/scaled has an option without a default
  EXPECT_EQ(task.metrics[0].use.component->id(), "acme/ppl");
  EXPECT_EQ(task.primary, "ppl");
  EXPECT_TRUE(task.metrics[0].outputs.at(1).less_is_better);
  EXPECT_TRUE(std::isinf(task.metrics[0].outputs.at(1).hi));
}

TEST_F(BuildGraph, OpensADatasetForTheColumnsThatDependOnItsFile) {
  const BuiltGraph built = build(std::string(kRight) + R"([dataset.lines]
use = "acme/lines"
path = "lines.txt"
)");
  ASSERT_TRUE(built.errors.empty());
  EXPECT_EQ(built.graph.datasets.at(1).columns, (std::vector<std::string>{"question", "answer"}));
}

TEST_F(BuildGraph, PointsAtTheOptionADatasetComplainsAbout) {
  write("empty.txt", "");
  EXPECT_EQ(mistakes_with(R"([dataset.lines]
use = "acme/lines"
path = "empty.txt"
[dataset.split]
use = "acme/lines"
split = "test"
path = "lines.txt"
)"),
            R"(run.toml:22:8: dataset.lines: acme/lines: FOLDER/empty.txt names no columns
  22 | path = "empty.txt"
     |        ^^^^^^^^^^^
run.toml:25:9: dataset.split: acme/lines: there is no split "test"
  25 | split = "test"
     |         ^^^^^^
)");
}

TEST_F(BuildGraph, ReportsManyMistakesAtOnceInFileOrder) {
  write("file", "");
  EXPECT_EQ(mistakes(R"(assay = 1
nmae = "x"
[model.base]
backend = "acme/round"
path = "tiny"
[model.int4]
backend = "acme/int4"
path = "file"
group = 4
[model.far]
backend = "acme/pairs"
path = "nowhere"
[dataset.faq]
use = "acme/pairs"
[task.faq]
protocol = "multiple_choice"
dataset = "faq"
prompt = "{{ qestion }}"
choices = "options"
target = "anser"
group_by = ["options"]
shots = -1
[task.wiki]
protocol = "perplexity"
dataset = "wiki"
window = 512
stride = 1024
[compare]
baseline = "bse"
[[gate]]
task = "faq"
metric = "accc"
max_increase = "5%"
[[report]]
use = "acme/console"
file = "x.txt"
)"),
            R"(run.toml:2:1: unknown key "nmae" in the manifest
  2 | nmae = "x"
    | ^^^^
help: did you mean "name"?
run.toml:4:11: unknown component "acme/round"
  4 | backend = "acme/round"
    |           ^^^^^^^^^^^^
help: did you mean "acme/rounds"? `assay plugins list` shows all components found
run.toml:6:1: model.int4 lacks "calib", required by acme/int4
  6 | [model.int4]
    | ^^^^^^^^^^^^
help: calib: Calibration text.
run.toml:8:8: FOLDER/file is a file, expected a model directory
  8 | path = "file"
    |        ^^^^^^
help: path names the directory that holds config.json
run.toml:9:9: group must be between 8 and 1024, got 4
  9 | group = 4
    |         ^
run.toml:11:11: "acme/pairs" is a dataset, expected a backend
  11 | backend = "acme/pairs"
     |           ^^^^^^^^^^^^
help: the backends found are acme/int4, acme/rounds, acme/writer
run.toml:12:8: model directory FOLDER/nowhere does not exist
  12 | path = "nowhere"
     |        ^^^^^^^^^
help: input paths are relative to the manifest
run.toml:18:10: task.faq: prompt reads "qestion", but dataset faq has no such column (columns: question, answer, category, options)
  18 | prompt = "{{ qestion }}"
     |          ^^^^^^^^^^^^^^^
help: did you mean "question"?
run.toml:20:10: task.faq: target = "anser" is neither a column of dataset faq nor a template (columns: question, answer, category, options)
  20 | target = "anser"
     |          ^^^^^^^
help: did you mean "answer"?
run.toml:21:13: task.faq: group_by = "options" is a column of lists, groups need one value a record
  21 | group_by = ["options"]
     |             ^^^^^^^^^
run.toml:22:9: shots must be between 0 and 1000, got -1
  22 | shots = -1
     |         ^^
run.toml:25:11: there is no [dataset.wiki]
  25 | dataset = "wiki"
     |           ^^^^^^
help: the datasets are faq
run.toml:27:10: stride must be between 1 and 512, got 1024
  27 | stride = 1024
     |          ^^^^
run.toml:29:12: there is no [model.bse]
  29 | baseline = "bse"
     |            ^^^^^
help: did you mean "base"?
run.toml:32:10: task.faq does not measure "accc"
  32 | metric = "accc"
     |          ^^^^^^
help: did you mean "acc"?
run.toml:36:8: acme/console writes no file
  36 | file = "x.txt"
     |        ^^^^^^^
help: leave file out
)");
}

TEST_F(BuildGraph, AsksForAModelAndATask) {
  EXPECT_EQ(mistakes("assay = 1\n"), R"(run.toml: the manifest has no model
help: write [model.base] with backend and path
run.toml: the manifest has no task
help: write [task.x] with protocol and dataset; a task is what is measured
)");
}

TEST_F(BuildGraph, SaysNothingOfWhatABrokenFileWouldHaveHeld) {
  EXPECT_EQ(mistakes("assay = 1\n[model.base\n"),
            R"(run.toml:2:12: not TOML: in a table's header: expected ']', saw the end of the line
  2 | [model.base
    |            ^
)");
}

TEST_F(BuildGraph, NamesThePluginsListWhereNothingIsNear) {
  EXPECT_EQ(mistakes_with("[dataset.x]\nuse = \"vendor/thing\"\n"),
            R"(run.toml:21:7: unknown component "vendor/thing"
  21 | use = "vendor/thing"
     |       ^^^^^^^^^^^^^^
help: `assay plugins list` shows all components found
)");
}

TEST_F(BuildGraph, RefusesReportsThatLeaveTheOutputDirectoryOrMeet) {
  EXPECT_EQ(mistakes_with(R"([[report]]
use = "acme/page"
[[report]]
use = "acme/page"
file = "./page.md"
[[report]]
use = "acme/page"
file = "../page.md"
)"),
            R"(run.toml:24:8: two reports write "./page.md"
  24 | file = "./page.md"
     |        ^^^^^^^^^^^
help: give each its own file
run.toml:27:8: file = "../page.md" leads out of the output directory
  27 | file = "../page.md"
     |        ^^^^^^^^^^^^
)");
}

TEST_F(BuildGraph, WritesTheEffectiveManifestWithEveryDefault) {
  const BuiltGraph built = build(R"(assay = 1
name = "small"
[model.base]
backend = "acme/rounds"
path = "tiny"
key = "secret"
[model.rtn]
backend = "acme/rounds"
path = "tiny"
simulate = { method = "rtn", bits = 3 }
[dataset.faq]
use = "acme/pairs"
limit = 10
[task.faq]
protocol = "multiple_choice"
dataset = "faq"
prompt = "{{ question }}"
choices = ["yes", "no"]
target = "answer"
[task.wiki]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
text = "{{ question }}"
metrics = ["acme/ppl", { use = "acme/scaled", factor = 2 }]
[compare]
baseline = "base"
[[gate]]
task = "wiki"
metric = "ppl"
max_increase = "5%"
[[report]]
use = "acme/page"
)");
  ASSERT_TRUE(built.errors.empty());
  EXPECT_EQ(masked(built.graph.effective.dump(1)), R"({
 "assay": 1,
 "name": "small",
 "seed": 1234,
 "model": {
  "base": {
   "backend": "acme/rounds",
   "path": "FOLDER/tiny",
   "device": "cpu",
   "threads": null,
   "memory_budget": null,
   "isolation": "worker",
   "timeout": "60s",
   "dtype": "float32",
   "fused": true,
   "cache": 1048576,
   "batches": [
    1,
    2
   ]
  },
  "rtn": {
   "backend": "acme/rounds",
   "path": "FOLDER/tiny",
   "device": "cpu",
   "threads": null,
   "memory_budget": null,
   "isolation": "worker",
   "timeout": "60s",
   "dtype": "float32",
   "simulate.method": "rtn",
   "simulate.bits": 3,
   "simulate.skip": [],
   "fused": true,
   "cache": 1048576,
   "batches": [
    1,
    2
   ]
  }
 },
 "dataset": {
  "faq": {
   "use": "acme/pairs",
   "split": null,
   "limit": 10
  }
 },
 "task": {
  "faq": {
   "protocol": "multiple_choice",
   "dataset": "faq",
   "models": [
    "base",
    "rtn"
   ],
   "limit": null,
   "seed": 1234,
   "group_by": [],
   "metrics": [
    {
     "use": "acme/accuracy"
    }
   ],
   "primary": "acc",
   "bos": "auto",
   "prompt": "{{ question }}",
   "choices": [
    "yes",
    "no"
   ],
   "target": "answer",
   "shots": 0,
   "shots_from": "faq",
   "description": "",
   "delimiter": " ",
   "separator": "\n\n",
   "chat": false
  },
  "wiki": {
   "protocol": "perplexity",
   "dataset": "faq",
   "models": [
    "base",
    "rtn"
   ],
   "limit": null,
   "seed": 1234,
   "group_by": [],
   "metrics": [
    {
     "use": "acme/ppl"
    },
    {
     "use": "acme/scaled",
     "factor": 2.0
    }
   ],
   "primary": "ppl",
   "bos": "auto",
   "window": 4,
   "stride": 2,
   "text": "{{ question }}",
   "join": null
  }
 },
 "compare": {
  "baseline": "base",
  "noise_floor": 0.0
 },
 "gate": [
  {
   "task": "wiki",
   "metric": "ppl",
   "group": null,
   "subset": null,
   "candidates": [
    "rtn"
   ],
   "max_increase": "5%"
  }
 ],
 "report": [
  {
   "use": "acme/page",
   "file": "page.md"
  }
 ]
})");
}

TEST_F(BuildGraph, CutAfterAnyByteOfAManifestAnswersWithoutACrash) {
  for (std::size_t end = 0; end <= kRight.size(); ++end) {
    const ParsedManifest parsed = read(kRight.substr(0, end));
    for (const Diagnostic& error : build_graph(parsed, registry_).errors) {
      EXPECT_FALSE(render(parsed.manifest.sources, error).empty());
    }
  }
}

TEST_F(BuildGraph, SaysWhichSplitsThereAre) {
  registry_.add(acme_halves(), "acme-halves.so");
  const auto with = [this](const std::string& lines) {
    return mistakes_with("[dataset.half]\nuse = \"acme/halves\"\n" + lines);
  };
  EXPECT_EQ(with("split = \"test\"\n"), "");
  EXPECT_EQ(with("broken = true\n"), "") << "without a split nobody asks";
  EXPECT_EQ(with("split = \"tset\"\n"), R"(run.toml:22:9: dataset.half has no split "tset"
  22 | split = "tset"
     |         ^^^^^^
help: did you mean "test"? the splits are train, test
)");
  EXPECT_EQ(with("split = \"validation\"\n"),
            R"(run.toml:22:9: dataset.half has no split "validation"
  22 | split = "validation"
     |         ^^^^^^^^^^^^
help: the splits are train, test
)");
  EXPECT_EQ(with("split = \"test\"\nbroken = true\n"),
            R"(run.toml:23:10: dataset.half: acme/halves: the halves are lost
  23 | broken = true
     |          ^^^^
)");
}

}  // namespace
}  // namespace assay::host
