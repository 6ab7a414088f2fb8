#include "host/store/digests.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <ctime>
#include <optional>
#include <system_error>
#include <utility>

#include "host/core/hash.hpp"
#include "host/store/files.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

// A file changed just now may change again without a new time stamp.
constexpr std::int64_t kSettledSeconds = 2;

/// What tells one state of a file from another.
struct Stamp {
  std::uint64_t bytes = 0, inode = 0;
  std::int64_t changed_ns = 0;
  bool is_settled = false;

  bool is_of(const Json& entry) const {
    return entry.is_object() && entry.value("bytes", Json()) == Json(bytes) &&
           entry.value("inode", Json()) == Json(inode) &&
           entry.value("changed_ns", Json()) == Json(changed_ns) &&
           entry.value("sha256", Json()).is_string();
  }
};

std::optional<Stamp> stamp_of(const fs::path& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return std::nullopt;
  Stamp stamp;
  stamp.bytes = static_cast<std::uint64_t>(facts.st_size);
  stamp.inode = facts.st_ino;
  stamp.changed_ns = facts.st_mtim.tv_sec * std::int64_t{1'000'000'000} + facts.st_mtim.tv_nsec;
  stamp.is_settled = std::time(nullptr) - facts.st_mtim.tv_sec >= kSettledSeconds;
  return stamp;
}

std::string key_of(const fs::path& path) {
  std::error_code error;
  const fs::path whole = fs::canonical(path, error);
  return error ? path.string() : whole.string();
}

Failure cannot_read(const fs::path& path, const std::error_code& error) {
  return {ASSAY_UNAVAILABLE, "cannot read " + path.string() + ": " + error.message(),
          path.string()};
}

/// The files of a directory that count, by their names in it.
Result<std::map<std::string, fs::path>> files_of(const fs::path& directory) {
  std::map<std::string, fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(directory, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const bool is_hidden = entry->path().filename().string().starts_with('.');
    if (is_hidden) entry.disable_recursion_pending();
    // A link counts as what it leads to, as in a cache of downloads.
    if (is_hidden || !entry->is_regular_file()) continue;
    files.emplace(entry->path().lexically_relative(directory).string(), entry->path());
  }
  if (error) return cannot_read(directory, error);
  return files;
}

}  // namespace

FileDigests::FileDigests(fs::path file) : file_(std::move(file)) {
  const auto text = read_document(file_);
  if (!text) return;
  Json read = Json::parse(*text, nullptr, false);
  if (read.is_object()) known_ = std::move(read);
}

bool FileDigests::is_known(const fs::path& path) const {
  const auto stamp = stamp_of(path);
  const auto found = known_.find(key_of(path));
  return stamp && found != known_.end() && stamp->is_of(*found);
}

Result<std::string> FileDigests::of(const fs::path& path) {
  const auto stamp = stamp_of(path);
  if (!stamp) return cannot_read(path, std::error_code(errno, std::generic_category()));
  const std::string key = key_of(path);
  const auto found = known_.find(key);
  if (found != known_.end() && stamp->is_of(*found)) return found->at("sha256").get<std::string>();
  auto digest = sha256_file(path);
  if (!digest || !stamp->is_settled) return digest;
  known_[key] = {{"bytes", stamp->bytes},
                 {"inode", stamp->inode},
                 {"changed_ns", stamp->changed_ns},
                 {"sha256", *digest}};
  is_changed_ = true;
  return digest;
}

Result<void> FileDigests::save() const {
  if (!is_changed_) return {};
  return write_document(file_, known_.dump(1) + "\n", FolderOption::kStore);
}

Result<std::string> digest_of_directory(
    const fs::path& directory, FileDigests& digests,
    const std::function<void(const fs::path& file, std::uint64_t bytes)>& on_file) {
  const auto files = files_of(directory);
  if (!files) return files.error();
  std::string all;
  for (const auto& [name, path] : *files) {
    std::error_code ignored;
    if (on_file && !digests.is_known(path)) on_file(path, fs::file_size(path, ignored));
    auto digest = digests.of(path);
    if (!digest) return digest;
    all += *digest + " " + std::to_string(name.size()) + " " + name + "\n";
  }
  return sha256(all);
}

}  // namespace assay::host
