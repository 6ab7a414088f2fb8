#include "host/loader/registry.hpp"

#include <assay/ext.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "host/loader/constants.hpp"
#include "host/loader/instance.hpp"
#include "host/loader/open.hpp"
#include "host/loader/paths.hpp"
#include "host/loader/scan.hpp"
#include "host/loader/trust.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

/// The scan of a file, from the cache where one is whole.
Result<Scanned> scanned_file(const FileFacts& file, const ScanSettings& settings) {
  if (const auto kept = cached_scan(settings.cache, file.sha256)) {
    if (auto scanned = read_scan(*kept)) return scanned;
  }
  auto scan =
      settings.isolation != nullptr ? settings.isolation->scan(file.path) : scan_plugin(file.path);
  if (!scan) return std::move(scan).error();
  auto scanned = read_scan(*scan);
  if (scanned) keep_scan(settings.cache, file.sha256, *scan);
  return scanned;
}

Result<Plugin> find_plugin(const fs::path& path, FolderSource source,
                           const ScanSettings& settings) {
  auto facts = check_file(path);
  if (!facts) return std::move(facts).error();
  auto file = check_place(path, source);
  if (!file) return std::move(file).error();
  auto scanned = scanned_file(*file, settings);
  if (!scanned) return std::move(scanned).error();
  Plugin plugin;
  plugin.constants = scanned->constants;
  plugin.is_scanned = true;
  plugin.build_id = std::move(scanned->build_id);
  plugin.worker_only = std::move(scanned->worker_only);
  plugin.trust = trust_of(*file, *plugin.constants, source, settings.lock);
  plugin.isolation = settings.isolation;
  plugin.path = std::move(file->path);
  plugin.sha256 = std::move(file->sha256);
  return plugin;
}

std::vector<fs::path> split_path_list(std::string_view list) {
  std::vector<fs::path> folders;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(':'), list.size());
    // An empty element would mean the working directory; here it means nothing.
    if (end > 0) folders.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return folders;
}

/// A folder and those in it: there a plugin can have its files to itself.
std::vector<fs::path> with_subfolders(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (const fs::directory_iterator end; !error && entries != end; entries.increment(error)) {
    if (entries->is_directory(error)) folders.push_back(entries->path());
  }
  std::sort(folders.begin(), folders.end());
  folders.insert(folders.begin(), folder);
  return folders;
}

fs::path from_root(const fs::path& path) {
  std::error_code error;
  fs::path whole = fs::absolute(path, error);
  return (error ? path : whole).lexically_normal();
}

}  // namespace

Result<const assay_component*> Component::loaded() const {
  if (plugin == nullptr || !plugin->is_scanned) return constants;
  auto library = open_library(plugin->path, plugin->into);
  const auto refused = [&](const std::string& why) {
    return Failure{ASSAY_FAILED_PRECONDITION, "plugin " + plugin->path.string() + " " + why,
                   plugin->path.string()};
  };
  if (!library) return refused(library.error().text);
  for (std::uint64_t i = 0; i < library->constants->n_components; ++i) {
    const assay_component& component = *library->constants->components[i];
    if (component.id == id() && component.kind == constants->kind) return &component;
  }
  return refused("has no component \"" + std::string(id()) +
                 "\" any more; it was replaced while assay ran, so run it again");
}

Registry Registry::scan(const std::vector<PluginFolder>& folders, const ScanSettings& settings) {
  Registry registry;
  for (const PluginFolder& folder : folders) registry.scan_folder(folder, settings);
  return registry;
}

Registry Registry::scan(const std::vector<fs::path>& folders) {
  std::vector<PluginFolder> trusted;
  for (const fs::path& folder : folders) trusted.push_back({folder, FolderSource::kBundled});
  return scan(trusted, {});
}

void Registry::scan_folder(const PluginFolder& searched, const ScanSettings& settings) {
  const fs::path& folder = searched.path;
  if (std::find(folders_.begin(), folders_.end(), folder) != folders_.end()) return;
  folders_.push_back(folder);
  std::error_code error;
  if (!fs::exists(folder, error)) {
    rejected_.push_back({folder, "no such folder"});
    return;
  }
  std::vector<fs::path> files;
  fs::directory_iterator entries(folder, error);
  for (const fs::directory_iterator end; !error && entries != end; entries.increment(error)) {
    if (entries->path().extension() == ".so") files.push_back(entries->path());
  }
  if (error) rejected_.push_back({folder, "cannot be read as a folder: " + error.message()});
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) scan_file(file, searched.source, settings);
}

