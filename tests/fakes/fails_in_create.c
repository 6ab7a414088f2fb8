/* Refuses every configuration, with a reason and a place. */
#include <assay/abi.h>
#include <stdio.h>

static assay_status create(const assay_host* host, const struct assay_config* config,
                           const assay_resources* resources, void** self, assay_error* error) {
  (void)host, (void)config, (void)resources, (void)self;
  error->code = ASSAY_FAILED_PRECONDITION;
  snprintf(error->where, sizeof error->where, "%s", "licence");
  snprintf(error->text, sizeof error->text, "%s", "the licence server does not answer");
  return ASSAY_FAILED_PRECONDITION;
}

static void destroy(void* self) { (void)self; }

static assay_status load(void* self, const assay_job* job, assay_model_info* out,
                         assay_error* error) {
  (void)self, (void)job, (void)out, (void)error;
  return ASSAY_INTERNAL;
}

static assay_status run(void* self, const assay_batch* batch, const assay_result_sink* sink,
                        assay_error* error) {
  (void)self, (void)batch, (void)sink, (void)error;
  return ASSAY_INTERNAL;
}

static const assay_backend_v1 api = {
    .struct_size = sizeof(assay_backend_v1), .load = load, .run = run};
static const assay_component backend = {.struct_size = sizeof(assay_component),
                                        .kind = ASSAY_BACKEND,
                                        .id = "fake/fails-in-create",
                                        .version = "1.0.0",
                                        .summary = "Cannot be created",
                                        .caps = ASSAY_CAP_SCORE,
                                        .create = create,
                                        .destroy = destroy,
                                        .api = &api};
static const assay_component* const components[] = {&backend};

ASSAY_NOTE("fake/fails-in-create");

const assay_plugin assay_plugin_v1 = {.struct_size = sizeof(assay_plugin),
                                      .abi_major = ASSAY_ABI_MAJOR,
                                      .abi_minor = ASSAY_ABI_MINOR,
                                      .id = "fake/fails-in-create",
                                      .version = "1.0.0",
                                      .vendor = "fake",
                                      .license = "Apache-2.0",
                                      .built_with = __VERSION__,
                                      .components = components,
                                      .n_components = 1};
