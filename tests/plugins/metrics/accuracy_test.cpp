#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "tests/plugins/metrics/reference.hpp"
#include "tests/plugins/plugin_host.hpp"
#include "tests/plugins/test_files.hpp"

namespace plugin_test {
namespace {

Json item(std::vector<double> loglikelihoods, std::vector<std::int64_t> chars,
          std::int64_t target) {
  return {{"choice_loglikelihoods", std::move(loglikelihoods)},
          {"choice_chars", std::move(chars)},
          {"target", target}};
}

TEST(Accuracy, TakesTheLikeliestChoiceAndForNormTheLikeliestPerCharacter) {
  // Per character: -2/1, -3/3, -9/9 and then the first of the two equal ones wins.
  const Measured m =
      measure("assay/accuracy", {item({-2, -3, -9}, {1, 3, 9}, 0), item({-2, -3, -9}, {1, 3, 9}, 1),
                                 item({-2, -3, -9}, {1, 3, 9}, 2)});
  ASSERT_EQ(m.said.text, "");
  EXPECT_EQ(m.samples.at("acc"), (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(m.samples.at("acc_norm"), (std::vector<double>{0, 1, 0}));
}

TEST(Accuracy, GivesTheFirstOfEqualChoices) {
  const Measured m =
      measure("assay/accuracy", {item({-1, -1}, {2, 2}, 0), item({-1, -1}, {2, 2}, 1)});
  EXPECT_EQ(m.samples.at("acc"), (std::vector<double>{1, 0}));
}

TEST(Accuracy, CountsATargetOutsideTheChoicesAsWrong) {
  const Measured m = measure("assay/accuracy", {item({-1}, {1}, -1), item({-1}, {1}, 1)});
  ASSERT_EQ(m.said.text, "");
  EXPECT_EQ(m.samples.at("acc"), (std::vector<double>{0, 0}));
}

TEST(Accuracy, NeverPrefersAChoiceWithoutCharacters) {
  const Measured m =
      measure("assay/accuracy", {item({-0.1, -9}, {0, 2}, 1), item({0, 0}, {0, 0}, 0)});
  ASSERT_EQ(m.said.text, "");
  EXPECT_EQ(m.samples.at("acc"), (std::vector<double>{0, 1}));
  EXPECT_EQ(m.samples.at("acc_norm"), (std::vector<double>{1, 1}));
}

TEST(Accuracy, HasTheMeanAndItsStandardError) {
  // scoring.md 16: mean_stderr([1,0,1,1]) = 0.25.
  const Measured m =
      measure("assay/accuracy", {item({-1, -2}, {1, 1}, 0), item({-1, -2}, {1, 1}, 1),
                                 item({-1, -2}, {1, 1}, 0), item({-1, -2}, {1, 1}, 0)});
  EXPECT_DOUBLE_EQ(m.totals.at("acc").value, 0.75);
  EXPECT_NEAR(m.totals.at("acc").std_error, 0.25, 1e-12);
  EXPECT_EQ(m.totals.at("acc").n, 4u);
}

/// A task with `right` of `n` items right.
Measured measure_share(int right, int n) {
  std::vector<Json> items;
  for (int i = 0; i < n; ++i) items.push_back(item({-1, -2}, {1, 1}, i < right ? 0 : 1));
  return measure("assay/accuracy", items, 7);
}

TEST(Accuracy, HasTheStandardErrorsOfTheHarness) {
  // scoring.md 16, subtasks 7/10 and 30/100, to nine digits.
  EXPECT_NEAR(measure_share(7, 10).totals.at("acc").std_error, 0.152752523, 1e-9);
  EXPECT_NEAR(measure_share(30, 100).totals.at("acc").std_error, 0.046056619, 1e-9);
  EXPECT_NEAR(measure_share(37, 110).totals.at("acc").std_error, 0.045253936, 1e-9);
}

TEST(Accuracy, OfOneItemHasNoStandardError) {
  EXPECT_TRUE(std::isnan(measure_share(1, 1).totals.at("acc").std_error));
}

TEST(Accuracy, RefusesListsThatDoNotFitTogether) {
  EXPECT_EQ(
      measure("assay/accuracy", {item({-1, -2}, {1}, 0)}).said.text,
      "row 0: choice_loglikelihoods has 2 elements and choice_chars has 1; both must have one for "
      "each choice");
  EXPECT_EQ(measure("assay/accuracy", {item({}, {}, 0)}).said.text,
            "row 0: the item has no choices");
  EXPECT_EQ(measure("assay/accuracy", {item({-1}, {-2}, 0)}).said.text,
            "row 0: choice 0 has -2 characters, and a count cannot be negative");
  Json bad = item({-1, -2}, {1, 1}, 0);
  bad["choice_loglikelihoods"][1] = nullptr;
  EXPECT_EQ(measure("assay/accuracy", {bad}).said.text,
            "row 0: the log-likelihood of choice 1 is not a number");
}

void expect_harness(const std::vector<Json>& items, const std::vector<Json>& expected,
                    const Json& results) {
  const Measured m = measure("assay/accuracy", items);
  ASSERT_EQ(m.said.text, "");
  for (const char* name : {"acc", "acc_norm"}) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      EXPECT_EQ(m.samples.at(name)[i], expected[i].at(name).get<double>()) << name << " item " << i;
    }
    EXPECT_NEAR(m.totals.at(name).value, results.at(name).get<double>(), 1e-12);
    EXPECT_NEAR(m.totals.at(name).std_error,
                results.at(std::string(name) + "_stderr").get<double>(), 1e-12);
  }
}

TEST(Accuracy, AgreesWithTheHarnessItemByItem) {
  const Json& reference = reference_numbers().at("arc_challenge");
  std::vector<Json> items, expected;
  for (const Json& row : reference.at("rows")) {
    items.push_back(item(row.at("ll"), row.at("chars"), row.at("target")));
    expected.push_back(row);
  }
  expect_harness(items, expected, reference);
}

std::int64_t characters_of(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

TEST(Accuracy, AgreesWithEveryArcEasyItemOfTheOracle) {
  const std::string folder = "reference/oracle/tinystories-656k/";
  const std::string questions = shared_file("data/benchmarks/arc/arc_easy_test.jsonl");
  if (questions.empty() || shared_file(folder + "arc_easy-0shot.results.json").empty()) {
    GTEST_SKIP() << "needs the shared reference data (ASSAY_SHARED)";
  }
  std::vector<Json> records;
  std::ifstream in(questions);
  for (std::string line; std::getline(in, line);) records.push_back(Json::parse(line));
  const std::vector<Json> samples = gzipped_lines(folder + "arc_easy-0shot.samples.jsonl.gz");
  std::vector<Json> items;
  for (const Json& sample : samples) {
    std::vector<std::int64_t> chars;
    for (const Json& choice : records.at(sample.at("doc_id")).at("choices")) {
      chars.push_back(characters_of(choice));
    }
    items.push_back(item(sample.at("ll"), std::move(chars), sample.at("target")));
  }
  // results.json, rounded to six digits in the oracle's README.
  const Json found = Json::parse(read_file(shared_file(folder + "arc_easy-0shot.results.json")));
  const Json& raw = found.at("results").at("arc_easy");
  expect_harness(items, samples,
                 {{"acc", raw.at("acc,none")},
                  {"acc_stderr", raw.at("acc_stderr,none")},
                  {"acc_norm", raw.at("acc_norm,none")},
                  {"acc_norm_stderr", raw.at("acc_norm_stderr,none")}});
}

}  // namespace
}  // namespace plugin_test
