/* Two components of one id. */
#include "whole_metric.h"

static const assay_component first = WHOLE_METRIC("fake/twin");
static const assay_component second = WHOLE_METRIC("fake/twin");
static const assay_component* const components[] = {&first, &second};

ASSAY_NOTE("fake/duplicate-ids");

const assay_plugin assay_plugin_v1 = {WHOLE_PLUGIN("fake/duplicate-ids")};
