// What the author of a dataset writes and the streams the layer makes of it. Templates, shots and
// limits are the host's.
#pragma once

#include <assay/arrow/stream.hpp>
#include <assay/declare.hpp>
#include <assay/instance.hpp>
#include <assay/namespace.hpp>
#include <assay/row.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// Base of every dataset, which has
///   static constexpr Info info;  static constexpr Option options[] (if any);
///   explicit T(Context);
///   void rewind(std::string_view split)   goes to the start; "" is the default split; throws
///                                         when there is none such;
///   bool next(Row&)                       gives one row, or false at the end;
///   static constexpr Column columns[], or, when the columns depend on the file,
///   std::vector<Field> schema(std::string_view split)   asked after rewind.
/// The same split gives the same rows every time. If it can, it also has
///   void splits(Splits)                   names every split there is;
///   void take(std::string_view split, std::span<const std::uint64_t> rows)   as rewind, but next()
///                                         gives these rows, counted from 0, in this order; keeps
///                                         a copy; throws ASSAY_NOT_FOUND where one is not there.
struct Dataset {};

/// A batch ends with whichever comes first.
inline constexpr std::int64_t kMaxBatchRows = 1024;
inline constexpr std::size_t kMaxBatchBytes = std::size_t{4} << 20;

namespace detail {

template <class T>
concept NamesColumnsLate = requires(T& dataset, std::string_view split) {
  { dataset.schema(split) } -> std::convertible_to<std::vector<Field>>;
};
template <class T>
concept NamesColumnsLateOfAnySplit = requires(T& dataset) {
  { dataset.schema() } -> std::convertible_to<std::vector<Field>>;
};

template <class T>
concept TakesRows = requires(T& dataset, std::string_view split,
                             std::span<const std::uint64_t> rows) {
  dataset.take(split, rows);
};

inline Field field_of(const assay_column& column) {
  const bool is_nullable = (column.flags & ASSAY_COL_OPTIONAL) != 0;
  const auto plain = [&](Type type) { return Field{column.name, type, {}, is_nullable}; };
  const auto list_of = [&](Type element) {
    return Field{column.name, Type::kList, {Field{"item", element, {}, false}}, is_nullable};
  };
  switch (column.type) {
    case ASSAY_BOOL:
      return plain(Type::kBool);
    case ASSAY_INT:
      return plain(Type::kInt64);
    case ASSAY_FLOAT:
      return plain(Type::kFloat64);
    case ASSAY_TEXT:
      return plain(Type::kText);
    case ASSAY_INTS:
      return list_of(Type::kInt64);
    case ASSAY_FLOATS:
      return list_of(Type::kFloat64);
    case ASSAY_TEXTS:
      return list_of(Type::kText);
    default:
      throw Error(ASSAY_INTERNAL, column.name,
                  "column \"" + std::string(column.name) +
                      "\" is declared with a type that is "
                      "none of bool, int, float, text and lists of the last three");
  }
}

template <class T>
struct DatasetInstance : Instance<T> {
  using Instance<T>::Instance;

  std::vector<Field> columns_of([[maybe_unused]] std::string_view split) {
    if constexpr (NamesColumnsLate<T>) {
      return this->component.schema(split);
    } else if constexpr (NamesColumnsLateOfAnySplit<T>) {
      return this->component.schema();
    } else {
      std::vector<Field> fields;
      for (const Column& column : T::columns) fields.push_back(field_of(column));
      return fields;
    }
  }

  std::uint64_t n_opened = 0;
  std::uint64_t reader = 0;  // the stream that read last, whose place the component is at
};

/// The rows of a split, or those taken of it.
struct Selection {
  std::string split;
  std::optional<std::vector<std::uint64_t>> rows;
};

/// Goes to the start of a selection.
template <class T>
void go_to_start(T& component, const Selection& selection) {
  if constexpr (TakesRows<T>) {
    if (selection.rows) {
      return component.take(std::string_view(selection.split), std::span(*selection.rows));
    }
  }
  component.rewind(std::string_view(selection.split));
}

/// One stream. Several of one instance may be open: the component has one place, so a stream that
/// finds another was there goes back to its own.
template <class T>
class SplitReader {
 public:
  SplitReader(DatasetInstance<T>& dataset, Selection selection, const std::vector<Field>& columns)
      : dataset_(&dataset),
        selection_(std::move(selection)),
        table_(table_of(columns)),
        number_(++dataset.n_opened) {
    dataset.reader = number_;
  }

  bool operator()(ArrowArray* out) {
    const Turn turn(dataset_->calls, dataset_->context.host_table(), "get_next");
    return_to_place();
    Builder batch(table_);
    while (batch.size() < kMaxBatchRows && batch.bytes() < kMaxBatchBytes) {
      Row row(batch);
      if (!dataset_->component.next(row)) break;
      row.end();
    }
    n_given_ += static_cast<std::uint64_t>(batch.size());
    if (batch.size() == 0) return false;
    *out = batch.finish();
    return true;
  }

 private:
  void return_to_place() {
    if (dataset_->reader == number_) return;
    dataset_->reader = number_;
    go_to_start(dataset_->component, selection_);
    Builder skipped(table_);
    for (std::uint64_t i = 0; i < n_given_; ++i) {
      Row row(skipped);
      if (!dataset_->component.next(row)) {
        throw Error(ASSAY_ABORTED, selection_.split,
                    "the dataset gave fewer rows when it was read again");
      }
      if (skipped.bytes() >= kMaxBatchBytes) skipped = Builder(table_);
    }
  }

  DatasetInstance<T>* dataset_;
  Selection selection_;
  Field table_;
  std::uint64_t number_;
  std::uint64_t n_given_ = 0;
};

/// A stream of a split, or of `rows` of it.
template <class T>
ArrowArrayStream stream_of(DatasetInstance<T>& dataset, std::string split,
                           std::optional<std::vector<std::uint64_t>> rows = std::nullopt) {
  Selection selection{std::move(split), std::move(rows)};
  dataset.reader = 0;
  go_to_start(dataset.component, selection);
  const std::vector<Field> columns = dataset.columns_of(selection.split);
  return make_stream(columns, SplitReader<T>(dataset, std::move(selection), columns));
}

template <class T>
struct DatasetEntry {
  using Self = DatasetInstance<T>;
  static_assert(
      requires(T & t, std::string_view split) { t.rewind(split); },
      "a dataset needs: void rewind(std::string_view split)");
  static_assert(
      requires(T & t, Row& row) {
        { t.next(row) } -> std::convertible_to<bool>;
      },
      "a dataset needs: bool next(assay::Row&)");
  static_assert(
      requires { T::columns[0]; } || NamesColumnsLate<T> || NamesColumnsLateOfAnySplit<T>,
      "a dataset needs: static constexpr assay::Column columns[], or "
      "std::vector<assay::Field> schema(std::string_view split)");

  static_assert((T::info.caps & ASSAY_CAP_CONCURRENT) == 0,
                "streams of the layer share one place in the dataset, so they cannot be read from "
                "several threads: leave ASSAY_CAP_CONCURRENT out");

  static assay_status open(void* self, assay_str split, ArrowArrayStream* out,
                           assay_error* error) noexcept {
    return wall(error, [&] {
      auto& dataset = *static_cast<Self*>(self);
      const Turn turn(dataset.calls, dataset.context.host_table(), "open");
      *out = stream_of(dataset, std::string(view_of(split)));
    });
  }
  static constexpr assay_dataset_v1 kApi{sizeof(assay_dataset_v1), 0, open};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
