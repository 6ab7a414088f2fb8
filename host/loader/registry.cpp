#include "host/loader/registry.hpp"

#define BOOST_DLL_USE_STD_FS
#include <assay/ext.h>
#include <dlfcn.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "host/core/hash.hpp"
#include "host/core/utf8.hpp"
#include "host/loader/constants.hpp"
#include "host/loader/elf.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr char kEntry[] = "assay_plugin_v1";

Failure refused(std::string text) { return {ASSAY_FAILED_PRECONDITION, std::move(text)}; }

/// Why the system's loader would not take the file, in words of ours where we know the case.
std::string loader_sentence(std::string error, const fs::path& path) {
  const std::string own = path.string() + ": ";
  if (error.starts_with(own)) error.erase(0, own.size());
  constexpr std::string_view kAbsent =
      ": cannot open shared object file: No such file or directory";
  if (error.ends_with(kAbsent)) {
    return "needs the library " + error.substr(0, error.size() - kAbsent.size()) +
           ", which was not found; install it or put it beside the plugin";
  }
  constexpr std::string_view kUndefined = "undefined symbol: ";
  if (error.starts_with(kUndefined)) {
    return "needs the symbol " + error.substr(kUndefined.size()) +
           ", which none of its libraries has; link the library that has it";
  }
  return "cannot be loaded: " + error;
}

/// Libraries stay where they are until the process ends: a component's constants, its code and
/// its thread-local state may be in use by then.
void keep_for_ever(boost::dll::shared_library library) {
  static std::mutex lock;
  static auto& kept = *new std::vector<boost::dll::shared_library>;
  const std::scoped_lock hold(lock);
  kept.push_back(std::move(library));
}

/// What the file says before it is loaded: our entry is there, and not only that of another major.
Result<void> check_facts(const ElfFacts& facts) {
  if (facts.entries &&
      std::find(facts.entries->begin(), facts.entries->end(), kEntry) == facts.entries->end()) {
    if (facts.entries->empty()) {
      return refused("exports no assay_plugin_v1, so it is no plugin");
    }
    const std::string major = facts.entries->front().substr(std::string("assay_plugin_v").size());
    return refused("was built for ABI " + major + ", this assay speaks ABI " +
                   std::to_string(ASSAY_ABI_MAJOR) + "; get a build of the plugin for ABI " +
                   std::to_string(ASSAY_ABI_MAJOR));
  }
  if (facts.note && facts.note->abi_major == ASSAY_ABI_MAJOR &&
      facts.note->abi_minor_needed > ASSAY_ABI_MINOR) {
    return refused("needs ABI 1." + std::to_string(facts.note->abi_minor_needed) +
                   ", this assay speaks ABI 1." + std::to_string(ASSAY_ABI_MINOR) +
                   "; get a newer assay");
  }
  return {};
}

/// open_plugin, with a predicate about the file as the text of a failure.
Result<Plugin> open_file(const fs::path& asked) {
  std::error_code error;
  const fs::path path = fs::canonical(asked, error);
  if (error == std::errc::no_such_file_or_directory) {
    return Failure{ASSAY_NOT_FOUND, "does not exist"};
  }
  if (error) return refused("cannot be reached: " + error.message());
  auto facts = read_elf(path);
  if (!facts) return std::move(facts).error();
  auto checked = check_facts(*facts);
  if (!checked) return std::move(checked).error();
  auto digest = sha256_file(path);
  if (!digest) return refused("cannot be read to its end");

  boost::dll::shared_library library;
  library.load(path, error, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  if (error) {
    const char* text = dlerror();
    return refused(loader_sentence(text != nullptr ? text : error.message(), path));
  }
  if (!library.has(kEntry)) return refused("exports no assay_plugin_v1, so it is no plugin");
  const auto& constants = library.get<const assay_plugin>(kEntry);
  checked = check_constants(constants);
  keep_for_ever(std::move(library));
  if (!checked) return std::move(checked).error();
  return Plugin{path, *std::move(digest), &constants};
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

fs::path from_root(const fs::path& path) {
  std::error_code error;
  fs::path whole = fs::absolute(path, error);
  return (error ? path : whole).lexically_normal();
}

}  // namespace

Result<Plugin> open_plugin(const fs::path& path) {
  auto plugin = open_file(path);
  if (plugin) return plugin;
  Failure failure = std::move(plugin).error();
  return Failure{failure.code, "plugin " + path.string() + " " + failure.text, path.string()};
}

Registry Registry::scan(const std::vector<fs::path>& folders) {
  Registry registry;
  for (const fs::path& folder : folders) registry.scan_folder(folder);
  return registry;
}

void Registry::scan_folder(const fs::path& folder) {
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
  for (const fs::path& file : files) scan_file(file);
}

void Registry::scan_file(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  for (const auto& plugin : plugins_) {
    if (!error && plugin->path == real) return;
  }
  auto plugin = open_file(path);
  if (plugin) {
    take(*std::move(plugin));
  } else {
    rejected_.push_back({path, plugin.error().text});
  }
}

void Registry::add(const assay_plugin& constants, fs::path path) {
  take(Plugin{std::move(path), "", &constants});
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

std::vector<fs::path> plugin_search_path(const std::vector<fs::path>& from_command_line) {
  std::vector<fs::path> folders;
  for (const fs::path& folder : from_command_line) folders.push_back(from_root(folder));

  std::vector<fs::path> others;
  if (const char* list = std::getenv("ASSAY_PLUGIN_PATH")) others = split_path_list(list);
  std::error_code error;
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  if (!error) others.push_back(executable.parent_path() / ".." / "lib" / "assay");
  others.emplace_back("/usr/local/lib/assay");
  others.emplace_back("/usr/lib/assay");
  for (const fs::path& folder : others) {
    if (fs::is_directory(folder, error)) folders.push_back(from_root(folder));
  }
  return folders;
}

}  // namespace assay::host
