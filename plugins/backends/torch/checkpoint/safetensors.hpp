// One safetensors file: its header, checked whole when it is opened, and the bytes of its tensors,
// read when they are asked for. What the tensors mean belongs to others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace assay_torch {

/// One tensor as the header declares it; begin and end count from the first byte after the header.
struct TensorEntry {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

/// "[384, 128]", "[]".
std::string shape_text(std::span<const std::int64_t> shape);

/// Keeps the file open and none of its data in memory: pages of a mapping would count as this
/// process's until the kernel needs them elsewhere, doubling what a model takes while it is loaded.
///
/// Threads  [any-thread] after open
/// Source   huggingface/safetensors README, section "Format"
class SafetensorsFile {
 public:
  /// Fails  ASSAY_NOT_FOUND cannot be opened; ASSAY_INVALID_ARGUMENT header or layout is wrong
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return path_; }
  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }

  /// Copies bytes of a tensor, row-major and little-endian, from byte `first` of its data on.
  ///
  /// Fails  ASSAY_ABORTED the file is shorter than when it was opened; ASSAY_UNAVAILABLE it cannot
  /// be read; ASSAY_INTERNAL more bytes are asked for than the tensor has
  void read(const TensorEntry& entry, std::uint64_t first, std::span<std::byte> out) const;

 private:
  struct Descriptor {
    int value = -1;
    Descriptor() = default;
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
  };

  void open_file();
  void read_header();
  void check_layout() const;
  void read_at(std::uint64_t first, std::span<std::byte> out) const;

  std::string path_;
  Descriptor file_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t data_at_ = 0, data_bytes_ = 0;
  std::map<std::string, TensorEntry> tensors_;
};

}  // namespace assay_torch
