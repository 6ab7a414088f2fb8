#include "host/stats/measure.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/loader/registry.hpp"
#include "tests/support/chosen_plugins.hpp"

namespace assay::host {
namespace {

const Registry& plugins() {
  static const ChosenPlugins chosen(ASSAY_TEST_PLUGINS,
                                    {"assay-accuracy", "assay-likelihood", "assay-perplexity"});
  static const Registry registry = Registry::scan({chosen.path()});
  return registry;
}

/// A metric with its declared outputs, as the graph makes it.
MetricSpec metric(const Registry& registry, std::string_view id) {
  MetricSpec spec;
  spec.use.component = registry.find(id, ASSAY_METRIC);
  const assay_component& constants = *spec.use.component->constants;
  for (std::uint64_t i = 0; i < constants.n_outputs; ++i) {
    const assay_column& output = *constants.outputs[i];
    spec.outputs.push_back({output.name, output.unit == nullptr ? "" : output.unit,
                            (output.flags & ASSAY_COL_LESS_IS_BETTER) != 0,
                            (output.flags & ASSAY_COL_MEAN) != 0,
                            (output.flags & ASSAY_COL_PRIMARY) != 0, output.lo, output.hi});
  }
  return spec;
}

std::size_t place(const MetricSpec& spec, const std::string& name) {
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    if (spec.outputs[i].name == name) return i;
  }
  ADD_FAILURE() << "no output " << name;
  return 0;
}

TaskSpec task_with(std::string_view id, Protocol protocol) {
  TaskSpec task;
  task.protocol = protocol;
  task.group_by = {"kind"};
  task.metrics.push_back(metric(plugins(), id));
  return task;
}

Json choice_row(int index, std::vector<double> loglikelihoods, int target, const char* kind) {
  return {{"index", index},
          {"status", "ok"},
          {"groups", {{"kind", kind}}},
          {"choice_loglikelihoods", loglikelihoods},
          {"choice_greedy", {0, 0}},
          {"choice_tokens", {1, 2}},
          {"choice_bytes", {2, 8}},
          {"choice_chars", {2, 8}},
          {"choices", {"ab", "abcdefgh"}},
          {"target", target}};
}

TEST(Measure, GivesTotalsAndOneSampleARow) {
  const TaskSpec task = task_with("assay/accuracy", Protocol::kMultipleChoice);
  RowTable table(task);
  EXPECT_TRUE(table.add(choice_row(0, {-1, -2}, 0, "x")));  // right; by length -0.5 < -0.25: wrong
  EXPECT_TRUE(table.add(choice_row(1, {-3, -2}, 0, "y")));  // wrong both ways
  EXPECT_TRUE(table.add(choice_row(2, {-3, -2}, 1, "x")));  // right both ways
  Json refused = choice_row(3, {}, 0, "x");
  refused["status"] = "failed";
  EXPECT_FALSE(table.add(refused));
  const MetricSpec& spec = task.metrics[0];
  const auto measured = measure(spec, table, all_rows(table), 1);
  ASSERT_TRUE(measured) << measured.error().text;
  const auto& acc = measured->totals[place(spec, "acc")];
  EXPECT_DOUBLE_EQ(acc.value, 2.0 / 3);
  EXPECT_EQ(acc.n, 3u);
  EXPECT_EQ(measured->samples[place(spec, "acc")], (std::vector<double>{1, 0, 1}));
  EXPECT_EQ(measured->samples[place(spec, "acc_norm")], (std::vector<double>{0, 0, 1}));
}

TEST(GroupsOf, AreNamedByKeyAndValueInOrderOfAppearance) {
  const TaskSpec task = task_with("assay/accuracy", Protocol::kMultipleChoice);
  RowTable table(task);
  for (int i = 0; i < 5; ++i) table.add(choice_row(i, {-1, -2}, 0, i % 2 == 0 ? "x" : "y"));
  const auto groups = groups_of(task, table);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].name, "kind=x");
  EXPECT_EQ(groups[1].name, "kind=y");
  EXPECT_EQ(groups[0].rows, (std::vector<std::uint64_t>{0, 2, 4}));
}

