#include "host/cli/plugins.hpp"

#include <string>
#include <vector>

#include "host/manifest/manifest.hpp"

namespace assay::host {

int plugins_list(const Registry& registry, std::ostream& out) {
  out << list_text(registry);
  return 0;
}

int plugins_describe(const Registry& registry, std::string_view id, std::ostream& out,
                     std::ostream& err) {
  if (const Component* component = registry.find(id)) {
    out << describe_text(*component);
    return 0;
  }
  std::vector<std::string> known;
  for (const Component& component : registry.components()) known.emplace_back(component.id());
  const std::string suggestion = nearest(id, known);
  err << "unknown component \"" << id << "\"\nhelp: ";
  if (!suggestion.empty()) err << "did you mean \"" << suggestion << "\"? ";
  err << "`assay plugins list` shows all components found\n";
  return 2;
}

}  // namespace assay::host
