// The options of one component, as it reads them through assay_host. Knows keys and JSON values;
// what an option means was decided in host/graph.
#pragma once

#include <assay/abi.h>

#include <deque>
#include <mutex>
#include <string>
#include <string_view>

#include "host/core/json.hpp"

/// What the opaque pointer of abi.h points to. Lives for one create or estimate.
struct assay_config {
  const assay::host::Json* options = nullptr;  ///< a flat object

  mutable std::mutex lock;
  mutable std::deque<std::string> texts;  // what get_json handed out; addresses stay
};

namespace assay::host {

/// The value of a key: "kv.bits" as it stands, "skip.0" inside a list, "override.1.bits" inside a
/// list of tables. NULL where there is none, or where it is null.
const Json* find_option(const Json& options, std::string_view key);

/// Sets the getters of the table.
///
/// Source   ruling 24: SIZE is an integer, DURATION a float, PATH, CHOICE and MODEL are texts
void set_getters(assay_host& host);

}  // namespace assay::host
