// Authors' side of assay.metric.sums/1: totals as a function of sums over items, so that the host
// finds standard errors without running the metric again. What is summed comes from score().
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <assay/metric.hpp>
#include <assay/namespace.hpp>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {
namespace detail {

template <class T>
concept HasTotalsOfSums = requires(const T& metric, std::span<const double> sums, double items,
                                   std::span<double> out) {
  metric.totals(sums, items, out);
};

/// Of a metric with
///   static constexpr const char* terms[];
///   void totals(std::span<const double> sums, double items, std::span<double> out) const
/// score() gives the terms as samples. sums [terms]: what they come to over `items` items, which
/// may be a fraction; out [outputs]: the total of each output in the order of their declaration,
/// NaN where it is undefined. Pure, and called from any thread.
template <class T>
struct MetricSumsEntry {
  static_assert(
      HasTerms<T> == HasTotalsOfSums<T>,
      "static constexpr const char* terms[] and void totals(std::span<const double> sums, "
      "double items, std::span<double> out) const go together");
  static constexpr bool kIsOffered = HasTerms<T>;
  static constexpr const char* kId = ASSAY_METRIC_SUMS_1;

  static assay_status totals(void* self, const double* sums, const double* items, std::uint64_t n,
                             double* out, assay_error* error) noexcept {
    constexpr std::size_t n_terms = std::size(T::terms);
    constexpr std::size_t n_outputs = std::size(T::outputs);
    return wall(error, [&] {
      const T& metric = static_cast<const MetricInstance<T>*>(self)->component;
      for (std::uint64_t i = 0; i < n; ++i) {
        metric.totals(std::span(sums + i * n_terms, n_terms), items[i],
                      std::span(out + i * n_outputs, n_outputs));
      }
    });
  }
  static constexpr assay_metric_sums_v1 kApi{sizeof(assay_metric_sums_v1), 0, T::terms,
                                             std::size(T::terms), totals};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
