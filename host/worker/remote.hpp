// An instance in a worker: its tables of the ABI, made of questions to the process. The other side
// is serve.cpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "host/loader/instance.hpp"
#include "host/worker/worker.hpp"

namespace assay::host {

/// Opens the plugin of a component in the worker.
///
/// Fails    what opening a plugin fails with; what Worker::ask fails with
Result<void> open_there(Worker& worker, const Component& component);

/// Takes a worker whose instance was destroyed, for the next one.
using GiveBack = std::function<void(std::unique_ptr<Worker> worker)>;

/// Creates an instance in a worker that has the plugin open. The Remote owns the worker and gives
/// it back where `give_back` is not empty.
Result<std::unique_ptr<Remote>> create_there(std::unique_ptr<Worker> worker,
                                             const Component& component, const Json& options,
                                             const Lease& lease, GiveBack give_back);

Result<assay_resources> estimate_there(Worker& worker, const Component& component,
                                       const Json& options, const Lease& lease,
                                       const assay_job& job);

Result<std::vector<ConfigComplaint>> check_there(Worker& worker, const Component& component,
                                                 const Json& options, const Lease& lease);

Result<Json> scan_there(Worker& worker, const std::filesystem::path& plugin);

/// The worker of an instance that create_there() made.
Worker& worker_of(Remote& remote);

}  // namespace assay::host
