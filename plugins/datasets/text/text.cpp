// The text dataset: one file cut into documents. Knows nothing of tokens, windows or joining.
#include <algorithm>
#include <array>
#include <assay/sdk.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {

constexpr std::uint64_t kMaxDocumentBytes = 32u << 20;
constexpr std::size_t kReadBytes = 1u << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// How a file is cut. An empty separator never occurs: the whole file is one piece.
struct Cut {
  std::string separator;
  bool keeps_separator = false;  ///< at the end of its piece
  std::string_view advice;       ///< what to do about a piece that is too large
};

/// A stretch of a file between two separators, and where it begins.
struct Piece {
  std::string_view text;  ///< valid until the next piece is read
  std::uint64_t first_byte = 0;
  std::uint64_t first_line = 1;
};

/// Hands out the pieces of a file in order. Holds one piece and one block read ahead. A byte order
/// mark at the start of the file is left out.
class PieceReader {
 public:
  /// Fails    ASSAY_NOT_FOUND the file cannot be opened; ASSAY_INVALID_ARGUMENT it is a folder
  PieceReader(std::string path, Cut cut) : path_(std::move(path)), cut_(std::move(cut)) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path_, ignored)) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "path",
                         path_ + ": this is a folder; name one text file");
    }
    errno = 0;
    file_.open(path_, std::ios::binary);
    if (!file_) {
      throw assay::Error(ASSAY_NOT_FOUND, "path",
                         path_ + ": cannot be opened: " + std::strerror(errno));
    }
    fill();
    if (std::string_view(buffer_).starts_with(kByteOrderMark)) begin_ = kByteOrderMark.size();
  }

  /// The next piece, or false at the end. What follows the last separator is a piece unless empty.
  ///
  /// Fails    ASSAY_UNAVAILABLE the file cannot be read; ASSAY_INVALID_ARGUMENT a piece is larger
  ///          than kMaxDocumentBytes
  bool next(Piece& piece) {
    const std::size_t found = find_separator();
    const bool is_rest = found == std::string::npos;
    const std::size_t end = is_rest ? buffer_.size() : found;
    if (is_rest && end == begin_) return false;
    const std::size_t after = is_rest ? end : end + cut_.separator.size();
    const std::string_view all = buffer_;
    piece.text = all.substr(begin_, (cut_.keeps_separator ? after : end) - begin_);
    piece.first_byte = buffer_byte_ + begin_;
    piece.first_line = line_;
    const std::string_view handed_out = all.substr(begin_, after - begin_);
    line_ += static_cast<std::uint64_t>(std::ranges::count(handed_out, '\n'));
    begin_ = after;
    return true;
  }

 private:
  std::size_t find_from(std::size_t place) const {
    return cut_.separator.empty() ? std::string::npos : buffer_.find(cut_.separator, place);
  }

  /// The last bytes of a block that may be the beginning of a separator.
  std::size_t undecided(std::size_t length) const {
    return cut_.separator.empty() ? 0 : std::min(length, cut_.separator.size() - 1);
  }

  /// Where the next separator begins, reading on until it is there or the file ends (npos).
  std::size_t find_separator() {
    std::size_t searched = 0;
    for (;;) {
      const std::size_t found = find_from(begin_ + searched);
      const std::size_t length = (found == std::string::npos ? buffer_.size() : found) - begin_;
      if (length > kMaxDocumentBytes) refuse(found == std::string::npos ? measure() : length);
      if (found != std::string::npos) return found;
      searched = length - undecided(length);
      if (!fill()) return std::string::npos;
    }
  }

  /// Drops what was handed out and reads one block behind the rest. False at the end of the file.
  bool fill() {
    buffer_.erase(0, begin_);
    buffer_byte_ += begin_;
    begin_ = 0;
    const std::size_t kept = buffer_.size();
    buffer_.resize(kept + kReadBytes);
    errno = 0;
    file_.read(buffer_.data() + kept, static_cast<std::streamsize>(kReadBytes));
    if (file_.bad()) {
      throw assay::Error(ASSAY_UNAVAILABLE, "path",
                         path_ + ": cannot be read: " + std::strerror(errno));
    }
    buffer_.resize(kept + static_cast<std::size_t>(file_.gcount()));
    return buffer_.size() > kept;
  }

  /// The size of the next piece, read to its end without keeping it.
  std::uint64_t measure() {
    std::uint64_t size_bytes = 0;
    for (;;) {
      const std::size_t found = find_from(begin_);
      if (found != std::string::npos) return size_bytes + (found - begin_);
      const std::size_t length = buffer_.size() - begin_;
      size_bytes += length - undecided(length);
      begin_ += length - undecided(length);
      if (!fill()) return size_bytes + (buffer_.size() - begin_);
    }
  }

  [[noreturn]] void refuse(std::uint64_t size_bytes) const {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "documents",
                       path_ + ":" + std::to_string(line_) +
                           ": the document that starts here has " + std::to_string(size_bytes) +
                           " bytes, and one may have at most " + std::to_string(kMaxDocumentBytes) +
                           " (32 MiB); " + std::string(cut_.advice));
  }

  std::string path_;
  Cut cut_;
  std::ifstream file_;
  std::string buffer_;
  std::size_t begin_ = 0;          // what was not handed out yet begins here
  std::uint64_t buffer_byte_ = 0;  // place of buffer_[0] in the file
  std::uint64_t line_ = 1;         // of begin_
};

