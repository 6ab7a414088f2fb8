// The example plugins of the SDK's design and the one in plain C, loaded and driven through the
// bare ABI the way a host does it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <assay/sample.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/open_plugin.hpp"

namespace assay {
namespace {

using check::Created;
using check::FakeHost;
using check::fresh_error;
using check::Options;
using check::SpyResults;
using check::SpyValues;
using check::Table;

const assay_plugin& plugin(const std::string& name) {
  return test::open_plugin(std::string(ASSAY_TEST_PLUGINS) + "/" + name + ".so");
}
const assay_component& component(const std::string& name) { return *plugin(name).components[0]; }

std::string temporary(const std::string& name) {
  return (std::filesystem::path(testing::TempDir()) / ("assay-sdk-" + name)).string();
}

TEST(ExamplePlugins, DescribeThemselvesInConstants) {
  const assay_plugin& metrics = plugin("example-exact-match");
  EXPECT_EQ(metrics.struct_size, sizeof(assay_plugin));
  EXPECT_EQ(metrics.abi_major, 1);
  EXPECT_EQ(metrics.abi_minor, 0);
  EXPECT_STREQ(metrics.id, "acme/metrics");
  EXPECT_STREQ(metrics.vendor, "Acme");
  EXPECT_STREQ(metrics.license, "Apache-2.0");
  ASSERT_EQ(metrics.n_components, 1U);

  const assay_component& match = *metrics.components[0];
  EXPECT_EQ(match.kind, ASSAY_METRIC);
  EXPECT_STREQ(match.id, "acme/exact-match");
  EXPECT_EQ(match.caps, std::uint64_t{ASSAY_CAP_DETERMINISTIC});
  ASSERT_EQ(match.n_options, 1U);
  EXPECT_EQ(match.options[0]->struct_size, sizeof(assay_option));
  EXPECT_EQ(match.options[0]->type, ASSAY_BOOL);
  EXPECT_STREQ(match.options[0]->name, "ignore_case");
  EXPECT_STREQ(match.options[0]->fallback, "false");
  EXPECT_EQ(match.options[0]->flags, 0U);
  EXPECT_GT(match.options[0]->lo, match.options[0]->hi) << "unbounded";
  ASSERT_EQ(match.n_columns, 2U);
  EXPECT_STREQ(match.columns[1]->name, "target");
  ASSERT_EQ(match.n_outputs, 1U);
  EXPECT_EQ(match.outputs[0]->flags, std::uint64_t{ASSAY_COL_MEAN | ASSAY_COL_PRIMARY});
  EXPECT_EQ(match.outputs[0]->lo, 0);
  EXPECT_EQ(match.outputs[0]->hi, 1);

  const assay_option& file = *component("example-tsv-pairs").options[0];
  EXPECT_EQ(file.type, ASSAY_PATH_IN);
  EXPECT_EQ(file.flags, std::uint64_t{ASSAY_OPT_REQUIRED});
  EXPECT_EQ(file.fallback, nullptr);
  const assay_option& vocab = *component("example-uniform").options[0];
  EXPECT_EQ(vocab.lo, 2);
  EXPECT_EQ(vocab.hi, 1 << 20);
}

TEST(ExampleMetric, ScoresRowsAndTheirMean) {
  FakeHost host;
  const Created metric(component("example-exact-match"), host, {{"ignore_case", true}});
  ASSERT_EQ(metric.status(), ASSAY_OK);
  const Table rows({{"target"}, {"output"}}, [](Builder& table) {
    for (const auto& [target, output] : {std::pair{"Yes", "yes"}, {"no", "no"}, {"no", "maybe"}}) {
      table.child(0).append_text(target);
      table.child(1).append_text(output);
      table.end_struct();
    }
  });
  SpyValues values;
  const auto& api = metric.api<assay_metric_v1>();
  ASSERT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &values.sink, nullptr),
            ASSAY_OK);
  ASSERT_EQ(api.finish(metric.self(), &values.sink, nullptr), ASSAY_OK);
  ASSERT_EQ(values.samples.size(), 3U);
  EXPECT_EQ(values.samples[0].value, 1);
  EXPECT_EQ(values.samples[2].value, 0);
  ASSERT_EQ(values.totals.size(), 1U);
  EXPECT_EQ(values.totals[0].name, "exact_match");
  EXPECT_NEAR(values.totals[0].value, 2.0 / 3, 1e-15);  // one rounding
  // By hand: samples 1 1 0 have variance 1/3, so the mean has sqrt(1/9).
  EXPECT_NEAR(values.totals[0].std_error, 1.0 / 3, 1e-15);
  EXPECT_EQ(values.totals[0].n, 3U);
}

