// Reads the records of a CSV file one by one in bounded memory. Knows nothing of headers, types or
// rows.
#pragma once

#include <assay/file.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace csv {

/// The most bytes a field, and all fields of a record together, may have.
constexpr std::uint64_t kMaxFieldBytes = 16u << 20;
constexpr std::uint64_t kMaxRecordBytes = 32u << 20;

struct Record {
  std::vector<std::string> fields;
  std::uint64_t line = 0;  ///< where it starts, from 1
};

/// Hands out the records of a file in order. Lines end in LF or CR LF; those with nothing in them
/// are left out, and so is a byte order mark at the start.
///
/// Fails    as assay::FileBlocks; ASSAY_INVALID_ARGUMENT with file:line: a quote that is never
///          closed, text behind a closing one, a lone CR outside quotes, a NUL, bytes that are not
///          UTF-8, more than kMaxFieldBytes or kMaxRecordBytes
/// Source   RFC 4180, section 2; beyond it a quote inside a field without quotes is part of it
class RecordReader {
 public:
  RecordReader(const std::string& path, char separator);

  /// The next record, or false at the end of the file.
  bool next(Record& record);

  /// The first line that was not read yet.
  std::uint64_t line() const { return line_; }

 private:
  static constexpr int kEnd = -1;

  int peek(std::size_t ahead = 0);
  bool take(char wanted);
  bool take_line_end();
  bool fill();
  void append(std::string& field, std::size_t n_bytes);
  void read_field(std::string& field);
  void read_plain(std::string& field);
  void read_quoted(std::string& field);
  void check(std::string_view field) const;
  [[noreturn]] void fail(std::uint64_t line, const std::string& text) const;

  assay::FileBlocks file_;
  char separator_;
  std::string buffer_;
  std::size_t begin_ = 0;         // what was not read yet begins here
  std::uint64_t line_ = 1;        // of begin_
  std::uint64_t field_line_ = 1;  // where the field being read starts
  std::uint64_t record_bytes_ = 0;
};

}  // namespace csv
