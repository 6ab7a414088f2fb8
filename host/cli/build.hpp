// From a manifest's path to a checked graph, or to the errors on standard error.
#pragma once

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

}  // namespace assay::host
