// The tensors that one quantized module is made of: read as the file has them, each checked for
// dtype, shape and finite values, noted, and counted. What they mean is the layouts'.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/weights.hpp"

namespace assay_torch {

using Shape = std::vector<std::int64_t>;

/// Names are what stands behind the module's: ".qweight".
///
/// Fails    ASSAY_INVALID_ARGUMENT a tensor is missing, or has another dtype or shape, or holds NaN
///          or an infinity; the sentence names file and tensor
class ModuleTensors {
 public:
  /// All outlive it. Names of tensors are added to `read` as they are read.
  ModuleTensors(const Weights& weights, const std::string& module, std::vector<std::string>& read);

  const std::string& module() const { return module_; }
  const Weights& weights() const { return weights_; }
  bool holds(std::string_view suffix) const;
  /// The first of the suffixes that the file has, or else the first.
  std::string_view first_held(std::span<const std::string_view> suffixes) const;
  const Shape& shape(std::string_view suffix) const;
  const std::string& dtype(std::string_view suffix) const;
  std::uint64_t count(std::string_view suffix) const;

  std::vector<std::uint8_t> bytes(std::string_view suffix, std::string_view dtype,
                                  const Shape& shape);
  /// Bytes whatever they are declared to be.
  std::vector<std::uint8_t> bytes(std::string_view suffix);
  std::vector<std::uint32_t> words(std::string_view suffix, const Shape& shape);
  std::vector<std::int64_t> longs(std::string_view suffix, const Shape& shape);
  std::vector<float> floats(std::string_view suffix, const Shape& shape);
  FloatType float_type(std::string_view suffix) const;

  /// The 32-bit words of a matrix, some rows at a time, so that it need not be in memory whole.
  using Rows = std::function<void(std::int64_t first, std::span<const std::uint32_t> rows)>;
  void words_by_rows(std::string_view suffix, const Shape& shape, const Rows& take);

  /// Of everything read, as the file has it.
  std::uint64_t stored_bits() const { return stored_bits_; }

  [[noreturn]] void refuse(std::string_view suffix, const std::string& text) const;

 private:
  std::string name(std::string_view suffix) const { return module_ + std::string(suffix); }
  void expect(std::string_view suffix, std::string_view dtype, const Shape& shape) const;
  void note(std::string_view suffix);
  template <class T>
  std::vector<T> all(std::string_view suffix);

  const Weights& weights_;
  const std::string& module_;
  std::vector<std::string>& read_;
  std::uint64_t stored_bits_ = 0;
};

}  // namespace assay_torch
