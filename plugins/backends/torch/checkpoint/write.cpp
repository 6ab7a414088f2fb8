#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "checkpoint/layouts/layout.hpp"
#include "checkpoint/quantized.hpp"

namespace assay_torch {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_file(const std::string& path, int error) {
  throw assay::Error(
      error == ENOSPC || error == EDQUOT ? ASSAY_RESOURCE_EXHAUSTED : ASSAY_UNAVAILABLE,
      path + ": cannot be written: " + std::strerror(error) +
          (error == ENOSPC || error == EDQUOT ? "; make room and run again" : ""));
}

/// A file under a name of its own until it is whole.
class NewFile {
 public:
  explicit NewFile(const std::string& path)
      : path_(path),
        part_(path + ".part"),
        file_(::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    if (file_ < 0) refuse_file(path_, errno);
  }
  ~NewFile() {
    if (file_ >= 0) ::close(file_);
    if (!is_whole_) ::unlink(part_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::write(file_, bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) refuse_file(path_, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
  }

  void finish() {
    if (::fsync(file_) != 0) refuse_file(path_, errno);
    if (::rename(part_.c_str(), path_.c_str()) != 0) refuse_file(path_, errno);
    is_whole_ = true;
    // The name is kept by the folder, which is synced apart; some file systems cannot.
    const int folder =
        ::open(fs::absolute(path_).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    static_cast<void>(::fsync(folder));
    ::close(folder);
  }

 private:
  std::string path_, part_;
  int file_ = -1;
  bool is_whole_ = false;
};

/// Bytes of one value, which its place in the file is divisible by; of bit fields 1.
std::size_t alignment_of(const std::string& dtype) {
  if (dtype.ends_with("64")) return 8;
  if (dtype.ends_with("32")) return 4;
  return dtype.ends_with("16") ? 2 : 1;
}

}  // namespace

std::vector<StoredTensor> to_tensors(FileLayout layout, const std::string& module,
                                     const QuantizedMatrix& matrix) {
  switch (layout) {
    case FileLayout::kGptq:
      return gptq_tensors(module, matrix);
    case FileLayout::kAwq:
      return awq_tensors(module, matrix);
    case FileLayout::kBitsandbytes:
      return bitsandbytes_tensors(module, matrix);
    case FileLayout::kCompressedTensors:
      return compressed_tensors_of(module, matrix);
    case FileLayout::kFineGrainedFp8:
      break;
  }
  return fine_grained_fp8_tensors(module, matrix);
}

void write_safetensors(const std::string& path, std::span<const StoredTensor> tensors) {
  // The widest values first, as the reference implementation does: readers map them in place.
  std::vector<const StoredTensor*> order;
  for (const StoredTensor& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const StoredTensor* a, const StoredTensor* b) {
    const std::size_t of_a = alignment_of(a->dtype), of_b = alignment_of(b->dtype);
    return of_a != of_b ? of_a > of_b : a->name < b->name;
  });
  nlohmann::ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t at = 0;
  for (const StoredTensor* tensor : order) {
    header[tensor->name] = {{"dtype", tensor->dtype},
                            {"shape", tensor->shape},
                            {"data_offsets", {at, at + tensor->data.size()}}};
    at += tensor->data.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::array<std::byte, 8> length{};
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<std::byte>(text.size() >> (8 * i));
  NewFile file(path);
  file.write(length);
  file.write(std::as_bytes(std::span(text)));
  for (const StoredTensor* tensor : order) file.write(tensor->data);
  file.finish();
}

}  // namespace assay_torch
