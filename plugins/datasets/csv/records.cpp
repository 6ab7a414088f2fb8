#include "records.hpp"

#include <algorithm>
#include <assay/error.hpp>
#include <assay/text.hpp>

namespace csv {

RecordReader::RecordReader(const std::string& path, char separator)
    : file_(path), separator_(separator) {
  fill();
  if (buffer_.starts_with(assay::kByteOrderMark)) begin_ = assay::kByteOrderMark.size();
}

bool RecordReader::next(Record& record) {
  while (take_line_end()) {
  }
  if (peek() == kEnd) return false;
  record.line = line_;
  record_bytes_ = 0;
  std::size_t n_fields = 0;
  do {
    // Fields are reused: their memory is kept from record to record.
    if (n_fields == record.fields.size()) record.fields.emplace_back();
    read_field(record.fields[n_fields++]);
  } while (take(separator_));
  record.fields.resize(n_fields);
  if (!take_line_end() && peek() == '\r') {
    fail(line_,
         "a carriage return stands alone in a field without quotes; put the field in quotes, or "
         "save the file with LF or CR LF line ends");
  }
  return true;
}

void RecordReader::read_field(std::string& field) {
  field.clear();
  field_line_ = line_;
  take('"') ? read_quoted(field) : read_plain(field);
  check(field);
}

void RecordReader::read_plain(std::string& field) {
  while (peek() != kEnd) {
    const char* bytes = buffer_.data();
    std::size_t end = begin_;
    while (end < buffer_.size() && bytes[end] != separator_ && bytes[end] != '\n' &&
           bytes[end] != '\r') {
      ++end;
    }
    append(field, end - begin_);
    if (begin_ < buffer_.size()) return;
  }
}

void RecordReader::read_quoted(std::string& field) {
  for (;;) {
    if (peek() == kEnd) {
      fail(field_line_,
           "the quote that opens a field here is never closed; close it, and write a quote inside "
           "a field twice");
    }
    append(field, std::min(buffer_.find('"', begin_), buffer_.size()) - begin_);
    if (!take('"')) continue;
    if (peek() != '"') break;
    append(field, 1);
  }
  const int next = peek();
  const bool is_line_end = next == '\n' || (next == '\r' && peek(1) == '\n');
  if (next == kEnd || next == separator_ || is_line_end) return;
  fail(line_,
       "text follows the quote that closes a field; write a quote inside a field twice, and leave "
       "nothing between the closing one and the separator");
}

/// Moves bytes from the buffer to the field.
void RecordReader::append(std::string& field, std::size_t n_bytes) {
  if (field.size() + n_bytes > kMaxFieldBytes) {
    fail(field_line_, "the field that starts here has more than " + std::to_string(kMaxFieldBytes) +
                          " bytes (16 MiB); shorten it, or close its quote if that is missing");
  }
  record_bytes_ += n_bytes;
  if (record_bytes_ > kMaxRecordBytes) {
    fail(field_line_, "the record has more than " + std::to_string(kMaxRecordBytes) +
                          " bytes (32 MiB); split it, or close a quote if one is missing");
  }
  const std::string_view bytes = std::string_view(buffer_).substr(begin_, n_bytes);
  field += bytes;
  line_ += static_cast<std::uint64_t>(std::ranges::count(bytes, '\n'));
  begin_ += n_bytes;
}

void RecordReader::check(std::string_view field) const {
  const auto line_of = [&](std::size_t place) {
    const auto lines = std::ranges::count(field.substr(0, place), '\n');
    return field_line_ + static_cast<std::uint64_t>(lines);
  };
  if (const std::size_t nul = field.find('\0'); nul != std::string_view::npos) {
    fail(line_of(nul), "a NUL byte; is this a text file in UTF-8?");
  }
  if (const auto invalid = assay::find_invalid_utf8(field)) {
    fail(line_of(*invalid), "not UTF-8; save the file as UTF-8");
  }
}

/// The byte `ahead` of what was not read yet, or kEnd.
int RecordReader::peek(std::size_t ahead) {
  while (begin_ + ahead >= buffer_.size()) {
    if (!fill()) return kEnd;
  }
  return static_cast<unsigned char>(buffer_[begin_ + ahead]);
}

bool RecordReader::take(char wanted) {
  if (peek() != static_cast<unsigned char>(wanted)) return false;
  ++begin_;
  return true;
}

bool RecordReader::take_line_end() {
  const bool has_return = peek() == '\r' && peek(1) == '\n';
  if (!has_return && peek() != '\n') return false;
  begin_ += has_return ? 2 : 1;
  ++line_;
  return true;
}

/// Drops what was read and takes one block behind the rest. False at the end of the file.
bool RecordReader::fill() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  return file_.append_to(buffer_);
}

void RecordReader::fail(std::uint64_t line, const std::string& text) const {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, "path",
                     file_.path() + ":" + std::to_string(line) + ": " + text);
}

}  // namespace csv