/// What may follow a lead byte: how many bytes, and the bounds of the first of them.
struct Sequence {
  std::size_t length;
  unsigned char lo, hi;
};

/// Source   Unicode 15, table 3-7 (well-formed UTF-8 byte sequences)
std::optional<Sequence> sequence_of(unsigned char lead) {
  if (lead < 0x80) return Sequence{1, 0, 0};
  if (lead < 0xC2 || lead > 0xF4) return std::nullopt;
  if (lead < 0xE0) return Sequence{2, 0x80, 0xBF};
  if (lead == 0xE0) return Sequence{3, 0xA0, 0xBF};
  if (lead == 0xED) return Sequence{3, 0x80, 0x9F};
  if (lead < 0xF0) return Sequence{3, 0x80, 0xBF};
  if (lead == 0xF0) return Sequence{4, 0x90, 0xBF};
  if (lead == 0xF4) return Sequence{4, 0x80, 0x8F};
  return Sequence{4, 0x80, 0xBF};
}

/// Where the first byte stands that does not begin or continue a character, or npos.
std::size_t find_invalid_utf8(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t i = 0;
  while (i < text.size()) {
    if (byte(i) < 0x80) {
      ++i;
      continue;
    }
    const std::optional<Sequence> sequence = sequence_of(byte(i));
    if (!sequence || i + sequence->length > text.size()) return i;
    if (byte(i + 1) < sequence->lo || byte(i + 1) > sequence->hi) return i;
    for (std::size_t k = 2; k < sequence->length; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return i;
    }
    i += sequence->length;
  }
  return std::string_view::npos;
}

/// Source   the characters of Python's str.isspace, by which the published WikiText rows were cut
constexpr std::string_view kAsciiSpace = "\t\n\v\f\r\x1c\x1d\x1e\x1f ";
constexpr auto kWideSpace = std::to_array<std::string_view>(
    {"\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
     "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
     "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F",
     "\xE3\x80\x80"});

std::size_t space_at_front(std::string_view text) {
  if (text.empty()) return 0;
  if (kAsciiSpace.find(text.front()) != std::string_view::npos) return 1;
  const auto wide = std::ranges::find_if(
      kWideSpace, [text](std::string_view space) { return text.starts_with(space); });
  return wide == kWideSpace.end() ? 0 : wide->size();
}

