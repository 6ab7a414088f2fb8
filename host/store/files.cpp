#include "host/store/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace assay::host {
namespace {

std::string reason(int error_number) { return std::generic_category().message(error_number); }

}  // namespace

Failure write_failure(const std::filesystem::path& path, int error_number) {
  if (error_number == ENOSPC || error_number == EDQUOT) {
    return Failure{ASSAY_RESOURCE_EXHAUSTED,
                   "cannot write to " + path.string() +
                       ": the disk is full; free some space or choose another --out folder",
                   path.string()};
  }
  return Failure{ASSAY_UNAVAILABLE,
                 "cannot write to " + path.string() + ": " + reason(error_number) +
                     "; choose another --out folder or change its permissions",
                 path.string()};
}

Result<void> write_all(int file, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return write_failure(path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return write_failure(folder, error.value());
  std::string probe = (folder / ".assay-probe-XXXXXX").string();
  const int file = mkstemp(probe.data());
  if (file < 0) return write_failure(folder, errno);
  ::close(file);
  ::unlink(probe.c_str());
  return {};
}

Result<void> write_document(const std::filesystem::path& path, std::string_view text) {
  const std::string temporary = path.string() + ".tmp";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return write_failure(path, errno);
  Result<void> written = write_all(file, text, path);
  if (written && ::fsync(file) != 0 && errno != EINVAL) written = write_failure(path, errno);
  if (::close(file) != 0 && written) written = write_failure(path, errno);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
    written = write_failure(path, errno);
  }
  if (!written) ::unlink(temporary.c_str());
  return written;
}

Result<std::string> read_document(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Failure{ASSAY_NOT_FOUND, "cannot open " + path.string(), path.string()};
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) return Failure{ASSAY_UNAVAILABLE, "cannot read " + path.string(), path.string()};
  return std::move(text).str();
}

}  // namespace assay::host
