// Datasets read once, spooled to disk and handed out by number. Nothing is tokenized here.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>

#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/protocol/protocol.hpp"
#include "host/run/progress.hpp"
#include "host/store/spool.hpp"

namespace assay::host {

/// The records of the datasets a graph uses. Memory: 8 bytes a record and one Arrow batch.
///
/// Threads  one call at a time
class Sources {
 public:
  Sources(const Graph& graph, std::filesystem::path folder, ProgressStyle progress,
          const std::atomic<bool>& cancelled)
      : graph_(graph), folder_(std::move(folder)), progress_(progress), cancelled_(cancelled) {}

  /// The records of a dataset, read on first use.
  ///
  /// Fails    what the dataset reports; ASSAY_INVALID_ARGUMENT an empty dataset;
  ///          ASSAY_CANCELLED interrupted; ASSAY_RESOURCE_EXHAUSTED disk full
  Result<Records> records(std::size_t dataset);

 private:
  Result<Spool> read(const DatasetSpec& dataset);

  const Graph& graph_;
  std::filesystem::path folder_;
  ProgressStyle progress_;
  const std::atomic<bool>& cancelled_;
  std::map<std::size_t, Spool> spools_;
};

}  // namespace assay::host
