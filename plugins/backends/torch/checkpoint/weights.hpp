// The weights of a model directory: which file holds which tensor, and a tensor's values as
// float32. Which tensors a model needs is the decoder's business.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/safetensors.hpp"

namespace assay_torch {

/// Threads  [any-thread] after open
class Weights {
 public:
  /// Opens model.safetensors, or else the shards of model.safetensors.index.json.
  ///
  /// Fails    ASSAY_NOT_FOUND neither is there, or a shard is missing; ASSAY_INVALID_ARGUMENT a
  /// file is wrong
  explicit Weights(const std::string& model_dir);

  bool holds(const std::string& name) const;
  std::vector<std::string> names() const;

  /// Values of all tensors together.
  std::uint64_t values() const;

  /// Bits that one value of the tensor takes in its file.
  std::uint64_t stored_bits(const std::string& name) const;

  /// Widens the tensor to float32.
  ///
  /// Shapes   out: as many values as `shape` holds
  /// Fails    ASSAY_INVALID_ARGUMENT no such tensor, other shape, not F32, F16 or BF16, NaN or
  /// infinity
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
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> places_;
};

}  // namespace assay_torch
