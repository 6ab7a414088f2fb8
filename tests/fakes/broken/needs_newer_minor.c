/* Says in its note that it needs ABI 1.9. */
#include "whole_metric.h"

__attribute__((section(".note.assay"), used, aligned(4))) static const struct {
  uint32_t name_size, desc_size, type;
  char name[8];
  uint32_t major, minor_needed;
  char id[64];
} note = {6, 72, 1, "assay", 1, 9, "fake/needs-newer-minor"};

static const assay_component metric = WHOLE_METRIC("fake/needs-newer-minor");
static const assay_component* const components[] = {&metric};

const assay_plugin assay_plugin_v1 = {WHOLE_PLUGIN("fake/needs-newer-minor")};
