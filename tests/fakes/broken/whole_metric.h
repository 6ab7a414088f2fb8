/* A metric without fault, from which each plugin of this folder departs in one point. */
#include <assay/abi.h>

static assay_status create(const assay_host* host, const struct assay_config* config,
                           const assay_resources* resources, void** self, assay_error* error) {
  (void)host, (void)config, (void)resources, (void)error;
  static int instance;
  *self = &instance;
  return ASSAY_OK;
}

static void destroy(void* self) { (void)self; }

static assay_status update(void* self, const struct ArrowSchema* schema,
                           const struct ArrowArray* rows, const assay_value_sink* sink,
                           assay_error* error) {
  (void)self, (void)schema, (void)rows, (void)sink, (void)error;
  return ASSAY_OK;
}

static assay_status finish(void* self, const assay_value_sink* sink, assay_error* error) {
  (void)self, (void)sink, (void)error;
  return ASSAY_OK;
}

static const assay_metric_v1 api = {sizeof(assay_metric_v1), 0, update, finish};

#define WHOLE_METRIC(component_id)                                                         \
  {                                                                                        \
    .struct_size = sizeof(assay_component), .kind = ASSAY_METRIC, .id = (component_id),    \
    .version = "1.0.0", .summary = "Counts nothing", .create = create, .destroy = destroy, \
    .api = &api                                                                            \
  }

#define WHOLE_PLUGIN(plugin_id)                                                                    \
  .struct_size = sizeof(assay_plugin), .abi_major = ASSAY_ABI_MAJOR, .abi_minor = ASSAY_ABI_MINOR, \
  .id = (plugin_id), .version = "1.0.0", .vendor = "fake", .license = "Apache-2.0",                \
  .built_with = __VERSION__, .components = components,                                             \
  .n_components = sizeof components / sizeof components[0]
