// Verdicts from rows on disk: gates on all items and on those that overlap with no calibration.
#include "host/run/results.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "host/store/rows.hpp"
#include "tests/host/manifest/workspace.hpp"
#include "tests/support/chosen_plugins.hpp"

namespace assay::host {
namespace {

using testing::EndsWith;

constexpr int kItems = 40;

const Registry& registry() {
  static const ChosenPlugins chosen(ASSAY_TEST_PLUGINS,
                                    {"assay-jsonl", "assay-accuracy", "assay-perplexity"});
  static const Registry found = Registry::scan({ASSAY_TEST_FAKES, chosen.path()});
  return found;
}

/// A baseline that answers everything right, and a candidate that knows items 0 to 9 by heart and
/// answers every other one of the rest.
class CleanSubset : public Workspace {
 protected:
  void SetUp() override {
    Workspace::SetUp();
    write("faq.jsonl",
          R"({"q": "x", "text": "x", "kind": "new", "options": ["a", "b"], "answer": 0})"
          "\n");
  }

  static bool is_right(const std::string& variant, int item) {
    return variant == "base" || item < 10 || item % 2 == 0;
  }

  Json verdicts(const std::string& gates, const std::vector<std::uint64_t>& overlapping,
                const std::vector<std::uint64_t>& of_baseline = {}) {
    const ParsedManifest parsed = read(std::string(kManifest) + gates);
    const BuiltGraph built = build_graph(parsed, registry());
    EXPECT_EQ(shown(parsed.manifest.sources, built.errors), "");
    Figures figures(built.graph, out_);
    for (std::size_t model = 0; model < built.graph.models.size(); ++model) {
      VariantOutcome outcome;
      outcome.status = Status::kComplete;
      for (std::size_t task = 0; task < built.graph.tasks.size(); ++task) {
        write_rows(built.graph.models[model].name, built.graph.tasks[task].name);
        outcome.tasks[task].status = Status::kComplete;
        outcome.overlapping[task] = model == 0 ? of_baseline : overlapping;
      }
      figures.add(model, outcome);
    }
    const Results results = figures.results();
    EXPECT_TRUE(results.failures.empty());
    for (const Json& record : results.records) {
      if (record.at("group").is_null()) EXPECT_EQ(record.at("n"), n_rows()) << "of all items";
    }
    return results.verdicts;
  }

  std::uint64_t n_rows() const { return kItems - left_out_.size(); }

  void write_rows(const std::string& variant, const std::string& task) const {
    const auto path = rows_path(out_, variant, task);
    std::filesystem::create_directories(path.parent_path());
    auto writer = RowWriter::create(path);
    ASSERT_TRUE(writer);
    for (int i = 0; i < kItems; ++i) {
      if (std::count(left_out_.begin(), left_out_.end(), i) != 0) continue;
      const bool right = is_right(variant, i);
      Json row{{"index", i}, {"status", "ok"}, {"groups", {{"kind", i < 10 ? "old" : "new"}}}};
      if (task == "faq") {
        row.update(Json{{"choice_loglikelihoods", {right ? -1.0 : -3.0, -2.0}},
                        {"choice_greedy", {0, 0}},
                        {"choice_tokens", {1, 1}},
                        {"choice_bytes", {1, 1}},
                        {"choice_chars", {1, 1}},
                        {"choices", {"a", "b"}},
                        {"target", 0}});
      } else {
        const double nll = (right ? 1.0 : 2.5) + 0.01 * i;
        row.update(Json{{"nll", nll},
                        {"n_tokens", 2},
                        {"n_bytes", 8},
                        {"n_words", 2},
                        {"window_nll", {nll / 2}}});
      }
      ASSERT_TRUE(writer->write(row));
    }
    ASSERT_TRUE(writer->close());
  }

  static constexpr std::string_view kManifest = R"(assay = 1
[model.base]
backend = "fake/own-tokens"
[model.small]
backend = "fake/own-tokens"
[dataset.faq]
use = "assay/jsonl"
path = "faq.jsonl"
[task.faq]
protocol = "multiple_choice"
dataset = "faq"
prompt = "q"
choices = "options"
target = "answer"
metrics = ["assay/accuracy"]
group_by = ["kind"]
[task.text]
protocol = "perplexity"
dataset = "faq"
window = 8
stride = 8
metrics = ["assay/perplexity"]
[compare]
baseline = "base"
)";

