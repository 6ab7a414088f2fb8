#include "lines.hpp"

#include <assay/error.hpp>

namespace jsonl {

LineReader::LineReader(const std::string& path) : file_(path) {
  fill();
  if (buffer_.starts_with(assay::kByteOrderMark)) begin_ = assay::kByteOrderMark.size();
}

bool LineReader::next(std::string_view& line) {
  while (next_of_any_kind(line)) {
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) return true;
  }
  return false;
}

bool LineReader::next_of_any_kind(std::string_view& line) {
  std::size_t searched = 0;
  for (;;) {
    const std::size_t found = buffer_.find('\n', begin_ + searched);
    const std::size_t end = found == std::string::npos ? buffer_.size() : found;
    if (end - begin_ > kMaxLineBytes) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "path",
                         file_.path() + ":" + std::to_string(number_ + 1) + ": the line has " +
                             std::to_string(measure()) + " bytes, and one may have at most " +
                             std::to_string(kMaxLineBytes) +
                             " (32 MiB); split its document into several objects, one per line");
    }
    searched = end - begin_;
    if (found == std::string::npos && fill()) continue;
    line = std::string_view(buffer_).substr(begin_, searched);
    const bool is_end_of_file = found == std::string::npos;
    begin_ += searched + (is_end_of_file ? 0 : 1);
    if (is_end_of_file && searched == 0) return false;
    ++number_;
    return true;
  }
}

/// Drops what was handed out and reads one block behind the rest. False at the end of the file.
bool LineReader::fill() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  return file_.append_to(buffer_);
}

/// The size of the next line, read to its end without keeping it.
std::uint64_t LineReader::measure() {
  std::uint64_t size_bytes = 0;
  for (;;) {
    const std::size_t found = buffer_.find('\n', begin_);
    if (found != std::string::npos) return size_bytes + (found - begin_);
    size_bytes += buffer_.size() - begin_;
    begin_ = buffer_.size();
    if (!fill()) return size_bytes;
  }
}

}  // namespace jsonl
