// Components in processes of their own: the host's one implementation of Isolation.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "host/loader/instance.hpp"
#include "host/worker/worker.hpp"

namespace assay::host {

/// One worker for each instance. A worker that has none yet, or none any more, is kept for the next
/// instance of its component; a backend's goes with its instance. Instances go before this does.
///
/// Threads  [any-thread]
class Workers final : public Isolation {
 public:
  /// `executable`: assay itself, which has the subcommand worker.
  explicit Workers(std::filesystem::path executable) : executable_(std::move(executable)) {}

  Result<Json> scan(const std::filesystem::path& plugin) override;
  Result<std::unique_ptr<Remote>> create(const Component& component, const Json& options,
                                         const Lease& lease) override;
  Result<assay_resources> estimate(const Component& component, const Json& options,
                                   const Lease& lease, const assay_job& job) override;
  Result<std::vector<ConfigComplaint>> check(const Component& component, const Json& options,
                                             const Lease& lease) override;

 private:
  /// What a worker was started for, so that another use can take it over.
  using Key = std::tuple<std::string, std::string, std::uint32_t, std::int32_t, std::int32_t>;
  static Key key_of(const Component& component, const Lease& lease);

  Result<std::unique_ptr<Worker>> opened(const Component& component, const Lease& lease);
  void keep(const Component& component, const Lease& lease, std::unique_ptr<Worker> worker);

  const std::filesystem::path executable_;
  std::mutex mutex_;
  std::map<Key, std::unique_ptr<Worker>> spare_;
};

}  // namespace assay::host
