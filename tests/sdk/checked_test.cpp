// The checking build: broken rules are logged by name and fail the call. Built with ASSAY_CHECKED.
#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <assay/plugin.hpp>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace assay {
namespace {

using check::Created;
using check::FakeHost;
using check::fresh_error;
using check::SpyResults;
using check::SpyValues;
using check::Table;

std::atomic<bool> is_inside = false;
std::atomic<bool> may_leave = false;

/// Waits inside score until it is told to leave.
struct Slow : Metric {
  static constexpr Info info{"test/slow", "1.0.0", "Waits"};
  static constexpr Output outputs[] = {mean("y", "waits").within(0, 1)};
  explicit Slow(Context) {}
  double score(const Sample& row) {
    is_inside = true;
    while (!may_leave) std::this_thread::yield();
    return row.number("x");
  }
};

Table one_row(double x) {
  return Table({{"x", Type::kFloat64}}, [x](Builder& table) {
    table.child(0).append_float(x);
    table.end_struct();
  });
}

TEST(CheckedLayer, CatchesCallsThatOverlap) {
  FakeHost host;
  const Created metric(*detail::component_of<Slow>(), host);
  const auto& api = metric.api<assay_metric_v1>();
  const Table rows = one_row(1);
  SpyValues values;
  may_leave = is_inside = false;
  std::thread first([&] {
    EXPECT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &values.sink, nullptr),
              ASSAY_OK);
  });
  while (!is_inside) std::this_thread::yield();
  assay_error error = fresh_error();
  EXPECT_EQ(api.finish(metric.self(), &values.sink, &error), ASSAY_FAILED_PRECONDITION);
  EXPECT_STREQ(error.where, "instance-calls-do-not-overlap");
  EXPECT_STREQ(error.text, "finish was called while another call on the same instance ran");
  may_leave = true;
  first.join();
  ASSERT_EQ(host.log().size(), 1U);
  EXPECT_EQ(host.log()[0].level, ASSAY_ERROR);
  EXPECT_EQ(host.log()[0].text,
            "misbehaviour of the host rule=instance-calls-do-not-overlap: finish was called while "
            "another call on the same instance ran");
  EXPECT_EQ(api.finish(metric.self(), &values.sink, nullptr), ASSAY_OK) << "one after the other";
}

TEST(CheckedLayer, CatchesSamplesOutsideTheirBounds) {
  FakeHost host;
  const Created metric(*detail::component_of<Slow>(), host);
  may_leave = true;
  const Table rows = one_row(1.5);
  SpyValues values;
  assay_error error = fresh_error();
  EXPECT_EQ(metric.api<assay_metric_v1>().update(metric.self(), rows.schema(), rows.array(),
                                                 &values.sink, &error),
            ASSAY_FAILED_PRECONDITION);
  EXPECT_STREQ(error.text, "row 0: sample 1.500000 of \"y\" lies outside the bounds it declares");
  EXPECT_EQ(host.log()[0].text,
            "misbehaviour of the plugin rule=samples-lie-in-their-bounds: sample 1.500000 of \"y\" "
            "lies outside the bounds it declares");
}

TEST(CheckedLayer, CatchesBadArgumentsOfHostCalls) {
  FakeHost host;
  const Context context(host.table(), nullptr, nullptr);
  EXPECT_THROW(context.progress(1.5, "layers"), Error);
  EXPECT_THROW(context.log(ASSAY_INFO, "\xC3("), Error);
  ASSERT_EQ(host.log().size(), 2U);
  EXPECT_EQ(host.log()[0].text,
            "misbehaviour of the plugin rule=progress-is-a-fraction: progress 1.500000 is not "
            "between 0 and 1");
  EXPECT_EQ(host.log()[1].text,
            "misbehaviour of the plugin rule=text-is-utf8: a log line is not UTF-8");
}

/// Gives its scores with a gap, and done twice.
struct Gaps : Backend {
  static constexpr Info info{"test/gaps", "1.0.0", "Leaves a gap", ASSAY_CAP_SCORE};
  explicit Gaps(Context) {}
  void load(const assay_job&, assay_model_info&) {}
  void run(const Batch& batch, Sink& sink) {
    const std::vector<float> one = {-1};
    for (const Request& request : batch) {
      sink.scores(request.id, request.first, one, {});
      sink.scores(request.id, request.first + 2, one, {});
      sink.done(request.id);
      sink.done(request.id);
    }
  }
};

TEST(CheckedLayer, FailsARunThatBrokeRulesOfTheSink) {
  FakeHost host;
  const Created backend(*detail::component_of<Gaps>(), host);
  const auto& api = backend.api<assay_backend_v1>();
  assay_job job{};
  assay_model_info info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(api.load(backend.self(), &job, &info, nullptr), ASSAY_OK);
  const std::int32_t tokens[] = {1, 2, 3, 4};
  const assay_request request{7, ASSAY_REQ_SCORE, ASSAY_WANT_LOGPROBS, tokens, 4, 1, 0, 0, nullptr};
  const assay_batch batch{sizeof(assay_batch), 0, 1, sizeof(assay_request), &request};
  SpyResults results;
  assay_error error = fresh_error();
  EXPECT_EQ(api.run(backend.self(), &batch, &results.sink, &error), ASSAY_FAILED_PRECONDITION);
  EXPECT_STREQ(error.text, "rules of the result sink were broken 2 times; the log names them");
  EXPECT_EQ(results.answers[7].n_done, 1);
  ASSERT_EQ(host.log().size(), 2U);
  EXPECT_EQ(host.log()[0].text,
            "misbehaviour of the plugin rule=chunks-ascend-without-gaps: request 7: scores do not "
            "begin where the last ones ended");
}

}  // namespace
}  // namespace assay
