// A metric, a dataset and a reporter that keep the contract, and the same with one fault at a time.
#include <assay/ext.h>
#include <gmock/gmock.h>

#include <assay/sdk.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "tests/sdk/suite/planted.hpp"

namespace {

using assay::suite::named;
using assay::suite::outcome_of;
using assay::suite::Planted;
using assay::suite::shown;
using assay::suite::Verdict;

std::string fault;  // what the components below do wrong; empty: nothing

bool has(const char* name) { return fault == name; }

/// Mean length of a text, weighed by a number that may be missing.
struct Length : assay::Metric {
  static constexpr assay::Info info{"acme/length", "1.0.0", "Length of a text"};
  static constexpr assay::Option options[] = {
      assay::integer("scale", "1", "What lengths are multiplied with.").in(1, 100)};
  static constexpr assay::Column columns[] = {
      {ASSAY_TEXT, "output", "a text"},
      assay::Column{ASSAY_FLOAT, "weight", "a number"}.optional()};
  static constexpr assay::Output outputs[] = {assay::mean("length", "mean length").within(0, 1000)};

  explicit Length(assay::Context context) {
    scale = context.integer("scale");
    if (has("throws_out_of_range") && (scale < 1 || scale > 100)) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "scale", "\xFF\xFE");
    }
  }

  double score(const assay::Sample& item) {
    if (has("needs_weight") && !item.has("weight")) {
      throw assay::Error(ASSAY_INTERNAL, "weight", "there is no weight");
    }
    auto length = static_cast<double>(item.text("output").size());
    if (has("counts_batches") && item.row() == 0) length += 1;
    if (has("order_matters")) length += last * 0.5;
    if (has("shares_state")) length += shared++;
    if (has("out_of_bounds")) length = -5;
    last = length;
    return length;
  }

  std::int64_t scale = 1;
  double last = 0;
  static inline double shared = 0;
};

const assay_component& metric() { return *assay::detail::component_of<Length>(); }

bool has_rows = false;  // since the last finish

assay_status broken_finish(void* self, const assay_value_sink* sink, assay_error* error) noexcept {
  const auto& api = *static_cast<const assay_metric_v1*>(metric().api);
  if (has("finish_needs_rows") && !std::exchange(has_rows, false)) {
    error->code = ASSAY_FAILED_PRECONDITION;
    std::strcpy(error->text, "there were no rows");
    return ASSAY_FAILED_PRECONDITION;
  }
  if (has("finishes_twice")) {
    sink->total(sink->ctx, "length", 1, 0, 0);
    return ASSAY_OK;
  }
  if (has("odd_total")) {
    sink->total(sink->ctx, "height", 1, 0, 1);
  }
  if (has("total_is_no_mean")) {
    sink->total(sink->ctx, "length", 999, 0, 1);
    return ASSAY_OK;
  }
  return api.finish(self, sink, error);
}

assay_status broken_update(void* self, const ArrowSchema* schema, const ArrowArray* rows,
                           const assay_value_sink* sink, assay_error* error) noexcept {
  const auto& api = *static_cast<const assay_metric_v1*>(metric().api);
  if (has("first_column_by_place") && schema->n_children > 0 &&
      std::string_view(schema->children[0]->name) != "output") {
    sink->sample(sink->ctx, 0, "length", 17);
    return ASSAY_OK;
  }
  if (has("utf8_only") && std::string_view(schema->children[0]->format) == "U") {
    error->code = ASSAY_INVALID_ARGUMENT;
    std::strcpy(error->text, "large_utf8 is not read");
    return ASSAY_INVALID_ARGUMENT;
  }
  if (has("refuses_rows")) {
    error->code = ASSAY_INTERNAL;
    std::strcpy(error->text, "rows are not read");
    return ASSAY_INTERNAL;
  }
  if (has("empty_batch_gives") && rows->length == 0) sink->sample(sink->ctx, 0, "length", 1);
  if (rows->length > 0) has_rows = true;
  if (has("any_column") && schema->n_children < 2) return ASSAY_OK;
  const assay_status status = api.update(self, schema, rows, sink, error);
  if (has("releases_input") && rows->length > 0) {
    const_cast<ArrowArray*>(rows)->release(const_cast<ArrowArray*>(rows));
  }
  if (has("sample_twice") && rows->length > 0) sink->sample(sink->ctx, 0, "length", 1);
  return status;
}

