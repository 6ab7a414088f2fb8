#include "host/loader/lock.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include "host/core/hash.hpp"
#include "host/loader/paths.hpp"
#include "host/loader/registry.hpp"
#include "host/manifest/fields.hpp"
#include "host/manifest/toml.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 100'000;
constexpr std::uintmax_t kMostLockBytes = 16u << 20;

std::optional<assay_kind> kind_of(const std::string& name) {
  for (const assay_kind kind : {ASSAY_BACKEND, ASSAY_DATASET, ASSAY_METRIC, ASSAY_REPORTER}) {
    if (to_string(kind) == name) return kind;
  }
  return std::nullopt;
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char letter) {
           return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
         });
}

LockEntry entry_of(const Value& value, std::vector<Diagnostic>& errors) {
  LockEntry entry;
  const auto* table = get_if<Table>(value);
  if (table == nullptr) {
    errors.push_back({value.place, "plugin must be a list of tables, got " + found(value)});
    return entry;
  }
  Fields fields(*table, "plugin", value.place, errors);
  fields.require({{"id", "the plugin's id"},
                  {"version", "its version"},
                  {"directory", "the folder it lies in"},
                  {"kinds", "what of it may run"},
                  {"isolation", "\"worker\" or \"none\""},
                  {"date", "when it was allowed"},
                  {"files", "the SHA-256 of each file"}});
  entry.id = fields.text("id").value;
  entry.version = fields.text("version").value;
  const auto directory = fields.text("directory");
  entry.directory = directory.value;
  if (directory.given() && !entry.directory.is_absolute()) {
    fields.error(directory.place, "directory must be an absolute path");
  }
  for (const auto& name : fields.texts("kinds")) {
    if (const auto kind = kind_of(name.value)) {
      entry.kinds.push_back(*kind);
    } else {
      fields.error(name.place, "there is no kind " + in_quotes(name.value),
                   "the kinds are backend, dataset, metric, reporter");
    }
  }
  const auto isolation = fields.text("isolation", "worker");
  entry.allows_host = isolation.value == "none";
  if (!entry.allows_host && isolation.value != "worker") {
    fields.error(isolation.place,
                 "isolation must be \"worker\" or \"none\", got " + in_quotes(isolation.value));
  }
  entry.date = fields.text("date").value;
  if (const Value* files = fields.take("files")) {
    const auto* names = get_if<Table>(*files);
    if (names == nullptr) fields.wrong_type("files", "a table", *files);
    for (const Entry& file : names != nullptr ? *names : Table()) {
      const auto* digest = get_if<std::string>(file.value);
      if (digest == nullptr || !is_sha256(*digest)) {
        fields.error(file.value.place, "expected the 64 hexadecimal digits of a SHA-256");
        continue;
      }
      entry.files[file.key] = *digest;
    }
  }
  fields.refuse_unknown("");
  return entry;
}

/// A TOML text in quotes.
std::string toml_text(std::string_view text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      quoted += '\\';
      quoted += letter;
    } else if (byte < 0x20 || byte == 0x7f) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04X", byte);
      quoted += code;
    } else {
      quoted += letter;
    }
  }
  return quoted + '"';
}

/// Adds the files of a folder, those of folders in it included.
Result<void> add_files(const fs::path& top, const fs::path& folder,
                       std::map<std::string, std::string>& files) {
  const auto refused = [](std::string text) {
    return Failure{ASSAY_FAILED_PRECONDITION, std::move(text)};
  };
  if (auto checked = check_folder(folder); !checked) return checked;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (const fs::directory_iterator end; !error && entries != end; entries.increment(error)) {
    const fs::path& path = entries->path();
    const std::string name = path.lexically_relative(top).string();
    const auto status = entries->symlink_status(error);
    if (error) break;
    if (fs::is_symlink(status)) {
      return refused("holds the symbolic link " + name + "; put the file itself there");
    }
    if (fs::is_directory(status)) {
      if (auto added = add_files(top, path, files); !added) return added;
      continue;
    }
    auto file = open_checked(path);
    if (!file) return refused("holds " + name + ", which " + file.error().text);
    auto digest = sha256_file(file->path());
    if (!digest) return refused("holds " + name + ", which cannot be read to its end");
    files[name] = *std::move(digest);
    if (files.size() > kMostFiles) {
      return refused("holds more than " + std::to_string(kMostFiles) +
                     " files; put the plugin into a folder of its own");
    }
  }
  if (error) return refused("cannot be read: " + error.message());
  return {};
}

}  // namespace

