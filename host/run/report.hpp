// Hands a run document and its tables to reporter components. What a report looks like is theirs.
#pragma once

#include <filesystem>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/graph/graph.hpp"

namespace assay::host {

/// Runs one reporter. Tables: "totals", "verdicts", "samples" (one row per item, variant and
/// metric) and "rows/<task>", sorted by item, then variant.
///
/// Fails    what the reporter reports; rows that cannot be read back
Result<void> write_report(const ReportSpec& report, const Graph& graph, const Json& document,
                          const std::filesystem::path& out);

}  // namespace assay::host
