// Does an array have the shape its schema promises? Structure only: buffers, lengths and offsets;
// values are the reader's business.
#pragma once

#include <assay/arrow/field.hpp>
#include <assay/namespace.hpp>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

namespace detail {

template <class Offset>
std::optional<std::string> offsets_error(const ArrowArray& array, std::int64_t limit) {
  const auto at = [&](std::int64_t i) {
    Offset value;
    std::memcpy(
        &value,
        static_cast<const char*>(array.buffers[1]) + i * static_cast<std::int64_t>(sizeof(Offset)),
        sizeof(Offset));
    return static_cast<std::int64_t>(value);
  };
  std::int64_t previous = at(array.offset);
  if (previous < 0) return "has a negative offset";
  for (std::int64_t i = array.offset + 1; i <= array.offset + array.length; ++i) {
    const std::int64_t next = at(i);
    if (next < previous) return "has offsets that descend";
    previous = next;
  }
  if (limit >= 0 && previous > limit) return "has a list that ends behind its elements";
  return std::nullopt;
}

inline std::int64_t buffers_of(Type type) {
  if (type == Type::kStruct) return 1;
  return type == Type::kText ? 3 : 2;
}

/// `needed`: rows that must be there, the array's own offset not counted.
inline std::optional<std::string> array_error(const ArrowSchema& schema, const ArrowArray& array,
                                              std::int64_t needed, std::string_view path) {
  const auto named = [&](const std::string& why) {
    return (path.empty() ? std::string("the table ") : "column \"" + std::string(path) + "\" ") +
           why;
  };
  const Type type = *type_of(schema.format);
  if (array.release == nullptr) return named("was released already");
  if (array.length < 0 || array.offset < 0) return named("has a negative length or offset");
  if (array.length < needed) {
    return named("has " + std::to_string(array.length) + " values where " + std::to_string(needed) +
                 " are needed");
  }
  if (array.n_buffers != buffers_of(type) || array.buffers == nullptr) {
    return named("has " + std::to_string(array.n_buffers) + " buffers; its type has " +
                 std::to_string(buffers_of(type)));
  }
  if (array.n_children != schema.n_children || (array.n_children > 0 && !array.children)) {
    return named("has " + std::to_string(array.n_children) + " children; its schema has " +
                 std::to_string(schema.n_children));
  }
  if (array.null_count > 0 && array.buffers[0] == nullptr) return named("has nulls and no bitmap");
  if (array.length > 0 && type != Type::kStruct && array.buffers[1] == nullptr) {
    return named("has values and no buffer for them");
  }
  for (std::int64_t k = 0; k < array.n_children; ++k) {
    if (array.children[k] == nullptr) return named("has a child that is null");
    std::string below(path);
    if (type == Type::kList) {
      below += "[]";
    } else {
      const char* name = schema.children[k]->name;
      if (!path.empty()) below += '.';
      if (name != nullptr) below += name;
    }
    const std::int64_t rows = type == Type::kStruct ? array.offset + array.length : 0;
    if (auto error = array_error(*schema.children[k], *array.children[k], rows, below)) {
      return error;
    }
  }
  if (array.length == 0 || (type != Type::kText && type != Type::kList)) return std::nullopt;
  const std::int64_t limit = type == Type::kList ? array.children[0]->length : -1;
  const auto error = std::string_view(schema.format) == "U"
                         ? offsets_error<std::int64_t>(array, limit)
                         : offsets_error<std::int32_t>(array, limit);
  if (error) return named(*error);
  return std::nullopt;
}

}  // namespace detail

/// Why reading the array by this schema would go wrong, as one sentence; nothing when it would
/// not. The schema is inside the profile.
inline std::optional<std::string> array_error(const ArrowSchema& schema, const ArrowArray& array) {
  return detail::array_error(schema, array, 0, "");
}

}  // namespace v1
}  // namespace assay
