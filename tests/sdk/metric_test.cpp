// The metric layer: samples, means, totals, order of calls, and what it refuses.
#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <assay/plugin.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace assay {
namespace {

using check::Created;
using check::FakeHost;
using check::fresh_error;
using check::SpyValues;
using check::Table;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// "x" as it is, "square" for rows that are not negative, their sum as a total of its own.
struct Powers : Metric {
  static constexpr Info info{"test/powers", "1.0.0", "x and its square"};
  static constexpr Column columns[] = {{ASSAY_FLOAT, "x", "a number"},
                                       Column{ASSAY_TEXT, "note", "a word"}.optional()};
  static constexpr Output outputs[] = {mean("x", "as it is").primary(), mean("square", "x * x"),
                                       total("sum", "of the squares").unit("1").less_is_better()};
  double sum = 0;

  explicit Powers(Context) {}
  void score(const Sample& row, Values values) {
    const double x = row.number("x");
    values.sample("x", x);
    values("square", x < 0 ? kNan : x * x);
    sum += x * x;
    if (row.has("note") && row.text("note") == "typo") values("sqare", 1);
    if (row.has("note") && row.text("note") == "twice") values("x", x);
  }
  void finish(Totals totals) { totals("sum", sum); }
};

const assay_component& powers() { return *detail::component_of<Powers>(); }

Table rows_of(const std::vector<double>& values, const char* note = nullptr) {
  return Table({{"x", Type::kFloat64}, {"note", Type::kText, {}, true}}, [&](Builder& table) {
    for (const double value : values) {
      table.child(0).append_float(value);
      note == nullptr ? table.child(1).append_null() : table.child(1).append_text(note);
      table.end_struct();
    }
  });
}

const std::vector<double> kValues = {0.1, -3, 0.7, 1e6, 2, -0.25, 1.0 / 3};

TEST(MetricLayer, LeavesSamplesThatDoNotApplyOutOfTheMean) {
  FakeHost host;
  const Created metric(powers(), host);
  SpyValues values;
  const auto& api = metric.api<assay_metric_v1>();
  const Table rows = rows_of({3, -1, 5});
  ASSERT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &values.sink, nullptr),
            ASSAY_OK);
  ASSERT_EQ(api.finish(metric.self(), &values.sink, nullptr), ASSAY_OK);
  ASSERT_EQ(values.samples.size(), 6U);
  EXPECT_TRUE(std::isnan(values.samples[3].value));
  EXPECT_EQ(values.samples[3].row, 1U);
  ASSERT_EQ(values.totals.size(), 3U);
  EXPECT_EQ(values.totals[0].name, "sum");
  EXPECT_EQ(values.totals[0].value, 35);
  EXPECT_TRUE(std::isnan(values.totals[0].std_error));
  EXPECT_EQ(values.totals[0].n, 3U);
  EXPECT_EQ(values.totals[2].name, "square");
  EXPECT_EQ(values.totals[2].value, 17);  // of 9 and 25; deviations are 8, so the error is 8
  EXPECT_EQ(values.totals[2].std_error, 8);
  EXPECT_EQ(values.totals[2].n, 2U);
}

TEST(MetricLayer, HasNoStandardErrorForOneSampleAndNoTotalForNone) {
  FakeHost host;
  SpyValues one, none;
  {
    const Created metric(powers(), host);
    const auto& api = metric.api<assay_metric_v1>();
    const Table rows = rows_of({2});
    ASSERT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &one.sink, nullptr), ASSAY_OK);
    ASSERT_EQ(api.finish(metric.self(), &one.sink, nullptr), ASSAY_OK);
  }
  EXPECT_EQ(one.totals[1].value, 2);
  EXPECT_TRUE(std::isnan(one.totals[1].std_error));
  const Created metric(powers(), host);
  ASSERT_EQ(metric.api<assay_metric_v1>().finish(metric.self(), &none.sink, nullptr), ASSAY_OK);
  ASSERT_EQ(none.totals.size(), 1U) << "only what finish() gave";
  EXPECT_EQ(none.totals[0].name, "sum");
}

