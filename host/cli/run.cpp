#include "host/run/run.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

#include "host/cli/build.hpp"
#include "host/cli/commands.hpp"
#include "host/log/log.hpp"

namespace assay::host {
namespace {

std::string place_of(const Json& failure) {
  std::string place;
  for (const char* key : {"variant", "task"}) {
    if (failure.at(key).is_string()) place += failure.at(key).get<std::string>() + ": ";
  }
  return place;
}

/// Failures are told here, once; of items only the first few, for the document lists them.
void log_failures(const Json& document) {
  constexpr std::uint64_t kItemsTold = 3;
  std::map<std::string, std::uint64_t> items;
  for (const Json& failure : document.at("failures")) {
    const std::string place = place_of(failure);
    const bool is_item = failure.at("item").is_number();
    if (is_item && ++items[place] > kItemsTold) continue;
    const std::string item =
        is_item ? "item " + std::to_string(failure.at("item").get<std::uint64_t>()) + ": " : "";
    log(LogLevel::kError, place + item + failure.at("text").get<std::string>());
  }
  for (const Json& counts : document.at("counts")) {
    const auto failed = counts.at("failed").get<std::uint64_t>();
    const std::string place = counts.at("variant").get<std::string>() + ": " +
                              counts.at("task").get<std::string>() + ": ";
    if (failed <= kItemsTold) continue;
    log(LogLevel::kError, place + std::to_string(failed) + " of " +
                              std::to_string(counts.at("items").get<std::uint64_t>()) +
                              " items failed; run.json and the rows name them");
  }
}

}  // namespace

int run_command(const Arguments& arguments) {
  const auto built = build(arguments);
  if (!built) return kExitUsage;
  const auto& models = built->graph.models;
  const bool needs_store = std::any_of(models.begin(), models.end(),
                                       [](const ModelSpec& model) { return model.is_quantized; });
  const auto store = needs_store ? store_folder(arguments) : std::filesystem::path();
  if (!store) return kExitUsage;
  RunOptions options;
  options.out = std::filesystem::absolute(arguments.out);
  options.store = *store;
  options.progress = arguments.is_quiet ? ProgressStyle::kNone : progress_style();
  options.cancelled = &catch_signals();
  const auto outcome = run(built->graph, options);
  if (!outcome) {
    log(LogLevel::kError, outcome.error().text);
    return kExitInfrastructure;
  }
  log_failures(outcome->document);
  std::fflush(stdout);
  if (!arguments.is_quiet) {
    std::fprintf(stderr, "%s: %s\n", outcome->document.at("verdict").get<std::string>().c_str(),
                 (options.out / "run.json").c_str());
  }
  return outcome->exit_code;
}

}  // namespace assay::host
