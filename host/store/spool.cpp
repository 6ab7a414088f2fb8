#include "host/store/spool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "host/store/files.hpp"

namespace assay::host {
namespace {

constexpr std::size_t kBufferBytes = 1 << 20;

}  // namespace

Result<Spool> Spool::create(const std::filesystem::path& folder) {
  std::string name = (folder / ".assay-spool-XXXXXX").string();
  const int file = mkstemp(name.data());
  if (file < 0) return write_failure(folder, errno);
  ::unlink(name.c_str());
  return Spool(file, folder);
}

Spool::Spool(Spool&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      folder_(std::move(other.folder_)),
      ends_(std::move(other.ends_)),
      pending_(std::move(other.pending_)),
      flushed_bytes_(other.flushed_bytes_) {}

Spool& Spool::operator=(Spool&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(folder_, other.folder_);
  std::swap(ends_, other.ends_);
  std::swap(pending_, other.pending_);
  std::swap(flushed_bytes_, other.flushed_bytes_);
  return *this;
}

Spool::~Spool() {
  if (file_ >= 0) ::close(file_);
}

Result<void> Spool::append(std::string_view record) {
  pending_.append(record);
  ends_.push_back(flushed_bytes_ + pending_.size());
  if (pending_.size() >= kBufferBytes) return flush();
  return {};
}

Result<void> Spool::flush() {
  if (auto written = write_all(file_, pending_, folder_); !written) return written;
  flushed_bytes_ += pending_.size();
  pending_.clear();
  return {};
}

Result<std::string> Spool::read(std::uint64_t nth) {
  const std::uint64_t begin = begin_of(nth);
  std::string record(ends_[nth] - begin, '\0');
  if (begin >= flushed_bytes_) {
    record.assign(pending_, begin - flushed_bytes_, record.size());
    return record;
  }
  // A record lies either wholly in the file or wholly in the buffer: flush() writes whole records.
  std::size_t done = 0;
  while (done < record.size()) {
    const ssize_t n = ::pread(file_, record.data() + done, record.size() - done,
                              static_cast<off_t>(begin + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      return Failure{ASSAY_UNAVAILABLE, "cannot read back a temporary file in " + folder_.string() +
                                            ": " + std::generic_category().message(errno)};
    }
    done += static_cast<std::size_t>(n);
  }
  return record;
}

}  // namespace assay::host
