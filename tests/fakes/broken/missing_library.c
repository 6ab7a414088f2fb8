/* Needs a library that is not where the system looks for it. */
#include "whole_metric.h"

int answer(void);

static const assay_component metric = WHOLE_METRIC("fake/missing-library");
static const assay_component* const components[] = {&metric};

ASSAY_EXPORT int call_it(void);
int call_it(void) { return answer(); }

ASSAY_NOTE("fake/missing-library");

const assay_plugin assay_plugin_v1 = {WHOLE_PLUGIN("fake/missing-library")};