TEST(MetricLayer, GivesTheSameBitsHoweverRowsAreCutIntoBatches) {
  FakeHost host;
  const Table rows = rows_of(kValues);
  const auto n = static_cast<std::int64_t>(kValues.size());
  std::vector<std::vector<double>> results;
  for (std::int64_t size = 1; size <= n; ++size) {
    const Created metric(powers(), host);
    const auto& api = metric.api<assay_metric_v1>();
    SpyValues values;
    for (std::int64_t begin = 0; begin < n; begin += size) {
      const ArrowArray part = rows.slice(begin, std::min(size, n - begin));
      ASSERT_EQ(api.update(metric.self(), rows.schema(), &part, &values.sink, nullptr), ASSAY_OK);
      const ArrowArray empty = rows.slice(begin, 0);
      ASSERT_EQ(api.update(metric.self(), rows.schema(), &empty, &values.sink, nullptr), ASSAY_OK);
    }
    ASSERT_EQ(api.finish(metric.self(), &values.sink, nullptr), ASSAY_OK);
    auto& result = results.emplace_back();
    for (const auto& total : values.totals) {
      result.push_back(total.value);
      if (total.name != "sum") result.push_back(total.std_error);
    }
    for (const auto& sample : values.samples) {
      if (sample.name == "x") result.push_back(sample.value);
    }
  }
  for (const auto& result : results) EXPECT_EQ(result, results.front());
}

TEST(MetricLayer, AgreesWithTheTextbookOnMeanAndStandardError) {
  // Two passes in long double, the definition as it stands in any book.
  long double mean = 0, squares = 0;
  for (const double value : kValues) mean += value;
  const auto n = static_cast<long double>(kValues.size());
  mean /= n;
  for (const double value : kValues) squares += (value - mean) * (value - mean);
  detail::Moments moments;
  for (const double value : kValues) moments.add(value);
  EXPECT_NEAR(moments.mean(), static_cast<double>(mean), 1e-9);  // values up to 1e6
  EXPECT_NEAR(moments.std_error(), static_cast<double>(std::sqrt(squares / (n - 1) / n)), 1e-9);
}

struct Call {
  assay_status status;
  std::string where, text;
};

Call update(const Created& metric, const Table& rows, SpyValues& values) {
  assay_error error = fresh_error();
  const assay_status status = metric.api<assay_metric_v1>().update(
      metric.self(), rows.schema(), rows.array(), &values.sink, &error);
  return {status, error.where, error.text};
}

TEST(MetricLayer, RefusesCallsOutOfOrder) {
  FakeHost host;
  const Created metric(powers(), host);
  SpyValues values;
  const auto& api = metric.api<assay_metric_v1>();
  ASSERT_EQ(api.finish(metric.self(), &values.sink, nullptr), ASSAY_OK);
  const Call late = update(metric, rows_of({1}), values);
  EXPECT_EQ(late.status, ASSAY_FAILED_PRECONDITION);
  EXPECT_EQ(late.text, "update was called after finish");
  assay_error error = fresh_error();
  EXPECT_EQ(api.finish(metric.self(), &values.sink, &error), ASSAY_FAILED_PRECONDITION);
  EXPECT_STREQ(error.text, "finish was called a second time");
}

