/* Says its plugin struct is shorter than that of ABI 1.0. */
#include "whole_metric.h"

static const assay_component metric = WHOLE_METRIC("fake/short-struct");
static const assay_component* const components[] = {&metric};

ASSAY_NOTE("fake/short-struct");

const assay_plugin assay_plugin_v1 = {.struct_size = 24,
                                      .abi_major = ASSAY_ABI_MAJOR,
                                      .id = "fake/short-struct",
                                      .version = "1.0.0",
                                      .vendor = "fake",
                                      .license = "Apache-2.0",
                                      .built_with = __VERSION__,
                                      .components = components,
                                      .n_components = 1};
