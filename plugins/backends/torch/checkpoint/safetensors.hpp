// One safetensors file: its header, checked whole when it is opened, and the bytes of its tensors
// through a read-only mapping. What the tensors mean belongs to others.
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

/// Threads  [any-thread] after open
/// Owns     the mapping; spans stay valid as long as the file object
/// Source   huggingface/safetensors README, section "Format"
class SafetensorsFile {
 public:
  /// Fails  ASSAY_NOT_FOUND cannot be opened; ASSAY_INVALID_ARGUMENT header or layout is wrong
  explicit SafetensorsFile(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& path() const { return path_; }
  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }

  /// The tensor's bytes, row-major and little-endian, aligned to nothing.
  std::span<const std::byte> bytes(const TensorEntry& entry) const;

 private:
  void map_file();
  void read_header();
  void check_layout() const;

  std::string path_;
  std::span<const std::byte> file_;
  std::span<const std::byte> data_;
  std::map<std::string, TensorEntry> tensors_;
};

}  // namespace assay_torch
