#include "host/cli/build.hpp"

#include <cstdio>
#include <utility>
#include <vector>

#include "host/loader/lock.hpp"
#include "host/loader/scan.hpp"
#include "host/log/log.hpp"
#include "host/worker/workers.hpp"

namespace assay::host {

namespace {

/// The processes of this program's plugins. They outlive every instance.
Isolation& workers() {
  static auto& made = *new Workers("/proc/self/exe");
  return made;
}

}  // namespace

ScanSettings scan_settings() {
  ScanSettings settings;
  settings.cache = scan_cache_folder();
  settings.isolation = &workers();
  return settings;
}

std::optional<Registry> find_plugins(const Arguments& arguments) {
  auto lock = read_lock(lock_path());
  if (!lock) {
    log(LogLevel::kError, lock.error().text);
    return std::nullopt;
  }
  ScanSettings settings = scan_settings();
  settings.lock = &*lock;
  return Registry::scan(plugin_search_path(arguments.plugin_dirs), settings);
}

std::optional<Built> build(const Arguments& arguments) {
  auto parsed = read_manifest(arguments.manifest);
  if (!parsed) {
    log(LogLevel::kError, parsed.error().text);
    return std::nullopt;
  }
  auto registry = find_plugins(arguments);
  if (!registry) return std::nullopt;
  BuiltGraph built = build_graph(*parsed, *registry);
  std::vector<Diagnostic> all = built.errors;
  all.insert(all.end(), built.warnings.begin(), built.warnings.end());
  put_in_file_order(all);
  for (const Diagnostic& said : all) {
    std::fprintf(stderr, "%s\n", render(parsed->manifest.sources, said).c_str());
  }
  if (built.errors.empty()) return Built{*std::move(registry), std::move(built.graph)};
  std::fprintf(stderr, "%zu %s in %s\n", built.errors.size(),
               built.errors.size() == 1 ? "error" : "errors", arguments.manifest.c_str());
  return std::nullopt;
}

}  // namespace assay::host
