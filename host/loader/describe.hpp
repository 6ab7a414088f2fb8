// Plugins and components as JSON, for programs that read what `assay plugins` prints. The texts for
// people are declared in registry.hpp.
#pragma once

#include "host/core/json.hpp"
#include "host/loader/registry.hpp"

namespace assay::host {

/// Every component with its trust and isolation, every file that was not used. Schema
/// "assay.plugins/1".
Json list_json(const Registry& registry);

/// One component: options, columns, outputs, extensions, where it comes from. Schema
/// "assay.component/1".
Json describe_json(const Component& component);

}  // namespace assay::host
