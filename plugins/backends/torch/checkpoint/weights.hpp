// The weights of a model directory: which file holds which tensor, and a tensor's values in the
// format that is computed with. Which tensors a model needs is the decoder's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/floats.hpp"
#include "checkpoint/safetensors.hpp"

namespace assay_torch {

/// Threads  [any-thread] after open
class Weights {
 public:
  /// Opens model.safetensors, or else the shards of model.safetensors.index.json. A large tensor is
  /// read by up to `threads` threads.
  ///
  /// Fails    ASSAY_NOT_FOUND neither is there, or a shard is missing; ASSAY_INVALID_ARGUMENT a
  /// file is wrong
  explicit Weights(const std::string& model_dir, std::uint32_t threads = 1);

  bool holds(const std::string& name) const;
  std::vector<std::string> names() const;

  /// The shape that the tensor's file declares.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT no such tensor
  const std::vector<std::int64_t>& shape(const std::string& name) const;

  /// Before memory is taken for a tensor: is it there, and of this shape?
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT it is not
  void check_shape(const std::string& name, std::span<const std::int64_t> shape) const;

  /// Values of all tensors together.
  std::uint64_t values() const;

  /// Bits that one value of the tensor takes in its file.
  std::uint64_t stored_bits(const std::string& name) const;

  /// What the tensor's file declares ("I32"), how many bytes it takes there, and which file it is.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT no such tensor
  const std::string& dtype(const std::string& name) const;
  std::uint64_t bytes(const std::string& name) const;
  const std::string& file_of(const std::string& name) const;

  /// Reads bytes of the tensor as the file has them, from byte `first` on.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT no such tensor; ASSAY_INTERNAL it has fewer bytes;
  /// ASSAY_ABORTED the file became shorter; ASSAY_UNAVAILABLE it cannot be read
  void read_bytes(const std::string& name, std::uint64_t first, std::span<std::byte> out) const;

  /// Reads the tensor as `type`: a copy where the file holds that format, else converted, to the
  /// nearest and halves to even. Beside `out` it takes at most 512 KiB of memory for each thread.
  ///
  /// Shapes   out: the bytes of as many values of `type` as `shape` holds
  /// Fails    ASSAY_INVALID_ARGUMENT no such tensor, other shape, not F32, F16 or BF16, NaN or
  /// infinity, a value beyond the largest of `type`; ASSAY_ABORTED the file became shorter;
  /// ASSAY_UNAVAILABLE it cannot be read
  void read_into(const std::string& name, std::span<const std::int64_t> shape, FloatType type,
                 std::span<std::byte> out) const;

  /// read_into as float32.
  void read(const std::string& name, std::span<const std::int64_t> shape,
            std::span<float> out) const;

 private:
  struct Place {
    const SafetensorsFile* file;
    const TensorEntry* entry;
  };
  void open_shards(const std::string& index_path);
  const Place& place(const std::string& name) const;

  std::string model_dir_;
  std::uint64_t threads_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> places_;
};

}  // namespace assay_torch
