// A host for tests of components: options from a list, log lines kept. It loads nothing and runs
// nothing.
#pragma once

#include <assay/abi.h>

#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {
namespace check {

/// The value of one option. A list is its elements: {"skip.0", "a"}, {"skip.1", "b"}.
using Value = std::variant<bool, std::int64_t, double, std::string>;

/// Effective options as a component reads them. Defaults are the test's business.
class Options {
 public:
  Options() = default;
  Options(std::initializer_list<std::pair<const std::string, Value>> values) : values_(values) {}

  const assay_config* config() const { return reinterpret_cast<const assay_config*>(this); }
  static const Options& of(const assay_config* config) {
    return *reinterpret_cast<const Options*>(config);
  }

  const Value* find(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }
  std::uint64_t count(const std::string& key) const {
    std::uint64_t n = 0;
    while (starts(key + "." + std::to_string(n))) ++n;
    return n;
  }

 private:
  /// Is there a value of that key, or below it?
  bool starts(const std::string& key) const {
    const auto found = values_.lower_bound(key);
    return found != values_.end() && (found->first == key || found->first.starts_with(key + "."));
  }

  std::map<std::string, Value> values_;
};

struct LogLine {
  assay_level level;
  std::string text;
};

/// Lends an assay_host and assay_resources that live as long as it.
///
/// Threads  [any-thread]
class FakeHost {
 public:
  FakeHost() { resources_.struct_size = sizeof resources_; }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  const assay_host* table() const { return &table_; }
  assay_resources& resources() { return resources_; }

  void cancel() { is_cancelled_ = true; }
  std::vector<LogLine> log() const {
    const std::scoped_lock hold(lock_);
    return log_;
  }
  std::vector<double> progress() const {
    const std::scoped_lock hold(lock_);
    return progress_;
  }

 private:
  static FakeHost& of(const assay_host* table) { return *static_cast<FakeHost*>(table->ctx); }

  template <class Held, class Out>
  static assay_status get(const assay_config* config, const char* key, Out* out) noexcept {
    const Value* value = Options::of(config).find(key);
    if (value == nullptr) return ASSAY_NOT_FOUND;
    const auto* held = std::get_if<Held>(value);
    if (held == nullptr) return ASSAY_INVALID_ARGUMENT;
    if constexpr (std::is_same_v<Out, assay_str>) {
      *out = str_of(*held);
    } else {
      *out = static_cast<Out>(*held);
    }
    return ASSAY_OK;
  }
  static assay_status get_float(const assay_config* config, const char* key, double* out) noexcept {
    std::int64_t whole = 0;
    if (get<std::int64_t>(config, key, &whole) == ASSAY_OK) {
      *out = static_cast<double>(whole);
      return ASSAY_OK;
    }
    return get<double>(config, key, out);
  }
  /// Enough to ask whether there is a value.
  static assay_status get_json(const assay_config* config, const char* key,
                               assay_str* out) noexcept {
    const Options& options = Options::of(config);
    if (options.find(key) == nullptr && options.count(key) == 0) return ASSAY_NOT_FOUND;
    *out = str_of("null");
    return ASSAY_OK;
  }
  static assay_status get_count(const assay_config* config, const char* key,
                                std::uint64_t* out) noexcept {
    const std::uint64_t n = Options::of(config).count(key);
    if (n == 0) return ASSAY_NOT_FOUND;
    *out = n;
    return ASSAY_OK;
  }

  static void take_line(const assay_host* table, assay_level level, assay_str text) noexcept {
    FakeHost& host = of(table);
    const std::scoped_lock hold(host.lock_);
    host.log_.push_back({level, std::string(view_of(text))});
  }
  static void take_progress(const assay_host* table, double fraction, assay_str) noexcept {
    FakeHost& host = of(table);
    const std::scoped_lock hold(host.lock_);
    host.progress_.push_back(fraction);
  }

  mutable std::mutex lock_;
  std::vector<LogLine> log_;
  std::vector<double> progress_;
  std::atomic<bool> is_cancelled_ = false;
  assay_device device_{1, 0};
  assay_resources resources_{sizeof(assay_resources), 1, 0, 0, {1, 0}, 1234, {"", 0}, &device_, 1};
  assay_host table_{sizeof(assay_host),
                    ASSAY_ABI_MINOR,
                    this,
                    "fake",
                    "1.0.0",
                    take_line,
                    [](const assay_host* table) noexcept -> std::int32_t {
                      return of(table).is_cancelled_ ? 1 : 0;
                    },
                    take_progress,
                    get<bool, std::int32_t>,
                    get<std::int64_t, std::int64_t>,
                    get_float,
                    get<std::string, assay_str>,
                    get_json,
                    get_count,
                    [](const assay_host*, const char*) noexcept -> const void* { return nullptr; }};
};

/// An error value as a host makes it.
inline assay_error fresh_error() {
  assay_error error{};
  error.struct_size = sizeof error;
  return error;
}

/// A component made the way a host makes it, and destroyed at the end.
class Created {
 public:
  Created(const assay_component& component, FakeHost& host, const Options& options = {})
      : component_(&component) {
    status_ = component.create(host.table(), options.config(), &host.resources(), &self_, &error_);
  }
  Created(const Created&) = delete;
  Created& operator=(const Created&) = delete;
  ~Created() { component_->destroy(self_); }

  assay_status status() const { return status_; }
  const assay_error& error() const { return error_; }
  void* self() const { return self_; }
  template <class Api>
  const Api& api() const {
    return *static_cast<const Api*>(component_->api);
  }

 private:
  const assay_component* component_;
  void* self_ = nullptr;
  assay_error error_ = fresh_error();
  assay_status status_ = ASSAY_OK;
};

}  // namespace check
}  // namespace v1
}  // namespace assay
