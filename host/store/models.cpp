#include "host/store/models.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "host/store/files.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kBetweenTries{100};
constexpr const char* kDocument = "assay.json";

Failure store_failure(const fs::path& path, int error_number) {
  return write_failure(path, error_number, FolderOption::kStore);
}

/// Name and size of every file but assay.json.
Result<Json> files_of(const fs::path& directory) {
  Json files = Json::array();
  std::error_code error;
  fs::recursive_directory_iterator entry(directory, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (!entry->is_regular_file()) continue;
    const std::string name = entry->path().lexically_relative(directory).string();
    if (name != kDocument) files.push_back({{"name", name}, {"bytes", entry->file_size()}});
  }
  if (error) return store_failure(directory, error.value());
  return files;
}

bool has_file(const fs::path& directory, const Json& file) {
  const auto name = file.find("name"), bytes = file.find("bytes");
  if (name == file.end() || bytes == file.end() || !name->is_string()) return false;
  std::error_code error;
  const auto size = fs::file_size(directory / name->get<std::string>(), error);
  return !error && Json(size) == *bytes;
}

}  // namespace

Claim::Claim(Claim&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

Claim::~Claim() {
  if (file_ >= 0) ::close(file_);
}

Result<ModelStore> ModelStore::open(const fs::path& root) {
  for (const char* folder : {"models", "tmp", "locks"}) {
    if (auto made = make_folder(root / folder, FolderOption::kStore); !made) {
      return std::move(made).error();
    }
  }
  return ModelStore(root);
}

std::optional<Json> ModelStore::find(const std::string& digest) const {
  const fs::path directory = path_of(digest);
  const auto text = read_document(directory / kDocument);
  if (!text) return std::nullopt;
  Json document = Json::parse(*text, nullptr, false);
  if (!document.is_object() || document.value("digest", Json()) != Json(digest)) {
    return std::nullopt;
  }
  const auto files = document.find("files");
  if (files == document.end() || !files->is_array() || files->empty()) return std::nullopt;
  for (const Json& file : *files) {
    if (!file.is_object() || !has_file(directory, file)) return std::nullopt;
  }
  return document;
}

Result<Claim> ModelStore::claim(const std::string& digest, const std::atomic<bool>& cancelled,
                                const std::function<void()>& on_wait) const {
  // Never removed: a process may wait for the very file.
  const fs::path path = root_ / "locks" / digest;
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return store_failure(path, errno);
  Claim claim(file);
  bool has_waited = false;
  while (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return store_failure(path, errno);
    if (cancelled) return Failure{ASSAY_CANCELLED, "interrupted while waiting for " + digest};
    if (!std::exchange(has_waited, true) && on_wait) on_wait();
    std::this_thread::sleep_for(kBetweenTries);
  }
  return claim;
}

Result<fs::path> ModelStore::begin(const Claim& /*claim*/, const std::string& digest) const {
  const fs::path folder = root_ / "tmp" / digest;
  if (auto made = make_folder(folder, FolderOption::kStore); !made) return std::move(made).error();
  return folder;
}

void ModelStore::discard(const Claim& /*claim*/, const std::string& digest) const {
  std::error_code ignored;
  fs::remove_all(root_ / "tmp" / digest, ignored);
}

Result<fs::path> ModelStore::publish(const Claim& /*claim*/, const std::string& digest,
                                     Json document) const {
  const fs::path made = root_ / "tmp" / digest, place = path_of(digest);
  auto files = files_of(made);
  if (!files) return std::move(files).error();
  if (files->empty()) {
    return Failure{ASSAY_INTERNAL, "nothing was written into " + made.string(), made.string()};
  }
  document["digest"] = digest;
  document["files"] = std::move(*files);
  const std::string text = document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  if (auto written = write_document(made / kDocument, text, FolderOption::kStore); !written) {
    return std::move(written).error();
  }
  if (auto synced = sync_folder(made, FolderOption::kStore); !synced) {
    return std::move(synced).error();
  }
  std::error_code error;
  fs::remove_all(place, error);  // what find() does not take for whole
  if (!error) fs::rename(made, place, error);
  if (error) return store_failure(place, error.value());
  const int folder = ::open(place.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
  return place;
}

}  // namespace assay::host
