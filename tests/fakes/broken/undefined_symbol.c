/* Calls a function that nobody has. */
#include "whole_metric.h"

int assay_fake_function_nobody_has(void);

static const assay_component metric = WHOLE_METRIC("fake/undefined-symbol");
static const assay_component* const components[] = {&metric};

ASSAY_EXPORT int call_it(void);
int call_it(void) { return assay_fake_function_nobody_has(); }

ASSAY_NOTE("fake/undefined-symbol");

const assay_plugin assay_plugin_v1 = {WHOLE_PLUGIN("fake/undefined-symbol")};