std::size_t space_at_back(std::string_view text) {
  if (text.empty()) return 0;
  if (kAsciiSpace.find(text.back()) != std::string_view::npos) return 1;
  const auto wide = std::ranges::find_if(
      kWideSpace, [text](std::string_view space) { return text.ends_with(space); });
  return wide == kWideSpace.end() ? 0 : wide->size();
}

/// The text without white space at both ends.
std::string_view stripped(std::string_view text) {
  while (const std::size_t size = space_at_front(text)) text.remove_prefix(size);
  while (const std::size_t size = space_at_back(text)) text.remove_suffix(size);
  return text;
}

bool is_blank(std::string_view text) { return stripped(text).empty(); }

constexpr std::string_view kSplitFile =
    "cut the file with documents = \"lines\" or documents = \"separator\"";
constexpr std::string_view kSplitLine = "put a line break into it";
constexpr std::string_view kSplitPiece =
    "put another separator into it, or use documents = \"lines\"";

Cut cut_of(const std::string& documents, std::string separator) {
  if (documents == "lines") return {"\n", true, kSplitLine};
  if (documents == "separator") return {std::move(separator), false, kSplitPiece};
  return {"", false, kSplitFile};
}

struct Text : assay::Dataset {
  static constexpr assay::Info info{"assay/text", "1.0.0", "A text file cut into documents",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr const char* kDocuments[] = {"file", "lines", "separator", nullptr};
  static constexpr assay::Option options[] = {
      assay::path_in("path", nullptr, "The text file, UTF-8."),
      assay::choice("documents", "\"file\"", kDocuments,
                    "What one document is: the file, a line, or what stands between separators."),
      assay::text("separator", nullptr, "What stands between two documents.").optional(),
      assay::flag("strip", "false",
                  "Cut white space off both ends of each document and leave out empty ones.")};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "text", "the document"}};

  std::string path;
  Cut cut;
  bool is_lines, strips;
  std::optional<PieceReader> reader;

  explicit Text(assay::Context context)
      : path(context.text("path")),
        cut(cut_of(std::string(context.text("documents")), separator_of(context))),
        is_lines(context.text("documents") == "lines"),
        strips(context.flag("strip")) {}

  static std::string separator_of(const assay::Context& context) {
    const bool has_separator = context.has("separator");
    const bool wants_separator = context.text("documents") == "separator";
    if (has_separator && !wants_separator) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "separator",
                         "separator is used only with documents = \"separator\"; add that or "
                         "leave separator out");
    }
    if (!wants_separator) return "";
    if (!has_separator || context.text("separator").empty()) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "separator",
                         "documents = \"separator\" needs a separator, such as separator = "
                         "\"<|endoftext|>\"");
    }
    return std::string(context.text("separator"));
  }

  void rewind(std::string_view split) {
    if (!split.empty()) {
      throw assay::Error(
          ASSAY_INVALID_ARGUMENT, "split",
          "a text file has no split \"" + std::string(split) + "\"; leave split out");
    }
    reader.emplace(path, cut);
  }

  bool next(assay::Row& row) {
    Piece piece;
    while (reader->next(piece)) {
      check_utf8(piece);
      const std::string_view text = strips ? stripped(piece.text) : piece.text;
      if (strips && text.empty()) continue;
      row << (is_lines && is_blank(text) ? std::string_view() : text);
      return true;
    }
    return false;
  }

  void check_utf8(const Piece& piece) const {
    const std::size_t bad = find_invalid_utf8(piece.text);
    if (bad == std::string_view::npos) return;
    const auto lines = std::ranges::count(piece.text.substr(0, bad), '\n');
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "path",
                       path + ":" +
                           std::to_string(piece.first_line + static_cast<std::uint64_t>(lines)) +
                           ": byte " + std::to_string(piece.first_byte + bad) +
                           " of the file is not UTF-8; save the file as UTF-8");
  }
};

}  // namespace

ASSAY_PLUGIN("assay/text", "1.0.0", "assay", "Apache-2.0", Text)
