// Authors' side of assay.dataset.rows/1: a dataset names its splits and, if it can, goes to single
// rows. Which rows are wanted is the host's business.
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <assay/dataset.hpp>
#include <assay/namespace.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// Where `void splits(Splits)` of a dataset names every split it has.
///
/// Threads  [any-thread] until splits() returns
class Splits {
 public:
  explicit Splits(const assay_split_sink& sink) : sink_(&sink) {}

  /// `rows` ASSAY_UNKNOWN: counting them means reading them.
  void operator()(std::string_view name, std::uint64_t rows = ASSAY_UNKNOWN) const {
    sink_->split(sink_->ctx, str_of(name), rows);
  }

 private:
  const assay_split_sink* sink_;
};

namespace detail {

template <class T>
concept NamesSplits = requires(T& dataset, Splits splits) {
  dataset.splits(splits);
};

template <class T>
struct DatasetRowsEntry {
  static_assert(NamesSplits<T> || !TakesRows<T>,
                "a dataset with void take(std::string_view split, std::span<const std::uint64_t> "
                "rows) needs: void splits(assay::Splits)");
  static constexpr bool kIsOffered = NamesSplits<T>;
  static constexpr const char* kId = ASSAY_DATASET_ROWS_1;
  using Self = DatasetInstance<T>;

  static assay_status splits(void* self, const assay_split_sink* sink,
                             assay_error* error) noexcept {
    return wall(error, [&] {
      auto& dataset = *static_cast<Self*>(self);
      const Turn turn(dataset.calls, dataset.context.host_table(), "splits");
      // Naming splits may move the component; a stream that is open goes back to its place then.
      if constexpr (!NamesSplits<const T>) dataset.reader = 0;
      dataset.component.splits(Splits(*sink));
    });
  }
  static assay_status take(void* self, assay_str split, const std::uint64_t* rows, std::uint64_t n,
                           ArrowArrayStream* out, assay_error* error) noexcept {
    return wall(error, [&] {
      auto& dataset = *static_cast<Self*>(self);
      const Turn turn(dataset.calls, dataset.context.host_table(), "take");
      *out = stream_of(dataset, std::string(view_of(split)),
                       std::vector<std::uint64_t>(rows, rows + n));
    });
  }
  static constexpr assay_dataset_rows_v1 kApi{sizeof(assay_dataset_rows_v1), 0, splits,
                                              TakesRows<T> ? take : nullptr};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
