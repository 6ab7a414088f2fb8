// What the items of every protocol have in common: how their rows begin, and which record a failure
// is about.
#pragma once

#include <cstdint>
#include <string>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/graph/graph.hpp"

namespace assay::host {

/// The failure with "record 17: " in front.
Failure at_record(std::uint64_t index, Failure failure);

/// A value as the text a reader would write for it: texts as they are, others as JSON.
std::string text_of(const Json& value);

/// Keys every row begins with, in the order they are stored. A record without a value for a key of
/// group_by is in the group "(missing)".
Json row_head(const TaskSpec& task, std::uint64_t index, const std::string& hash,
              const Json& record);

/// Copies the dataset's columns that a metric of the task asks for into the row.
void add_columns(const TaskSpec& task, const Json& record, Json& row);

}  // namespace assay::host
