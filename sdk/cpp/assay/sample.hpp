// Rows of a table by column name: what metrics and reporters read. Columns without names in rows
// are arrow/view.hpp.
#pragma once

#include <assay/arrow/check.hpp>
#include <assay/arrow/view.hpp>
#include <assay/namespace.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

class Rows;

/// One row. Texts point into the batch and live as long as it.
///
/// Fails    ASSAY_NOT_FOUND no such column; ASSAY_INVALID_ARGUMENT another type, or no value
class Sample {
 public:
  Sample(const Rows& rows, std::int64_t row) : rows_(&rows), row_(row) {}

  /// Is there such a column with a value in this row?
  inline bool has(std::string_view column) const;
  bool is_null(std::string_view column) const { return !has(column); }

  std::string_view text(std::string_view column) const { return value_of(column).text(row_); }
  /// From any number.
  double number(std::string_view column) const { return value_of(column).number(row_); }
  std::int64_t integer(std::string_view column) const { return value_of(column).integer(row_); }
  bool flag(std::string_view column) const { return value_of(column).boolean(row_); }

  std::vector<double> numbers(std::string_view column) const {
    return list<double>(column, [](const View& v, std::int64_t i) { return v.number(i); });
  }
  std::vector<std::int64_t> integers(std::string_view column) const {
    return list<std::int64_t>(column, [](const View& v, std::int64_t i) { return v.integer(i); });
  }
  std::vector<std::string_view> texts(std::string_view column) const {
    return list<std::string_view>(column, [](const View& v, std::int64_t i) { return v.text(i); });
  }

  /// For nested columns: the whole column, to be read at row().
  inline const View& column(std::string_view name) const;
  /// Within this batch.
  std::int64_t row() const { return row_; }

 private:
  const View& value_of(std::string_view name) const {
    const View& view = column(name);
    if (view.is_null(row_)) {
      throw Error(ASSAY_INVALID_ARGUMENT, std::string(name),
                  "column \"" + std::string(name) + "\" has no value in row " +
                      std::to_string(row_) + " of its batch");
    }
    return view;
  }

  template <class Value, class Read>
  std::vector<Value> list(std::string_view name, Read read) const {
    const View elements = value_of(name).list(row_);
    std::vector<Value> values;
    values.reserve(static_cast<std::size_t>(elements.size()));
    for (std::int64_t i = 0; i < elements.size(); ++i) {
      if (elements.is_null(i)) {
        throw Error(ASSAY_INVALID_ARGUMENT, std::string(name),
                    "column \"" + std::string(name) + "\" has a list without value at place " +
                        std::to_string(i) + " in row " + std::to_string(row_) + " of its batch");
      }
      values.push_back(read(elements, i));
    }
    return values;
  }

  const Rows* rows_;
  std::int64_t row_;
};

/// A batch of a table.
///
/// Fails    ASSAY_FAILED_PRECONDITION a schema outside the profile, or an array unlike its schema
/// Owns     the maker keeps schema and array alive
class Rows {
 public:
  Rows(const ArrowSchema& schema, const ArrowArray& array) {
    if (const auto error = profile_error(schema)) throw Error(ASSAY_FAILED_PRECONDITION, *error);
    if (const auto error = array_error(schema, array))
      throw Error(ASSAY_FAILED_PRECONDITION, *error);
    const View table(schema, array);
    size_ = table.size();
    for (std::int64_t k = 0; k < table.n_children(); ++k) columns_.push_back(table.child(k));
  }

  std::int64_t size() const { return size_; }
  Sample operator[](std::int64_t row) const { return {*this, row}; }
  const std::vector<View>& columns() const { return columns_; }

  /// Null where there is no column of that name.
  const View* find(std::string_view name) const {
    for (const View& column : columns_) {
      if (column.name() == name) return &column;
    }
    return nullptr;
  }

 private:
  std::vector<View> columns_;
  std::int64_t size_ = 0;
};

inline bool Sample::has(std::string_view name) const {
  const View* view = rows_->find(name);
  return view != nullptr && !view->is_null(row_);
}

inline const View& Sample::column(std::string_view name) const {
  if (const View* view = rows_->find(name)) return *view;
  std::string names;
  for (const View& view : rows_->columns()) {
    if (!names.empty()) names += ", ";
    names += view.name();
  }
  throw Error(ASSAY_NOT_FOUND, std::string(name),
              "there is no column \"" + std::string(name) + "\" (columns: " + names + ")");
}

}  // namespace v1
}  // namespace assay
