#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <cstdint>

namespace check = assay::check;

namespace {

/// Samples and totals of three outputs.
void measure(std::int64_t min_letters, check::SpyValues& values) {
  check::FakeHost host;
  const check::Created metric(*assay_plugin_v1.components[0], host, {{"min_letters", min_letters}});
  ASSERT_EQ(metric.status(), ASSAY_OK);
  const check::Table rows({{"output"}}, [](assay::Builder& table) {
    for (const char* output : {"two  words\n", "", "and now ein längeres"}) {
      table.child(0).append_text(output);
      table.end_struct();
    }
  });
  const auto& api = metric.api<assay_metric_v1>();
  ASSERT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &values.sink, nullptr),
            ASSAY_OK);
  ASSERT_EQ(api.finish(metric.self(), &values.sink, nullptr), ASSAY_OK);
  ASSERT_EQ(values.samples.size(), 3U);
  ASSERT_EQ(values.totals.size(), 1U);
}

}  // namespace

TEST(MyPlugin, CountsWordsAndAveragesThem) {
  check::SpyValues values;
  measure(1, values);
  EXPECT_EQ(values.samples[0].value, 2);
  EXPECT_EQ(values.samples[1].value, 0);
  EXPECT_EQ(values.samples[2].value, 4);
  EXPECT_EQ(values.totals[0].value, 2);
}

TEST(MyPlugin, LeavesShortWordsOut) {
  check::SpyValues values;
  measure(8, values);
  EXPECT_EQ(values.samples[0].value, 0);
  EXPECT_EQ(values.samples[2].value, 1);
}
