// What make_plugins builds and keeps.
#include "tests/golden/components.hpp"

ASSAY_PLUGIN(GOLDEN_VENDOR "/plugin", "1.0.0", "assay", "Apache-2.0", Match, Count, Even, Document)
