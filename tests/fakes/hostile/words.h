/* A metric that counts rows, in plain C. What includes it breaks something while it is loaded. */
#include <assay/abi.h>
#include <stdlib.h>

typedef struct rows {
  uint64_t n;
} rows;

static assay_status create(const assay_host* host, const struct assay_config* config,
                           const struct assay_resources* resources, void** self,
                           assay_error* error) {
  (void)host, (void)config, (void)resources, (void)error;
  *self = calloc(1, sizeof(rows));
  return *self != NULL ? ASSAY_OK : ASSAY_RESOURCE_EXHAUSTED;
}
static void destroy(void* self) { free(self); }
static assay_status update(void* self, const struct ArrowSchema* schema,
                           const struct ArrowArray* batch, const assay_value_sink* sink,
                           assay_error* error);
static assay_status finish(void* self, const assay_value_sink* sink, assay_error* error) {
  (void)error;
  sink->total(sink->ctx, "rows", (double)((rows*)self)->n, 0.0, ((rows*)self)->n);
  return ASSAY_OK;
}

static const assay_metric_v1 api = {sizeof(assay_metric_v1), 0, update, finish};
static const assay_column output = {
    sizeof(assay_column), ASSAY_FLOAT, ASSAY_COL_PRIMARY, "rows", "rows seen", "1", 0, 1e18};
static const assay_column* const outputs[] = {&output};
static const assay_component metric = {sizeof(assay_component),
                                       ASSAY_METRIC,
                                       HOSTILE_ID,
                                       "1.0.0",
                                       "Counts rows",
                                       0,
                                       NULL,
                                       0,
                                       NULL,
                                       0,
                                       outputs,
                                       1,
                                       create,
                                       destroy,
                                       &api,
                                       NULL,
                                       0};
static const assay_component* const components[] = {&metric};
ASSAY_NOTE(HOSTILE_ID);
const assay_plugin assay_plugin_v1 = {sizeof(assay_plugin),
                                      ASSAY_ABI_MAJOR,
                                      ASSAY_ABI_MINOR,
                                      HOSTILE_ID,
                                      "1.0.0",
                                      "",
                                      "",
                                      "",
                                      components,
                                      1};
