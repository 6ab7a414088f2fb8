// One created component: the configuration and host table it is lent, its life from create to
// destroy. What each kind's calls mean belongs to the caller.
#pragma once

#include <assay/abi.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/loader/registry.hpp"

namespace assay::host {

/// What an instance may use and whom it belongs to. The strings and callbacks are copied.
struct Lease {
  std::string node;  ///< "model.int4": prefix of its log lines
  std::uint32_t threads = 1;
  std::uint64_t host_bytes = 0;
  assay_device device{1, 0};
  std::uint64_t seed = 0;
  const std::atomic<bool>* cancelled = nullptr;  ///< outlives the instance; may be null
  std::function<void(double fraction, std::string_view what)> on_progress = {};
};

/// Owns one component instance, its scratch folder and its assay_host table.
///
/// Threads  create [any-thread]; the rest follows the component's own tags
class Instance {
 public:
  /// Creates the component. `options` is a flat object of effective options: keys as declared
  /// ("kv.bits"), values checked, defaults filled in, input paths absolute.
  static Result<Instance> create(const Component& component, const Json& options,
                                 const Lease& lease);
  Instance(Instance&&) noexcept;
  Instance& operator=(Instance&&) noexcept;
  ~Instance();

  const Component& component() const;
  void* self() const;
  template <class Api>
  const Api& api() const {
    return *static_cast<const Api*>(component().constants->api);
  }

  /// What a backend would need for the job; ASSAY_UNIMPLEMENTED where it cannot tell.
  static Result<assay_resources> estimate(const Component& component, const Json& options,
                                          const Lease& lease, const assay_job& job);

 private:
  struct State;
  explicit Instance(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The Failure a plugin reported, prefixed with who said it. Makes up a sentence where it left
/// none.
Failure failure_from(const Component& component, assay_status status, const assay_error& error);

}  // namespace assay::host
