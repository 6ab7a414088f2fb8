// Reads the values of an Arrow column in place, honouring offsets and null bitmaps. Owns nothing
// and decides nothing about columns by name.
#pragma once

#include <assay/arrow/field.hpp>
#include <assay/namespace.hpp>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// A column, or the elements of one list of it.
///
/// Fails    ASSAY_INVALID_ARGUMENT a value asked for as what the column does not hold
/// Owns     the maker keeps schema and array alive; texts point into the array
class View {
 public:
  View(const ArrowSchema& schema, const ArrowArray& array) : View(schema, array, 0, array.length) {}

  std::string_view name() const { return schema_->name == nullptr ? "" : schema_->name; }
  Type type() const { return type_; }
  std::int64_t size() const { return size_; }

  bool is_null(std::int64_t i) const {
    const auto* bits = static_cast<const std::uint8_t*>(array_->buffers[0]);
    return array_->null_count != 0 && bits != nullptr && !bit(bits, at(i));
  }

  bool boolean(std::int64_t i) const {
    if (type_ != Type::kBool) wrong("bool");
    return bit(static_cast<const std::uint8_t*>(array_->buffers[1]), at(i));
  }

  /// From int64 or int32.
  std::int64_t integer(std::int64_t i) const {
    if (type_ == Type::kInt64) return value<std::int64_t>(1, at(i));
    if (type_ == Type::kInt32) return value<std::int32_t>(1, at(i));
    wrong("int64");
  }

  /// From any number; int64 beyond 2^53 is rounded.
  double number(std::int64_t i) const {
    switch (type_) {
      case Type::kFloat64:
        return value<double>(1, at(i));
      case Type::kFloat32:
        return static_cast<double>(value<float>(1, at(i)));
      case Type::kInt64:
        return static_cast<double>(value<std::int64_t>(1, at(i)));
      case Type::kInt32:
        return value<std::int32_t>(1, at(i));
      default:
        wrong("number");
    }
  }

  std::string_view text(std::int64_t i) const {
    if (type_ != Type::kText) wrong("text");
    const Range range = range_of(i);
    if (range.begin == range.end) return {};
    return {static_cast<const char*>(array_->buffers[2]) + range.begin,
            static_cast<std::size_t>(range.end - range.begin)};
  }

  /// The elements of the i-th list; an empty view where it is null.
  View list(std::int64_t i) const {
    if (type_ != Type::kList) wrong("list");
    const Range range = is_null(i) ? Range{0, 0} : range_of(i);
    return {*schema_->children[0], *array_->children[0], range.begin, range.end - range.begin};
  }

  /// Of a list's elements, known without any.
  Type element_type() const {
    if (type_ != Type::kList) wrong("list");
    return View(*schema_->children[0], *array_->children[0], 0, 0).type();
  }

  /// Fields of a struct. Their rows are this view's rows.
  std::int64_t n_children() const { return type_ == Type::kStruct ? schema_->n_children : 0; }
  View child(std::int64_t k) const {
    if (type_ != Type::kStruct) wrong("struct");
    return {*schema_->children[k], *array_->children[k], start_ + array_->offset, size_};
  }
  std::string_view child_name(std::int64_t k) const {
    const char* name = schema_->children[k]->name;
    return name == nullptr ? "" : name;
  }
  /// The place of the field of that name, or -1.
  std::int64_t find(std::string_view name) const {
    for (std::int64_t k = 0; k < n_children(); ++k) {
      if (child_name(k) == name) return k;
    }
    return -1;
  }

 private:
  struct Range {
    std::int64_t begin, end;
  };

  View(const ArrowSchema& schema, const ArrowArray& array, std::int64_t start, std::int64_t size)
      : schema_(&schema), array_(&array), start_(start), size_(size), type_(Type::kText) {
    const std::string_view format = schema.format == nullptr ? "" : schema.format;
    const auto type = type_of(format);
    if (!type) {
      throw Error(ASSAY_INVALID_ARGUMENT, std::string(name()),
                  "column \"" + std::string(name()) + "\" has the Arrow type \"" +
                      std::string(format) + "\", which is outside the profile");
    }
    type_ = *type;
    is_large_ = format == "U";
  }

  std::int64_t at(std::int64_t i) const { return array_->offset + start_ + i; }
  static bool bit(const std::uint8_t* bits, std::int64_t i) {
    return ((bits[i / 8] >> (i % 8)) & 1) != 0;
  }
  // By memcpy, for a producer may hand out buffers that are not aligned.
  template <class Value>
  Value value(int buffer, std::int64_t i) const {
    Value result;
    std::memcpy(&result,
                static_cast<const char*>(array_->buffers[buffer]) +
                    i * static_cast<std::int64_t>(sizeof(Value)),
                sizeof(Value));
    return result;
  }
  Range range_of(std::int64_t i) const {
    if (is_large_) return {value<std::int64_t>(1, at(i)), value<std::int64_t>(1, at(i) + 1)};
    return {value<std::int32_t>(1, at(i)), value<std::int32_t>(1, at(i) + 1)};
  }
  [[noreturn]] void wrong(std::string_view wanted) const {
    throw Error(ASSAY_INVALID_ARGUMENT, std::string(name()),
                "column \"" + std::string(name()) + "\" holds " + std::string(name_of(type_)) +
                    " and was read as " + std::string(wanted));
  }

  const ArrowSchema* schema_;
  const ArrowArray* array_;
  std::int64_t start_;  // logical: before the array's own offset
  std::int64_t size_;
  Type type_;
  bool is_large_ = false;
};

}  // namespace v1
}  // namespace assay
