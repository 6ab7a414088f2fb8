#include "triage.hpp"

#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <assay/sample.hpp>
#include <cstdint>
#include <fstream>
#include <map>
#include <string>

#include "cases.hpp"

namespace check = assay::check;

TEST(Level, IsTheFirstNumberFromOneToFiveThatStandsAlone) {
  EXPECT_EQ(level_in("Level 3."), 3);
  EXPECT_EQ(level_in("within 15 minutes, so 2"), 2);
  EXPECT_EQ(level_in("7 of 10 would say 4"), 4);
  EXPECT_EQ(level_in("10"), std::nullopt);
  EXPECT_EQ(level_in(""), std::nullopt);
}

TEST(Triage, CountsDistanceAndSide) {
  check::FakeHost host;
  const check::Created metric(*assay_plugin_v1.components[1], host, {{"per_level", 0.25}});
  ASSERT_EQ(metric.status(), ASSAY_OK);
  const check::Table rows({{"output"}, {"target"}}, [](assay::Builder& table) {
    for (const auto& [output, target] :
         {std::pair{"2", "2"}, {"4", "2"}, {"1", "2"}, {"see a doctor", "5"}}) {
      table.child(0).append_text(output);
      table.child(1).append_text(target);
      table.end_struct();
    }
  });
  check::SpyValues values;
  const auto& api = metric.api<assay_metric_v1>();
  ASSERT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &values.sink, nullptr),
            ASSAY_OK);
  ASSERT_EQ(api.finish(metric.self(), &values.sink, nullptr), ASSAY_OK);
  std::map<std::string, double> totals;
  for (const check::SpyTotal& total : values.totals) totals[total.name] = total.value;
  EXPECT_EQ(totals["agreement"], (1 + 0.5 + 0.75 + 0) / 4);
  EXPECT_EQ(totals["under_triage"], 0.5);
  EXPECT_EQ(totals["unreadable"], 0.25);
}

TEST(Triage, RefusesATargetThatIsNoLevel) {
  check::FakeHost host;
  const check::Created metric(*assay_plugin_v1.components[1], host, {{"per_level", 0.5}});
  const check::Table rows({{"output"}, {"target"}}, [](assay::Builder& table) {
    table.child(0).append_text("1");
    table.child(1).append_text("soon");
    table.end_struct();
  });
  check::SpyValues values;
  assay_error error = check::fresh_error();
  EXPECT_EQ(metric.api<assay_metric_v1>().update(metric.self(), rows.schema(), rows.array(),
                                                 &values.sink, &error),
            ASSAY_INVALID_ARGUMENT);
  EXPECT_STREQ(error.text, "row 0: the target \"soon\" is no level from 1 to 5");
}

/// Categories of all cases, or the error of reading them.
std::string read_cases(const std::string& path, std::map<std::string, int>& categories) {
  check::FakeHost host;
  const check::Created dataset(*assay_plugin_v1.components[0], host, {{"path", path}});
  assay::Stream stream;
  assay_error error = check::fresh_error();
  if (dataset.api<assay_dataset_v1>().open(dataset.self(), {"", 0}, stream.out(), &error) !=
      ASSAY_OK) {
    return error.text;
  }
  try {
    const assay::Schema schema = assay::read_schema(stream, "cases");
    while (const auto batch = assay::read_batch(stream, "cases")) {
      const assay::Rows rows(*schema, **batch);
      for (std::int64_t i = 0; i < rows.size(); ++i) {
        ++categories[std::string(rows[i].text("category"))];
      }
    }
  } catch (const assay::Error& failure) {
    return failure.what();
  }
  return "";
}

TEST(Cases, HaveEightOfEachCategory) {
  std::map<std::string, int> categories;
  EXPECT_EQ(read_cases(CASES, categories), "");
  EXPECT_EQ(categories, (std::map<std::string, int>{
                            {"chest", 8}, {"child", 8}, {"head", 8}, {"injury", 8}, {"skin", 8}}));
}

TEST(Cases, NameTheLineThatIsWrong) {
  const std::string path = testing::TempDir() + "/cases.tsv";
  std::ofstream(path) << "chest\t1\tpain\nchest\tsoon\tpain\n";
  std::map<std::string, int> categories;
  EXPECT_NE(read_cases(path, categories).find(path + ":2: the level is \"soon\"; expected 1 to 5"),
            std::string::npos);
  EXPECT_EQ(read_cases("/nowhere.tsv", categories), "cannot open /nowhere.tsv");
}
