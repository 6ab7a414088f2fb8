#include "tests/host/graph/graph_fixture.hpp"

namespace assay::host {
namespace {

class Gates : public GraphTest {
 protected:
  /// A right manifest with a task "wiki" and one gate, whose keys begin at line 27.
  std::string gate(const std::string& keys) const {
    return mistakes_with(R"([task.wiki]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
text = "{{ question }}"
[[gate]]
)" + keys + "\n");
  }
};

TEST_F(Gates, NameATaskAndOneOfItsFigures) {
  EXPECT_EQ(gate("task = \"wkii\"\nmetric = \"ppl\"\nmax = 3"),
            R"(run.toml:27:8: there is no [task.wkii]
  27 | task = "wkii"
     |        ^^^^^^
help: did you mean "wiki"?
)");
  EXPECT_EQ(gate("task = \"wiki\"\nmetric = \"acc\"\nmax = 3"),
            R"(run.toml:28:10: task.wiki does not measure "acc"
  28 | metric = "acc"
     |          ^^^^^
help: it measures bits, ppl
)");
}

TEST_F(Gates, OnMemoryAndLatencyAreOfLaterWork) {
  EXPECT_EQ(gate("task = \"memory\"\nmetric = \"peak\"\nmax = 3"),
            R"(run.toml:27:8: gates on memory are not supported by this version
  27 | task = "memory"
     |        ^^^^^^^^
help: gate a metric of a [task.x]
)");
}

TEST_F(Gates, KnowWhichDirectionIsBetter) {
  EXPECT_EQ(gate("task = \"wiki\"\nmetric = \"ppl\"\nmax_drop = \"5%\""),
            R"(run.toml:29:12: max_drop is for figures where more is better; of ppl less is better
  29 | max_drop = "5%"
     |            ^^^^
help: write max_increase
)");
  EXPECT_EQ(
      gate("task = \"faq\"\nmetric = \"acc\"\nmax_increase = 0.01"),
      R"(run.toml:29:16: max_increase is for figures where less is better; of acc more is better
  29 | max_increase = 0.01
     |                ^^^^
help: write max_drop
)");
}

TEST_F(Gates, TakeAPercentageOfFiguresBetweenZeroAndOneOnly) {
  EXPECT_EQ(gate("task = \"faq\"\nmetric = \"acc\"\nmin = \"85%\""), "");
  EXPECT_EQ(gate("task = \"wiki\"\nmetric = \"ppl\"\nmax = \"20%\""),
            R"(run.toml:29:7: max = "20%": ppl is not a share of 1
  29 | max = "20%"
     |       ^^^^^
help: write a number, or bound its change with max_increase
)");
}

TEST_F(Gates, OnTheCleanSubsetAreShownAsSuch) {
  const std::string text = std::string(kRight) +
                           "[[gate]]\ntask = \"faq\"\nmetric = \"acc\"\nmin = 0.5\n"
                           "subset = \"clean\"\n";
  const BuiltGraph built = build(text);
  ASSERT_TRUE(built.errors.empty());
  EXPECT_TRUE(built.graph.gates[0].is_on_clean_subset);
  EXPECT_EQ(built.graph.effective.at("gate")[0].at("subset"), "clean");
  EXPECT_NE(graph_text(built.graph).find("min 0.5 on the clean subset"), std::string::npos);
  EXPECT_EQ(gate("task = \"faq\"\nmetric = \"acc\"\nmin = 0.5\nsubset = \"cleen\""),
            R"(run.toml:30:10: subset must be "clean", got "cleen"
  30 | subset = "cleen"
     |          ^^^^^^^
help: leave it out to gate every item
)");
}

TEST_F(Gates, OnGroupsNeedThem) {
  EXPECT_EQ(gate("task = \"faq\"\nmetric = \"acc\"\nmin = 0.5\ngroup = \"category=fraud\""), "");
  EXPECT_EQ(gate("task = \"faq\"\nmetric = \"acc\"\nmin = 0.5\ngroup = \"categry=fraud\""),
            R"(run.toml:30:9: group = "categry=fraud", but task.faq is not grouped by "categry"
  30 | group = "categry=fraud"
     |         ^^^^^^^^^^^^^^^
help: did you mean "category"?
)");
  EXPECT_EQ(gate("task = \"wiki\"\nmetric = \"ppl\"\nmax = 5\ngroup = \"category=fraud\""),
            R"(run.toml:30:9: group = "category=fraud", but task.wiki is not grouped by "category"
  30 | group = "category=fraud"
     |         ^^^^^^^^^^^^^^^^
help: write group_by = ["category"] in [task.wiki]
)");
  EXPECT_EQ(gate("task = \"wiki\"\nmetric = \"ppl\"\nmax = 5\ngroup = \"*\""),
            R"(run.toml:30:9: group = "*", but task.wiki has no groups
  30 | group = "*"
     |         ^^^
help: give the task group_by, or leave group out
)");
}

/// Groups of a task with two or three keys.
class GateGroups : public GraphTest {
 protected:
  std::string group(const std::string& name, const std::string& keys) const {
    write("many.txt", "question category lang City,State");
    return mistakes_with(R"([dataset.many]
use = "acme/lines"
path = "many.txt"
[task.many]
protocol = "perplexity"
dataset = "many"
window = 4
stride = 2
text = "{{ question }}"
group_by = )" + keys + R"(
[[gate]]
task = "many"
metric = "ppl"
max = 5
group = ")" + name + "\"\n");
  }
  std::string two(const std::string& name) const { return group(name, R"(["category", "lang"])"); }
};

TEST_F(GateGroups, HaveOneKeyOrAllOfThem) {
  EXPECT_EQ(two("*"), "");
  EXPECT_EQ(two("category=fraud"), "");
  EXPECT_EQ(two("lang=en"), "");
  EXPECT_EQ(two("category=fraud,lang=en"), "");
  EXPECT_EQ(group("category=fraud,lang=en,question=x", R"(["category", "lang", "question"])"), "");
}

TEST_F(GateGroups, MayHaveCommasAndEqualsSignsInTheirValues) {
  EXPECT_EQ(two("category=Savings, loans"), "");
  EXPECT_EQ(two("category=Savings, loans,lang=en"), "");
  EXPECT_EQ(two("category=a=b,lang=c=d"), "");
  EXPECT_EQ(two("category=,lang="), "");
  EXPECT_EQ(group("City,State=Portland, Oregon", R"(["City,State"])"), "");
}

TEST_F(GateGroups, HaveKeysOfTheTask) {
  EXPECT_EQ(
      two("category=fraud,lnag=en"),
      R"(run.toml:34:9: group = "category=fraud,lnag=en", but task.many is not grouped by "lnag"
  34 | group = "category=fraud,lnag=en"
     |         ^^^^^^^^^^^^^^^^^^^^^^^^
help: did you mean "lang"?
)");
  EXPECT_EQ(
      group("category=fraud,lang=en", R"(["category"])"),
      R"(run.toml:34:9: group = "category=fraud,lang=en", but task.many is not grouped by "lang"
  34 | group = "category=fraud,lang=en"
     |         ^^^^^^^^^^^^^^^^^^^^^^^^
help: write group_by = ["category", "lang"] in [task.many]
)");
  EXPECT_EQ(
      two("category=fraud, lang=en"),
      R"(run.toml:34:9: group = "category=fraud, lang=en", but task.many is not grouped by " lang"
  34 | group = "category=fraud, lang=en"
     |         ^^^^^^^^^^^^^^^^^^^^^^^^^
help: did you mean "lang"?
)");
}

TEST_F(GateGroups, HaveTheirKeysInTheTasksOrder) {
  EXPECT_EQ(
      two("lang=en,category=fraud"),
      R"(run.toml:34:9: group = "lang=en,category=fraud" is no group of task.many, whose groups have one key or all of them in the order of group_by
  34 | group = "lang=en,category=fraud"
     |         ^^^^^^^^^^^^^^^^^^^^^^^^
help: write "lang=..." or "category=...,lang=..."
)");
  EXPECT_EQ(
      group("category=fraud,lang=en", R"(["category", "lang", "question"])"),
      R"(run.toml:34:9: group = "category=fraud,lang=en" is no group of task.many, whose groups have one key or all of them in the order of group_by
  34 | group = "category=fraud,lang=en"
     |         ^^^^^^^^^^^^^^^^^^^^^^^^
help: write "category=..." or "category=...,lang=...,question=..."
)");
}

TEST_F(Gates, JudgeCandidatesThatAreThereAndNotTheBaseline) {
  EXPECT_EQ(gate("task = \"faq\"\nmetric = \"acc\"\nmin = 0.5\ncandidates = [\"base\", \"rtn\"]"),
            R"(run.toml:30:15: "base" is the baseline, not a candidate
  30 | candidates = ["base", "rtn"]
     |               ^^^^^^
help: candidates are compared with it
run.toml:30:23: there is no [model.rtn]
  30 | candidates = ["base", "rtn"]
     |                       ^^^^^
help: did you mean "rtn4"?
)");
}

TEST_F(Gates, NeedABaselineToCompareWith) {
  const std::string manifest = R"(assay = 1
[model.base]
backend = "acme/rounds"
path = "tiny"
[dataset.faq]
use = "acme/pairs"
[task.wiki]
protocol = "perplexity"
dataset = "faq"
window = 4
stride = 2
text = "{{ question }}"
[[gate]]
task = "wiki"
metric = "ppl"
)";
  EXPECT_EQ(mistakes(manifest + "max = 30\n"), "");
  EXPECT_EQ(mistakes(manifest + "max_increase = \"5%\"\n"),
            R"(run.toml:16:16: max_increase needs a baseline to compare with
  16 | max_increase = "5%"
     |                ^^^^
help: write [compare] with baseline = "...", or bound the figure itself with min or max
)");
  EXPECT_EQ(mistakes(manifest + "max = 30\n[compare]\nbaseline = \"base\"\n"),
            R"(run.toml:13:1: this gate judges nothing: task.wiki runs on the baseline only
  13 | [[gate]]
     | ^^^^^^^^
help: add a [model.x] to compare with it
)");
}

TEST_F(Gates, WantTheTaskToRunOnWhatIsCompared) {
  EXPECT_EQ(mistakes_with(R"([task.wiki]
protocol = "perplexity"
dataset = "faq"
models = ["rtn4"]
window = 4
stride = 2
text = "{{ question }}"
[[gate]]
task = "wiki"
metric = "ppl"
max_increase = "5%"
[model.nf4]
backend = "acme/rounds"
path = "tiny"
[[gate]]
task = "wiki"
metric = "ppl"
max = 5
candidates = ["nf4"]
)"),
            R"(run.toml:30:16: max_increase needs the baseline, but task.wiki does not run on base
  30 | max_increase = "5%"
     |                ^^^^
run.toml:38:15: task.wiki does not run on "nf4"
  38 | candidates = ["nf4"]
     |               ^^^^^
)");
}

}  // namespace
}  // namespace assay::host
