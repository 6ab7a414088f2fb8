// What `assay plugins list` and `assay plugins describe` do once plugins were searched. Parsing the
// command line belongs to main.
#pragma once

#include <ostream>
#include <string_view>

#include "host/loader/registry.hpp"

namespace assay::host {

/// Prints every component found, then the files that could not be used. Returns the exit code.
int plugins_list(const Registry& registry, bool as_json, std::ostream& out);

/// Prints one component to `out`, or to `err` why there is none and the nearest id. Returns the
/// exit code: 0, or 2 for an id that was not found.
int plugins_describe(const Registry& registry, std::string_view id, bool as_json, std::ostream& out,
                     std::ostream& err);

}  // namespace assay::host
