// Authors' side of assay.config.check/1: a component says what is wrong with options that are valid
// one by one. Types and ranges belong into the declaration of an option.
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <assay/checked.hpp>
#include <assay/context.hpp>
#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <string_view>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// Where `static void check(Context, Diagnostics&)` of a component puts what is wrong. The host
/// shows each sentence at the option's place in the manifest. check() makes no instance and opens
/// no device.
///
/// Threads  [any-thread] until check() returns
class Diagnostics {
 public:
  Diagnostics(const assay_diagnostic_sink& sink, const assay_host* table)
      : sink_(&sink), table_(table) {}

  /// Keeps the manifest from running. `key`: the option, such as "kv.bits"; "" for all of them.
  void error(std::string_view key, std::string_view text) const { add(ASSAY_ERROR, key, text); }
  /// What a function that reads the options throws, at the option it names.
  void error(const Error& failure) const { error(failure.where(), failure.what()); }
  /// Is shown, and the manifest runs.
  void warn(std::string_view key, std::string_view text) const { add(ASSAY_WARN, key, text); }

 private:
  void add(assay_level level, std::string_view key, std::string_view text) const {
    if (kIsChecked && !is_utf8(text)) {
      misbehaved(table_, "plugin", "text-is-utf8", "a diagnostic is not UTF-8");
    }
    sink_->add(sink_->ctx, level, str_of(key), str_of(text));
  }

  const assay_diagnostic_sink* sink_;
  const assay_host* table_;
};

namespace detail {

template <class T>
struct ConfigCheckEntry {
  static constexpr bool kIsOffered = requires(const Context& context, Diagnostics& found) {
    T::check(context, found);
  };
  static constexpr const char* kId = ASSAY_CONFIG_CHECK_1;

  static assay_status check(const assay_host* host, const assay_config* config,
                            const assay_diagnostic_sink* sink, assay_error* error) noexcept {
    return wall(error, [&] {
      const Context context(host, config, nullptr);
      Diagnostics found(*sink, host);
      T::check(context, found);
      context.end_of_options();
    });
  }
  static constexpr assay_config_check_v1 kApi{sizeof(assay_config_check_v1), 0, check};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
