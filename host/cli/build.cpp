#include "host/cli/build.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "host/loader/lock.hpp"
#include "host/loader/paths.hpp"
#include "host/loader/scan.hpp"
#include "host/log/log.hpp"
#include "host/run/run.hpp"
#include "host/worker/workers.hpp"

namespace assay::host {

namespace {

std::atomic<bool> g_cancelled{false};  // NOLINT: a signal handler reaches nothing else

/// The first signal winds the run up and keeps what is measured; the second ends the process.
void on_signal(int) {
  if (g_cancelled.exchange(true)) ::_exit(kExitInterrupted);
  constexpr char kText[] = "\ninterrupted: keeping what is measured (once more to stop at once)\n";
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, kText, sizeof(kText) - 1);
}

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

std::optional<std::filesystem::path> store_folder(const Arguments& arguments) {
  if (!arguments.store.empty()) return std::filesystem::absolute(arguments.store);
  const char* named = std::getenv("ASSAY_STORE");
  if (named != nullptr && *named != '\0') return std::filesystem::absolute(named);
  const auto cache = user_folder("XDG_CACHE_HOME", ".cache");
  if (!cache.empty()) return cache / "assay" / "store";
  log(LogLevel::kError,
      "there is no folder to keep quantized models in: HOME is not set; name one with --store or "
      "ASSAY_STORE");
  return std::nullopt;
}

const std::atomic<bool>& catch_signals() {
  struct sigaction action {};
  action.sa_handler = &on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return g_cancelled;
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
