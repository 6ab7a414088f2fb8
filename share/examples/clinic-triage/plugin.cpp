#include "cases.hpp"
#include "triage.hpp"

ASSAY_PLUGIN("clinic/triage", "1.0.0", "A clinic", "Apache-2.0", Cases, Triage)
