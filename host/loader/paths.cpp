#include "host/loader/paths.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace assay::host {
namespace {

namespace fs = std::filesystem;

std::string reason_of(int number) { return std::generic_category().message(number); }

Failure unsafe(std::string text) { return {ASSAY_FAILED_PRECONDITION, std::move(text)}; }

/// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(-1); }

  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  void reset(int number) {
    if (number_ >= 0) close(number_);
    number_ = number;
  }

 private:
  int number_;
};

std::string name_of_user(uid_t user) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  if (getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return found->pw_name;
  }
  return "user " + std::to_string(user);
}

/// What is wrong with owner and mode of the place at the end of a path or on the way to it, as a
/// predicate with what mends it; "" when nothing is.
std::string fault_of(const struct stat& facts, const fs::path& place, bool is_last) {
  const std::string name = place.string();
  const std::string lies_in = is_last ? "" : "lies in " + name + ", which ";
  if (facts.st_uid != 0 && facts.st_uid != geteuid()) {
    return lies_in + "belongs to " + name_of_user(facts.st_uid) + "; chown " +
           std::to_string(geteuid()) + " " + name;
  }
  // In such a folder nobody can rename what is another's; but anyone can put a library beside it.
  const bool is_sticky_of_root = (facts.st_mode & S_ISVTX) != 0 && facts.st_uid == 0;
  if (is_sticky_of_root && !is_last) return "";
  for (const auto& [bit, who, mend] :
       {std::tuple(S_IWOTH, "others", "o-w"), {S_IWGRP, "its group", "g-w"}}) {
    if ((facts.st_mode & static_cast<mode_t>(bit)) == 0) continue;
    return (is_last ? "may be written to by " + std::string(who)
                    : lies_in + who + " may write to") +
           "; chmod " + mend + " " + name;
  }
  return "";
}

/// Walks from / and gives the last place opened, with O_PATH.
Result<int> walk(const fs::path& path) {
  if (!path.is_absolute()) return unsafe("is not named by an absolute path");
  Descriptor here(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  fs::path place = "/";
  const fs::path relative = path.lexically_normal().relative_path();
  auto part = relative.begin();
  for (;;) {
    struct stat facts {};
    if (here.get() < 0 || fstat(here.get(), &facts) != 0) {
      return unsafe("cannot be looked at: " + place.string() + ": " + reason_of(errno));
    }
    const bool is_last = part == relative.end() || part->empty();
    if (S_ISLNK(facts.st_mode)) {
      return unsafe("is reached through the symbolic link " + place.string() +
                    "; name the place itself");
    }
    if (std::string fault = fault_of(facts, place, is_last); !fault.empty()) {
      return unsafe(std::move(fault));
    }
    if (is_last) return here.release();
    place /= *part;
    const int next = openat(here.get(), part->c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0) {
      const int number = errno;
      if (number == ENOTDIR) return unsafe("lies below a file, not in a folder");
      if (number == ENOENT) return Failure{ASSAY_NOT_FOUND, "does not exist"};
      return unsafe("cannot be looked at: " + place.string() + ": " + reason_of(number));
    }
    here.reset(next);
    ++part;
  }
}

}  // namespace

fs::path user_folder(const char* variable, std::string_view below_home) {
  if (const char* named = std::getenv(variable); named != nullptr && *named == '/') return named;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    return fs::path(home) / below_home;
  }
  return {};
}

CheckedFile::CheckedFile(CheckedFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}
CheckedFile::~CheckedFile() {
  if (descriptor_ >= 0) close(descriptor_);
}
fs::path CheckedFile::path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

Result<CheckedFile> open_checked(const fs::path& path) {
  auto place = walk(path);
  if (!place) return std::move(place).error();
  const Descriptor looked_at(*place);
  struct stat facts {};
  if (fstat(looked_at.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) {
    return unsafe("is not a regular file");
  }
  // The same file that was looked at, whatever is at its path by now.
  const std::string name = "/proc/self/fd/" + std::to_string(looked_at.get());
  const int readable = open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (readable < 0) return unsafe("cannot be read: " + reason_of(errno));
  return CheckedFile(readable);
}

Result<void> check_folder(const fs::path& path) {
  auto place = walk(path);
  if (!place) return std::move(place).error();
  const Descriptor looked_at(*place);
  struct stat facts {};
  if (fstat(looked_at.get(), &facts) != 0 || !S_ISDIR(facts.st_mode)) {
    return unsafe("is not a folder");
  }
  return {};
}

bool is_private_folder(const fs::path& folder) {
  struct stat facts {};
  return lstat(folder.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) &&
         facts.st_uid == geteuid() && (facts.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

bool make_private_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder.parent_path(), error);
  mkdir(folder.c_str(), 0700);
  return is_private_folder(folder);
}

Result<void> replace_file(const fs::path& path, std::string_view text) {
  const auto failed = [&](const std::string& doing) {
    return Failure{ASSAY_UNAVAILABLE,
                   path.string() + " cannot be " + doing + ": " + reason_of(errno), path.string()};
  };
  std::string name = path.string() + ".XXXXXX";
  const Descriptor file(mkostemp(name.data(), O_CLOEXEC));  // mode 0600
  if (file.get() < 0) return failed("written");
  while (!text.empty()) {
    const ssize_t n = write(file.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      Failure failure = failed("written");
      unlink(name.c_str());
      return failure;
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (fsync(file.get()) != 0 || rename(name.c_str(), path.c_str()) != 0) {
    Failure failure = failed("replaced");
    unlink(name.c_str());
    return failure;
  }
  return {};
}

}  // namespace assay::host
