/* Built for ABI 2, under the name of ABI 1. */
#include "whole_metric.h"

static const assay_component metric = WHOLE_METRIC("fake/future");
static const assay_component* const components[] = {&metric};

ASSAY_NOTE("fake/future");

const assay_plugin assay_plugin_v1 = {.struct_size = sizeof(assay_plugin),
                                      .abi_major = 2,
                                      .id = "fake/future",
                                      .version = "1.0.0",
                                      .vendor = "fake",
                                      .license = "Apache-2.0",
                                      .built_with = __VERSION__,
                                      .components = components,
                                      .n_components = 1};
