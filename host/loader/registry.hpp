// Finds plugins and knows what they say about themselves. No plugin's code runs in the host for it;
// what may run, and where, is decided in trust.hpp.
#pragma once

#include <assay/abi.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"

namespace assay::host {

class Isolation;
struct Lock;

/// What a component's assay.config.check/1 says of one option, or of all of them ("").
struct ConfigComplaint {
  bool is_error = true;
  std::string key, text;
};

/// The process a plugin is loaded into: the host's own, or one that is there for it alone.
enum class Into { kHost, kWorker };

/// Who vouches for a plugin. kBundled: whoever installed assay, for it lies beside the executable.
/// kCommandLine: the user, for this run. kLock: plugins.lock. kNone: nobody.
enum class TrustSource { kBundled, kCommandLine, kLock, kNone };

/// What a plugin may do.
struct Trust {
  TrustSource source = TrustSource::kBundled;
  /// Datasets, metrics and reporters run in the host's process; backends where the manifest says.
  bool allows_host = true;
  std::string refusal;            ///< why no run may use it, with what to do; "" when it may
  std::vector<assay_kind> kinds;  ///< that may run; empty: all
  std::map<std::string, std::string> files;  ///< SHA-256 of each file of its folder, from the lock
};

/// A plugin whose constants are known.
struct Plugin {
  std::filesystem::path path;  ///< absolute
  std::string sha256;
  /// The library's own, or rebuilt from a scan: those are never to be called, see
  /// Component::loaded.
  const assay_plugin* constants = nullptr;
  bool is_scanned = false;  ///< the constants were rebuilt from a scan
  std::string build_id;     ///< "": none
  /// Why the host's process cannot take it, a predicate with what to do; "" when it can.
  std::string worker_only;
  Trust trust;
  /// Opens it in processes of its own; NULL where there are none, as for plugins in memory.
  Isolation* isolation = nullptr;
  Into into = Into::kHost;  ///< where it is open, or will be
};

struct Component {
  const assay_component* constants = nullptr;
  const Plugin* plugin = nullptr;

  std::string_view id() const { return constants->id; }
  std::string_view version() const { return constants->version; }

  /// The constants of the library itself, which is opened in this process if it was not yet.
  ///
  /// Fails    as open_plugin
  /// Threads  [any-thread]
  Result<const assay_component*> loaded() const;
};

/// A file in the search path that could not be used, and the sentence saying why.
struct Rejected {
  std::filesystem::path path;
  std::string reason;
};

/// Does the component list this extension?
bool offers(const Component& component, std::string_view extension);

/// A backend that answers texts and no tokens: tokenization is its own business.
bool is_text_only(const Component& component);

/// Opens one file in this process: rtld_now | rtld_local, absolute path, exactly the symbol
/// assay_plugin_v1. What loading it changes of the process is put back and, in a worker, logged.
///
/// Fails    ASSAY_NOT_FOUND no such file; ASSAY_FAILED_PRECONDITION not a shared library, exports
///          nothing of ours, built for another ABI major, constants that break the contract, or
///          nothing for the host's own process
/// Owns     never unloaded: process exit is the only unload
Result<Plugin> open_plugin(const std::filesystem::path& path, Into into = Into::kHost);

/// Where a folder of the search path comes from.
enum class FolderSource { kCommandLine, kEnvironment, kUser, kBundled, kSystem };

struct PluginFolder {
  std::filesystem::path path;
  FolderSource source = FolderSource::kBundled;
};

struct ScanSettings {
  Isolation* isolation = nullptr;  ///< NULL: files are opened in this process
  std::filesystem::path cache;     ///< folder of finished scans; empty: none are kept
  const Lock* lock = nullptr;      ///< NULL: nothing is trusted by a lock
};

/// Every component of every plugin of the search path.
class Registry {
 public:
  /// Looks for *.so in each folder, in order; the first component of an id wins. A folder that
  /// does not exist is rejected like a file that cannot be used.
  static Registry scan(const std::vector<PluginFolder>& folders, const ScanSettings& settings);
  /// Trusts and opens everything in this process, for tests.
  static Registry scan(const std::vector<std::filesystem::path>& folders);

  /// Adds a plugin that is in memory already, for tests. `constants` outlives the registry.
  void add(const assay_plugin& constants, std::filesystem::path path);

  const Component* find(std::string_view id, assay_kind kind) const;
  const Component* find(std::string_view id) const;
  const std::vector<Component>& components() const { return components_; }
  const std::vector<Rejected>& rejected() const { return rejected_; }
  const std::vector<std::filesystem::path>& folders() const { return folders_; }
  std::vector<std::string> ids(assay_kind kind) const;

 private:
  void scan_folder(const PluginFolder& folder, const ScanSettings& settings);
  void scan_file(const std::filesystem::path& path, FolderSource source,
                 const ScanSettings& settings);
  void take(Plugin plugin);

  std::vector<std::filesystem::path> folders_;  // as they were searched
  std::vector<std::unique_ptr<Plugin>> plugins_;
  std::vector<Component> components_;
  std::vector<Rejected> rejected_;
};

/// --plugin-dir folders, then ASSAY_PLUGIN_PATH (colon-separated), then assay/plugins of the user's
/// data folder, then lib/assay beside the executable's folder, then the system's lib/assay. Never
/// the working directory. Absolute; of all but the first kind only folders that exist.
std::vector<PluginFolder> plugin_search_path(
    const std::vector<std::filesystem::path>& from_command_line);

/// "backend", "dataset", "metric", "reporter".
std::string_view to_string(assay_kind kind);

/// One line per component under its folder, then one per rejected file with its reason.
std::string list_text(const Registry& registry);

/// What `assay plugins describe` prints: identity, options, columns, outputs, where it comes from.
std::string describe_text(const Component& component);

}  // namespace assay::host
