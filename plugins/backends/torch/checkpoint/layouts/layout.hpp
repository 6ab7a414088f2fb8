// What the layouts of quantized files have in common: what settings claim of a module, and which
// tensors of a file show it. One file for each layout says what the tensors mean.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/layouts/module_tensors.hpp"
#include "checkpoint/quantized.hpp"
#include "checkpoint/settings.hpp"
#include "quantize/matrix.hpp"

namespace assay_torch {

/// What the settings say of a module. Tools read lists of modules in several ways, and some
/// settings leave the output layer to the file: where they are silent the tensors decide.
enum class Claim { kQuantized, kPlain, kSilent };

/// Threads  [any-thread]
class QuantizedLayout {
 public:
  virtual ~QuantizedLayout() = default;
  virtual std::string describe() const = 0;
  virtual Claim claim(const std::string& module) const = 0;
  /// Whether the tensors of a module are those of this layout.
  virtual bool shows(const Weights& weights, const std::string& module) const = 0;
  virtual QuantizedMatrix read(ModuleTensors& tensors, std::int64_t rows,
                               std::int64_t columns) const = 0;
};

/// Each reads its settings, and refuses what it does not know by name.
std::unique_ptr<QuantizedLayout> open_gptq(const Settings& settings, ZeroWrap wrap);
std::unique_ptr<QuantizedLayout> open_awq(const Settings& settings);
std::unique_ptr<QuantizedLayout> open_bitsandbytes(const Settings& settings);
std::unique_ptr<QuantizedLayout> open_compressed_tensors(const Settings& settings);
std::unique_ptr<QuantizedLayout> open_fp8(const Settings& settings, const std::string& method);

/// The inverse of reading; the layouts of quantized.hpp.
std::vector<StoredTensor> gptq_tensors(const std::string& module, const QuantizedMatrix& matrix);
std::vector<StoredTensor> awq_tensors(const std::string& module, const QuantizedMatrix& matrix);
std::vector<StoredTensor> bitsandbytes_tensors(const std::string& module,
                                               const QuantizedMatrix& matrix);
std::vector<StoredTensor> compressed_tensors_of(const std::string& module,
                                                const QuantizedMatrix& matrix);
std::vector<StoredTensor> fine_grained_fp8_tensors(const std::string& module,
                                                   const QuantizedMatrix& matrix);

/// One of the layers of a block ("model.layers.0.mlp.up_proj"), not an end of the model.
bool is_in_block(std::string_view module);

/// What a list of modules left alone claims: kPlain for a module it names, or whose parent it
/// names; kSilent where a part of a word is named; else kQuantized.
Claim claim_of_skipped(const std::vector<std::string>& skipped, std::string_view module);

/// Whether a regular expression matches from the module's first character on, as Python's re.match
/// does.
///
/// Fails    ASSAY_INVALID_ARGUMENT not a regular expression; the sentence names `key`
bool starts_with_match(const Settings& settings, std::string_view key, std::string_view expression,
                       const std::string& module);

/// [groups, rows] as [rows, groups].
template <class T>
std::vector<T> turned(const std::vector<T>& in, std::int64_t rows, std::int64_t columns) {
  std::vector<T> out(in.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column)
      out[static_cast<std::size_t>(column * rows + row)] =
          in[static_cast<std::size_t>(row * columns + column)];
  }
  return out;
}

/// ceil(value / divisor).
constexpr std::int64_t parts_of(std::int64_t value, std::int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

/// Field `index` of a stream of fields, lowest bits first.
std::uint16_t field_of(const std::uint32_t* words, std::int64_t index, int bits);
void add_field(std::uint32_t* words, std::int64_t index, int bits, std::uint16_t value);

/// Group indices of columns as `group_of` has them: empty where a column's is its place / size.
///
/// Fails    ASSAY_INVALID_ARGUMENT one is not in [0, groups)
std::vector<std::int32_t> group_indices(ModuleTensors& tensors, std::string_view suffix,
                                        std::int64_t columns, std::int64_t group_size,
                                        std::int64_t groups);

/// Scales of FP8 and of whole rows: a dtype of the file, each value finite.
///
/// Shapes   [1] or [] gives one, [rows, 1] or [rows] one for each row, else [block rows, block
///          columns] as the matrix says
void read_fp8(ModuleTensors& tensors, std::string_view scale_suffix, QuantizedMatrix& matrix);

/// A scale for all activations of the module.
float read_activation_scale(ModuleTensors& tensors, std::string_view suffix);

template <class T>
StoredTensor stored(std::string name, const char* dtype, std::vector<std::int64_t> shape,
                    const std::vector<T>& values) {
  StoredTensor out{std::move(name), dtype, std::move(shape), {}};
  const auto bytes = std::as_bytes(std::span(values));
  out.data.assign(bytes.begin(), bytes.end());
  return out;
}

/// Scales in the dtype they came in.
StoredTensor stored_scales(std::string name, std::vector<std::int64_t> shape, FloatType type,
                           const std::vector<float>& scales);

/// Fails    ASSAY_INVALID_ARGUMENT always: the matrix cannot be held by a layout
[[noreturn]] void refuse_to_hold(const std::string& module, const std::string& layout,
                                 const std::string& why);

}  // namespace assay_torch
