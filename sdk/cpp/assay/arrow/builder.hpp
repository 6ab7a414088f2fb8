// Builds Arrow columns value by value, nested ones too, and hands them out as arrays that own their
// memory. Knows nothing of rows or streams.
#pragma once

#include <assay/arrow/field.hpp>
#include <assay/namespace.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

namespace detail {

/// Buffers in the order Arrow wants them, and the children.
struct ArrayParts {
  std::vector<std::uint8_t> validity, data;
  std::vector<std::int32_t> offsets;
  const void* buffers[3] = {};
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> pointers;
};

inline void release_array(ArrowArray* array) noexcept {
  auto* parts = static_cast<ArrayParts*>(array->private_data);
  for (ArrowArray& child : parts->children) {
    if (child.release != nullptr) child.release(&child);
  }
  delete parts;
  array->release = nullptr;
}

inline void append_bit(std::vector<std::uint8_t>& bits, std::int64_t at, bool value) {
  if (at % 8 == 0) bits.push_back(0);
  if (value) bits.back() = static_cast<std::uint8_t>(bits.back() | (1u << (at % 8)));
}

}  // namespace detail

/// One column under construction. A list row is its elements appended to child(0), then
/// end_list(); a struct row is one value appended to each child, then end_struct().
///
/// Fails    ASSAY_INVALID_ARGUMENT a value of another type, a null where none may be, fields of
///          unequal length; ASSAY_RESOURCE_EXHAUSTED more than 2 GiB in one array
class Builder {
 public:
  explicit Builder(Field field) : field_(std::move(field)) {
    const bool is_list = field_.type == Type::kList;
    if (is_list && field_.children.size() != 1) {
      throw Error(ASSAY_INVALID_ARGUMENT, field_.name,
                  "column \"" + field_.name + "\" is a list and needs one child, its element");
    }
    for (const Field& child : field_.children) children_.emplace_back(child);
    if (has_offsets()) offsets_.push_back(0);
  }

  const Field& field() const { return field_; }
  std::int64_t size() const { return size_; }
  Builder& child(std::size_t k) { return children_.at(k); }
  std::size_t n_children() const { return children_.size(); }

  /// What the values take so far.
  std::size_t bytes() const {
    std::size_t sum = validity_.size() + data_.size() + offsets_.size() * sizeof(std::int32_t);
    for (const Builder& child : children_) sum += child.bytes();
    return sum;
  }

  void append_bool(bool value) {
    if (field_.type != Type::kBool) wrong("a truth value");
    detail::append_bit(data_, size_, value);
    close(true);
  }

  /// Into int64, int32 where it fits, or a float column.
  void append_int(std::int64_t value) {
    switch (field_.type) {
      case Type::kInt64:
        push(value);
        break;
      case Type::kInt32:
        if (value < std::numeric_limits<std::int32_t>::min() ||
            value > std::numeric_limits<std::int32_t>::max()) {
          wrong(std::to_string(value));
        }
        push(static_cast<std::int32_t>(value));
        break;
      case Type::kFloat64:
        push(static_cast<double>(value));
        break;
      case Type::kFloat32:
        push(static_cast<float>(value));
        break;
      default:
        wrong("a whole number");
    }
    close(true);
  }

  void append_float(double value) {
    if (field_.type == Type::kFloat64) {
      push(value);
    } else if (field_.type == Type::kFloat32) {
      push(static_cast<float>(value));
    } else {
      wrong("a number with a fraction");
    }
    close(true);
  }

  void append_text(std::string_view value) {
    if (field_.type != Type::kText) wrong("text");
    const auto end = offset_of(data_.size() + value.size());
    data_.insert(data_.end(), value.begin(), value.end());
    offsets_.push_back(end);
    close(true);
  }

  void end_list() {
    if (field_.type != Type::kList) wrong("a list");
    offsets_.push_back(offset_of(static_cast<std::size_t>(children_[0].size())));
    close(true);
  }

  void end_struct() {
    if (field_.type != Type::kStruct) wrong("a struct");
    check_fields();
    close(true);
  }

  void append_null() {
    if (!field_.nullable) {
      throw Error(ASSAY_INVALID_ARGUMENT, field_.name,
                  "column \"" + field_.name + "\" got no value and is not declared nullable");
    }
    append_nothing();
    close(false);
  }

