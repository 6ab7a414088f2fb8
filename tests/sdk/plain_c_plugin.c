/* A metric in plain C, so that the C++ layer never becomes the contract: the number of rows. */
#include <assay/abi.h>
#include <assay/arrow_c.h>
#include <stdlib.h>

static assay_status create(const assay_host* host, const struct assay_config* config,
                           const assay_resources* resources, void** self, assay_error* error) {
  (void)host, (void)config, (void)resources;
  *self = calloc(1, sizeof(int64_t));
  if (*self != NULL) return ASSAY_OK;
  error->code = ASSAY_RESOURCE_EXHAUSTED;
  return ASSAY_RESOURCE_EXHAUSTED;
}

static assay_status update(void* self, const struct ArrowSchema* schema,
                           const struct ArrowArray* rows, const assay_value_sink* sink,
                           assay_error* error) {
  (void)schema, (void)sink, (void)error;
  *(int64_t*)self += rows->length;
  return ASSAY_OK;
}

static assay_status finish(void* self, const assay_value_sink* sink, assay_error* error) {
  const int64_t n = *(int64_t*)self;
  (void)error;
  sink->total(sink->ctx, "rows", (double)n, 0, (uint64_t)n);
  return ASSAY_OK;
}

static const assay_metric_v1 api = {sizeof(assay_metric_v1), 0, update, finish};
static const assay_column rows = {sizeof rows, ASSAY_FLOAT, 0, "rows", "rows", NULL, 0, 1e18};
static const assay_column* const outputs[] = {&rows};
static const assay_component count = {.struct_size = sizeof count,
                                      .kind = ASSAY_METRIC,
                                      .id = "plain/count",
                                      .version = "1.0.0",
                                      .summary = "The number of rows",
                                      .caps = ASSAY_CAP_DETERMINISTIC,
                                      .outputs = outputs,
                                      .n_outputs = 1,
                                      .create = create,
                                      .destroy = free,
                                      .api = &api};
static const assay_component* const components[] = {&count};

const assay_plugin assay_plugin_v1 = {
    sizeof assay_plugin_v1, ASSAY_ABI_MAJOR, ASSAY_ABI_MINOR, "plain/c", "1.0.0", "plain",
    "Apache-2.0",           "C11",           components,      1};
ASSAY_NOTE("plain/c");
