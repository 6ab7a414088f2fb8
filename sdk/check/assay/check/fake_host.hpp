// A host for tests of components: options from a list, log lines kept. It loads nothing and runs
// nothing.
#pragma once

#include <assay/abi.h>

#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
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

/// The value of a list that is there and has no elements: {"skip", NoElements{}}.
struct NoElements {
  bool operator==(const NoElements&) const = default;
};

/// The value of one option. A list is its elements: {"skip.0", "a"}, {"skip.1", "b"}.
using Value = std::variant<bool, std::int64_t, double, std::string, NoElements>;

/// JSON of a text that is UTF-8.
///
/// Source   RFC 8259, section 7
inline std::string json_text(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    char escape[8];
    if (c == '"' || c == '\\') {
      json += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned int>(c));
      json += escape;
    } else {
      json += c;
    }
  }
  return json + '"';
}

/// Effective options as a component reads them. Defaults are the test's business.
class Options {
 public:
  Options() = default;
  Options(std::initializer_list<std::pair<const std::string, Value>> values) : values_(values) {}

  const assay_config* config() const { return reinterpret_cast<const assay_config*>(this); }
  static const Options& of(const assay_config* config) {
    return *reinterpret_cast<const Options*>(config);
  }

  const std::map<std::string, Value>& values() const { return values_; }
  void set(const std::string& key, Value value) { values_[key] = std::move(value); }
  /// The option and, of a list, its elements.
  void erase(const std::string& key) {
    std::erase_if(values_, [&](const auto& entry) {
      return entry.first == key || entry.first.starts_with(key + ".");
    });
  }

  const Value* find(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }
  /// Is there a value of that key, or below it?
  bool has(const std::string& key) const { return starts(key); }
  /// Owns     the options; valid as long as they
  std::string_view json(const std::string& key) const {
    const std::scoped_lock hold(lock_.mutex);
    return json_[key] = json_of(key);
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

  std::string json_of(const std::string& key) const {
    if (const Value* value = find(key)) {
      if (const auto* flag = std::get_if<bool>(value)) return *flag ? "true" : "false";
      if (const auto* whole = std::get_if<std::int64_t>(value)) return std::to_string(*whole);
      if (const auto* text = std::get_if<std::string>(value)) return json_text(*text);
      const auto* number = std::get_if<double>(value);
      if (number == nullptr) return "[]";
      char digits[32];
      std::snprintf(digits, sizeof digits, "%.17g", *number);
      return digits;
    }
    std::string json;
    if (const std::uint64_t n = count(key); n > 0) {
      for (std::uint64_t i = 0; i < n; ++i) {
        json += (i > 0 ? "," : "[") + json_of(key + "." + std::to_string(i));
      }
      return json + "]";
    }
    // A table of a list: its keys are those below, those of its own lists without their places.
    for (auto at = values_.lower_bound(key + "."); at != values_.end(); ++at) {
      if (!at->first.starts_with(key + ".")) break;
      std::string name = at->first.substr(key.size() + 1);
      if (!name.ends_with(".0") && name.find_last_not_of("0123456789") + 1 < name.size()) continue;
      if (name.ends_with(".0")) name.resize(name.size() - 2);
      json += (json.empty() ? "{" : ",") + json_text(name) + ":" + json_of(key + "." + name);
    }
    return json.empty() ? "{}" : json + "}";
  }

  /// Options are copied; a lock is each one's own.
  struct Lock {
    Lock() = default;
    Lock(const Lock&) {}
    Lock& operator=(const Lock&) { return *this; }
    std::mutex mutex;
  };

  std::map<std::string, Value> values_;
  mutable Lock lock_;
  mutable std::map<std::string, std::string> json_;  // what get_json handed out
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

  const assay_host* table() const { return lent_table_; }
  /// What is granted, to be changed before it is lent.
  assay_resources& resources() { return resources_; }
  const assay_resources* granted() const { return lent_resources_; }
  /// Lends other tables than its own: copies of table() and resources() that differ in size.
  void lend(const assay_host* table, const assay_resources* resources) {
    lent_table_ = table;
    lent_resources_ = resources;
  }

  void cancel() { is_cancelled_ = true; }
  /// Lives as long as the host.
  const std::atomic<bool>& cancel_flag() const { return is_cancelled_; }

  /// A call of a sink; progress and cancelled count by themselves.
  void take_sign_of_life() {
    const std::scoped_lock hold(lock_);
    const auto now = std::chrono::steady_clock::now();
    if (now - last_sign_ > longest_silence_) longest_silence_ = now - last_sign_;
    last_sign_ = now;
  }
  /// Work begins: silence before it does not count.
  void begin_work() {
    const std::scoped_lock hold(lock_);
    last_sign_ = std::chrono::steady_clock::now();
    longest_silence_ = {};
  }
  double longest_silence_seconds() const {
    const std::scoped_lock hold(lock_);
    return std::chrono::duration<double>(longest_silence_).count();
  }
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
  static assay_status get_json(const assay_config* config, const char* key,
                               assay_str* out) noexcept {
    const Options& options = Options::of(config);
    if (!options.has(key)) return ASSAY_NOT_FOUND;
    *out = str_of(options.json(key));
    return ASSAY_OK;
  }
  static assay_status get_count(const assay_config* config, const char* key,
                                std::uint64_t* out) noexcept {
    const Options& options = Options::of(config);
    const std::uint64_t n = options.count(key);
    if (n == 0) {
      const Value* value = options.find(key);
      if (value == nullptr) return ASSAY_NOT_FOUND;
      if (!std::holds_alternative<NoElements>(*value)) return ASSAY_INVALID_ARGUMENT;
    }
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
    host.take_sign_of_life();
    const std::scoped_lock hold(host.lock_);
    host.progress_.push_back(fraction);
  }
  static std::int32_t ask_cancelled(const assay_host* table) noexcept {
    FakeHost& host = of(table);
    host.take_sign_of_life();
    return host.is_cancelled_ ? 1 : 0;
  }

  mutable std::mutex lock_;
  std::vector<LogLine> log_;
  std::vector<double> progress_;
  std::chrono::steady_clock::time_point last_sign_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration longest_silence_{};
  std::atomic<bool> is_cancelled_ = false;
  assay_device device_{1, 0};
  assay_resources resources_{sizeof(assay_resources), 1, 0, 0, {1, 0}, 1234, {"", 0}, &device_, 1};
  assay_host table_{sizeof(assay_host),
                    ASSAY_ABI_MINOR,
                    this,
                    "fake",
                    "1.0.0",
                    take_line,
                    ask_cancelled,
                    take_progress,
                    get<bool, std::int32_t>,
                    get<std::int64_t, std::int64_t>,
                    get_float,
                    get<std::string, assay_str>,
                    get_json,
                    get_count,
                    [](const assay_host*, const char*) noexcept -> const void* { return nullptr; }};
  const assay_host* lent_table_ = &table_;
  const assay_resources* lent_resources_ = &resources_;
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
    status_ = component.create(host.table(), options.config(), host.granted(), &self_, &error_);
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
