#include "host/cli/new.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "host/manifest/manifest.hpp"
#include "host/store/files.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr char kEveryKind[] = "project";
constexpr std::size_t kMaxId = 63;  // Source: ASSAY_NOTE, its id and a NUL in 64 bytes

bool is_lower(char letter) { return letter >= 'a' && letter <= 'z'; }
bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

/// Is it good for a file, a target and, after a change of case, a class?
bool is_part(std::string_view part) {
  return !part.empty() && is_lower(part.front()) &&
         std::all_of(part.begin(), part.end(), [](char letter) {
           return is_lower(letter) || is_digit(letter) || letter == '-' || letter == '_' ||
                  letter == '.';
         });
}

Result<void> check_id(std::string_view id) {
  const std::size_t slash = id.find('/');
  const std::string quoted = '"' + std::string(id) + '"';
  if (slash == std::string_view::npos || !is_part(id.substr(0, slash)) ||
      !is_part(id.substr(slash + 1))) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   quoted +
                       " is no id for a new plugin; expected vendor/name in small letters, digits, "
                       "- _ and ., each part beginning with a letter, such as acme/words"};
  }
  if (id.size() > kMaxId) {
    return Failure{ASSAY_INVALID_ARGUMENT, quoted + " has " + std::to_string(id.size()) +
                                               " letters; an id has at most " +
                                               std::to_string(kMaxId)};
  }
  if (id.substr(0, slash) == "assay") {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   quoted +
                       ": the vendor \"assay\" is that of the plugins that come with it; "
                       "write your own name before the slash"};
  }
  return {};
}

/// "long-form" as "long_form".
std::string snake(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](char letter) { return letter == '-' || letter == '.'; }, '_');
  return name;
}

/// "long-form" as "LongForm".
std::string pascal(std::string_view name) {
  std::string words;
  bool is_start = true;
  for (const char letter : name) {
    if (is_lower(letter) || is_digit(letter)) {
      words += is_start && is_lower(letter) ? static_cast<char>(letter - 'a' + 'A') : letter;
      is_start = false;
    } else {
      is_start = true;
    }
  }
  return words;
}

/// What the templates are written with, and what takes its place.
using Names = std::array<std::pair<std::string_view, std::string>, 6>;

Names names_of(const std::string& id) {
  const std::size_t slash = id.find('/');
  const std::string vendor = id.substr(0, slash);
  const std::string name = id.substr(slash + 1);
  // The first that fits is taken, so the longer ones come first.
  return {{{"my-vendor/my-plugin", id},
           {"my-vendor-my-plugin", vendor + '-' + name},
           {"my-vendor", vendor},
           {"my-plugin", name},
           {"my_plugin", snake(name)},
           {"MyPlugin", pascal(name)}}};
}

std::string renamed(std::string_view text, const Names& names) {
  std::string out;
  while (!text.empty()) {
    const auto* const found = std::find_if(
        names.begin(), names.end(), [&](const auto& name) { return text.starts_with(name.first); });
    if (found != names.end()) {
      out += found->second;
      text.remove_prefix(found->first.size());
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

std::vector<std::string> kinds_in(const fs::path& templates) {
  std::vector<std::string> kinds;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(templates, error)) {
    if (entry.is_directory(error) && entry.path().filename() != kEveryKind)
      kinds.push_back(entry.path().filename().string());
  }
  std::sort(kinds.begin(), kinds.end());
  return kinds;
}

Result<void> check_kind(const std::string& kind, const fs::path& templates) {
  const std::vector<std::string> kinds = kinds_in(templates);
  if (kinds.empty()) {
    return Failure{ASSAY_FAILED_PRECONDITION,
                   "there are no templates in " + templates.string() +
                       "; install the component sdk of assay beside this program"};
  }
  if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) return {};
  std::string text = "there is no template of a \"" + kind + "\"";
  const std::string suggestion = nearest(kind, kinds);
  if (!suggestion.empty()) text += "; did you mean \"" + suggestion + "\"?";
  text += suggestion.empty() ? "; known:" : " Known:";
  for (const std::string& known : kinds) text += (known == kinds.front() ? " " : ", ") + known;
  return Failure{ASSAY_INVALID_ARGUMENT, std::move(text)};
}

/// Copies a folder of the templates into the project; files that are there are replaced.
Result<void> copy_renamed(const fs::path& from, const fs::path& to, const Names& names) {
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(from, error)) {
    const fs::path target = to / renamed(fs::relative(entry.path(), from).string(), names);
    if (entry.is_directory()) {
      fs::create_directories(target, error);
    } else {
      auto text = read_document(entry.path());
      if (!text) return std::move(text).error();
      auto written = write_document(target, renamed(*text, names));
      if (!written) return written;
      fs::permissions(target, entry.status().permissions() | fs::perms::owner_write, error);
    }
    if (error) return write_failure(target, error.value());
  }
  if (error) return Failure{ASSAY_UNAVAILABLE, from.string() + ": " + error.message()};
  return {};
}

}  // namespace

fs::path template_folder() {
  std::error_code error;
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  return executable.parent_path().parent_path() / "share" / "assay-sdk" / "template";
}

Result<fs::path> make_project(const fs::path& templates, const NewProject& wanted) {
  for (const auto& checked : {check_kind(wanted.kind, templates), check_id(wanted.id)}) {
    if (!checked) return checked.error();
  }
  const Names names = names_of(wanted.id);
  const fs::path folder =
      wanted.folder.empty() ? fs::path(renamed("my-vendor-my-plugin", names)) : wanted.folder;
  std::error_code error;
  if (fs::exists(fs::symlink_status(folder, error))) {
    return Failure{ASSAY_FAILED_PRECONDITION,
                   folder.string() +
                       " exists, and nothing is written over; remove it, or name another folder "
                       "with --dir"};
  }
  fs::create_directories(folder, error);
  if (error) return write_failure(folder, error.value());
  for (const char* part : {kEveryKind, wanted.kind.c_str()}) {
    auto copied = copy_renamed(templates / part, folder, names);
    if (!copied) {
      fs::remove_all(folder, error);
      return std::move(copied).error();
    }
  }
  return folder;
}

std::string next_steps(const NewProject& wanted, const fs::path& folder,
                       const fs::path& templates) {
  const fs::path prefix = templates.parent_path().parent_path().parent_path();
  std::error_code error;
  const bool is_installed = fs::exists(prefix / "include" / "assay" / "abi.h", error);
  const std::string plugin = renamed("build/my-vendor-my-plugin.so", names_of(wanted.id));
  return "Made " + folder.string() + " (" + wanted.kind + " " + wanted.id +
         "). Next:\n"
         "  cd " +
         folder.string() +
         "\n"
         "  cmake -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=" +
         (is_installed ? prefix.string()
                       : "SDK    # where the component sdk of assay is installed") +
         "\n"
         "  cmake --build build\n"
         "  ctest --test-dir build --output-on-failure\n"
         "  assay plugins check " +
         plugin + "\n";
}

}  // namespace assay::host
