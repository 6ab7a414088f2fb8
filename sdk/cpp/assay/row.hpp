// One row of a dataset on its way into Arrow columns, value by value in the order of the columns.
// Files and formats are the author's.
#pragma once

#include <assay/arrow/builder.hpp>
#include <assay/namespace.hpp>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// Takes one value for each column: row << "text" << 3 << 0.5 << true << std::nullopt, lists as
/// ranges. Nested values go between begin_list() and end_list(), begin_struct() and end_struct().
///
/// Fails    ASSAY_INVALID_ARGUMENT a value of another type than its column's, too many or too few
class Row {
 public:
  explicit Row(Builder& table) { open_.push_back({&table, 0}); }

  template <class Value>
  Row& operator<<(const Value& value) {
    if constexpr (std::is_same_v<Value, bool>) {
      next().append_bool(value);
    } else if constexpr (std::is_same_v<Value, std::nullopt_t> ||
                         std::is_same_v<Value, std::nullptr_t>) {
      next().append_null();
    } else if constexpr (std::integral<Value>) {
      next().append_int(signed_of(value));
    } else if constexpr (std::floating_point<Value>) {
      next().append_float(static_cast<double>(value));
    } else if constexpr (std::convertible_to<const Value&, std::string_view>) {
      next().append_text(std::string_view(value));
    } else if constexpr (requires {
                           value.has_value();
                           *value;
                         }) {
      value.has_value() ? *this << *value : null();
    } else {
      static_assert(std::ranges::input_range<const Value>,
                    "a row takes truth values, numbers, texts, std::nullopt, and ranges of these");
      begin_list();
      for (const auto& element : value) *this << element;
      end_list();
    }
    return *this;
  }

  Row& null() { return *this << std::nullopt; }

  Row& begin_list() { return begin(Type::kList); }
  Row& end_list() {
    leave(Type::kList).end_list();
    return *this;
  }
  /// Values follow in the order of the struct's fields.
  Row& begin_struct() { return begin(Type::kStruct); }
  Row& end_struct() {
    check_whole();
    leave(Type::kStruct).end_struct();
    return *this;
  }

  /// The layer's: ends the row.
  void end() {
    if (open_.size() != 1) {
      throw Error(ASSAY_INTERNAL, open_.back().builder->field().name,
                  "a row ended inside column \"" + open_.back().builder->field().name + "\"");
    }
    check_whole();
    open_[0].builder->end_struct();
  }

 private:
  struct Level {
    Builder* builder;
    std::size_t next;
  };

  template <class Value>
  static std::int64_t signed_of(Value value) {
    if (std::cmp_greater(value, std::numeric_limits<std::int64_t>::max())) {
      throw Error(ASSAY_INVALID_ARGUMENT, std::to_string(value) + " does not fit into int64");
    }
    return static_cast<std::int64_t>(value);
  }

  Builder& next() {
    Level& level = open_.back();
    if (level.builder->field().type == Type::kList) return level.builder->child(0);
    if (level.next == level.builder->n_children()) complain(level);
    return level.builder->child(level.next++);
  }
  Row& begin(Type type) {
    Builder& builder = next();
    if (builder.field().type != type) {
      throw Error(ASSAY_INVALID_ARGUMENT, builder.field().name,
                  "column \"" + builder.field().name + "\" holds " +
                      std::string(name_of(builder.field().type)) + " and got a " +
                      std::string(name_of(type)));
    }
    open_.push_back({&builder, 0});
    return *this;
  }
  Builder& leave(Type type) {
    Builder& builder = *open_.back().builder;
    if (open_.size() == 1 || builder.field().type != type) {
      throw Error(ASSAY_INTERNAL, builder.field().name,
                  "a row ends a " + std::string(name_of(type)) + " it did not begin");
    }
    open_.pop_back();
    return builder;
  }
  void check_whole() const {
    if (open_.back().next != open_.back().builder->n_children()) complain(open_.back());
  }
  [[noreturn]] static void complain(const Level& level) {
    std::string names;
    for (const Field& field : level.builder->field().children) {
      if (!names.empty()) names += ", ";
      names += field.name;
    }
    const bool is_full = level.next == level.builder->n_children();
    throw Error(ASSAY_INVALID_ARGUMENT, level.builder->field().name,
                std::string("a row gives ") + (is_full ? "more than " : "only ") +
                    std::to_string(level.next) + " values for the columns " + names);
  }

  std::vector<Level> open_;
};

}  // namespace v1
}  // namespace assay
