// Reading a file block by block, for datasets that hold no more of it than they need. Knows no
// format.
#pragma once

#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <ios>
#include <string>
#include <string_view>
#include <utility>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// What a UTF-8 file may begin with and no reader keeps.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Reads a file from its start, block by block.
///
/// Fails    ASSAY_NOT_FOUND the file cannot be opened; ASSAY_UNAVAILABLE it cannot be read
class FileBlocks {
 public:
  explicit FileBlocks(std::string path) : path_(std::move(path)) {
    errno = 0;
    file_.open(path_, std::ios::binary);
    if (!file_) {
      throw Error(ASSAY_NOT_FOUND, "path", path_ + ": cannot be opened: " + std::strerror(errno));
    }
  }

  const std::string& path() const { return path_; }

  /// Puts the next block behind what the buffer holds. False at the end of the file.
  bool append_to(std::string& buffer) {
    constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
    const std::size_t kept = buffer.size();
    buffer.resize(kept + kBlockBytes);
    errno = 0;
    file_.read(buffer.data() + kept, static_cast<std::streamsize>(kBlockBytes));
    if (file_.bad()) {
      throw Error(ASSAY_UNAVAILABLE, "path", path_ + ": cannot be read: " + std::strerror(errno));
    }
    buffer.resize(kept + static_cast<std::size_t>(file_.gcount()));
    return buffer.size() > kept;
  }

 private:
  std::string path_;
  std::ifstream file_;
};

}  // namespace v1
}  // namespace assay
