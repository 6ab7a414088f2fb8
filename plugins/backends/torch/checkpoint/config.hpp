// A JSON settings file of a model directory (config.json, generation_config.json, the shard index),
// read key by key with errors that name the file and the key. What a key means belongs to others.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace assay_torch {

/// A key that is missing or null is absent: the plain getters refuse it, find_* answer nothing. A
/// dotted key ("rope_parameters.rope_theta") goes into sub-tables.
///
/// Fails    ASSAY_NOT_FOUND the file; ASSAY_INVALID_ARGUMENT not a JSON object, a key missing or of
/// another type
class Config {
 public:
  explicit Config(const std::string& path);
  Config(Config&&) noexcept;
  ~Config();

  const std::string& path() const { return path_; }
  bool has(std::string_view key) const;
  bool is_given(std::string_view key) const;  ///< there, be it null
  /// Missing, null, false, empty, or this figure.
  bool is_off(std::string_view key, double neutral) const;
  /// Some call of this object asked for the key.
  bool was_read(std::string_view key) const;

  std::int64_t count(std::string_view key) const;  ///< a whole number from 1 to 2^31 - 1
  std::optional<std::int64_t> find_count(std::string_view key) const;
  std::optional<double> find_number(std::string_view key) const;
  std::optional<double> find_positive(std::string_view key) const;
  std::vector<double> positives(std::string_view key) const;  ///< absent: empty
  std::optional<bool> find_flag(std::string_view key) const;
  std::optional<std::string> find_text(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;  ///< absent: empty
  /// A token id; the first of a list.
  std::optional<std::int32_t> find_token(std::string_view key) const;
  std::map<std::string, std::string> text_table(std::string_view key) const;
  /// The keys of a sub-table that are not null; absent: none.
  std::vector<std::string> keys(std::string_view table) const;

  [[noreturn]] void refuse(std::string_view key, const std::string& text) const;

 private:
  struct Document;
  const Document& reading(std::string_view key) const;

  std::string path_;
  mutable std::set<std::string, std::less<>> read_;
  std::unique_ptr<Document> document_;
};

}  // namespace assay_torch
