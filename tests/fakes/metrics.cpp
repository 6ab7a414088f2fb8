// Metrics on the bare C ABI: one that is right, the others with one fault each in what they give to
// the sink.
#include <assay/abi.h>
#include <assay/arrow_c.h>

#include <cstdint>
#include <cstdio>
#include <limits>

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Fake {
  std::uint64_t n = 0;
};

using Give = void (*)(const assay_value_sink& sink, std::uint64_t row);

void give_one(const assay_value_sink& sink, std::uint64_t row) {
  sink.sample(sink.ctx, row, "one", 1.0);
}
void give_nan(const assay_value_sink& sink, std::uint64_t row) {
  sink.sample(sink.ctx, row, "one", kNan);
}
void give_infinity(const assay_value_sink& sink, std::uint64_t row) {
  sink.sample(sink.ctx, row, "one", std::numeric_limits<double>::infinity());
}
void give_twice(const assay_value_sink& sink, std::uint64_t row) {
  give_one(sink, row);
  give_one(sink, row);
}
void give_unknown(const assay_value_sink& sink, std::uint64_t row) {
  sink.sample(sink.ctx, row, "undeclared", 1.0);
}
void give_beyond(const assay_value_sink& sink, std::uint64_t row) {
  sink.sample(sink.ctx, row + 1'000'000, "one", 1.0);
}
void give_out_of_bounds(const assay_value_sink& sink, std::uint64_t row) {
  sink.sample(sink.ctx, row, "one", 2.0);
}
void give_nothing(const assay_value_sink&, std::uint64_t) {}

template <Give kGive>
assay_status update(void* self, const ArrowSchema*, const ArrowArray* rows,
                    const assay_value_sink* sink, assay_error*) noexcept {
  for (std::int64_t row = 0; row < rows->length; ++row) {
    kGive(*sink, static_cast<std::uint64_t>(row));
    ++static_cast<Fake*>(self)->n;
  }
  return ASSAY_OK;
}

assay_status finish(void* self, const assay_value_sink* sink, assay_error*) noexcept {
  const std::uint64_t n = static_cast<Fake*>(self)->n;
  sink->total(sink->ctx, "count", static_cast<double>(n), kNan, n);
  return ASSAY_OK;
}

assay_status fail_update(void*, const ArrowSchema*, const ArrowArray*, const assay_value_sink*,
                         assay_error* error) noexcept {
  error->code = ASSAY_INVALID_ARGUMENT;
  std::snprintf(error->where, sizeof error->where, "row 3");
  std::snprintf(error->text, sizeof error->text, "the target is no number");
  return ASSAY_INVALID_ARGUMENT;
}

assay_status fail_finish(void*, const assay_value_sink*, assay_error*) noexcept {
  return ASSAY_INTERNAL;
}

assay_status create(const assay_host*, const assay_config*, const assay_resources*, void** self,
                    assay_error*) noexcept {
  *self = new Fake;
  return ASSAY_OK;
}

void destroy(void* self) noexcept { delete static_cast<Fake*>(self); }

constexpr assay_column kOne = {sizeof(assay_column),
                               ASSAY_FLOAT,
                               ASSAY_COL_MEAN | ASSAY_COL_PRIMARY,
                               "one",
                               "1 for every row",
                               "1",
                               0,
                               1};
constexpr assay_column kCount = {
    sizeof(assay_column), ASSAY_FLOAT, 0, "count",
    "how many rows",      "1",         0, std::numeric_limits<double>::infinity()};
constexpr const assay_column* kOutputs[] = {&kOne, &kCount};

template <Give kGive>
constexpr assay_metric_v1 kApi = {sizeof(assay_metric_v1), 0, update<kGive>, finish};
constexpr assay_metric_v1 kFailsUpdate = {sizeof(assay_metric_v1), 0, fail_update, finish};
constexpr assay_metric_v1 kFailsFinish = {sizeof(assay_metric_v1), 0, update<give_one>,
                                          fail_finish};

constexpr assay_component metric(const char* id, const char* summary, const assay_metric_v1* api) {
  return {sizeof(assay_component),
          ASSAY_METRIC,
          id,
          "1.0.0",
          summary,
          ASSAY_CAP_DETERMINISTIC,
          nullptr,
          0,
          nullptr,
          0,
          kOutputs,
          2,
          create,
          destroy,
          api,
          nullptr,
          0};
}

constexpr assay_component kMetrics[] = {
    metric("fake/one", "Gives 1 for every row and counts them", &kApi<give_one>),
    metric("fake/returns-nan", "Gives NaN: the sample applies to no row", &kApi<give_nan>),
    metric("fake/returns-infinity", "Gives an infinite sample", &kApi<give_infinity>),
    metric("fake/samples-twice", "Gives the same sample twice", &kApi<give_twice>),
    metric("fake/unknown-output", "Gives an output it did not declare", &kApi<give_unknown>),
    metric("fake/row-beyond", "Gives a sample of a row that is not there", &kApi<give_beyond>),
    metric("fake/out-of-bounds", "Gives 2 where it promised 0 to 1", &kApi<give_out_of_bounds>),
    metric("fake/gives-nothing", "Gives no sample at all", &kApi<give_nothing>),
    metric("fake/fails-in-update", "Fails while it reads rows", &kFailsUpdate),
    metric("fake/fails-in-finish", "Fails at the end, without a word", &kFailsFinish),
};
constexpr const assay_component* kComponents[] = {
    &kMetrics[0], &kMetrics[1], &kMetrics[2], &kMetrics[3], &kMetrics[4],
    &kMetrics[5], &kMetrics[6], &kMetrics[7], &kMetrics[8], &kMetrics[9]};

}  // namespace

ASSAY_NOTE("fake/metrics");

extern "C" {
ASSAY_EXPORT extern const assay_plugin assay_plugin_v1;
const assay_plugin assay_plugin_v1 = {sizeof(assay_plugin),
                                      ASSAY_ABI_MAJOR,
                                      ASSAY_ABI_MINOR,
                                      "fake/metrics",
                                      "1.0.0",
                                      "fake",
                                      "Apache-2.0",
                                      __VERSION__,
                                      kComponents,
                                      sizeof kComponents / sizeof kComponents[0]};
}
