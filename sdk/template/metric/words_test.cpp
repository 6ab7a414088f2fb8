#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>

namespace check = assay::check;

TEST(Words, AreCountedAndAveraged) {
  check::FakeHost host;
  const check::Created metric(*assay_plugin_v1.components[0], host);
  ASSERT_EQ(metric.status(), ASSAY_OK);
  const check::Table rows({{"output"}}, [](assay::Builder& table) {
    for (const char* output : {"two  words\n", "", "and now four words"}) {
      table.child(0).append_text(output);
      table.end_struct();
    }
  });
  check::SpyValues values;
  const auto& api = metric.api<assay_metric_v1>();
  ASSERT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &values.sink, nullptr),
            ASSAY_OK);
  ASSERT_EQ(api.finish(metric.self(), &values.sink, nullptr), ASSAY_OK);
  ASSERT_EQ(values.samples.size(), 3U);
  EXPECT_EQ(values.samples[0].value, 2);
  EXPECT_EQ(values.samples[1].value, 0);
  EXPECT_EQ(values.samples[2].value, 4);
  EXPECT_EQ(values.totals[0].value, 2);
}
