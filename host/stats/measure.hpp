// Metrics over rows: the row columns in memory, a metric run on any choice of rows, two variants
// compared on the rows they share. Reads no files and decides nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/stats/estimate.hpp"

namespace assay::host {

/// The rows of one task under one variant that were scored, by item, with what metrics ask for.
/// Memory: the columns a task's metrics require, for every row.
struct RowTable {
  std::vector<std::uint64_t> index;                ///< of the item; ascending
  std::vector<Json> values;                        ///< one object per row: columns by name
  std::vector<std::vector<std::string>> groups;    ///< per row, one value per key of group_by

  std::uint64_t size() const { return index.size(); }
  /// Adds a stored row. Rows whose status is not "ok" are left out.
  void add(const TaskSpec& task, const Json& row);
};

/// What a metric made of some rows: per output its total and its sample for each of the rows (NaN
/// where it gave none).
struct Measured {
  std::vector<Estimate> totals;
  std::vector<std::vector<double>> samples;
};

/// Runs a new instance of the metric on `rows` of the table, in that order.
///
/// Fails    what the metric reports; ASSAY_INTERNAL a broken contract (an output not declared, two
///          samples for one row, a sample outside the declared bounds), naming metric and output
Result<Measured> measure(const MetricSpec& metric, const RowTable& table,
                         std::span<const std::uint64_t> rows, std::uint64_t seed);

/// As measure(), and standard errors that the metric left unknown are filled by the jackknife.
Result<Measured> measure_with_errors(const MetricSpec& metric, const RowTable& table,
                                     std::span<const std::uint64_t> rows, std::uint64_t seed);

/// One output of a metric on the rows both variants have.
struct Paired {
  double baseline = 0, candidate = 0;
  Estimate delta;  ///< candidate - baseline, on the shared rows
};

/// Pairs rows by item. Outputs that are means of samples are compared sample by sample, all others
/// by leaving out the same blocks of items in both.
///
/// Shapes   rows_a[i] and rows_b[i] are the same item
Result<std::vector<Paired>> compare(const MetricSpec& metric, const RowTable& a,
                                    std::span<const std::uint64_t> rows_a, const RowTable& b,
                                    std::span<const std::uint64_t> rows_b, std::uint64_t seed);

/// The names of the groups a table's rows fall into: "category=sum" for each key and value, in order
/// of first appearance, with the positions of their rows.
struct Group {
  std::string name;
  std::vector<std::uint64_t> rows;
};
std::vector<Group> groups_of(const TaskSpec& task, const RowTable& table);

}  // namespace assay::host
