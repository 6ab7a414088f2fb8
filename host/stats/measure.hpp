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

/// One column of a row table. A list's elements lie behind one another in the vector of their type,
/// row i's between ends[i - 1] and ends[i].
struct RowColumnData {
  std::string name;
  assay_type type = ASSAY_FLOAT;
  std::vector<double> floats;       ///< ASSAY_FLOAT, ASSAY_FLOATS
  std::vector<std::int64_t> ints;   ///< ASSAY_INT, ASSAY_INTS, ASSAY_BOOL
  std::vector<std::string> texts;   ///< ASSAY_TEXT, ASSAY_TEXTS
  std::vector<std::uint64_t> ends;  ///< lists only
  std::vector<bool> is_null;
};

/// The rows of one task under one variant that were scored, by item, with what its metrics ask for.
/// Memory: the columns a task's metrics require, for every row.
class RowTable {
 public:
  explicit RowTable(const TaskSpec& task);

  /// Adds a stored row; false when its status is not "ok" and it was left out.
  bool add(const Json& row);

  std::uint64_t size() const { return index_.size(); }
  std::uint64_t index(std::uint64_t row) const { return index_[row]; }
  /// One value per key of group_by.
  const std::vector<std::string>& groups(std::uint64_t row) const { return groups_[row]; }
  const std::vector<RowColumnData>& columns() const { return columns_; }

 private:
  std::vector<std::string> group_by_;
  std::vector<RowColumnData> columns_;
  std::vector<std::uint64_t> index_;
  std::vector<std::vector<std::string>> groups_;
};

/// Every row of a table, in order.
std::vector<std::uint64_t> all_rows(const RowTable& table);

/// The stored row's value of a metric column: of the protocol's own, or of the dataset's.
const Json* column_of(const Json& row, const std::string& name);

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

/// As measure(), and standard errors of totals that the metric left unknown are filled by the
/// jackknife: leaving out each row where the metric has totals as functions of sums
/// (assay.metric.sums/1), else each of kJackknifeBlocks blocks, running the metric on the others.
Result<Measured> measure_with_errors(const MetricSpec& metric, const RowTable& table,
                                     std::span<const std::uint64_t> rows, std::uint64_t seed);

/// One output of a metric on the rows both variants have.
struct Paired {
  double baseline = 0, candidate = 0;
  Estimate delta;  ///< candidate - baseline, on the shared rows
};

/// Pairs rows by item. Outputs that are means of samples are compared sample by sample, all others
/// by leaving out the same items in both, as in measure_with_errors().
///
/// Shapes   rows_a[i] and rows_b[i] are the same item
Result<std::vector<Paired>> compare(const MetricSpec& metric, const RowTable& a,
                                    std::span<const std::uint64_t> rows_a, const RowTable& b,
                                    std::span<const std::uint64_t> rows_b, std::uint64_t seed);

/// The groups a table's rows fall into: "category=sum" for each key and value and, with several
/// keys, "category=sum,region=north" for each combination there is. In order of first appearance,
/// with the positions of their rows.
struct Group {
  std::string name;
  std::vector<std::uint64_t> rows;
};
std::vector<Group> groups_of(const TaskSpec& task, const RowTable& table);

}  // namespace assay::host
