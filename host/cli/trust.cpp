#include "host/cli/trust.hpp"

#include <algorithm>
#include <ctime>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "host/core/hash.hpp"
#include "host/loader/lock.hpp"
#include "host/loader/paths.hpp"
#include "host/loader/trust.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;

constexpr int kAllowed = 0, kDeclined = 1, kRefused = 2;

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

/// One digest for a whole bundle.
std::string digest_of(const Files& files) {
  std::string list;
  for (const auto& [name, digest] : files) list += digest + "  " + name + "\n";
  return sha256(list);
}

/// The entries that allow what was found, one for each plugin.
std::vector<LockEntry> entries_of(const Registry& registry, const fs::path& folder,
                                  const Files& files, bool allows_host) {
  std::map<std::string, LockEntry> entries;
  for (const Component& component : registry.components()) {
    const assay_plugin& plugin = *component.plugin->constants;
    LockEntry& entry = entries[plugin.id];
    entry.id = plugin.id;
    entry.version = plugin.version;
    entry.directory = folder;
    entry.allows_host = allows_host;
    entry.date = today();
    entry.files = files;
    const assay_kind kind = component.constants->kind;
    if (std::find(entry.kinds.begin(), entry.kinds.end(), kind) == entry.kinds.end()) {
      entry.kinds.push_back(kind);
    }
  }
  std::vector<LockEntry> list;
  for (auto& [id, entry] : entries) list.push_back(std::move(entry));
  return list;
}

void show_components(const Registry& registry, std::ostream& out) {
  for (const Component& component : registry.components()) {
    out << "  " << component.id() << " " << component.version() << ", a "
        << to_string(component.constants->kind) << ": " << component.constants->summary << '\n';
    if (!component.plugin->worker_only.empty()) {
      out << "    only in a worker: it " << component.plugin->worker_only << '\n';
    }
  }
}

void show_files(const Files& files, std::ostream& out) {
  out << "files, with their SHA-256\n";
  for (const auto& [name, digest] : files) out << "  " << digest << "  " << name << '\n';
}

/// What differs from the entry there was; nothing where all is as it was.
void show_changes(const LockEntry& before, const LockEntry& now, std::ostream& out) {
  std::vector<std::string> lines;
  if (before.version != now.version) {
    lines.push_back("version " + before.version + " becomes " + now.version);
  }
  if (before.allows_host != now.allows_host) {
    lines.push_back(now.allows_host ? "it may run in assay's own process"
                                    : "it may no longer run in assay's own process");
  }
  for (const auto& [name, digest] : before.files) {
    const auto found = now.files.find(name);
    if (found == now.files.end()) {
      lines.push_back("gone     " + name);
    } else if (found->second != digest) {
      lines.push_back("changed  " + name + "\n    was  " + digest + "\n    is   " + found->second);
    }
  }
  for (const auto& [name, digest] : now.files) {
    if (!before.files.contains(name)) lines.push_back("new      " + name);
  }
  out << now.id << " was allowed on " << before.date
      << (lines.empty() ? "; nothing changed since\n" : "; since then\n");
  for (const std::string& line : lines) out << "  " << line << '\n';
}

bool is_yes(std::istream& in) {
  std::string answer;
  std::getline(in, answer);
  return answer == "y" || answer == "yes" || answer == "Y";
}

/// Copies the files, and no others, to a folder of the user's own.
Result<void> copy_bundle(const fs::path& from, const Files& files, const fs::path& to) {
  const auto failed = [&](const std::error_code& error) {
    return Failure{ASSAY_UNAVAILABLE, to.string() + " cannot be made: " + error.message()};
  };
  std::error_code error;
  if (fs::exists(to, error)) fs::remove_all(to, error);
  if (error) return failed(error);
  if (!make_private_folder(to)) return failed(std::make_error_code(std::errc::permission_denied));
  for (const auto& [name, digest] : files) {
    fs::create_directories((to / name).parent_path(), error);
    if (!error) fs::copy_file(from / name, to / name, error);
    if (!error) {
      fs::permissions(to / name, fs::perms::group_write | fs::perms::others_write,
                      fs::perm_options::remove, error);
    }
    if (error) return failed(error);
  }
  const auto copied = hash_folder(to);
  if (!copied) return Failure{ASSAY_UNAVAILABLE, to.string() + " " + copied.error().text};
  if (*copied != files) {
    return Failure{ASSAY_UNAVAILABLE, from.string() + " changed while it was copied; try again"};
  }
  return {};
}