constexpr assay_metric_v1 kBrokenApi{sizeof kBrokenApi, 0, broken_update, broken_finish};

assay_status totals(void*, const double* sums, const double* items, std::uint64_t n, double* out,
                    assay_error*) noexcept {
  for (std::uint64_t i = 0; i < n; ++i) {
    out[i] = items[i] > 0 ? sums[i] / items[i] : std::nan("");
    if (has("odd_sums")) out[i] += 1;
    if (has("mean_is_a_sum")) out[i] = sums[i];
  }
  if (has("writes_beyond_totals") && n > 1) out[n] = 0;
  return ASSAY_OK;
}

constexpr const char* kTerms[] = {"length"};
constexpr const char* kUnknownTerms[] = {"width"};
constexpr assay_metric_sums_v1 kSums{sizeof kSums, 0, kTerms, 1, totals};
constexpr assay_metric_sums_v1 kUnknownSums{sizeof kUnknownSums, 0, kUnknownTerms, 1, totals};

/// The component with the functions above in front.
assay_component planted_metric() {
  static assay_extension extension;
  extension = {ASSAY_METRIC_SUMS_1, has("unknown_term") ? &kUnknownSums : &kSums};
  assay_component component = metric();
  component.api = &kBrokenApi;
  component.extensions = &extension;
  component.n_extensions = 1;
  return component;
}

class PlantedMetric : public testing::TestWithParam<Planted> {
 public:
  ~PlantedMetric() override { fault.clear(); }
};

TEST_P(PlantedMetric, IsFound) {
  fault.clear();
  const assay::check::Options options{{"scale", std::int64_t{1}}};
  const auto sound = outcome_of(GetParam().test, planted_metric(), options);
  EXPECT_EQ(sound.verdict, Verdict::kPassed) << shown(sound);
  fault = GetParam().fault;
  const auto outcome = outcome_of(GetParam().test, planted_metric(), options);
  EXPECT_EQ(outcome.verdict, Verdict::kFailed) << fault << " was not found";
}

INSTANTIATE_TEST_SUITE_P(
    Each, PlantedMetric,
    testing::Values(Planted{"counts_batches", "metric.cuts-change-nothing"},
                    Planted{"sample_twice", "metric.cuts-change-nothing"},
                    Planted{"order_matters", "metric.order-changes-nothing"},
                    Planted{"finishes_twice", "metric.nothing-after-finish"},
                    Planted{"needs_weight", "metric.nulls-are-taken"},
                    Planted{"first_column_by_place", "metric.columns-by-name"},
                    Planted{"utf8_only", "metric.large-texts-are-taken"},
                    Planted{"refuses_rows", "metric.takes-declared-rows"},
                    Planted{"finish_needs_rows", "metric.nothing-is-legal"},
                    Planted{"empty_batch_gives", "metric.nothing-is-legal"},
                    Planted{"odd_sums", "sums.agree-with-totals"},
                    Planted{"mean_is_a_sum", "sums.agree-with-totals"},
                    Planted{"writes_beyond_totals", "sums.agree-with-totals"},
                    Planted{"unknown_term", "sums.name-samples"},
                    Planted{"releases_input", "metric.input-is-borrowed"},
                    Planted{"shares_state", "metric.instances-do-not-interact"},
                    Planted{"out_of_bounds", "metric.values-are-as-declared"},
                    Planted{"odd_total", "metric.values-are-as-declared"},
                    Planted{"total_is_no_mean", "metric.means-are-means"},
                    Planted{"any_column", "metric.missing-column"},
                    Planted{"counts_batches", "fuzz.rows"},
                    Planted{"throws_out_of_range", "lifecycle.values-out-of-range-do-no-harm"}),
    named);

// ---- dataset ----

struct Lines : assay::Dataset {
  static constexpr assay::Info info{"acme/lines", "1.0.0", "Three lines"};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "line", "a line"},
                                              {ASSAY_INT, "n", "its number"}};
  explicit Lines(assay::Context) {}
  void rewind(std::string_view split) {
    if (!split.empty() && !has("any_split")) {
      throw assay::Error(has("odd_code") ? ASSAY_INTERNAL : ASSAY_NOT_FOUND, "split", "no split");
    }
    if (!has("never_rewinds")) at = 0;
    ++n_opened;
  }
  bool next(assay::Row& row) {
    if (at >= 3) return false;
    std::string line = "line " + std::to_string(at);
    if (has("changes")) line += std::to_string(n_opened);
    if (has("not_utf8")) line += "\xFF";
    row << line << at++;
    return true;
  }
  std::int64_t at = 0, n_opened = 0;
};