TEST(GroupsOf, SeveralKeysGiveTheirCombinationsToo) {
  TaskSpec task = task_with("assay/accuracy", Protocol::kMultipleChoice);
  task.group_by = {"kind", "year"};
  RowTable table(task);
  for (int i = 0; i < 4; ++i) {
    Json row = choice_row(i, {-1, -2}, 0, i < 2 ? "x" : "y");
    row["groups"]["year"] = i % 2 == 0 ? "2023" : "2024";
    table.add(row);
  }
  std::vector<std::string> names;
  for (const Group& group : groups_of(task, table)) {
    names.push_back(group.name);
    EXPECT_EQ(group.rows.size(), group.name.find(',') == std::string::npos ? 2u : 1u);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"kind=x", "kind=y", "year=2023", "year=2024",
                                             "kind=x,year=2023", "kind=x,year=2024",
                                             "kind=y,year=2023", "kind=y,year=2024"}));
}

TEST(Compare, PairsSamplesItemByItem) {
  const TaskSpec task = task_with("assay/accuracy", Protocol::kMultipleChoice);
  RowTable a(task), b(task);
  // acc of a: 1 1 0 1; of b: 1 0 0 0. Differences 0 -1 0 -1: mean -0.5, sd 0.57735, se 0.288675.
  for (int i = 0; i < 4; ++i) {
    a.add(
        choice_row(i, i == 2 ? std::vector<double>{-2, -1} : std::vector<double>{-1, -2}, 0, "x"));
    b.add(
        choice_row(i, i == 0 ? std::vector<double>{-1, -2} : std::vector<double>{-2, -1}, 0, "x"));
  }
  const MetricSpec& spec = task.metrics[0];
  const auto paired = compare(spec, a, all_rows(a), b, all_rows(b), 1);
  ASSERT_TRUE(paired);
  const Paired& acc = (*paired)[place(spec, "acc")];
  EXPECT_DOUBLE_EQ(acc.baseline, 0.75);
  EXPECT_DOUBLE_EQ(acc.candidate, 0.25);
  EXPECT_DOUBLE_EQ(acc.delta.value, -0.5);
  EXPECT_NEAR(acc.delta.std_error, std::sqrt(1.0 / 12), 1e-15);
}

Json document_row(int index, double nll, int n_tokens) {
  return {{"index", index},
          {"status", "ok"},
          {"groups", {{"kind", "x"}}},
          {"nll", nll},
          {"n_tokens", n_tokens},
          {"n_bytes", 4 * n_tokens},
          {"n_words", n_tokens},
          {"window_nll", {nll / n_tokens}}};
}

