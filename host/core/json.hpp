// The door to nlohmann-json: documents and records. Nothing else belongs here.
#pragma once

#include <nlohmann/json.hpp>

namespace assay::host {

/// Keeps the order in which keys were added, so that documents read as they were written.
using Json = nlohmann::ordered_json;

}  // namespace assay::host
