#include <gtest/gtest.h>

#include <assay/arrow.hpp>
#include <assay/check/fake_host.hpp>
#include <assay/sample.hpp>
#include <cstdint>

namespace check = assay::check;

TEST(MyPlugin, GivesEverySumOnce) {
  check::FakeHost host;
  const check::Created dataset(*assay_plugin_v1.components[0], host,
                               {{"largest", std::int64_t{1}}});
  ASSERT_EQ(dataset.status(), ASSAY_OK);
  assay::Stream stream;
  ASSERT_EQ(dataset.api<assay_dataset_v1>().open(dataset.self(), {"", 0}, stream.out(), nullptr),
            ASSAY_OK);
  const assay::Schema schema = assay::read_schema(stream, "numbers");
  const auto batch = assay::read_batch(stream, "numbers");
  ASSERT_TRUE(batch);
  const assay::Rows rows(*schema, **batch);
  ASSERT_EQ(rows.size(), 4);
  EXPECT_EQ(rows[3].text("question"), "1+1=");
  EXPECT_EQ(rows[3].integer("sum"), 2);
  EXPECT_FALSE(assay::read_batch(stream, "numbers"));
}

TEST(MyPlugin, HasNoSplits) {
  check::FakeHost host;
  const check::Created dataset(*assay_plugin_v1.components[0], host,
                               {{"largest", std::int64_t{1}}});
  assay::Stream stream;
  assay_error error = check::fresh_error();
  EXPECT_EQ(dataset.api<assay_dataset_v1>().open(dataset.self(), {"test", 4}, stream.out(), &error),
            ASSAY_NOT_FOUND);
  EXPECT_STREQ(error.text, "there is no split \"test\"; leave split out");
}
