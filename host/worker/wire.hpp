// What crosses the border of a process, as bytes: numbers, texts, arrays, requests, rows of the
// Arrow profile. Both sides run the same program, so bytes need no version; what comes from a
// worker is read with every length checked.
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <assay/arrow.hpp>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "host/core/result.hpp"

namespace assay::host {

/// Appends values to bytes.
class WireWriter {
 public:
  template <class T>
  WireWriter& put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  WireWriter& text(std::string_view text) {
    put<std::uint64_t>(text.size());
    bytes_.append(text);
    return *this;
  }
  WireWriter& text(assay_str text) {
    return this->text(text.ptr == nullptr ? std::string_view()
                                          : std::string_view(text.ptr, text.len));
  }
  /// NULL is kept apart from no elements.
  template <class T>
  WireWriter& array(const T* values, std::uint64_t n) {
    static_assert(std::is_trivially_copyable_v<T>);
    put<std::uint8_t>(values != nullptr);
    if (values == nullptr) return *this;
    put(n);
    bytes_.append(reinterpret_cast<const char*>(values), n * sizeof(T));
    return *this;
  }

  WireWriter& raw(std::string_view bytes) {
    bytes_.append(bytes);
    return *this;
  }

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Takes values from bytes. Beyond the end it gives zeros and empty values; is_whole() then says
/// that something was wrong.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  T get() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    const std::string_view bytes = cut(sizeof(T));
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  std::string_view text() { return cut(get<std::uint64_t>()); }
  std::string copy() { return std::string(text()); }
  /// Nothing where NULL was sent.
  template <class T>
  std::optional<std::vector<T>> array() {
    if (get<std::uint8_t>() == 0) return std::nullopt;
    const auto n = get<std::uint64_t>();
    if (n > rest_.size() / sizeof(T)) {
      is_whole_ = false;
      return std::vector<T>();
    }
    std::vector<T> values(n);
    const std::string_view bytes = cut(n * sizeof(T));
    if (n > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  std::string_view rest() const { return rest_; }

  /// Nothing was missing so far.
  bool is_whole() const { return is_whole_; }
  void break_off() { is_whole_ = false; }

 private:
  std::string_view cut(std::uint64_t n) {
    if (n > rest_.size()) {
      is_whole_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view part = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return part;
  }

  std::string_view rest_;
  bool is_whole_ = true;
};

/// Data or NULL of what an array() gave.
template <class T>
const T* data_or_null(const std::optional<std::vector<T>>& values) {
  return values ? values->data() : nullptr;
}

void put_error(WireWriter& out, const assay_error& error);
assay_error get_error(WireReader& in);
void put_failure(WireWriter& out, const Failure& failure);
Failure get_failure(WireReader& in);

/// Requests by stride, with tokens, sampling and stops.
void put_batch(WireWriter& out, const assay_batch& batch);

/// A batch and what it points at.
struct WireBatch {
  std::vector<assay_request> requests;
  assay_batch batch{};

 private:
  friend std::optional<WireBatch> get_batch(WireReader& in);
  std::vector<std::vector<std::int32_t>> tokens_;
  std::vector<assay_sampling> samplings_;
  std::vector<std::vector<std::vector<std::int32_t>>> stops_;
  std::vector<std::vector<const std::int32_t*>> stop_lists_;
};
/// Nothing where bytes are missing.
std::optional<WireBatch> get_batch(WireReader& in);

/// The same for text-only backends.
void put_text_batch(WireWriter& out, const assay_text_batch& batch);
struct WireTextBatch {
  std::vector<assay_text_request> requests;
  assay_text_batch batch{};

 private:
  friend std::optional<WireTextBatch> get_text_batch(WireReader& in);
  std::string bytes_;  // what the texts point into
  std::vector<std::vector<assay_message>> messages_;
  std::vector<assay_sampling> samplings_;
  std::vector<std::vector<assay_str>> stops_;
};
std::optional<WireTextBatch> get_text_batch(WireReader& in);

void put_messages(WireWriter& out, const assay_messages& messages);
/// The texts point into what `in` reads.
std::vector<assay_message> get_messages(WireReader& in);

void put_field(WireWriter& out, const Field& field);
/// Nothing where bytes are missing, or for a type outside the profile.
std::optional<Field> get_field(WireReader& in);

/// Rows of a table, value by value. Schema and array were found sound before.
void put_rows(WireWriter& out, const ArrowSchema& schema, const ArrowArray& rows);
/// Rows for a builder of the same field; nothing where bytes are missing or do not fit.
///
/// Owns     the caller releases the array
std::optional<ArrowArray> get_rows(WireReader& in, const Field& table);

}  // namespace assay::host