void Registry::scan_file(const fs::path& path, FolderSource source, const ScanSettings& settings) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  for (const auto& plugin : plugins_) {
    if (!error && plugin->path == real) return;
  }
  auto plugin = find_plugin(path, source, settings);
  if (plugin) {
    take(*std::move(plugin));
  } else {
    rejected_.push_back({path, plugin.error().text});
  }
}

void Registry::add(const assay_plugin& constants, fs::path path) {
  Plugin plugin;
  plugin.path = std::move(path);
  plugin.constants = &constants;
  take(std::move(plugin));
}

void Registry::take(Plugin plugin) {
  plugins_.push_back(std::make_unique<Plugin>(std::move(plugin)));
  const Plugin& kept = *plugins_.back();
  for (std::uint64_t i = 0; i < kept.constants->n_components; ++i) {
    const assay_component& component = *kept.constants->components[i];
    if (!is_known(component.kind)) {
      rejected_.push_back({kept.path, "component \"" + std::string(component.id) +
                                          "\" is of a kind newer than this assay (" +
                                          std::to_string(component.kind) + ")"});
    } else if (const Component* first = find(component.id); first != nullptr) {
      rejected_.push_back({kept.path, "component \"" + std::string(component.id) +
                                          "\" was found before, in " +
                                          first->plugin->path.string()});
    } else {
      components_.push_back({&component, &kept});
    }
  }
}

bool offers(const Component& component, std::string_view extension) {
  const assay_component& constants = *component.constants;
  return std::any_of(
      constants.extensions, constants.extensions + constants.n_extensions,
      [extension](const assay_extension& offered) { return offered.id == extension; });
}

bool is_text_only(const Component& component) {
  if (component.constants->kind != ASSAY_BACKEND) return false;
  const auto& api = *static_cast<const assay_backend_v1*>(component.constants->api);
  return api.run == nullptr && offers(component, ASSAY_BACKEND_TEXT_1);
}

const Component* Registry::find(std::string_view id, assay_kind kind) const {
  const Component* component = find(id);
  return component != nullptr && component->constants->kind == kind ? component : nullptr;
}

const Component* Registry::find(std::string_view id) const {
  const auto found =
      std::find_if(components_.begin(), components_.end(),
                   [id](const Component& component) { return component.id() == id; });
  return found != components_.end() ? &*found : nullptr;
}

std::vector<std::string> Registry::ids(assay_kind kind) const {
  std::vector<std::string> ids;
  for (const Component& component : components_) {
    if (component.constants->kind == kind) ids.emplace_back(component.id());
  }
  return ids;
}

std::vector<PluginFolder> plugin_search_path(const std::vector<fs::path>& from_command_line) {
  std::vector<PluginFolder> folders;
  for (const fs::path& folder : from_command_line) {
    folders.push_back({from_root(folder), FolderSource::kCommandLine});
  }
  std::error_code error;
  std::vector<PluginFolder> others;
  if (const char* list = std::getenv("ASSAY_PLUGIN_PATH")) {
    for (fs::path& folder : split_path_list(list)) {
      others.push_back({std::move(folder), FolderSource::kEnvironment});
    }
  }
  if (const fs::path data = user_folder("XDG_DATA_HOME", ".local/share"); !data.empty()) {
    for (fs::path& folder : with_subfolders(data / "assay" / "plugins")) {
      others.push_back({std::move(folder), FolderSource::kUser});
    }
  }
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    others.push_back({executable.parent_path() / ".." / "lib" / "assay", FolderSource::kBundled});
  }
  others.push_back({"/usr/local/lib/assay", FolderSource::kSystem});
  others.push_back({"/usr/lib/assay", FolderSource::kSystem});
  for (const PluginFolder& folder : others) {
    if (!fs::is_directory(folder.path, error)) continue;
    folders.push_back({from_root(folder.path), folder.source});
  }
  return folders;
}

}  // namespace assay::host
