#include "host/cli/plugins.hpp"

#include <string>
#include <vector>

#include "host/loader/describe.hpp"
#include "host/manifest/manifest.hpp"

namespace assay::host {

int plugins_list(const Registry& registry, bool as_json, std::ostream& out) {
  out << (as_json ? list_json(registry).dump(2) + "\n" : list_text(registry));
  return 0;
}

int plugins_describe(const Registry& registry, std::string_view id, bool as_json, std::ostream& out,
                     std::ostream& err) {
  if (const Component* component = registry.find(id)) {
    out << (as_json ? describe_json(*component).dump(2) + "\n" : describe_text(*component));
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
