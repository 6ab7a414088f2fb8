#include "host/loader/trust.hpp"

#include <algorithm>
#include <system_error>

#include "host/core/hash.hpp"
#include "host/loader/paths.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

/// The first difference between what was allowed and what is there; "" when there is none.
std::string difference(const LockEntry& entry, const std::map<std::string, std::string>& files) {
  for (const auto& [name, digest] : entry.files) {
    const auto found = files.find(name);
    if (found == files.end()) return name + " is gone";
    if (found->second != digest) return name + " was changed";
  }
  for (const auto& [name, digest] : files) {
    if (!entry.files.contains(name)) return name + " was added";
  }
  return "";
}

}  // namespace

Result<FileFacts> check_place(const fs::path& path, FolderSource source) {
  const auto refused = [](std::string text) {
    return Failure{ASSAY_FAILED_PRECONDITION, std::move(text)};
  };
  std::error_code error;
  FileFacts facts;
  facts.path = fs::canonical(path, error);
  if (error == std::errc::no_such_file_or_directory) {
    return Failure{ASSAY_NOT_FOUND, "does not exist"};
  }
  if (error) return refused("cannot be reached: " + error.message());
  Result<std::string> digest = std::string();
  if (source == FolderSource::kBundled) {
    digest = sha256_file(facts.path);
  } else {
    if (auto checked = check_folder(facts.path.parent_path()); !checked) {
      return refused("lies in a folder that " + checked.error().text);
    }
    auto file = open_checked(facts.path);
    if (!file) return std::move(file).error();
    digest = sha256_file(file->path());
  }
  if (!digest) return refused("cannot be read to its end");
  facts.sha256 = *std::move(digest);
  return facts;
}

Trust trust_of(const FileFacts& file, const assay_plugin& constants, FolderSource source,
               const Lock* lock) {
  Trust trust;
  if (source == FolderSource::kBundled) return trust;
  trust.allows_host = false;
  if (source == FolderSource::kCommandLine) {
    trust.source = TrustSource::kCommandLine;
    return trust;
  }
  const fs::path folder = file.path.parent_path();
  const LockEntry* entry = lock != nullptr ? lock->find(folder, constants.id) : nullptr;
  trust.source = TrustSource::kNone;
  if (entry == nullptr) {
    trust.refusal = "is not trusted";
    return trust;
  }
  const auto files = hash_folder(folder);
  if (!files) {
    trust.refusal = "is not trusted any more: its folder " + files.error().text;
    return trust;
  }
  trust.files = entry->files;
  const std::string changed = difference(*entry, *files);
  if (!changed.empty()) {
    trust.refusal = "is not trusted any more: " + changed + " since " + entry->date;
    return trust;
  }
  trust.source = TrustSource::kLock;
  trust.allows_host = entry->allows_host;
  trust.kinds = entry->kinds;
  return trust;
}

std::string refusal_of(const Component& component) {
  if (component.plugin == nullptr) return "";
  const Trust& trust = component.plugin->trust;
  const std::string hint = "; look at it with `assay plugins describe " +
                           std::string(component.id()) +
                           "` and allow it with `assay plugins "
                           "trust " +
                           component.plugin->path.parent_path().string() + "`";
  if (!trust.refusal.empty()) return trust.refusal + hint;
  if (trust.kinds.empty() || std::find(trust.kinds.begin(), trust.kinds.end(),
                                       component.constants->kind) != trust.kinds.end()) {
    return "";
  }
  return "is a " + std::string(to_string(component.constants->kind)) +
         ", which plugins.lock does not allow this plugin to have" + hint;
}

std::string host_refusal_of(const Component& component) {
  if (component.plugin == nullptr) return "";
  const Plugin& plugin = *component.plugin;
  if (std::string refusal = refusal_of(component); !refusal.empty()) return refusal;
  if (!plugin.worker_only.empty()) return plugin.worker_only;
  if (plugin.trust.allows_host) return "";
  if (plugin.trust.source == TrustSource::kCommandLine) {
    return "comes from --plugin-dir, which trusts it in a worker only; leave isolation out, or "
           "allow it with `assay plugins trust --isolation none " +
           plugin.path.parent_path().string() + "`";
  }
  return "is trusted in a worker only; leave isolation out, or allow it with `assay plugins trust "
         "--isolation none " +
         plugin.path.parent_path().string() + "`";
}

bool runs_in_worker(const Component& component, bool is_asked) {
  if (component.plugin == nullptr || component.plugin->isolation == nullptr) return false;
  return is_asked || !host_refusal_of(component).empty();
}

std::string_view trust_name(const Trust& trust) {
  switch (trust.source) {
    case TrustSource::kBundled:
      return "bundled";
    case TrustSource::kCommandLine:
      return "this run";
    case TrustSource::kLock:
      return "lock";
    default:
      return trust.files.empty() ? "none" : "changed";
  }
}

std::string_view isolation_name(const Component& component) {
  const bool is_backend = component.constants->kind == ASSAY_BACKEND;
  return is_backend || !host_refusal_of(component).empty() ? "worker" : "none";
}

}  // namespace assay::host
