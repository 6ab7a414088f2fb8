// Rows for tests: a split read as text, tables made from a metric's declared columns, what a metric
// gave. Judges nothing.
#pragma once

#include <assay/arrow.hpp>
#include <assay/check/spies.hpp>
#include <assay/suite/probe.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace assay::suite {

/// A split, each row spelt as one text, types and nulls included.
struct Split {
  std::string schema;
  std::vector<std::string> rows;
};

/// The value of a view as text: "null", digits, quoted text, [..], {..}.
std::string spelled(const View& view, std::int64_t row);
/// "struct<text: text, n: int64?>"
std::string spelled(const ArrowSchema& schema);

/// Opens a split. Fails the test where it cannot.
Stream open_split(Probe& probe, const Made& made, const std::string& split);
/// Reads a stream to its end, checking every batch.
Split read_split(Probe& probe, Stream& stream, std::uint64_t most = UINT64_MAX);

/// n rows with every declared column, from the seed: values plausible for the columns the host
/// gives, small ones for others. `without`: columns left out. `nulls`: every third value of
/// OPTIONAL columns is null.
struct RowsWanted {
  std::uint64_t n = 12;
  bool has_optional = true, has_nulls = false;
  bool is_reversed = false;  ///< the columns in the opposite order
  std::string without = {};
};
check::Table made_rows(Probe& probe, const RowsWanted& wanted);

/// The rows in another order: `order[i]` is the row that comes i-th.
check::Table made_rows(Probe& probe, const RowsWanted& wanted,
                       const std::vector<std::uint64_t>& order);

/// What a metric gave over several updates; rows counted over all batches.
struct Given {
  std::map<std::pair<std::uint64_t, std::string>, double> samples;
  std::map<std::string, check::SpyTotal> totals;
};

/// Cuts rows [0, n) at `cuts`, updates with each part and finishes. Fails the test where a call
/// fails; breaches of the value sink's rules are found.
Given measure(Probe& probe, const check::Table& rows, std::uint64_t n,
              const std::vector<std::uint64_t>& cuts);
/// One update; adds to `given` with rows counted from `base`.
void update(Probe& probe, const Made& made, const ArrowSchema* schema, const ArrowArray* rows,
            std::uint64_t base, Given& given);
void finish(Probe& probe, const Made& made, Given& given);

/// Skips where the metric refuses rows made from its columns, with its reason.
void need_rows(Probe& probe);

void expect_same_totals(Probe& probe, const Given& expected, const Given& got,
                        const std::string& what);

}  // namespace assay::suite