bool is_searched(const fs::path& folder) {
  std::error_code error;
  const auto searched = plugin_search_path({});
  return std::any_of(searched.begin(), searched.end(), [&](const PluginFolder& one) {
    return fs::equivalent(one.path, folder, error);
  });
}

}  // namespace

int plugins_trust(const TrustRequest& request, const TrustPlaces& places, std::istream& in,
                  std::ostream& out, std::ostream& err) {
  const auto refused = [&](const std::string& text) {
    err << "error: " << text << '\n';
    return kRefused;
  };
  if (places.lock.empty() || (request.is_copied && places.store.empty())) {
    return refused("neither HOME nor the XDG variables name a folder for plugins.lock; set HOME");
  }
  std::error_code error;
  fs::path folder = fs::canonical(request.folder, error);
  if (error || !fs::is_directory(folder)) {
    return refused(request.folder.string() +
                   " is not a folder; name the one that the plugin lies in");
  }
  auto lock = read_lock(places.lock);
  if (!lock) return refused(lock.error().text);
  const auto files = hash_folder(folder);
  if (!files) return refused(folder.string() + " cannot be trusted: it " + files.error().text);

  ScanSettings settings = places.settings;
  settings.lock = nullptr;
  const Registry registry = Registry::scan({{folder, FolderSource::kEnvironment}}, settings);
  if (registry.components().empty()) {
    for (const Rejected& file : registry.rejected()) {
      err << file.path.string() << ": " << file.reason << '\n';
    }
    return refused(folder.string() + " holds no plugin that can be used");
  }

  out << folder.string() << '\n';
  show_components(registry, out);
  show_files(*files, out);
  out << (request.allows_host
              ? "It may run in assay's own process: datasets, metrics and reporters do, backends "
                "where the manifest says isolation = \"none\".\n"
              : "It may run in worker processes, with your rights.\n");
  const fs::path from = folder;
  if (request.is_copied) {
    folder = places.store / digest_of(*files).substr(0, 32);
    out << "It is copied to " << folder.string() << '\n';
  }
  std::vector<LockEntry> entries = entries_of(registry, folder, *files, request.allows_host);
  for (const LockEntry& entry : entries) {
    if (const LockEntry* before = lock->find(folder, entry.id)) show_changes(*before, entry, out);
  }

  if (!request.is_agreed) {
    if (!request.is_terminal) {
      return refused("there is nobody to ask; look at the list and run it again with --yes");
    }
    out << "Allow it? [y/N] " << std::flush;
    if (!is_yes(in)) {
      out << "nothing was changed\n";
      return kDeclined;
    }
  }
  if (request.is_copied) {
    if (auto copied = copy_bundle(from, *files, folder); !copied) {
      return refused(copied.error().text);
    }
  }
  std::erase_if(lock->plugins, [&](const LockEntry& entry) { return entry.directory == folder; });
  lock->plugins.insert(lock->plugins.end(), entries.begin(), entries.end());
  if (auto written = write_lock(places.lock, *lock); !written) {
    return refused(written.error().text);
  }
  out << "allowed in " << places.lock.string() << '\n';
  if (!request.is_copied && !is_searched(folder)) {
    out << "note: assay does not look there; set ASSAY_PLUGIN_PATH=" << folder.string()
        << ", or run this again with --copy\n";
  }
  return kAllowed;
}

}  // namespace assay::host
