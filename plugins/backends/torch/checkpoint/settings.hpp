// A table of quantization settings (quantization_config of config.json, or a file beside it), its
// keys in the file's order, with errors that name file and key. What a key means belongs to others.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay_torch {

/// A key that is missing or null is absent, and find_* answer nothing.
///
/// Fails    ASSAY_INVALID_ARGUMENT a value of another type
class Settings {
 public:
  /// The whole file, or the table under a key of it.
  ///
  /// Fails    ASSAY_NOT_FOUND the file; ASSAY_INVALID_ARGUMENT not a JSON object
  explicit Settings(const std::string& path);

  /// Of JSON that lies in a tensor; `where` is what errors begin with.
  static Settings parse(const std::string& where, std::string_view json);

  /// Absent where the key is; a table else.
  std::optional<Settings> table(std::string_view key) const;
  std::vector<std::string> keys() const;

  bool has(std::string_view key) const;
  /// Missing, null, or an empty table or list.
  bool is_empty(std::string_view key) const;
  bool is_list(std::string_view key) const;
  std::optional<std::int64_t> find_integer(std::string_view key) const;
  std::optional<double> find_number(std::string_view key) const;
  std::optional<bool> find_flag(std::string_view key) const;
  std::optional<std::string> find_text(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key) const;  ///< absent: empty
  /// Absent: empty. A list of lists of texts counts as one list.
  std::vector<std::string> texts(std::string_view key) const;

  /// One of two spellings of a key.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT both are there and differ
  std::optional<std::string> find_text(std::string_view key, std::string_view or_key) const;
  std::optional<std::int64_t> find_integer(std::string_view key, std::string_view or_key) const;

  [[noreturn]] void refuse(std::string_view key, const std::string& text) const;
  /// The same for what is right and not supported.
  [[noreturn]] void refuse_unsupported(std::string_view key, const std::string& text) const;

 private:
  using Json = nlohmann::ordered_json;
  Settings(std::shared_ptr<const Json> document, const Json* table, std::string where);
  const Json* find(std::string_view key) const;
  [[noreturn]] void refuse_type(std::string_view key, const char* expected) const;

  std::shared_ptr<const Json> document_;
  const Json* table_ = nullptr;
  std::string where_;
};

}  // namespace assay_torch
