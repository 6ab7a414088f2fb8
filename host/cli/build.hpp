// From a manifest's path to a checked graph, or to the errors on standard error.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>

#include "host/cli/commands.hpp"
#include "host/graph/graph.hpp"
#include "host/loader/registry.hpp"

namespace assay::host {

/// How this program looks at plugins: in processes of their own, each file once. No lock.
ScanSettings scan_settings();

/// Every plugin of the search path under the user's plugins.lock. Nothing, and the reason printed,
/// where that list cannot be read.
std::optional<Registry> find_plugins(const Arguments& arguments);

/// A graph and the registry its components live in.
struct Built {
  Registry registry;
  Graph graph;
};

/// Reads, checks and wires the manifest; prints every error and warning. Nothing when there was an
/// error.
std::optional<Built> build(const Arguments& arguments);

/// Where quantized models are kept: --store, else ASSAY_STORE, else assay/store of the user's cache
/// folder. Nothing, and the reason printed, where there is none of these.
std::optional<std::filesystem::path> store_folder(const Arguments& arguments);

/// Set by the first SIGINT or SIGTERM from now on, which winds the work up; the second ends the
/// process.
const std::atomic<bool>& catch_signals();

}  // namespace assay::host
