/* A library like any other. */
#include <assay/abi.h>

ASSAY_EXPORT int answer(void);
int answer(void) { return 42; }

ASSAY_NOTE("fake/no-entry");
