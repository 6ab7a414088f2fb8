// Reads a dataset component's rows as records. Knows Arrow through the SDK's views.
#pragma once

#include <assay/arrow_c.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/loader/instance.hpp"

namespace assay::host {

/// A column of a dataset. Nested columns (lists, structs) say so in `is_nested`.
struct DatasetColumn {
  std::string name;
  bool is_nested = false;
};

/// A split that a dataset names. `rows`: nothing where only reading it counts them.
struct DatasetSplit {
  std::string name;
  std::optional<std::uint64_t> rows;
};

/// Every split of a dataset, as its assay.dataset.rows/1 names them; nothing where it has none.
///
/// Fails    what the component reports; ASSAY_INTERNAL a name twice, or one that is not UTF-8
Result<std::optional<std::vector<DatasetSplit>>> splits_of(Instance& instance);

/// An open stream of one split. One reader at a time; released when destroyed.
///
/// Owns     the stream; the instance outlives the reader
class DatasetReader {
 public:
  /// Opens a split ("": the component's default).
  ///
  /// Fails    what the component reports; ASSAY_FAILED_PRECONDITION a schema outside the profile
  static Result<DatasetReader> open(Instance& instance, const std::string& split);
  /// Opens the rows of these indices, in this order, repeats allowed.
  ///
  /// Fails    as open(); ASSAY_UNIMPLEMENTED the component only streams (assay.dataset.rows/1);
  ///          ASSAY_NOT_FOUND an index that is not below the number of rows
  static Result<DatasetReader> take(Instance& instance, const std::string& split,
                                    std::span<const std::uint64_t> rows);
  DatasetReader(DatasetReader&&) noexcept;
  DatasetReader& operator=(DatasetReader&&) noexcept;
  ~DatasetReader();

  const std::vector<DatasetColumn>& columns() const;

  /// The next record as a JSON object in column order, or nothing at the end. A missing value is
  /// null. Holds one Arrow batch at a time.
  ///
  /// Fails    what the stream reports; ASSAY_INVALID_ARGUMENT a batch that breaks the rules of
  /// Arrow
  ///          or a text that is not UTF-8. A reader that failed gives the same failure again.
  Result<std::optional<Json>> next();

 private:
  struct State;
  explicit DatasetReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Why a batch of a plugin cannot be read by its schema, which is inside the profile, or nothing.
std::optional<std::string> batch_error(const ArrowSchema& schema, const ArrowArray& array);

}  // namespace assay::host
