// Reads a file line by line in bounded memory. Knows nothing of JSON.
#pragma once

#include <assay/file.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace jsonl {

/// The longest line, and so the longest document, a file may have.
constexpr std::uint64_t kMaxLineBytes = 32u << 20;

/// Hands out the lines of a file in order, without their ends and without blank ones. A byte order
/// mark at the start of the file is left out.
///
/// Fails    as assay::FileBlocks; ASSAY_INVALID_ARGUMENT a line is longer than kMaxLineBytes
class LineReader {
 public:
  explicit LineReader(const std::string& path);

  /// The next line that holds more than white space, or false at the end of the file. The view is
  /// valid until the next call.
  bool next(std::string_view& line);

  /// The number, from 1, of the line handed out last.
  std::uint64_t number() const { return number_; }

 private:
  bool next_of_any_kind(std::string_view& line);
  bool fill();
  std::uint64_t measure();

  assay::FileBlocks file_;
  std::string buffer_;
  std::size_t begin_ = 0;  // what was not handed out yet begins here
  std::uint64_t number_ = 0;
};

}  // namespace jsonl
