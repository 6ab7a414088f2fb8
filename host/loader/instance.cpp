#include "host/loader/instance.hpp"

#include <assay/ext.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "host/core/utf8.hpp"
#include "host/loader/config.hpp"
#include "host/loader/guard.hpp"
#include "host/loader/trust.hpp"
#include "host/log/log.hpp"

namespace assay::host {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kBetweenProgress = std::chrono::milliseconds(100);

std::string_view view(assay_str text) {
  return text.ptr != nullptr ? std::string_view(text.ptr, text.len) : std::string_view();
}

/// What the functions of the host table work on.
class Host {
 public:
  explicit Host(const Lease& lease) : lease_(lease) {
    table_.struct_size = sizeof table_;
    table_.abi_minor = ASSAY_ABI_MINOR;
    table_.ctx = this;
    table_.name = "assay";
    table_.version = ASSAY_VERSION;
    table_.log = log_line;
    table_.cancelled = is_cancelled;
    table_.progress = report_progress;
    table_.extension = no_extension;
    set_getters(table_);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const assay_host* table() const { return &table_; }
  const Lease& lease() const { return lease_; }

 private:
  static Host& of(const assay_host* host) { return *static_cast<Host*>(host->ctx); }

  static void log_line(const assay_host* host, assay_level level, assay_str text) noexcept {
    try {
      const Lease& lease = of(host).lease_;
      if (lease.on_log) {
        lease.on_log(level, view(text));
      } else {
        log_from_plugin(lease.node, level, view(text));
      }
    } catch (const std::exception&) {
      // A line that cannot be written is lost; the plugin has no use for the reason.
    }
  }

  static std::int32_t is_cancelled(const assay_host* host) noexcept {
    const Lease& lease = of(host).lease_;
    if (lease.on_poll) lease.on_poll();
    const std::atomic<bool>* flag = lease.cancelled;
    return flag != nullptr && flag->load(std::memory_order_relaxed) ? 1 : 0;
  }

  static void report_progress(const assay_host* host, double fraction, assay_str what) noexcept {
    Host& self = of(host);
    if (!self.lease_.on_progress) return;
    try {
      const std::scoped_lock hold(self.progress_lock_);
      const auto now = Clock::now();
      if (fraction < 1 && now - self.last_progress_ < kBetweenProgress) return;
      self.last_progress_ = now;
      // Written so that NaN becomes 0 as well.
      const double part = fraction > 0 ? std::min(fraction, 1.0) : 0.0;
      self.lease_.on_progress(part, view(what));
    } catch (const std::exception&) {
      // As with a log line.
    }
  }

  static const void* no_extension(const assay_host*, const char*) noexcept { return nullptr; }

  Lease lease_;
  assay_host table_{};
  std::mutex progress_lock_;
  Clock::time_point last_progress_{};
};

/// A private folder that goes with its owner.
class Scratch {
 public:
  static Result<Scratch> make() {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    if (error) {
      return Failure{ASSAY_UNAVAILABLE,
                     "cannot make a scratch folder: TMPDIR does not name a folder; set it to one "
                     "that can be written",
                     "TMPDIR"};
    }
    std::string name = parent / "assay-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) {
      const std::string reason = std::generic_category().message(errno);
      return Failure{ASSAY_UNAVAILABLE,
                     "cannot make a scratch folder in " + parent.string() + ": " + reason +
                         "; set TMPDIR to a folder that can be written",
                     parent.string()};
    }
    return Scratch(std::move(name));
  }
  Scratch(Scratch&& other) noexcept : name_(std::exchange(other.name_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    if (name_.empty()) return;
    std::error_code error;
    std::filesystem::remove_all(name_, error);
    if (error) {
      log(LogLevel::kWarn, "cannot remove the scratch folder " + name_ + ": " + error.message());
    }
  }

  assay_str as_str() const { return {name_.data(), name_.size()}; }

 private:
  explicit Scratch(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

assay_error empty_error() {
  assay_error error{};
  error.struct_size = sizeof error;
  return error;
}

/// Why a call must not count: what it changed of the process. In a worker only the arithmetic is
/// the host's concern, and it is right again.
Result<void> put_back(const Guard& guard, const Component& component, const char* function) {
  const std::string id(component.id());
  if (component.plugin != nullptr && component.plugin->into == Into::kWorker) {
    if (guard.put_back_floating_point()) {
      log(LogLevel::kWarn, "misbehaviour plugin=" + id + " rule=\"" + function +
                               " leaves the floating-point mode as it was\"; it was put back");
    }
    return {};
  }
  const auto changes = guard.put_back();
  if (changes.empty()) return {};
  return Failure{ASSAY_INTERNAL, id + ": misbehaviour: " + function + " changed " +
                                     names_of(changes) +
                                     " of the host's process; it was put back, and its result is "
                                     "not used"};
}

/// Runs a plugin's function. The contract forbids exceptions; one that comes through all the same
/// is a failure of that plugin, not the end of the host.
Result<void> guarded(const Component& component, const char* function, Depth depth,
                     const std::function<void()>& body) {
  const auto threw = [&](const std::string& what) {
    return Failure{ASSAY_INTERNAL, std::string(component.id()) + ": misbehaviour: " + function +
                                       " let an exception out" + what};
  };
  const Guard guard(depth);
  try {
    body();
  } catch (const std::exception& exception) {
    [[maybe_unused]] const auto changed = put_back(guard, component, function);
    return threw(": " + mended_utf8(exception.what()));
  } catch (...) {
    [[maybe_unused]] const auto changed = put_back(guard, component, function);
    return threw("");
  }
  return put_back(guard, component, function);
}

std::string status_name(assay_status status) {
  switch (status) {
    case ASSAY_OK:
      return "OK";
    case ASSAY_CANCELLED:
      return "CANCELLED";
    case ASSAY_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case ASSAY_DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    case ASSAY_NOT_FOUND:
      return "NOT_FOUND";
    case ASSAY_RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case ASSAY_FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case ASSAY_ABORTED:
      return "ABORTED";
    case ASSAY_UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case ASSAY_INTERNAL:
      return "INTERNAL";
    case ASSAY_UNAVAILABLE:
      return "UNAVAILABLE";
    default:
      return "status " + std::to_string(status);
  }
}

/// A fixed-size text of a plugin: it may fill the whole array, and be cut inside a character.
template <std::size_t N>
std::string text_of(const char (&text)[N]) {
  return mended_utf8({text, strnlen(text, N)});
}

/// The extension of an id in the constants, or NULL.
const assay_extension* listed(const Component& component, std::string_view id) {
  const assay_component& constants = *component.constants;
  for (std::uint64_t i = 0; i < constants.n_extensions; ++i) {
    if (constants.extensions[i].id == id) return &constants.extensions[i];
  }
  return nullptr;
}

/// Keeps what a component says of its configuration.
class Complaints {
 public:
  const assay_diagnostic_sink* sink() const { return &sink_; }
  std::vector<ConfigComplaint> take() {
    const std::scoped_lock hold(lock_);
    return std::move(all_);
  }

 private:
  static void add(void* ctx, assay_level level, assay_str key, assay_str text) noexcept {
    auto& self = *static_cast<Complaints*>(ctx);
    const std::scoped_lock hold(self.lock_);
    self.all_.push_back({level >= ASSAY_ERROR, mended_utf8(view(key)), mended_utf8(view(text))});
  }

  std::mutex lock_;
  std::vector<ConfigComplaint> all_;
  assay_diagnostic_sink sink_{sizeof(assay_diagnostic_sink), 0, this, add};
};

/// The function as a type that may throw, so that a thrown exception can be caught at all.
template <class... Arguments>
using MayThrow = assay_status (*)(Arguments...);

/// An instance in this process.
struct Local {
  Local(const Component& of, const Lease& lease, Scratch folder)
      : component(of), host(lease), scratch(std::move(folder)), device(lease.device) {
    resources.struct_size = sizeof resources;
    resources.threads = std::max(lease.threads, 1u);
    resources.host_bytes = lease.host_bytes;
    resources.device = device;
    resources.seed = lease.seed;
    resources.scratch_dir = scratch.as_str();
    resources.devices = &device;
    resources.n_devices = 1;
  }
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
  ~Local() {
    if (self == nullptr) return;
    const auto destroyed = guarded(component, "destroy", Depth::kWhole,
                                   [this] { component.constants->destroy(self); });
    if (!destroyed) log(LogLevel::kWarn, destroyed.error().text);
  }

  Component component;
  Host host;
  Scratch scratch;  // before self: outlives it
  assay_device device;
  assay_resources resources{};
  void* self = nullptr;
};

/// The component as this process has it, where it may run here.
Result<Component> here_of(const Component& component) {
  if (const std::string reason = host_refusal_of(component); !reason.empty()) {
    return Failure{ASSAY_FAILED_PRECONDITION, std::string(component.id()) + " " + reason};
  }
  auto constants = component.loaded();
  if (!constants) return std::move(constants).error();
  return Component{*constants, component.plugin};
}

}  // namespace

struct Instance::State {
  State(const Component& of, std::unique_ptr<Local> instance)
      : component(of), local(std::move(instance)) {}
  State(const Component& of, std::unique_ptr<Remote> instance)
      : component(of), remote(std::move(instance)) {}

  Component component;
  std::unique_ptr<Local> local;  // exactly one of the two
  std::unique_ptr<Remote> remote;
};

Result<Instance> Instance::create(const Component& component, const Json& options,
                                  const Lease& lease) {
  if (runs_in_worker(component, lease.in_worker)) {
    auto remote = component.plugin->isolation->create(component, options, lease);
    if (!remote) return std::move(remote).error();
    return Instance(std::make_unique<State>(component, *std::move(remote)));
  }
  auto here = here_of(component);
  if (!here) return std::move(here).error();
  auto scratch = Scratch::make();
  if (!scratch) return std::move(scratch).error();
  auto local = std::make_unique<Local>(*here, lease, *std::move(scratch));

  assay_config config;
  config.options = &options;
  assay_error error = empty_error();
  void* self = nullptr;
  const MayThrow<const assay_host*, const assay_config*, const assay_resources*, void**,
                 assay_error*>
      function = here->constants->create;
  assay_status status = ASSAY_INTERNAL;
  const auto ran = guarded(component, "create", Depth::kWhole, [&] {
    status = function(local->host.table(), &config, &local->resources, &self, &error);
  });
  if (status == ASSAY_OK) local->self = self;
  if (!ran) return ran.error();
  if (status != ASSAY_OK) {
    if (self != nullptr) {
      log(LogLevel::kWarn, "misbehaviour plugin=" + std::string(component.id()) +
                               " rule=\"a failed create leaves *self NULL\"");
    }
    return failure_from(component, status, error);
  }
  if (self == nullptr) {
    return Failure{ASSAY_INTERNAL, std::string(component.id()) +
                                       ": misbehaviour: create answered OK and made no instance"};
  }
  return Instance(std::make_unique<State>(*here, std::move(local)));
}

Instance::Instance(std::unique_ptr<State> state) : state_(std::move(state)) {}
Instance::Instance(Instance&&) noexcept = default;
Instance& Instance::operator=(Instance&&) noexcept = default;
Instance::~Instance() = default;

const Component& Instance::component() const { return state_->component; }
void* Instance::self() const {
  return state_->remote ? state_->remote->self() : state_->local->self;
}
Remote* Instance::remote() const { return state_->remote.get(); }

const void* Instance::table() const {
  return state_->remote ? state_->remote->api() : component().constants->api;
}

const void* Instance::extension_table(std::string_view id) const {
  if (state_->remote) return state_->remote->extension(id);
  const assay_extension* extension = listed(component(), id);
  return extension != nullptr ? extension->api : nullptr;
}

Result<assay_resources> Instance::estimate(const Component& component, const Json& options,
                                           const Lease& lease, const assay_job& job) {
  if (runs_in_worker(component, lease.in_worker)) {
    return component.plugin->isolation->estimate(component, options, lease, job);
  }
  auto here = here_of(component);
  if (!here) return std::move(here).error();
  const auto& api = *static_cast<const assay_backend_v1*>(here->constants->api);
  if (component.constants->kind != ASSAY_BACKEND || api.estimate == nullptr) {
    return Failure{ASSAY_UNIMPLEMENTED,
                   std::string(component.id()) + ": does not tell what it would need"};
  }
  Host host(lease);
  assay_config config;
  config.options = &options;
  assay_error error = empty_error();
  assay_resources need{};
  need.struct_size = sizeof need;
  const MayThrow<const assay_host*, const assay_config*, const assay_job*, assay_resources*,
                 assay_error*>
      function = api.estimate;
  assay_status status = ASSAY_INTERNAL;
  const auto ran = guarded(component, "estimate", Depth::kWhole,
                           [&] { status = function(host.table(), &config, &job, &need, &error); });
  if (!ran) return ran.error();
  if (status != ASSAY_OK) return failure_from(component, status, error);
  need.devices = nullptr;
  return need;
}

Result<void> Instance::watch(const char* function, const std::function<void()>& body) const {
  if (!state_->remote) return guarded(component(), function, Depth::kCall, body);
  body();
  return {};
}

Result<void> Instance::call(const char* function,
                            const std::function<assay_status(assay_error*)>& body) const {
  assay_error error = empty_error();
  assay_status status = ASSAY_INTERNAL;
  auto ran = watch(function, [&] { status = body(&error); });
  if (!ran) return ran;
  if (status == ASSAY_OK) return {};
  Failure failure = failure_from(component(), status, error);
  if (state_->remote) failure.log = state_->remote->last_lines();
  return failure;
}

Result<std::vector<ConfigComplaint>> Instance::check(const Component& component,
                                                     const Json& options, const Lease& lease) {
  const assay_extension* extension = listed(component, ASSAY_CONFIG_CHECK_1);
  if (extension == nullptr) return std::vector<ConfigComplaint>();
  if (runs_in_worker(component, lease.in_worker)) {
    return component.plugin->isolation->check(component, options, lease);
  }
  auto here = here_of(component);
  if (!here) return std::move(here).error();
  extension = listed(*here, ASSAY_CONFIG_CHECK_1);
  if (extension == nullptr) {
    return Failure{ASSAY_FAILED_PRECONDITION,
                   std::string(component.id()) + ": its file was replaced while it was in use"};
  }
  const auto& table = *static_cast<const assay_config_check_v1*>(extension->api);
  if (!ASSAY_HAS(assay_config_check_v1, &table, check) || table.check == nullptr) {
    return Failure{ASSAY_INTERNAL, std::string(component.id()) +
                                       ": misbehaviour: its " ASSAY_CONFIG_CHECK_1 " is not whole"};
  }
  Host host(lease);
  assay_config config;
  config.options = &options;
  Complaints complaints;
  assay_error error = empty_error();
  const MayThrow<const assay_host*, const assay_config*, const assay_diagnostic_sink*, assay_error*>
      function = table.check;
  assay_status status = ASSAY_INTERNAL;
  const auto ran = guarded(component, "check", Depth::kWhole, [&] {
    status = function(host.table(), &config, complaints.sink(), &error);
  });
  if (!ran) return ran.error();
  if (status != ASSAY_OK) return failure_from(component, status, error);
  return complaints.take();
}

Failure failure_from(const Component& component, assay_status status, const assay_error& error) {
  const std::string where = text_of(error.where);
  std::string text = text_of(error.text);
  if (text.empty()) text = "failed with " + status_name(status) + " and left no text";
  const bool is_said = where.empty() || text.find(where) != std::string::npos;
  return {status, std::string(component.id()) + ": " + text + (is_said ? "" : " (" + where + ")"),
          where};
}

}  // namespace assay::host
