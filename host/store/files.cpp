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

std::string_view name_of(FolderOption option) {
  return option == FolderOption::kOut ? "--out" : "--store";
}

Result<void> sync_one(const std::filesystem::path& path, FolderOption option) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return write_failure(path, errno, option);
  Result<void> synced;
  // EINVAL: of a file system that cannot.
  if (::fsync(file) != 0 && errno != EINVAL) synced = write_failure(path, errno, option);
  ::close(file);
  return synced;
}

}  // namespace

Failure write_failure(const std::filesystem::path& path, int error_number, FolderOption option) {
  const std::string name(name_of(option));
  if (error_number == ENOSPC || error_number == EDQUOT) {
    return Failure{ASSAY_RESOURCE_EXHAUSTED,
                   "cannot write to " + path.string() +
                       ": the disk is full; free some space or choose another " + name + " folder",
                   path.string()};
  }
  return Failure{ASSAY_UNAVAILABLE,
                 "cannot write to " + path.string() + ": " + reason(error_number) +
                     "; choose another " + name + " folder or change its permissions",
                 path.string()};
}

Result<void> write_all(int file, std::string_view bytes, const std::filesystem::path& path,
                       FolderOption option) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return write_failure(path, errno, option);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> make_folder(const std::filesystem::path& folder, FolderOption option) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return write_failure(folder, error.value(), option);
  std::string probe = (folder / ".assay-probe-XXXXXX").string();
  const int file = mkstemp(probe.data());
  if (file < 0) return write_failure(folder, errno, option);
  ::close(file);
  ::unlink(probe.c_str());
  return {};
}

Result<void> write_document(const std::filesystem::path& path, std::string_view text,
                            FolderOption option) {
  const std::string temporary = path.string() + ".tmp";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return write_failure(path, errno, option);
  Result<void> written = write_all(file, text, path, option);
  if (written && ::fsync(file) != 0 && errno != EINVAL)
    written = write_failure(path, errno, option);
  if (::close(file) != 0 && written) written = write_failure(path, errno, option);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
    written = write_failure(path, errno, option);
  }
  if (!written) ::unlink(temporary.c_str());
  return written;
}

Result<void> sync_folder(const std::filesystem::path& folder, FolderOption option) {
  std::error_code error;
  for (auto entry = std::filesystem::recursive_directory_iterator(folder, error);
       !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    if (!entry->is_regular_file() && !entry->is_directory()) continue;
    if (auto synced = sync_one(entry->path(), option); !synced) return synced;
  }
  if (error) return write_failure(folder, error.value(), option);
  return sync_one(folder, option);
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