TEST(ExampleDataset, StreamsItsFileTwice) {
  const std::string path = temporary("pairs.tsv");
  std::ofstream(path) << "2+2?\t4\ncapital of France?\tParis\n";
  FakeHost host;
  const Created dataset(component("example-tsv-pairs"), host, {{"file", path}});
  ASSERT_EQ(dataset.status(), ASSAY_OK);
  for (int round = 0; round < 2; ++round) {
    Stream stream;
    ASSERT_EQ(dataset.api<assay_dataset_v1>().open(dataset.self(), {"", 0}, stream.out(), nullptr),
              ASSAY_OK);
    const Schema schema = read_schema(stream, "pairs");
    const auto batch = read_batch(stream, "pairs");
    ASSERT_TRUE(batch);
    const Rows rows(*schema, **batch);
    ASSERT_EQ(rows.size(), 2);
    EXPECT_EQ(rows[0].text("question"), "2+2?");
    EXPECT_EQ(rows[1].text("target"), "Paris");
    EXPECT_FALSE(read_batch(stream, "pairs"));
  }
}

TEST(ExampleDataset, SaysWhichFileIsMissing) {
  FakeHost host;
  const Created dataset(component("example-tsv-pairs"), host, {{"file", "/nowhere/x.tsv"}});
  Stream stream;
  assay_error error = fresh_error();
  EXPECT_EQ(dataset.api<assay_dataset_v1>().open(dataset.self(), {"", 0}, stream.out(), &error),
            ASSAY_NOT_FOUND);
  EXPECT_STREQ(error.where, "file");
  EXPECT_STREQ(error.text, "cannot open /nowhere/x.tsv");
  EXPECT_FALSE(stream) << "nothing is handed out on failure";
}

TEST(ExampleDataset, NamesTheOptionItLacks) {
  FakeHost host;
  const Created dataset(component("example-tsv-pairs"), host);
  EXPECT_EQ(dataset.status(), ASSAY_NOT_FOUND);
  EXPECT_EQ(dataset.self(), nullptr);
  EXPECT_STREQ(dataset.error().where, "file");
  EXPECT_STREQ(dataset.error().text, "option \"file\" has no value");
}

TEST(ExampleBackend, LoadsAndScoresEveryTokenAlike) {
  FakeHost host;
  const Created backend(component("example-uniform"), host, {{"vocab", std::int64_t{256}}});
  const auto& api = backend.api<assay_backend_v1>();
  EXPECT_EQ(api.estimate, nullptr);
  EXPECT_EQ(api.quantize, nullptr);
  assay_job job{};
  job.struct_size = sizeof job;
  assay_model_info info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(api.load(backend.self(), &job, &info, nullptr), ASSAY_OK);
  EXPECT_EQ(info.vocab, 256U);
  EXPECT_EQ(info.bos, -1);
  EXPECT_EQ(info.struct_size, sizeof info);

  const std::int32_t tokens[] = {1, 2, 3, 4};
  const assay_request requests[] = {
      {11, ASSAY_REQ_SCORE, ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY, tokens, 4, 1, 0, 0, nullptr},
      {12, ASSAY_REQ_SCORE, ASSAY_WANT_LOGPROBS, tokens, 4, 4, 0, 0, nullptr}};
  const assay_batch batch{sizeof(assay_batch), 0, 2, sizeof(assay_request), requests};
  SpyResults results;
  ASSERT_EQ(api.run(backend.self(), &batch, &results.sink, nullptr), ASSAY_OK);
  ASSERT_EQ(results.answers.size(), 2U);
  EXPECT_THAT(results.answers[11].logprobs, testing::Each(testing::FloatEq(-std::log(256.0F))));
  EXPECT_EQ(results.answers[11].logprobs.size(), 3U);
  EXPECT_EQ(results.answers[11].n_done, 1);
  EXPECT_TRUE(results.answers[12].logprobs.empty()) << "first = n_tokens scores nothing";
  EXPECT_EQ(results.answers[12].n_done, 1);
}

