// Plugins built long ago, or with a header to come, called the way a host calls them: describe,
// create, a whole chain of calls of each kind. Compiled twice: with the header of today, and as a
// host of the next minor, whose structs are longer (ASSAY_ABI_MINOR > 0, filled with rubbish).
#include <gtest/gtest.h>

#include <assay/arrow.hpp>
#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <assay/sample.hpp>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/open_plugin.hpp"

namespace assay {
namespace {

namespace fs = std::filesystem;
using check::Created;
using check::FakeHost;
using check::Options;

/// Fills what only a newer host knows. A plugin neither reads it nor writes it.
template <class T>
T& spoil([[maybe_unused]] T& value) {
#if ASSAY_ABI_MINOR > 0
  std::memset(value.newer, 0xAB, sizeof value.newer);
#endif
  return value;
}
template <class T>
bool is_spoilt([[maybe_unused]] const T& value) {
#if ASSAY_ABI_MINOR > 0
  return value.newer[0] == 0xABABABABABABABAB && value.newer[1] == 0xABABABABABABABAB;
#else
  return true;
#endif
}

class KeptPlugin : public testing::TestWithParam<fs::path> {
 protected:
  const assay_component& component(const std::string& name) {
    for (std::uint64_t i = 0; i < plugin_.n_components; ++i) {
      const std::string id = plugin_.components[i]->id;
      if (id.substr(id.find('/') + 1) == name) return *plugin_.components[i];
    }
    throw std::runtime_error("no component " + name);
  }

  const assay_plugin& plugin_ = test::open_plugin(GetParam().string());
  FakeHost host_;
  assay_error error_ = check::fresh_error();
};

TEST_P(KeptPlugin, SaysWhatItIs) {
  EXPECT_EQ(plugin_.abi_major, 1);
  EXPECT_GE(plugin_.struct_size, 64U);
  ASSERT_GE(plugin_.n_components, 4U);
  EXPECT_EQ(component("match").kind, ASSAY_METRIC);
  EXPECT_EQ(component("count").kind, ASSAY_DATASET);
  EXPECT_EQ(component("even").kind, ASSAY_BACKEND);
  EXPECT_EQ(component("document").kind, ASSAY_REPORTER);
  EXPECT_STREQ(component("even").options[0]->name, "vocab");
  EXPECT_EQ(component("match").outputs[0]->flags,
            std::uint64_t{ASSAY_COL_MEAN | ASSAY_COL_PRIMARY});
}

TEST_P(KeptPlugin, Measures) {
  const Created metric(component("match"), host_, {{"first_letter", true}});
  ASSERT_EQ(metric.status(), ASSAY_OK) << metric.error().text;
  const check::Table rows({{"target"}, {"output"}}, [](Builder& table) {
    for (const auto& [target, output] : {std::pair{"yes", "yo"}, {"no", "no"}, {"no", "maybe"}}) {
      table.child(0).append_text(target);
      table.child(1).append_text(output);
      table.end_struct();
    }
  });
  check::SpyValues values;
  assay_value_sink sink = values.sink;
  const auto& api = metric.api<assay_metric_v1>();
  ASSERT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &spoil(sink), &error_), ASSAY_OK)
      << error_.text;
  ASSERT_EQ(api.finish(metric.self(), &sink, &error_), ASSAY_OK) << error_.text;
  ASSERT_EQ(values.samples.size(), 3U);
  EXPECT_EQ(values.samples[0].value, 1);
  EXPECT_EQ(values.samples[2].value, 0);
  ASSERT_EQ(values.totals.size(), 1U);
  EXPECT_DOUBLE_EQ(values.totals[0].value, 2.0 / 3);  // one division
  EXPECT_EQ(api.finish(metric.self(), &sink, &error_), ASSAY_FAILED_PRECONDITION);
  EXPECT_STREQ(error_.text, "finish was called a second time");
}

TEST_P(KeptPlugin, GivesRows) {
  const Created dataset(component("count"), host_, {{"last", std::int64_t{3}}});
  ASSERT_EQ(dataset.status(), ASSAY_OK) << dataset.error().text;
  Stream stream;
  const auto& api = dataset.api<assay_dataset_v1>();
  ASSERT_EQ(api.open(dataset.self(), {"", 0}, stream.out(), &error_), ASSAY_OK) << error_.text;
  const Schema schema = read_schema(stream, "count");
  const auto batch = read_batch(stream, "count");
  ASSERT_TRUE(batch);
  const Rows rows(*schema, **batch);
  ASSERT_EQ(rows.size(), 3);
  EXPECT_EQ(rows[1].text("question"), "after 2:");
  EXPECT_EQ(rows[2].integer("number"), 3);
  EXPECT_FALSE(read_batch(stream, "count"));
  Stream none;
  EXPECT_EQ(api.open(dataset.self(), {"test", 4}, none.out(), &error_), ASSAY_NOT_FOUND);
  EXPECT_STREQ(error_.where, "split");
  EXPECT_STREQ(error_.text, "there is no split \"test\"; leave split out");
}

