// Records on disk with an index in memory: what was read or prepared once and is needed again. Not
// a cache and not a result; the file has no name and vanishes with the process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/result.hpp"

namespace assay::host {

/// An append-only list of byte strings. Memory: 8 bytes a record and one buffer of 1 MiB.
///
/// Threads  one call at a time
class Spool {
 public:
  /// Makes an unnamed file in `folder`.
  ///
  /// Fails    ASSAY_UNAVAILABLE the folder takes no file
  static Result<Spool> create(const std::filesystem::path& folder);
  Spool(Spool&& other) noexcept;
  Spool& operator=(Spool&& other) noexcept;
  ~Spool();

  /// Fails    ASSAY_RESOURCE_EXHAUSTED disk full; ASSAY_UNAVAILABLE any other write error
  Result<void> append(std::string_view record);

  /// Fails    ASSAY_UNAVAILABLE read error. `nth` is below size().
  Result<std::string> read(std::uint64_t nth);

  std::uint64_t size() const { return ends_.size(); }

 private:
  Spool(int file, std::filesystem::path folder) : file_(file), folder_(std::move(folder)) {}
  Result<void> flush();
  std::uint64_t begin_of(std::uint64_t nth) const { return nth == 0 ? 0 : ends_[nth - 1]; }

  int file_ = -1;
  std::filesystem::path folder_;
  std::vector<std::uint64_t> ends_;
  std::string pending_;
  std::uint64_t flushed_bytes_ = 0;
};

}  // namespace assay::host
