// Types of columns: what assay takes from Arrow (the profile), schemas in both directions. No
// values and no streams.
#pragma once

#include <assay/arrow_c.h>

#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// The profile: what a column may hold. kText is utf8 and large_utf8.
enum class Type { kBool, kInt64, kFloat64, kFloat32, kInt32, kText, kList, kStruct };

/// A column: a list has one child (its element), a struct one for each field.
struct Field {
  std::string name;
  Type type = Type::kText;
  std::vector<Field> children = {};
  bool nullable = false;
};

/// The word for messages: "int64", "text", ...
inline std::string_view name_of(Type type) {
  constexpr std::string_view kNames[] = {"bool",  "int64", "float64", "float32",
                                         "int32", "text",  "list",    "struct"};
  return kNames[static_cast<std::size_t>(type)];
}

/// Arrow's spelling of a type. Source: Arrow C Data Interface, "Data type description".
inline const char* format_of(Type type) {
  constexpr const char* kFormats[] = {"b", "l", "g", "f", "i", "u", "+l", "+s"};
  return kFormats[static_cast<std::size_t>(type)];
}

/// Nothing for a format outside the profile.
inline std::optional<Type> type_of(std::string_view format) {
  if (format == "U") return Type::kText;
  for (int i = 0; i <= static_cast<int>(Type::kStruct); ++i) {
    const auto type = static_cast<Type>(i);
    if (format == format_of(type)) return type;
  }
  return std::nullopt;
}

namespace detail {

struct SchemaParts {
  std::string name;
  std::vector<ArrowSchema> children;
  std::vector<ArrowSchema*> pointers;
};

inline void release_schema(ArrowSchema* schema) noexcept {
  auto* parts = static_cast<SchemaParts*>(schema->private_data);
  for (ArrowSchema& child : parts->children) {
    if (child.release != nullptr) child.release(&child);
  }
  delete parts;
  schema->release = nullptr;
}

constexpr int kMaxDepth = 64;  // so that a hostile schema cannot exhaust the stack

inline std::optional<std::string> profile_error(const ArrowSchema& schema, std::string_view path,
                                                int depth) {
  const auto named = [&](std::string_view why) {
    return (path.empty() ? std::string("the table ") : "column \"" + std::string(path) + "\" ") +
           std::string(why);
  };
  if (schema.release == nullptr) return named("has a schema that was released already");
  if (depth > kMaxDepth) return named("is nested deeper than 64 levels");
  if (schema.dictionary != nullptr) return named("is dictionary-encoded; send plain values");
  const std::string_view format = schema.format == nullptr ? "" : schema.format;
  const auto type = type_of(format);
  if (!type) {
    return named("has the Arrow type \"" + std::string(format) +
                 "\"; expected bool, int32, int64, float32, float64, utf8, large_utf8, list or "
                 "struct");
  }
  if (depth == 0 && *type != Type::kStruct) return named("is not a struct of columns");
  if (schema.n_children < 0 || (schema.n_children > 0 && schema.children == nullptr)) {
    return named("says it has " + std::to_string(schema.n_children) + " children and has none");
  }
  if (*type == Type::kList && schema.n_children != 1) return named("is a list without one element");
  std::unordered_set<std::string_view> names;
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    const ArrowSchema* child = schema.children[i];
    if (child == nullptr) return named("has a child that is null");
    const std::string_view name = child->name == nullptr ? "" : child->name;
    std::string below(path);
    if (*type == Type::kStruct) {
      if (!names.insert(name).second) {
        return named("has two columns named \"" + std::string(name) + "\"");
      }
      if (!path.empty()) below += '.';
      below += name;
    } else {
      below += "[]";
    }
    if (auto error = profile_error(*child, below, depth + 1)) return error;
  }
  return std::nullopt;
}

}  // namespace detail

/// Why a table's schema is outside the profile, as one sentence; nothing when it is inside.
inline std::optional<std::string> profile_error(const ArrowSchema& schema) {
  return detail::profile_error(schema, "", 0);
}

/// Owns    the caller releases what it is given
inline ArrowSchema make_schema(const Field& field) {
  auto* parts = new detail::SchemaParts{field.name, {}, {}};
  ArrowSchema schema{format_of(field.type),
                     parts->name.c_str(),
                     nullptr,
                     field.nullable ? ARROW_FLAG_NULLABLE : 0,
                     0,
                     nullptr,
                     nullptr,
                     detail::release_schema,
                     parts};
  try {
    parts->children.reserve(field.children.size());
    for (const Field& child : field.children) parts->children.push_back(make_schema(child));
    for (ArrowSchema& child : parts->children) parts->pointers.push_back(&child);
  } catch (...) {
    schema.release(&schema);
    throw;
  }
  schema.n_children = static_cast<std::int64_t>(parts->pointers.size());
  schema.children = parts->pointers.data();
  return schema;
}

/// The columns of a table as its root: a struct.
inline Field table_of(std::vector<Field> columns) {
  return {"", Type::kStruct, std::move(columns), false};
}

/// Reads a schema back. Call profile_error() first.
///
/// Fails    ASSAY_INVALID_ARGUMENT a type outside the profile
inline Field read_field(const ArrowSchema& schema) {
  Field field;
  field.name = schema.name == nullptr ? "" : schema.name;
  const auto type = type_of(schema.format == nullptr ? "" : schema.format);
  if (!type) throw Error(ASSAY_INVALID_ARGUMENT, field.name, "a type outside the profile");
  field.type = *type;
  field.nullable = (schema.flags & ARROW_FLAG_NULLABLE) != 0;
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    field.children.push_back(read_field(*schema.children[i]));
  }
  return field;
}

}  // namespace v1
}  // namespace assay
