// Row files: one JSON object a line, zstd-compressed. What a row holds is decided in
// host/protocol. The door to zstd.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "host/core/json.hpp"
#include "host/core/result.hpp"

namespace assay::host {

/// Writes `path` under the name `path`.part and gives it its name when closed. Every 4 MiB of rows
/// are a complete zstd frame, so a killed run leaves a readable .part.
///
/// Threads  one call at a time
class RowWriter {
 public:
  static Result<RowWriter> create(const std::filesystem::path& path);
  RowWriter(RowWriter&&) noexcept;
  RowWriter& operator=(RowWriter&&) noexcept;
  /// Leaves the .part file behind when close() was not called.
  ~RowWriter();

  /// Fails    ASSAY_RESOURCE_EXHAUSTED disk full; ASSAY_UNAVAILABLE any other write error
  Result<void> write(const Json& row);
  Result<void> close();

 private:
  struct State;
  explicit RowWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Reads the rows of a file in the order they were written, one line in memory at a time.
///
/// Threads  one call at a time
class RowReader {
 public:
  static Result<RowReader> open(const std::filesystem::path& path);
  RowReader(RowReader&&) noexcept;
  RowReader& operator=(RowReader&&) noexcept;
  ~RowReader();

  /// The next row, or nothing at the end.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT damaged or truncated data, naming the file and the row
  Result<std::optional<Json>> next();

 private:
  struct State;
  explicit RowReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace assay::host