class PlantedDataset : public testing::TestWithParam<Planted> {
 public:
  ~PlantedDataset() override { fault.clear(); }
};

TEST_P(PlantedDataset, IsFound) {
  fault.clear();
  const assay_component& component = *assay::detail::component_of<Lines>();
  const auto sound = outcome_of(GetParam().test, component);
  EXPECT_EQ(sound.verdict, Verdict::kPassed) << shown(sound);
  fault = GetParam().fault;
  EXPECT_EQ(outcome_of(GetParam().test, component).verdict, Verdict::kFailed)
      << fault << " was not found";
}

INSTANTIATE_TEST_SUITE_P(Each, PlantedDataset,
                         testing::Values(Planted{"any_split", "dataset.unknown-split"},
                                         Planted{"odd_code", "dataset.unknown-split"},
                                         Planted{"changes", "dataset.same-rows-again"},
                                         Planted{"never_rewinds", "dataset.same-rows-again"},
                                         Planted{"not_utf8", "dataset.rows-are-whole"}),
                         named);

// ---- reporter ----

struct Page : assay::Reporter {
  static constexpr assay::Info info{"acme/page", "1.0.0", "A page"};
  static constexpr assay::Option options[] = {
      assay::path_out("file", "\"page.txt\"", "Where to write.")};
  explicit Page(assay::Context context) : file(context.text("file")) {}
  void write(const assay::Report& report) {
    static int n_written = 0;
    const std::string_view run = report.run_json();
    if (has("needs_records") && run.find("\"acc\"") == std::string_view::npos) {
      throw assay::Error(ASSAY_INTERNAL, "records", "there are none");
    }
    if (has("chokes_on_escapes") && run.find("\\u0001") != std::string_view::npos) {
      throw assay::Error(ASSAY_INTERNAL, "name", "odd");
    }
    if (has("litters")) std::ofstream("litter.txt") << "x";
    std::ofstream out(file);
    out << run;
    if (has("counts")) out << n_written++;
    out.close();
    if (!out && !has("says_nothing")) throw assay::Error(ASSAY_UNAVAILABLE, "file", "cannot write");
  }
  std::string file;
};

const assay_component& reporter() { return *assay::detail::component_of<Page>(); }

assay_status broken_write(void* self, const assay_report* report, assay_error* error) noexcept {
  const auto& api = *static_cast<const assay_reporter_v1*>(reporter().api);
  const assay_status status = api.write(self, report, error);
  return has("writes_again") ? ASSAY_OK : status;
}

constexpr assay_reporter_v1 kBrokenReporter{sizeof kBrokenReporter, 0, broken_write};

class PlantedReporter : public testing::TestWithParam<Planted> {
 public:
  ~PlantedReporter() override { fault.clear(); }
};

TEST_P(PlantedReporter, IsFound) {
  fault.clear();
  assay_component component = reporter();
  component.api = &kBrokenReporter;
  const assay::check::Options options{{"file", std::string("page.txt")}};
  const auto sound = outcome_of(GetParam().test, component, options);
  EXPECT_EQ(sound.verdict, Verdict::kPassed) << shown(sound);
  fault = GetParam().fault;
  EXPECT_EQ(outcome_of(GetParam().test, component, options).verdict, Verdict::kFailed)
      << fault << " was not found";
}

INSTANTIATE_TEST_SUITE_P(
    Each, PlantedReporter,
    testing::Values(Planted{"litters", "reporter.writes-where-told"},
                    Planted{"needs_records", "reporter.takes-an-empty-run"},
                    Planted{"chokes_on_escapes", "reporter.takes-odd-characters"},
                    Planted{"counts", "reporter.writes-the-same-again"},
                    Planted{"writes_again", "reporter.writes-once"},
                    Planted{"says_nothing", "reporter.says-when-it-cannot-write"}),
    named);

}  // namespace
