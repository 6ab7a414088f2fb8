// Makes the one exported constant of a plugin from its components, at compile time. What components
// do is in the header of their kind.
#pragma once

#include <array>
#include <assay/backend.hpp>
#include <assay/backend_memory.hpp>
#include <assay/config_check.hpp>
#include <assay/dataset.hpp>
#include <assay/dataset_rows.hpp>
#include <assay/extension.hpp>
#include <assay/metric.hpp>
#include <assay/metric_sums.hpp>
#include <assay/namespace.hpp>
#include <assay/reporter.hpp>
#include <assay/template.hpp>
#include <assay/text_backend.hpp>
#include <assay/tokenizer.hpp>
#include <cstdint>
#include <type_traits>

#if defined(__clang__)
#define ASSAY_BUILT_WITH __VERSION__
#else
#define ASSAY_BUILT_WITH "GCC " __VERSION__
#endif

/// The last line of a plugin, outside any namespace: its id, version, vendor and licence as texts,
/// then its components. Gives assay_plugin_v1 and the note that is read before loading.
#define ASSAY_PLUGIN(plugin_id, plugin_version, plugin_vendor, plugin_license, ...)  \
  ASSAY_NOTE(plugin_id);                                                             \
  static_assert(sizeof(plugin_id) <= 64, "the id of a plugin has at most 63 bytes"); \
  extern "C" {                                                                       \
  ASSAY_EXPORT extern constinit const assay_plugin assay_plugin_v1 = {               \
      sizeof(assay_plugin),                                                          \
      ASSAY_ABI_MAJOR,                                                               \
      ASSAY_ABI_MINOR,                                                               \
      plugin_id,                                                                     \
      plugin_version,                                                                \
      plugin_vendor,                                                                 \
      plugin_license,                                                                \
      ASSAY_BUILT_WITH,                                                              \
      ::assay::detail::kComponents<__VA_ARGS__>.data(),                              \
      ::assay::detail::kComponents<__VA_ARGS__>.size()};                             \
  }

namespace ASSAY_HIDDEN assay {
inline namespace v1 {
namespace detail {

template <class T>
constexpr auto options_of() {
  if constexpr (requires { T::options[0]; }) {
    return pointers_to<assay_option>(T::options);
  } else {
    return std::array<const assay_option*, 0>{};
  }
}
template <class T>
constexpr auto columns_of() {
  if constexpr (requires { T::columns[0]; }) {
    return pointers_to<assay_column>(T::columns);
  } else {
    return std::array<const assay_column*, 0>{};
  }
}
template <class T>
constexpr auto outputs_of() {
  if constexpr (requires { T::outputs[0]; }) {
    return pointers_to<assay_column>(T::outputs);
  } else {
    return std::array<const assay_column*, 0>{};
  }
}

template <class Pointers>
constexpr auto data_or_null(const Pointers& pointers) {
  return pointers.empty() ? nullptr : pointers.data();
}

// The extensions of the ABI, one line for each: it is listed where the component has its members.
template <class T>
using BackendExtensions = Extensions<T,                         //
                                     ConfigCheckEntry<T>,       //
                                     BackendMemoryEntry<T>,     //
                                     BackendTokenizerEntry<T>,  //
                                     BackendTemplateEntry<T>,   //
                                     BackendTextEntry<T>>;
template <class T>
using DatasetExtensions = Extensions<T,                    //
                                     ConfigCheckEntry<T>,  //
                                     DatasetRowsEntry<T>>;
template <class T>
using MetricExtensions = Extensions<T,                    //
                                    ConfigCheckEntry<T>,  //
                                    MetricSumsEntry<T>>;
template <class T>
using ReporterExtensions = Extensions<T,  //
                                      ConfigCheckEntry<T>>;

template <class T, assay_kind kind_number, class Entry, class Listed>
struct ComponentOf {
  static_assert(std::is_constructible_v<T, Context>,
                "a component needs: explicit T(assay::Context)");
  static constexpr auto kOptions = options_of<T>();
  static constexpr auto kColumns = columns_of<T>();
  static constexpr auto kOutputs = outputs_of<T>();
  static constexpr auto kExtensions = Listed::list();

  static constexpr assay_component kComponent{sizeof(assay_component),
                                              kind_number,
                                              T::info.id,
                                              T::info.version,
                                              T::info.summary,
                                              T::info.caps,
                                              data_or_null(kOptions),
                                              kOptions.size(),
                                              data_or_null(kColumns),
                                              kColumns.size(),
                                              data_or_null(kOutputs),
                                              kOutputs.size(),
                                              create<typename Entry::Self>,
                                              destroy<typename Entry::Self>,
                                              &Entry::kApi,
                                              data_or_null(kExtensions),
                                              kExtensions.size()};
};

template <class T>
constexpr const assay_component* component_of() {
  static_assert(
      requires { T::info.id; },
      "a component needs: static constexpr assay::Info info{id, version, summary, caps}");
  if constexpr (std::is_base_of_v<Metric, T>) {
    return &ComponentOf<T, ASSAY_METRIC, MetricEntry<T>, MetricExtensions<T>>::kComponent;
  } else if constexpr (std::is_base_of_v<Dataset, T>) {
    return &ComponentOf<T, ASSAY_DATASET, DatasetEntry<T>, DatasetExtensions<T>>::kComponent;
  } else if constexpr (std::is_base_of_v<Backend, T>) {
    return &ComponentOf<T, ASSAY_BACKEND, BackendEntry<T>, BackendExtensions<T>>::kComponent;
  } else {
    static_assert(std::is_base_of_v<Reporter, T>,
                  "derive from assay::Metric, assay::Dataset, assay::Backend or assay::Reporter");
    return &ComponentOf<T, ASSAY_REPORTER, ReporterEntry<T>, ReporterExtensions<T>>::kComponent;
  }
}

template <class... T>
inline constexpr std::array<const assay_component*, sizeof...(T)> kComponents{component_of<T>()...};

}  // namespace detail
}  // namespace v1
}  // namespace assay
