#include "host/cli/build.hpp"

#include <cstdio>
#include <utility>
#include <vector>

#include "host/log/log.hpp"

namespace assay::host {

std::optional<Built> build(const Arguments& arguments) {
  auto parsed = read_manifest(arguments.manifest);
  if (!parsed) {
    log(LogLevel::kError, parsed.error().text);
    return std::nullopt;
  }
  Registry registry = Registry::scan(plugin_search_path(arguments.plugin_dirs));
  BuiltGraph built = build_graph(*parsed, registry);
  std::vector<Diagnostic> all = built.errors;
  all.insert(all.end(), built.warnings.begin(), built.warnings.end());
  put_in_file_order(all);
  for (const Diagnostic& said : all) {
    std::fprintf(stderr, "%s\n", render(parsed->manifest.sources, said).c_str());
  }
  if (built.errors.empty()) return Built{std::move(registry), std::move(built.graph)};
  std::fprintf(stderr, "%zu %s in %s\n", built.errors.size(),
               built.errors.size() == 1 ? "error" : "errors", arguments.manifest.c_str());
  return std::nullopt;
}

}  // namespace assay::host