  /// Hands out what was built and begins again with an empty column.
  ///
  /// Owns     the caller releases the array, which outlives the builder
  ArrowArray finish() {
    if (field_.type == Type::kStruct) check_fields();
    auto* parts = new detail::ArrayParts;
    ArrowArray array{size_,   null_count_,           0,    0, 0, parts->buffers, nullptr,
                     nullptr, detail::release_array, parts};
    try {
      parts->children.reserve(children_.size());
      for (Builder& child : children_) parts->children.push_back(child.finish());
      for (ArrowArray& child : parts->children) parts->pointers.push_back(&child);
    } catch (...) {
      array.release(&array);
      throw;
    }
    array.n_children = static_cast<std::int64_t>(parts->pointers.size());
    array.children = parts->pointers.data();
    hand_out_buffers(array, *parts);
    size_ = null_count_ = 0;
    if (has_offsets()) offsets_.assign(1, 0);
    return array;
  }

 private:
  bool has_offsets() const { return field_.type == Type::kText || field_.type == Type::kList; }

  template <class Value>
  void push(Value value) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
    data_.insert(data_.end(), bytes, bytes + sizeof(Value));
  }

  /// What stands in the buffers where there is no value.
  void append_nothing() {
    switch (field_.type) {
      case Type::kBool:
        detail::append_bit(data_, size_, false);
        break;
      case Type::kInt64:
        push(std::int64_t{0});
        break;
      case Type::kFloat64:
        push(0.0);
        break;
      case Type::kFloat32:
        push(0.0F);
        break;
      case Type::kInt32:
        push(std::int32_t{0});
        break;
      case Type::kText:
        [[fallthrough]];
      case Type::kList:
        offsets_.push_back(offsets_.back());
        break;
      case Type::kStruct:
        for (Builder& child : children_) {
          child.append_nothing();
          child.close(true);
        }
        break;
    }
  }

  /// Ends a row. The bitmap begins with the first null.
  void close(bool is_valid) {
    if (!is_valid && null_count_ == 0) {
      validity_.clear();
      for (std::int64_t i = 0; i < size_; ++i) detail::append_bit(validity_, i, true);
    }
    if (!is_valid || null_count_ > 0) detail::append_bit(validity_, size_, is_valid);
    if (!is_valid) ++null_count_;
    ++size_;
  }

  void check_fields() const {
    const std::int64_t expected = children_.empty() ? 0 : children_[0].size();
    for (const Builder& child : children_) {
      if (child.size() != expected) {
        throw Error(ASSAY_INVALID_ARGUMENT, child.field_.name,
                    "column \"" + child.field_.name + "\" has " + std::to_string(child.size()) +
                        " values and column \"" + children_[0].field_.name + "\" has " +
                        std::to_string(expected) + "; every row needs one value for each column");
      }
    }
  }

  std::int32_t offset_of(std::size_t end) const {
    if (end > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
      throw Error(ASSAY_RESOURCE_EXHAUSTED, field_.name,
                  "column \"" + field_.name + "\" holds more than 2 GiB in one batch");
    }
    return static_cast<std::int32_t>(end);
  }

  void hand_out_buffers(ArrowArray& array, detail::ArrayParts& parts) {
    parts.validity = std::exchange(validity_, {});
    parts.data = std::exchange(data_, {});
    parts.offsets = std::exchange(offsets_, {});
    parts.buffers[0] = null_count_ == 0 ? nullptr : parts.validity.data();
    if (field_.type == Type::kStruct) {
      array.n_buffers = 1;
    } else if (has_offsets()) {
      array.n_buffers = field_.type == Type::kText ? 3 : 2;
      parts.buffers[1] = parts.offsets.data();
      parts.buffers[2] = parts.data.data();
    } else {
      array.n_buffers = 2;
      parts.buffers[1] = parts.data.data();
    }
  }

  [[noreturn]] void wrong(std::string_view found) const {
    throw Error(ASSAY_INVALID_ARGUMENT, field_.name,
                "column \"" + field_.name + "\" holds " + std::string(name_of(field_.type)) +
                    " and got " + std::string(found));
  }

  Field field_;
  std::vector<Builder> children_;
  std::int64_t size_ = 0, null_count_ = 0;
  std::vector<std::uint8_t> validity_, data_;
  std::vector<std::int32_t> offsets_;
};

}  // namespace v1
}  // namespace assay
