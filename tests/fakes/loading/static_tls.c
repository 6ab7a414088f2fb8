/* Uses the thread-local storage that a process has little of. */
#include "../broken/whole_metric.h"

__attribute__((tls_model("initial-exec"))) static _Thread_local int counter;

ASSAY_EXPORT int count(void);
int count(void) { return ++counter; }

static const assay_component metric = WHOLE_METRIC("fake/static-tls");
static const assay_component* const components[] = {&metric};

ASSAY_NOTE("fake/static-tls");

const assay_plugin assay_plugin_v1 = {WHOLE_PLUGIN("fake/static-tls")};
