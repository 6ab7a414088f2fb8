// One created component: the configuration and host table it is lent, its life from create to
// destroy. What each kind's calls mean belongs to the caller.
#pragma once

#include <assay/abi.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/loader/registry.hpp"

namespace assay::host {

/// What an instance may use and whom it belongs to. The strings and callbacks are copied.
///
/// Threads  callbacks [any-thread]
struct Lease {
  std::string node;  ///< "model.int4": prefix of its log lines
  std::uint32_t threads = 1;
  std::uint64_t host_bytes = 0;
  assay_device device{1, 0};
  std::uint64_t seed = 0;
  const std::atomic<bool>* cancelled = nullptr;  ///< outlives the instance; may be null
  std::function<void()> on_poll = {};            ///< told whenever it asks whether it is cancelled
  std::function<void(double fraction, std::string_view what)> on_progress = {};
  /// Where its log lines go; empty: the log, under `node`.
  std::function<void(assay_level level, std::string_view line)> on_log = {};
  /// In a process of its own, as a component that is not trusted here always is.
  bool in_worker = false;
  double timeout_seconds = 60;  ///< of a worker: ended when it gives no sign of life for that long
};

/// An instance in a process of its own: tables of the ABI that forward every call to it.
class Remote {
 public:
  Remote() = default;
  Remote(const Remote&) = delete;
  Remote& operator=(const Remote&) = delete;
  virtual ~Remote() = default;  ///< destroys the instance and ends its process

  virtual void* self() const = 0;
  virtual const void* api() const = 0;
  virtual const void* extension(std::string_view id) const = 0;  ///< NULL: not offered
  /// What its process wrote last, once it is gone.
  virtual std::vector<std::string> last_lines() const = 0;
};

/// Puts components into processes of their own. host/worker has the one implementation.
///
/// Threads  [any-thread]
class Isolation {
 public:
  virtual ~Isolation() = default;

  /// What scan_plugin() gives, from a process that is gone afterwards.
  virtual Result<Json> scan(const std::filesystem::path& plugin) = 0;

  /// As Instance::create.
  virtual Result<std::unique_ptr<Remote>> create(const Component& component, const Json& options,
                                                 const Lease& lease) = 0;

  /// As Instance::estimate.
  virtual Result<assay_resources> estimate(const Component& component, const Json& options,
                                           const Lease& lease, const assay_job& job) = 0;

  /// Calls assay.config.check/1 of a component that has it.
  virtual Result<std::vector<ConfigComplaint>> check(const Component& component,
                                                     const Json& options, const Lease& lease) = 0;
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
    return *static_cast<const Api*>(table());
  }
  /// The table of an extension the component lists, or NULL.
  template <class Api>
  const Api* extension(std::string_view id) const {
    return static_cast<const Api*>(extension_table(id));
  }
  /// Its process, where it has one of its own, else NULL.
  Remote* remote() const;

  /// Runs a function of the instance and makes a Failure of what it reports. In this process the
  /// function must not throw, and must leave the process as it found it: what it changed is put
  /// back, and is a failure of its own.
  ///
  /// Threads  as the function
  Result<void> call(const char* function,
                    const std::function<assay_status(assay_error*)>& body) const;
  /// The same for a function that reports in a way of its own.
  Result<void> watch(const char* function, const std::function<void()>& body) const;

  /// What a backend would need for the job; ASSAY_UNIMPLEMENTED where it cannot tell.
  static Result<assay_resources> estimate(const Component& component, const Json& options,
                                          const Lease& lease, const assay_job& job);

  /// What the component's assay.config.check/1 says of options that are valid one by one; nothing
  /// where it has none. Makes no instance.
  ///
  /// Fails    it cannot check
  static Result<std::vector<ConfigComplaint>> check(const Component& component, const Json& options,
                                                    const Lease& lease);

 private:
  const void* table() const;
  const void* extension_table(std::string_view id) const;

  struct State;
  explicit Instance(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The Failure a plugin reported, prefixed with who said it. Makes up a sentence where it left
/// none.
Failure failure_from(const Component& component, assay_status status, const assay_error& error);

}  // namespace assay::host
