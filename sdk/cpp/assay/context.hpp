// What the host lends a component: its options while it is made, and log, progress and cancellation
// as long as it lives. Nothing here knows the four kinds.
#pragma once

#include <assay/abi.h>

#include <assay/checked.hpp>
#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// A handle, cheap to copy and to keep. Options can be read in the constructor only.
///
/// Fails    getters: ASSAY_NOT_FOUND no such option or no value, ASSAY_INVALID_ARGUMENT another
///          type, ASSAY_FAILED_PRECONDITION after the constructor; all name the option
/// Threads  [any-thread]
class Context {
 public:
  Context(const assay_host* host, const assay_config* config, const assay_resources* resources)
      : state_(std::make_shared<State>(State{host, config, resources})) {}

  /// Is there a value? False for an optional option that the manifest leaves out.
  bool has(const std::string& key) const {
    assay_str json{};
    return state_->host->get_json(config(key), key.c_str(), &json) == ASSAY_OK;
  }

  bool flag(const std::string& key) const {
    return get<std::int32_t>(state_->host->get_bool, key) != 0;
  }
  std::int64_t integer(const std::string& key) const {
    return get<std::int64_t>(state_->host->get_int, key);
  }
  double number(const std::string& key) const { return get<double>(state_->host->get_float, key); }
  /// A text, a choice, a path or the name of a model.
  std::string text(const std::string& key) const {
    return std::string(view_of(get<assay_str>(state_->host->get_text, key)));
  }
  /// Units    bytes
  std::uint64_t size(const std::string& key) const {
    const std::int64_t bytes = integer(key);
    if (bytes < 0)
      throw Error(ASSAY_INVALID_ARGUMENT, key, key + " is a size and cannot be negative");
    return static_cast<std::uint64_t>(bytes);
  }
  /// Units    seconds
  double duration(const std::string& key) const { return number(key); }
  /// The value, whatever its type, as JSON.
  std::string json(const std::string& key) const {
    return std::string(view_of(get<assay_str>(state_->host->get_json, key)));
  }

  /// Elements of a list; of a list of tables each is read as "override.0.bits".
  std::uint64_t count(const std::string& key) const {
    return get<std::uint64_t>(state_->host->get_count, key);
  }
  std::vector<std::int64_t> ints(const std::string& key) const {
    return list<std::int64_t>(key, [&](const std::string& each) { return integer(each); });
  }
  std::vector<double> floats(const std::string& key) const {
    return list<double>(key, [&](const std::string& each) { return number(each); });
  }
  std::vector<std::string> texts(const std::string& key) const {
    return list<std::string>(key, [&](const std::string& each) { return text(each); });
  }

  bool cancelled() const { return state_->host->cancelled(state_->host) != 0; }
  /// Throws ASSAY_CANCELLED when the host wants the work to end. Call it between steps.
  void checkpoint() const {
    if (cancelled()) throw Error(ASSAY_CANCELLED, "cancelled");
  }
  /// `fraction` of the present call's work that is done.
  void progress(double fraction, std::string_view what) const {
    if (kIsChecked && !(fraction >= 0 && fraction <= 1)) {
      misbehaved(state_->host, "plugin", "progress-is-a-fraction",
                 "progress " + std::to_string(fraction) + " is not between 0 and 1");
    }
    state_->host->progress(state_->host, fraction, str_of(what));
  }
  void log(assay_level level, std::string_view line) const {
    if (kIsChecked && !is_utf8(line)) {
      misbehaved(state_->host, "plugin", "text-is-utf8", "a log line is not UTF-8");
    }
    state_->host->log(state_->host, level, str_of(line));
  }

  const assay_host* host_table() const { return state_->host; }
  /// What was granted. Valid as long as the component lives; none while estimating.
  const assay_resources& resources() const {
    if (state_->resources == nullptr) {
      throw Error(ASSAY_FAILED_PRECONDITION, "resources", "nothing is granted while estimating");
    }
    return *state_->resources;
  }

  /// The layer's: from here on options are gone, as the host's own are.
  void end_of_options() const { state_->config = nullptr; }

 private:
  struct State {
    const assay_host* host;
    const assay_config* config;
    const assay_resources* resources;
  };

  const assay_config* config(const std::string& key) const {
    if (state_->config == nullptr) {
      throw Error(ASSAY_FAILED_PRECONDITION, key,
                  "option \"" + key + "\" is read after the constructor; keep its value instead");
    }
    return state_->config;
  }

  template <class Value, class Getter>
  Value get(Getter getter, const std::string& key) const {
    Value value{};
    const assay_status status = getter(config(key), key.c_str(), &value);
    if (status == ASSAY_OK) return value;
    throw Error(status, key,
                "option \"" + key + "\" " +
                    (status == ASSAY_NOT_FOUND ? "has no value" : "has a value of another type"));
  }

  template <class Value, class Read>
  std::vector<Value> list(const std::string& key, Read read) const {
    std::vector<Value> values;
    const std::uint64_t n = count(key);
    for (std::uint64_t i = 0; i < n; ++i) {
      values.push_back(read(key + "." + std::to_string(i)));
    }
    return values;
  }

  std::shared_ptr<State> state_;
};

}  // namespace v1
}  // namespace assay
