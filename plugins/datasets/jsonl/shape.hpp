// What a JSONL file holds: the type of every column, inferred from all of its lines, each of which
// is checked on the way. Knows nothing of rows or Arrow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jsonl {

enum class Kind { kNothing, kBool, kInt, kFloat, kText, kList, kObject };

/// The type of a column, an element or a field, as seen so far. kNothing: only null.
struct Shape {
  Kind kind = Kind::kNothing;
  bool has_null = false;
  std::uint64_t first_line = 0;  ///< where the kind was first seen

  std::unique_ptr<Shape> element;  ///< of a list

  struct Field {
    std::string name;
    std::unique_ptr<Shape> shape;
    std::uint64_t n_seen = 0;       ///< objects that have it
    std::uint64_t last_object = 0;  ///< the number of the last of them
  };
  std::vector<Field> fields;  ///< of an object, in order of first appearance
  std::unordered_map<std::string, std::size_t> field_places;
  std::uint64_t n_objects = 0;

  /// Does every object of this shape have the field, and never null?
  bool always_has(const Field& field) const {
    return field.n_seen == n_objects && !field.shape->has_null;
  }
};

/// Adds one line to the shape of a file's records.
///
/// Fails    ASSAY_INVALID_ARGUMENT the line is not one JSON object, repeats a key, or holds a value
///          that does not go with those of earlier lines; the text begins with file:line
void add_line(Shape& records, std::string_view line, std::uint64_t number, const std::string& path);

}  // namespace jsonl
