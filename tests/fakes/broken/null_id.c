/* Its component has no id. */
#include "whole_metric.h"

static const assay_component metric = WHOLE_METRIC(0);
static const assay_component* const components[] = {&metric};

ASSAY_NOTE("fake/null-id");

const assay_plugin assay_plugin_v1 = {WHOLE_PLUGIN("fake/null-id")};
