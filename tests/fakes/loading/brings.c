/* Brings a library along, or needs one that another plugin brings: BRINGS_ID says which it is. */
#include "../broken/whole_metric.h"

int answer(void);

ASSAY_EXPORT int call_it(void);
int call_it(void) { return answer(); }

static const assay_component metric = WHOLE_METRIC(BRINGS_ID);
static const assay_component* const components[] = {&metric};

ASSAY_NOTE(BRINGS_ID);

const assay_plugin assay_plugin_v1 = {WHOLE_PLUGIN(BRINGS_ID)};