TEST_P(KeptPlugin, ScoresAndGenerates) {
  const Created backend(component("even"), host_, {{"vocab", std::int64_t{4}}});
  ASSERT_EQ(backend.status(), ASSAY_OK) << backend.error().text;
  const auto& api = backend.api<assay_backend_v1>();
  assay_job job{};
  job.struct_size = sizeof job;
  assay_model_info model{};
  model.struct_size = sizeof model;
  ASSERT_EQ(api.load(backend.self(), &spoil(job), &spoil(model), &error_), ASSAY_OK) << error_.text;
  EXPECT_EQ(model.vocab, 4U);
  EXPECT_EQ(model.bos, -1);
  EXPECT_EQ(model.struct_size, sizeof model);
  if (std::cmp_less(plugin_.abi_minor, ASSAY_ABI_MINOR)) {
    EXPECT_TRUE(is_spoilt(model));
  }

  const std::int32_t tokens[] = {3, 0, 1};
  assay_sampling sampling{};
  sampling.struct_size = sizeof sampling;
  sampling.max_new = 5;
  const std::int32_t* const no_stops[] = {nullptr};
  sampling.stops = no_stops;
  std::vector<assay_request> requests(4);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    assay_request& request = spoil(requests[i]);
    request.id = 7 + i;
    request.kind = i == 3 ? 99 : i == 2 ? ASSAY_REQ_GENERATE : ASSAY_REQ_SCORE;
    request.want = ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY | 1U << 30;
    request.tokens = tokens;
    request.n_tokens = 3;
    request.first = i == 1 ? 3 : 1;
    request.sampling = i == 2 ? &spoil(sampling) : nullptr;
  }
  assay_batch batch{};
  batch.struct_size = sizeof batch;
  batch.n = requests.size();
  batch.stride = sizeof(assay_request);
  batch.requests = requests.data();
  check::SpyResults results;
  assay_result_sink sink = results.sink;
  ASSERT_EQ(api.run(backend.self(), &spoil(batch), &spoil(sink), &error_), ASSAY_OK) << error_.text;
  ASSERT_EQ(results.answers.size(), 4U);
  for (const auto& [id, answer] : results.answers) EXPECT_EQ(answer.n_done, 1) << id;
  EXPECT_EQ(results.answers[7].logprobs, std::vector<float>(2, std::log(0.25F)));
  EXPECT_EQ(results.answers[7].greedy, (std::vector<std::uint8_t>{1, 0}));
  EXPECT_TRUE(results.answers[8].logprobs.empty());
  EXPECT_EQ(results.answers[9].tokens, std::vector<std::int32_t>(5, 0));
  EXPECT_EQ(results.answers[10].code, ASSAY_UNIMPLEMENTED);
}

TEST_P(KeptPlugin, WritesAReport) {
  const std::string file =
      testing::TempDir() + "/golden-" + GetParam().filename().string() + ".json";
  const Created reporter(component("document"), host_, {{"file", file}});
  ASSERT_EQ(reporter.status(), ASSAY_OK) << reporter.error().text;
  assay_report report{};
  report.struct_size = sizeof report;
  report.run_json = {"{}", 2};
  const auto& api = reporter.api<assay_reporter_v1>();
  ASSERT_EQ(api.write(reporter.self(), &spoil(report), &error_), ASSAY_OK) << error_.text;
  std::ifstream in(file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "{}");
}

TEST_P(KeptPlugin, ThrowsAcrossNoBorder) {
  const Created metric(component("match"), host_);
  EXPECT_EQ(metric.status(), ASSAY_NOT_FOUND);
  EXPECT_EQ(metric.self(), nullptr);
  EXPECT_STREQ(metric.error().where, "first_letter");
  EXPECT_STREQ(metric.error().text, "option \"first_letter\" has no value");
}

std::vector<fs::path> kept_plugins() {
  std::vector<fs::path> files;
  for (const char* folder : {GOLDEN_FOLDERS}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".so") files.push_back(entry.path());
    }
  }
  return files;
}
std::string name_of(const testing::TestParamInfo<fs::path>& info) {
  std::string name =
      info.param.parent_path().filename().string() + "_" + info.param.stem().string();
  for (char& letter : name) {
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Golden, KeptPlugin, testing::ValuesIn(kept_plugins()), name_of);

}  // namespace
}  // namespace assay
