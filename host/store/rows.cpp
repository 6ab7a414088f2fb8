#include "host/store/rows.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "host/store/files.hpp"

namespace assay::host {
namespace {

constexpr std::size_t kFrameBytes = 4 << 20;
constexpr int kLevel = 3;

std::string part_of(const std::filesystem::path& path) { return path.string() + ".part"; }

}  // namespace

struct RowWriter::State {
  std::filesystem::path path;
  int file = -1;
  std::string pending;

  ~State() {
    if (file >= 0) ::close(file);
  }

  Result<void> flush() {
    if (pending.empty()) return {};
    std::string frame(ZSTD_compressBound(pending.size()), '\0');
    const std::size_t size =
        ZSTD_compress(frame.data(), frame.size(), pending.data(), pending.size(), kLevel);
    if (ZSTD_isError(size)) {
      return Failure{ASSAY_INTERNAL, std::string("zstd: ") + ZSTD_getErrorName(size)};
    }
    auto written = write_all(file, std::string_view(frame).substr(0, size), path);
    if (!written) return written;
    pending.clear();
    return {};
  }
};

RowWriter::RowWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
RowWriter::RowWriter(RowWriter&&) noexcept = default;
RowWriter& RowWriter::operator=(RowWriter&&) noexcept = default;
RowWriter::~RowWriter() = default;

Result<RowWriter> RowWriter::create(const std::filesystem::path& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->file = ::open(part_of(path).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (state->file < 0) return write_failure(path, errno);
  return RowWriter(std::move(state));
}

Result<void> RowWriter::write(const Json& row) {
  state_->pending += row.dump(-1, ' ', false, Json::error_handler_t::replace);
  state_->pending += '\n';
  if (state_->pending.size() >= kFrameBytes) return state_->flush();
  return {};
}

Result<void> RowWriter::close() {
  if (auto flushed = state_->flush(); !flushed) return flushed;
  if (::fsync(state_->file) != 0 && errno != EINVAL) return write_failure(state_->path, errno);
  if (::close(std::exchange(state_->file, -1)) != 0) return write_failure(state_->path, errno);
  if (::rename(part_of(state_->path).c_str(), state_->path.c_str()) != 0) {
    return write_failure(state_->path, errno);
  }
  return {};
}

struct RowReader::State {
  std::filesystem::path path;
  int file = -1;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context{ZSTD_createDCtx(), &ZSTD_freeDCtx};
  std::string in = std::string(ZSTD_DStreamInSize(), '\0');
  ZSTD_inBuffer input{in.data(), 0, 0};
  std::string out;
  std::size_t out_begin = 0;
  std::uint64_t row = 0;
  bool is_inside_frame = false;
  bool is_at_end = false;

  ~State() {
    if (file >= 0) ::close(file);
  }

  Failure damaged(const std::string& what) const {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   path.string() + " is damaged after row " + std::to_string(row) + ": " + what +
                       "; run the manifest again",
                   path.string()};
  }

  Result<void> more() {
    if (input.pos == input.size) {
      const ssize_t n = ::read(file, in.data(), in.size());
      if (n < 0) return damaged("it cannot be read");
      input = {in.data(), static_cast<std::size_t>(n), 0};
      if (n == 0) {
        is_at_end = true;
        if (is_inside_frame) return damaged("the file ends inside a block");
        return {};
      }
    }
    out.erase(0, std::exchange(out_begin, 0));
    const std::size_t had = out.size();
    out.resize(had + ZSTD_DStreamOutSize());
    ZSTD_outBuffer output{out.data() + had, out.size() - had, 0};
    const std::size_t hint = ZSTD_decompressStream(context.get(), &output, &input);
    out.resize(had + output.pos);
    if (ZSTD_isError(hint)) return damaged(ZSTD_getErrorName(hint));
    is_inside_frame = hint != 0;
    return {};
  }
};

RowReader::RowReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
RowReader::RowReader(RowReader&&) noexcept = default;
RowReader& RowReader::operator=(RowReader&&) noexcept = default;
RowReader::~RowReader() = default;

Result<RowReader> RowReader::open(const std::filesystem::path& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (state->file < 0) {
    return Failure{ASSAY_NOT_FOUND, "cannot open " + path.string(), path.string()};
  }
  return RowReader(std::move(state));
}

Result<std::optional<Json>> RowReader::next() {
  State& s = *state_;
  for (;;) {
    const std::size_t end = s.out.find('\n', s.out_begin);
    if (end != std::string::npos) {
      Json row = Json::parse(s.out.begin() + static_cast<std::ptrdiff_t>(s.out_begin),
                             s.out.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
      if (row.is_discarded()) return s.damaged("the next line is not JSON");
      s.out_begin = end + 1;
      ++s.row;
      return std::optional<Json>(std::move(row));
    }
    if (s.is_at_end) {
      if (s.out_begin != s.out.size()) return s.damaged("the last line has no end");
      return std::optional<Json>();
    }
    if (auto read = s.more(); !read) return std::move(read).error();
  }
}

}  // namespace assay::host