  static std::string gate(const std::string& task, const std::string& rule,
                          const std::string& more = "subset = \"clean\"\n") {
    return "[[gate]]\ntask = \"" + task + "\"\nmetric = \"" +
           (task == "faq" ? "acc" : "perplexity") + "\"\n" + rule + "\n" + more;
  }

  std::filesystem::path out_ = "out";
  std::vector<int> left_out_;  ///< items without rows
};

const std::vector<std::uint64_t> kByHeart{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

TEST_F(CleanSubset, LeavesOutWhatTheCalibrationKnew) {
  const std::string rule = "min_retained = \"60%\"";
  const Json all = verdicts(gate("faq", rule, "") + gate("faq", rule), kByHeart);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].at("verdict"), "PASS");  // 25 of 40
  EXPECT_EQ(all[0].at("subset"), nullptr);
  EXPECT_EQ(all[0].at("items"), 40);
  EXPECT_EQ(all[0].at("text"), "retained 62.50 %, at least 60.00 % required");
  EXPECT_EQ(all[1].at("verdict"), "FAIL");  // 15 of 30
  EXPECT_EQ(all[1].at("subset"), "clean");
  EXPECT_EQ(all[1].at("items"), 30);
  EXPECT_EQ(all[1].at("observed"), 0.5);
  EXPECT_EQ(all[1].at("text"),
            "retained 50.00 %, at least 60.00 % required; clean subset, 30 of 40 items");
}

TEST_F(CleanSubset, IsEverythingWithoutACalibration) {
  const Json all = verdicts(gate("faq", "min_retained = \"60%\""), {});
  EXPECT_EQ(all[0].at("verdict"), "PASS");
  EXPECT_EQ(all[0].at("subset"), "clean");
  EXPECT_EQ(all[0].at("text"),
            "retained 62.50 %, at least 60.00 % required; clean subset, 40 of 40 items");
}

TEST_F(CleanSubset, OfAFigureItselfToo) {
  const Json all = verdicts(gate("faq", "min = 0.6"), kByHeart);
  EXPECT_EQ(all[0].at("verdict"), "FAIL");
  EXPECT_EQ(all[0].at("observed"), 0.5);
}

TEST_F(CleanSubset, FiguresAreThoseOfARunWithoutTheItems) {
  const std::string gates =
      gate("faq", "max_drop = \"5%\"") + gate("text", "max_increase = \"5%\"");
  const Json subset = verdicts(gates, kByHeart);
  for (int i = 0; i < 10; ++i) left_out_.push_back(i);
  const Json run = verdicts(gates, {});
  ASSERT_EQ(subset.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(subset[i].at("observed"), run[i].at("observed"));
    EXPECT_EQ(subset[i].at("items"), run[i].at("items"));
    EXPECT_GT(run[i].at("observed"), 0.1);
  }
}

TEST_F(CleanSubset, LeavesOutWhatTheBaselinesCalibrationKnew) {
  const Json all = verdicts(gate("faq", "min_retained = \"60%\""), {0, 1}, {1, 2, 39});
  EXPECT_THAT(all[0].at("text").get<std::string>(), EndsWith("; clean subset, 36 of 40 items"));
}

TEST_F(CleanSubset, OfNoItemsSaysSo) {
  std::vector<std::uint64_t> every(kItems);
  for (std::uint64_t i = 0; i < kItems; ++i) every[i] = i;
  const Json all = verdicts(gate("faq", "min_retained = \"60%\""), every);
  EXPECT_EQ(all[0].at("verdict"), "INCONCLUSIVE");
  EXPECT_EQ(all[0].at("items"), nullptr);
  EXPECT_EQ(all[0].at("text"), "there is no figure: every item overlaps with the calibration");
}

TEST_F(CleanSubset, OfGroupsIsOfEach) {
  const Json all =
      verdicts(gate("faq", "min_retained = \"60%\"", "subset = \"clean\"\ngroup = \"*\"\n"),
               {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].at("group"), "kind=old");
  EXPECT_EQ(all[0].at("verdict"), "INCONCLUSIVE");
  EXPECT_EQ(all[1].at("group"), "kind=new");
  EXPECT_THAT(all[1].at("text").get<std::string>(), EndsWith("; clean subset, 29 of 30 items"));
}

}  // namespace
}  // namespace assay::host