const LockEntry* Lock::find(const fs::path& directory, std::string_view id) const {
  const auto found = std::find_if(plugins.begin(), plugins.end(), [&](const LockEntry& entry) {
    return entry.directory == directory && entry.id == id;
  });
  return found != plugins.end() ? &*found : nullptr;
}

fs::path lock_path() {
  const fs::path folder = user_folder("XDG_CONFIG_HOME", ".config");
  return folder.empty() ? folder : folder / "assay" / "plugins.lock";
}

Result<Lock> read_lock(const fs::path& path) {
  std::error_code error;
  if (path.empty() || !fs::exists(path, error)) return Lock{};
  auto file = open_checked(fs::canonical(path, error));
  if (!file) {
    return Failure{file.error().code, path.string() + " is not used: it " + file.error().text,
                   path.string()};
  }
  if (fs::file_size(file->path(), error) > kMostLockBytes || error) {
    return Failure{ASSAY_INVALID_ARGUMENT, path.string() + " has more than 16 MiB", path.string()};
  }
  std::ifstream in(file->path(), std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  ParsedToml parsed = parse_toml(text, 0);
  Lock lock;
  if (parsed.errors.empty()) {
    Fields root(parsed.table, "the file", {}, parsed.errors);
    if (const Value* plugins = root.take("plugin")) {
      const auto* list = get_if<std::vector<Value>>(*plugins);
      if (list == nullptr) root.wrong_type("plugin", "a list of tables", *plugins);
      for (const Value& value : list != nullptr ? *list : std::vector<Value>()) {
        lock.plugins.push_back(entry_of(value, parsed.errors));
      }
    }
    root.refuse_unknown("");
  }
  if (parsed.errors.empty()) return lock;
  const std::vector<Source> sources{{path, text}};
  return Failure{ASSAY_INVALID_ARGUMENT,
                 render(sources, parsed.errors.front()) +
                     "\nmend the file, or remove it and allow the plugins again with `assay "
                     "plugins trust`",
                 path.string()};
}

std::string lock_text(const Lock& lock) {
  std::vector<const LockEntry*> entries;
  for (const LockEntry& entry : lock.plugins) entries.push_back(&entry);
  std::sort(entries.begin(), entries.end(), [](const LockEntry* a, const LockEntry* b) {
    return std::tie(a->directory, a->id) < std::tie(b->directory, b->id);
  });
  std::string text = "# Plugins that may run. Written by `assay plugins trust`.\n";
  for (const LockEntry* entry : entries) {
    std::string kinds;
    for (const assay_kind kind : entry->kinds) {
      kinds += (kinds.empty() ? "" : ", ") + toml_text(to_string(kind));
    }
    text += "\n[[plugin]]\nid        = " + toml_text(entry->id) +
            "\nversion   = " + toml_text(entry->version) +
            "\ndirectory = " + toml_text(entry->directory.string()) + "\nkinds     = [" + kinds +
            "]\nisolation = " + (entry->allows_host ? "\"none\"" : "\"worker\"") +
            "\ndate      = " + toml_text(entry->date) + "\n\n[plugin.files]\n";
    for (const auto& [name, digest] : entry->files) {
      text += toml_text(name) + " = " + toml_text(digest) + "\n";
    }
  }
  return text;
}

Result<void> write_lock(const fs::path& path, const Lock& lock) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  return replace_file(path, lock_text(lock));
}

Result<std::map<std::string, std::string>> hash_folder(const fs::path& folder) {
  std::map<std::string, std::string> files;
  if (auto added = add_files(folder, folder, files); !added) return std::move(added).error();
  return files;
}

}  // namespace assay::host