TEST(MetricLayer, NamesAColumnThatIsNotThereOrOfAnotherType) {
  FakeHost host;
  const Created metric(powers(), host);
  SpyValues values;
  const Table lacking({{"y", Type::kFloat64}}, [](Builder&) {});
  const Call missing = update(metric, lacking, values);
  EXPECT_EQ(missing.status, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(missing.where, "x");
  EXPECT_EQ(missing.text, "the rows lack the column \"x\", which the metric needs");
  const Table wrong({{"x", Type::kText}}, [](Builder&) {});
  EXPECT_EQ(update(metric, wrong, values).text, "column \"x\" holds text; the metric needs float");
  const Table listed({{"x", Type::kFloat64}, {"note", Type::kList, {{"item"}}}}, [](Builder&) {});
  EXPECT_EQ(update(metric, listed, values).text,
            "column \"note\" holds list; the metric needs text");
}

TEST(MetricLayer, TakesWholeNumbersWhereAColumnIsDeclaredFloat) {
  FakeHost host;
  const Created metric(powers(), host);
  SpyValues values;
  const Table whole({{"x", Type::kInt64}}, [](Builder& table) {
    table.child(0).append_int(4);
    table.end_struct();
  });
  EXPECT_EQ(update(metric, whole, values).status, ASSAY_OK);
  EXPECT_EQ(values.samples[0].value, 4);
}

TEST(MetricLayer, NamesTheRowWithoutAValue) {
  FakeHost host;
  const Created metric(powers(), host);
  SpyValues values;
  const Table holey({{"x", Type::kFloat64, {}, true}}, [](Builder& table) {
    table.child(0).append_float(1);
    table.end_struct();
    table.child(0).append_null();
    table.end_struct();
  });
  EXPECT_EQ(update(metric, holey, values).text,
            "row 1: column \"x\" has no value in row 1 of its batch");
}

TEST(MetricLayer, RefusesNamesThatAreNoOutputsAndSecondSamples) {
  FakeHost host;
  SpyValues values;
  const Created typo(powers(), host);
  const Call unknown = update(typo, rows_of({1}, "typo"), values);
  EXPECT_EQ(unknown.status, ASSAY_INTERNAL);
  EXPECT_EQ(unknown.text,
            "row 0: the metric gave a value for \"sqare\", which is not among its outputs");
  const Created twice(powers(), host);
  EXPECT_EQ(update(twice, rows_of({1}, "twice"), values).text,
            "row 0: the metric gave two samples of \"x\" for one row");
}

TEST(MetricLayer, CountsRowsOverAllBatchesWhereOneFails) {
  FakeHost host;
  const Created metric(powers(), host);
  SpyValues values;
  EXPECT_EQ(update(metric, rows_of({1, 2, 3}), values).status, ASSAY_OK);
  EXPECT_EQ(update(metric, rows_of({4}, "typo"), values).text,
            "row 3: the metric gave a value for \"sqare\", which is not among its outputs");
}

TEST(MetricLayer, RefusesABatchUnlikeItsSchema) {
  FakeHost host;
  const Created metric(powers(), host);
  SpyValues values;
  const Table rows = rows_of({1, 2});
  ArrowArray torn = *rows.array();
  torn.length = 3;
  assay_error error = fresh_error();
  EXPECT_EQ(metric.api<assay_metric_v1>().update(metric.self(), rows.schema(), &torn, &values.sink,
                                                 &error),
            ASSAY_FAILED_PRECONDITION);
  EXPECT_STREQ(error.text, "column \"x\" has 2 values where 3 are needed");
}

/// Throws what the option asks for.
struct Thrower : Metric {
  static constexpr Info info{"test/thrower", "1.0.0", "Throws"};
  static constexpr Option options[] = {text("what", "\"nothing\"", "What is thrown.")};
  static constexpr Output outputs[] = {mean("y", "never")};
  std::string what;

  explicit Thrower(Context context) : what(context.text("what")) {
    if (what == "in create") throw Error(ASSAY_UNAVAILABLE, "what", "as was asked");
  }
  double score(const Sample&) const {
    if (what == "int") throw 42;
    if (what == "memory") throw std::bad_alloc();
    throw std::out_of_range("index 7");
  }
};

TEST(MetricLayer, TurnsEveryExceptionIntoTheCallersError) {
  FakeHost host;
  const auto call = [&](const char* what) {
    const Created metric(*detail::component_of<Thrower>(), host, {{"what", std::string(what)}});
    SpyValues values;
    return update(metric, rows_of({1}), values);
  };
  EXPECT_EQ(call("int").text, "unknown exception");
  EXPECT_EQ(call("memory").status, ASSAY_RESOURCE_EXHAUSTED);
  EXPECT_EQ(call("memory").text, "out of memory");
  EXPECT_EQ(call("range").status, ASSAY_INTERNAL);
  EXPECT_EQ(call("range").text, "index 7");
  const Created refused(*detail::component_of<Thrower>(), host,
                        {{"what", std::string("in create")}});
  EXPECT_EQ(refused.status(), ASSAY_UNAVAILABLE);
  EXPECT_STREQ(refused.error().text, "as was asked");
  EXPECT_EQ(refused.self(), nullptr);
}

}  // namespace
}  // namespace assay
