// Digests of files that are read again and again, kept as long as the files stay as they are.
// What the digests stand for is not known here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "host/core/json.hpp"
#include "host/core/result.hpp"

namespace assay::host {

/// SHA-256 of files, computed once for each path, size, time of change and inode.
///
/// Threads  one call at a time
class FileDigests {
 public:
  /// Remembers in `file`; one that cannot be read is begun anew.
  explicit FileDigests(std::filesystem::path file);

  /// Fails    ASSAY_NOT_FOUND, ASSAY_UNAVAILABLE the file cannot be read
  Result<std::string> of(const std::filesystem::path& path);

  /// Would of() have to read the file?
  bool is_known(const std::filesystem::path& path) const;

  /// Keeps what was computed. Several processes may; the last one's is kept.
  Result<void> save() const;

 private:
  std::filesystem::path file_;
  Json known_ = Json::object();
  bool is_changed_ = false;
};

/// The digest of a directory: names and contents of its files, those in folders of it too. Hidden
/// ones are left out: tools leave time stamps there. `on_file` is told before a file is read that
/// is not known yet.
///
/// Fails    as FileDigests::of
Result<std::string> digest_of_directory(
    const std::filesystem::path& directory, FileDigests& digests,
    const std::function<void(const std::filesystem::path& file, std::uint64_t bytes)>& on_file);

}  // namespace assay::host