TEST(Compare, GivesATotalTheErrorOfTheDeltaMethod) {
  // 400 documents with known scatter. The difference of perplexities exp(r_b) - exp(r_a),
  // linearised in the paired sums, has the error computed below by hand; the jackknife estimates
  // the same.
  const TaskSpec task = task_with("assay/perplexity", Protocol::kPerplexity);
  RowTable a(task), b(task);
  std::vector<double> nll_a, nll_b, tokens;
  for (int i = 0; i < 400; ++i) {
    const int n = 20 + i * 37 % 60;
    const double scatter = std::sin(12.9898 * i) + std::cos(78.233 * i * i);
    const double left = n * (2.5 + 0.2 * scatter);
    const double right = left * 1.02 + n * 0.05 * std::sin(3.7 * i);
    a.add(document_row(i, left, n));
    b.add(document_row(i, right, n));
    nll_a.push_back(left);
    nll_b.push_back(right);
    tokens.push_back(n);
  }
  double sum_a = 0, sum_b = 0, sum_n = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    sum_a += nll_a[i];
    sum_b += nll_b[i];
    sum_n += tokens[i];
  }
  const double r_a = sum_a / sum_n, r_b = sum_b / sum_n;
  double squares = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const double influence =
        std::exp(r_b) * (nll_b[i] - r_b * tokens[i]) - std::exp(r_a) * (nll_a[i] - r_a * tokens[i]);
    squares += influence * influence;
  }
  const double expected = std::sqrt(squares * 400 / 399) / sum_n;

  const MetricSpec& spec = task.metrics[0];
  const auto paired = compare(spec, a, all_rows(a), b, all_rows(b), 1);
  ASSERT_TRUE(paired) << paired.error().text;
  const Paired& perplexity = (*paired)[place(spec, "perplexity")];
  EXPECT_NEAR(perplexity.baseline, std::exp(r_a), 1e-12 * std::exp(r_a));
  EXPECT_NEAR(perplexity.delta.value, std::exp(r_b) - std::exp(r_a), 1e-11);
  // Leaving out single items differs from the linearisation by O(1 / n) = 1 / 400.
  EXPECT_NEAR(perplexity.delta.std_error, expected, 0.005 * expected);

  // By 20 blocks, running the metric on what is left of each: a standard deviation from 20 values
  // has a relative error of about 1 / sqrt(2 * 19) = 16 %.
  std::vector<double> left_a, left_b;
  for (std::uint64_t block = 0; block < kJackknifeBlocks; ++block) {
    std::vector<std::uint64_t> kept;
    for (std::uint64_t row = 0; row < 400; ++row) {
      if (block_of(row, 400, kJackknifeBlocks) != block) kept.push_back(row);
    }
    left_a.push_back(measure(spec, a, kept, 1)->totals[place(spec, "perplexity")].value);
    left_b.push_back(measure(spec, b, kept, 1)->totals[place(spec, "perplexity")].value);
  }
  EXPECT_NEAR(jackknife_error(left_a, left_b), perplexity.delta.std_error,
              0.4 * perplexity.delta.std_error);
}

TEST(Compare, LeavesOutEachItemOfATotalThatFollowsFromSums) {
  // Log-likelihoods -1 -2 -3 -0.5 against certainty, whose perplexity is 1 whatever is left out.
  const TaskSpec task = task_with("assay/likelihood", Protocol::kContinuation);
  RowTable certain(task), doubtful(task);
  const double nats[] = {1, 2, 3, 0.5};
  for (int i = 0; i < 4; ++i) {
    const auto row = [i](double loglikelihood) -> Json {
      return {{"index", i},
              {"status", "ok"},
              {"groups", {{"kind", "x"}}},
              {"loglikelihood", loglikelihood},
              {"greedy", true}};
    };
    certain.add(row(0));
    doubtful.add(row(-nats[i]));
  }
  const MetricSpec& spec = task.metrics[0];
  const auto paired = compare(spec, certain, all_rows(certain), doubtful, all_rows(doubtful), 1);
  ASSERT_TRUE(paired) << paired.error().text;
  const Paired& perplexity = (*paired)[place(spec, "perplexity")];
  EXPECT_NEAR(perplexity.delta.value, std::exp(6.5 / 4) - 1, 1e-13);
  // By hand: sqrt(3/4 * sum (x_i - mean)^2) over x_i = exp((6.5 - nats_i) / 3).
  double mean = 0, squares = 0;
  for (const double own : nats) mean += std::exp((6.5 - own) / 3) / 4;
  for (const double own : nats) squares += std::pow(std::exp((6.5 - own) / 3) - mean, 2);
  EXPECT_NEAR(perplexity.delta.std_error, std::sqrt(0.75 * squares), 1e-12);
  // The delta method's value, 5.0784190 * sqrt(3.6875 / 12), is of first order: 1.3 % away here.
  EXPECT_NEAR(perplexity.delta.std_error, 2.8151655, 0.02 * 2.8151655);
}

