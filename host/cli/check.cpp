#include <cstdio>
#include <iostream>
#include <string>

#include "host/cli/build.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/new.hpp"
#include "host/cli/plugins.hpp"
#include "host/cli/trust.hpp"
#include "host/loader/lock.hpp"
#include "host/loader/paths.hpp"
#include "host/log/log.hpp"
#include "host/run/run.hpp"

namespace assay::host {
namespace {

std::string count(std::size_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

}  // namespace

int check_command(const Arguments& arguments) {
  const auto built = build(arguments);
  if (!built) return kExitUsage;
  const Graph& graph = built->graph;
  const std::size_t n = graph.calibrations.size();
  std::printf("%s: ok, %s, %s, %s%s\n", arguments.manifest.c_str(),
              count(graph.models.size(), "variant").c_str(),
              count(graph.tasks.size(), "task").c_str(), count(graph.gates.size(), "gate").c_str(),
              n == 0 ? "" : (", " + count(n, "calibration")).c_str());
  return kExitPass;
}

int graph_command(const Arguments& arguments) {
  const auto built = build(arguments);
  if (!built) return kExitUsage;
  const std::string text = arguments.as_dot ? graph_dot(built->graph) : graph_text(built->graph);
  std::fputs(text.c_str(), stdout);
  return kExitPass;
}

int plugins_list_command(const Arguments& arguments) {
  const auto registry = find_plugins(arguments);
  return registry ? plugins_list(*registry, arguments.as_json, std::cout) : kExitUsage;
}

int plugins_describe_command(const Arguments& arguments) {
  const auto registry = find_plugins(arguments);
  if (!registry) return kExitUsage;
  return plugins_describe(*registry, arguments.component, arguments.as_json, std::cout, std::cerr);
}

int plugins_trust_command(const Arguments& arguments) {
  TrustPlaces places;
  places.lock = lock_path();
  places.settings = scan_settings();
  if (const auto data = user_folder("XDG_DATA_HOME", ".local/share"); !data.empty()) {
    places.store = data / "assay" / "plugins";
  }
  return plugins_trust(arguments.trust, places, std::cin, std::cout, std::cerr);
}

int plugins_new_command(const Arguments& arguments) {
  const NewProject wanted{arguments.kind, arguments.component, arguments.dir};
  const auto folder = make_project(template_folder(), wanted);
  if (!folder) {
    log(LogLevel::kError, folder.error().text);
    return folder.error().code == ASSAY_UNAVAILABLE ? kExitInfrastructure : kExitUsage;
  }
  std::cout << next_steps(wanted, *folder, template_folder());
  return kExitPass;
}

}  // namespace assay::host
