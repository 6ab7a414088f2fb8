/* A plugin of a later ABI, as it will look: another symbol, nothing under the old one. */
#include <assay/abi.h>

ASSAY_EXPORT extern const uint32_t assay_plugin_v2;
const uint32_t assay_plugin_v2 = 2;

ASSAY_NOTE("fake/exports-v2-only");