TEST(MeasureWithErrors, OfAMeanThatIsATotalIsThatOfTheMean) {
  // One window a document: their mean perplexity is a mean of samples, of which the jackknife by
  // single items is sd / sqrt(n), an identity that no blocks give.
  const TaskSpec task = task_with("assay/perplexity", Protocol::kPerplexity);
  RowTable table(task);
  std::vector<double> perplexities;
  for (int i = 0; i < 1500; ++i) {
    const double nll = 2.5 + 0.4 * std::sin(12.9898 * i);
    table.add(document_row(i, nll * 20, 20));
    perplexities.push_back(std::exp(nll * 20 / 20));
  }
  const MetricSpec& spec = task.metrics[0];
  const auto measured = measure_with_errors(spec, table, all_rows(table), 1);
  ASSERT_TRUE(measured) << measured.error().text;
  const double expected = mean_of(perplexities).std_error;
  // Differences of 1e-4 between left-out totals of about 12: 1e-12 of them is lost in rounding.
  EXPECT_NEAR(measured->totals[place(spec, "mean_window_perplexity")].std_error, expected,
              1e-9 * expected);
}

TEST(MeasureWithErrors, AFaultyTableOfSumsIsTheMetricsFault) {
  const Registry fakes = Registry::scan({ASSAY_TEST_FAKES});
  const auto said = [&](std::string_view id) {
    TaskSpec task;
    task.protocol = Protocol::kContinuation;
    task.metrics.push_back(metric(fakes, id));
    RowTable table(task);
    for (int i = 0; i < 3; ++i) {
      table.add({{"index", i}, {"status", "ok"}, {"groups", Json::object()}});
    }
    const auto measured = measure_with_errors(task.metrics[0], table, all_rows(table), 1);
    if (!measured) return measured.error().text;
    const double error = measured->totals[0].std_error;
    return std::isnan(error) ? std::string("not known") : std::to_string(error);
  };
  EXPECT_EQ(said("fake/ext-sums"), "0.000000");
  EXPECT_EQ(said("fake/ext-sums-nan"), "not known");
  EXPECT_EQ(said("fake/ext-sums-fails"), "fake/ext-sums-fails: these sums are too large");
  EXPECT_EQ(said("fake/ext-sums-not-whole"),
            "fake/ext-sums-not-whole: misbehaviour: its assay.metric.sums/1 is not whole");
}

TEST(MeasureWithErrors, LeavesNoOutputOfPerplexityWithoutAnError) {
  const TaskSpec task = task_with("assay/perplexity", Protocol::kPerplexity);
  RowTable table(task);
  for (int i = 0; i < 60; ++i) table.add(document_row(i, 40 + i % 7, 20));
  const auto measured = measure_with_errors(task.metrics[0], table, all_rows(table), 1);
  ASSERT_TRUE(measured) << measured.error().text;
  for (std::size_t i = 0; i < measured->totals.size(); ++i) {
    EXPECT_TRUE(std::isfinite(measured->totals[i].std_error)) << task.metrics[0].outputs[i].name;
    EXPECT_GT(measured->totals[i].std_error, 0) << task.metrics[0].outputs[i].name;
  }
}

TEST(Measure, PassesOnWhatTheMetricReports) {
  const TaskSpec task = task_with("assay/perplexity", Protocol::kPerplexity);
  RowTable table(task);
  Json empty = document_row(0, 0, 1);
  for (const char* count : {"n_tokens", "n_bytes", "n_words"}) empty[count] = 0;
  ASSERT_TRUE(table.add(empty));
  const auto measured = measure(task.metrics[0], table, all_rows(table), 1);
  ASSERT_FALSE(measured);
  EXPECT_NE(measured.error().text.find("zero tokens"), std::string::npos) << measured.error().text;
}

}  // namespace
}  // namespace assay::host
