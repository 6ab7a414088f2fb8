// Finds plugins and reads what they say about themselves. Constants only: nothing here runs a
// plugin's function.
#pragma once

#include <assay/abi.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/result.hpp"

namespace assay::host {

class Isolation;

/// What a component's assay.config.check/1 says of one option, or of all of them ("").
struct ConfigComplaint {
  bool is_error = true;
  std::string key, text;
};

/// An opened plugin. Never unloaded: process exit is the only unload.
struct Plugin {
  std::filesystem::path path;  ///< absolute
  std::string sha256;
  const assay_plugin* constants = nullptr;
  /// Opens it in processes of its own; NULL where there are none, as for plugins in memory.
  Isolation* isolation = nullptr;
};

struct Component {
  const assay_component* constants = nullptr;
  const Plugin* plugin = nullptr;

  std::string_view id() const { return constants->id; }
  std::string_view version() const { return constants->version; }
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

/// Opens one file: rtld_now | rtld_local, absolute path, exactly the symbol assay_plugin_v1.
///
/// Fails    ASSAY_NOT_FOUND no such file; ASSAY_FAILED_PRECONDITION not a shared library, exports
///          nothing of ours, built for another ABI major, or constants that break the contract
Result<Plugin> open_plugin(const std::filesystem::path& path);

/// Every component of every plugin of the search path.
class Registry {
 public:
  /// Looks for *.so in each folder, in order; the first component of an id wins. A folder that
  /// does not exist is rejected like a file that cannot be used.
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
  void scan_folder(const std::filesystem::path& folder);
  void scan_file(const std::filesystem::path& path);
  void take(Plugin plugin);

  std::vector<std::filesystem::path> folders_;  // as they were searched
  std::vector<std::unique_ptr<Plugin>> plugins_;
  std::vector<Component> components_;
  std::vector<Rejected> rejected_;
};

/// --plugin-dir folders, then ASSAY_PLUGIN_PATH (colon-separated), then lib/assay beside the
/// executable's folder, then the system's lib/assay. Never the working directory. Absolute; of all
/// but the first kind only folders that exist.
std::vector<std::filesystem::path> plugin_search_path(
    const std::vector<std::filesystem::path>& from_command_line);

/// "backend", "dataset", "metric", "reporter".
std::string_view to_string(assay_kind kind);

/// One line per component under its folder, then one per rejected file with its reason.
std::string list_text(const Registry& registry);

/// What `assay plugins describe` prints: identity, options, columns, outputs, where it comes from.
std::string describe_text(const Component& component);

}  // namespace assay::host
