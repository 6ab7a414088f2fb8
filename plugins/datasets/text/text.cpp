// The text dataset: one file cut into documents. Knows nothing of tokens, windows or joining.
#include <algorithm>
#include <assay/sdk.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {

constexpr std::uint64_t kMaxDocumentBytes = 32u << 20;
constexpr assay::FileKind kTextFile{"text file", "txt"};

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
  /// Fails    as assay::FileBlocks
  PieceReader(std::string path, Cut cut) : file_(std::move(path)), cut_(std::move(cut)) {
    fill();
    if (buffer_.starts_with(assay::kByteOrderMark)) begin_ = assay::kByteOrderMark.size();
  }

  const std::string& path() const { return file_.path(); }

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
    return file_.append_to(buffer_);
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
                       path() + ":" + std::to_string(line_) +
                           ": the document that starts here has " + std::to_string(size_bytes) +
                           " bytes, and one may have at most " + std::to_string(kMaxDocumentBytes) +
                           " (32 MiB); " + std::string(cut_.advice));
  }

  assay::FileBlocks file_;
  Cut cut_;
  std::string buffer_;
  std::size_t begin_ = 0;          // what was not handed out yet begins here
  std::uint64_t buffer_byte_ = 0;  // place of buffer_[0] in the file
  std::uint64_t line_ = 1;         // of begin_
};

bool is_blank(std::string_view text) { return assay::stripped(text).empty(); }

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
      assay::path_in("path", nullptr,
                     "The text file, UTF-8; {split} in it, or a folder, stands for the split."),
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

  static void check(const assay::Context& context, assay::Diagnostics& found) {
    try {
      separator_of(context);
    } catch (const assay::Error& failure) {
      found.error(failure);
    }
  }

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
    reader.emplace(assay::file_of_split(path, split, kTextFile), cut);
  }

  void splits(assay::Splits found) const {
    for (const std::string& split : assay::splits_of_path(path, kTextFile)) found(split);
  }

  bool next(assay::Row& row) {
    Piece piece;
    while (reader->next(piece)) {
      check_utf8(piece);
      const std::string_view text = strips ? assay::stripped(piece.text) : piece.text;
      if (strips && text.empty()) continue;
      row << (is_lines && is_blank(text) ? std::string_view() : text);
      return true;
    }
    return false;
  }

  void check_utf8(const Piece& piece) const {
    const auto bad = assay::find_invalid_utf8(piece.text);
    if (!bad) return;
    const auto lines = std::ranges::count(piece.text.substr(0, *bad), '\n');
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "path",
                       reader->path() + ":" +
                           std::to_string(piece.first_line + static_cast<std::uint64_t>(lines)) +
                           ": byte " + std::to_string(piece.first_byte + *bad) +
                           " of the file is not UTF-8; save the file as UTF-8");
  }
};

}  // namespace

ASSAY_PLUGIN("assay/text", "1.0.0", "assay", "Apache-2.0", Text)