/// A report with one table "totals" of two rows.
struct StubReport {
  std::string run_json = "{\"schema\": \"assay.run/1\"}";
  assay_report report{
      sizeof(assay_report),
      0,
      this,
      {run_json.data(), run_json.size()},
      [](void*, assay_str name, ArrowArrayStream* out, assay_error* error) noexcept {
        if (view_of(name) != "totals") {
          return put(error, ASSAY_NOT_FOUND, "", "there is no table " + std::string(view_of(name)));
        }
        const std::vector<Field> columns = {{"variant"}, {"metric"}, {"value", Type::kFloat64}};
        *out = make_stream(columns, [columns, n = 0](ArrowArray* batch) mutable {
          if (n++ == 2) return false;
          Builder table(table_of(columns));
          table.child(0).append_text(n == 1 ? "base" : "int4");
          table.child(1).append_text("acc");
          table.child(2).append_float(n == 1 ? 0.5 : 0.25);
          table.end_struct();
          *batch = table.finish();
          return true;
        });
        return assay_status{ASSAY_OK};
      }};
};

TEST(ExampleReporter, WritesEachTotalOnce) {
  const std::string path = temporary("report.md");
  FakeHost host;
  const Created reporter(component("example-markdown"), host, {{"file", path}});
  const StubReport stub;
  const auto& api = reporter.api<assay_reporter_v1>();
  ASSERT_EQ(api.write(reporter.self(), &stub.report, nullptr), ASSAY_OK);
  std::ifstream file(path);
  EXPECT_EQ(
      std::string(std::istreambuf_iterator<char>(file), {}),
      "| variant | metric | value |\n|---|---|---|\n| base | acc | 0.5 |\n| int4 | acc | 0.25 |\n");
  assay_error error = fresh_error();
  EXPECT_EQ(api.write(reporter.self(), &stub.report, &error), ASSAY_FAILED_PRECONDITION);
  EXPECT_STREQ(error.text, "write was called a second time");
}

TEST(ExampleReporter, SaysWhatItCannotWrite) {
  FakeHost host;
  const Created reporter(component("example-markdown"), host, {{"file", "/nowhere/r.md"}});
  const StubReport stub;
  assay_error error = fresh_error();
  EXPECT_EQ(reporter.api<assay_reporter_v1>().write(reporter.self(), &stub.report, &error),
            ASSAY_UNAVAILABLE);
  EXPECT_STREQ(error.text, "cannot write /nowhere/r.md");
}

TEST(PlainCPlugin, CountsRows) {
  FakeHost host;
  const Created metric(component("plain-c"), host);
  ASSERT_EQ(metric.status(), ASSAY_OK);
  const Table rows({{"x"}}, [](Builder& table) {
    for (int i = 0; i < 5; ++i) {
      table.child(0).append_text("a");
      table.end_struct();
    }
  });
  SpyValues values;
  const auto& api = metric.api<assay_metric_v1>();
  assay_error error = fresh_error();
  EXPECT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &values.sink, &error), ASSAY_OK);
  EXPECT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &values.sink, &error), ASSAY_OK);
  EXPECT_EQ(api.finish(metric.self(), &values.sink, &error), ASSAY_OK);
  ASSERT_EQ(values.totals.size(), 1U);
  EXPECT_EQ(values.totals[0].value, 10);
}

TEST(EveryPlugin, MayBeDestroyedWithoutAnInstance) {
  for (const char* name : {"example-exact-match", "example-tsv-pairs", "example-uniform",
                           "example-markdown", "plain-c"}) {
    component(name).destroy(nullptr);
  }
}

}  // namespace
}  // namespace assay
