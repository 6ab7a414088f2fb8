#include "host/worker/workers.hpp"

#include "host/worker/remote.hpp"

namespace assay::host {

Workers::Key Workers::key_of(const Component& component, const Lease& lease) {
  return {component.plugin->path.string(), std::string(component.id()), lease.threads,
          lease.device.type, lease.device.id};
}

Result<std::unique_ptr<Worker>> Workers::opened(const Component& component, const Lease& lease) {
  std::unique_ptr<Worker> worker;
  {
    const std::scoped_lock hold(mutex_);
    const auto found = spare_.find(key_of(component, lease));
    if (found != spare_.end()) {
      worker = std::move(found->second);
      spare_.erase(found);
    }
  }
  if (worker != nullptr) {
    worker->lend(lease);
    return worker;
  }
  auto started = Worker::start(executable_, lease);
  if (!started) return std::move(started).error();
  auto open = open_there(**started, component);
  if (!open) return std::move(open).error();
  return std::move(*started);
}

void Workers::keep(const Component& component, const Lease& lease, std::unique_ptr<Worker> worker) {
  const std::scoped_lock hold(mutex_);
  // A lease's callbacks may not outlive it.
  Lease idle;
  idle.node = lease.node;
  worker->lend(idle);
  spare_[key_of(component, lease)] = std::move(worker);
}

Result<Json> Workers::scan(const std::filesystem::path& plugin) {
  Lease lease;
  lease.node = plugin.filename().string();
  auto worker = Worker::start(executable_, lease);
  if (!worker) return std::move(worker).error();
  return scan_there(**worker, plugin);
}

Result<std::unique_ptr<Remote>> Workers::create(const Component& component, const Json& options,
                                                const Lease& lease) {
  auto worker = opened(component, lease);
  if (!worker) return std::move(worker).error();
  // The end of a backend's process is what gives its memory back.
  GiveBack give_back;
  if (component.constants->kind != ASSAY_BACKEND) {
    give_back = [this, component, lease](std::unique_ptr<Worker> done) {
      keep(component, lease, std::move(done));
    };
  }
  return create_there(std::move(*worker), component, options, lease, std::move(give_back));
}

Result<assay_resources> Workers::estimate(const Component& component, const Json& options,
                                          const Lease& lease, const assay_job& job) {
  auto worker = opened(component, lease);
  if (!worker) return std::move(worker).error();
  auto need = estimate_there(**worker, component, options, lease, job);
  if (need) keep(component, lease, std::move(*worker));
  return need;
}

Result<std::vector<ConfigComplaint>> Workers::check(const Component& component, const Json& options,
                                                    const Lease& lease) {
  auto worker = opened(component, lease);
  if (!worker) return std::move(worker).error();
  auto complaints = check_there(**worker, component, options, lease);
  if (complaints) keep(component, lease, std::move(*worker));
  return complaints;
}

}  // namespace assay::host
