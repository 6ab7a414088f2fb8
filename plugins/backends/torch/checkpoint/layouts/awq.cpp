// AWQ in the GEMM layout of AutoAWQ 0.2: modules/linear/gemm.py, utils/packing_utils.py.
#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <cctype>

#include "checkpoint/layouts/layout.hpp"

namespace assay_torch {
namespace {

/// The column that a word's nibble holds, counted from the word's first.
constexpr std::array<int, 8> kColumnOfNibble = {0, 2, 4, 6, 1, 3, 5, 7};

class Awq final : public QuantizedLayout {
 public:
  explicit Awq(const Settings& settings);

  std::string describe() const override {
    return "awq 4 bits, " + (group_size_ == 0 ? std::string("one group a row")
                                              : "groups of " + std::to_string(group_size_));
  }
  Claim claim(const std::string& module) const override {
    return is_in_block(module) ? claim_of_skipped(skipped_, module) : Claim::kSilent;
  }
  bool shows(const Weights& weights, const std::string& module) const override {
    return weights.holds(module + ".qweight");
  }
  QuantizedMatrix read(ModuleTensors& tensors, std::int64_t rows,
                       std::int64_t columns) const override;

 private:
  std::int64_t group_size_;  ///< 0: the whole row
  std::vector<std::string> skipped_;
};

Awq::Awq(const Settings& settings) : skipped_(settings.texts("modules_to_not_convert")) {
  std::string version = settings.find_text("version").value_or("gemm");
  std::transform(version.begin(), version.end(), version.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string backend = settings.find_text("backend").value_or("autoawq");
  if (version != "gemm")
    settings.refuse_unsupported("version",
                                "\"" + version + "\" is not supported; supported: \"gemm\"");
  if (backend == "llm-awq")
    settings.refuse_unsupported("backend", "\"llm-awq\" is not supported; supported: \"autoawq\"");
  const auto bits = settings.find_integer("bits", "w_bit");
  if (!bits) settings.refuse("bits", "is missing; expected 4");
  if (*bits != 4)
    settings.refuse_unsupported("bits", std::to_string(*bits) + " is not supported; supported: 4");
  group_size_ = settings.find_integer("group_size", "q_group_size").value_or(128);
  if (group_size_ < -1 || group_size_ == 0) {
    settings.refuse("group_size",
                    "expected -1 or a number above 0, got " + std::to_string(group_size_));
  }
  group_size_ = std::max<std::int64_t>(group_size_, 0);
}

QuantizedMatrix Awq::read(ModuleTensors& tensors, std::int64_t rows, std::int64_t columns) const {
  const std::string& module = tensors.module();
  const std::string scaled = module.substr(0, module.rfind('.')) + ".act.scales";
  if (tensors.weights().holds(scaled)) {
    throw assay::Error(ASSAY_UNIMPLEMENTED,
                       tensors.weights().file_of(scaled) + ": tensor \"" + scaled +
                           "\" divides activations (ScaledActivation), which is not supported; use "
                           "a checkpoint in another layout");
  }
  const std::int64_t group_size = group_size_ == 0 ? columns : group_size_;
  if (rows % 8 != 0 || columns % group_size != 0) {
    tensors.refuse(".qweight", "is of a layer [" + std::to_string(rows) + ", " +
                                   std::to_string(columns) + "]; AWQ needs outputs in eights and " +
                                   "inputs in groups of " + std::to_string(group_size));
  }
  QuantizedMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.group_size = group_size;
  const std::int64_t groups = columns / group_size, width = rows / 8;
  const std::int64_t row_bytes = words_per_row(columns, 4) * 4;
  matrix.scale_type = tensors.float_type(".scales");
  matrix.scales = turned(tensors.floats(".scales", {groups, rows}), groups, rows);

  matrix.zeros.resize(static_cast<std::size_t>(rows * groups));
  const auto zeros = tensors.words(".qzeros", {groups, width});
  for (std::int64_t i = 0; i < groups * width; ++i) {
    for (int nibble = 0; nibble < 8; ++nibble) {
      const std::int64_t row = i % width * 8 + kColumnOfNibble[static_cast<std::size_t>(nibble)];
      matrix.zeros[static_cast<std::size_t>(row * groups + i / width)] =
          static_cast<std::uint16_t>(zeros[static_cast<std::size_t>(i)] >> (4 * nibble) & 15U);
    }
  }
  matrix.codes.resize(static_cast<std::size_t>(rows * row_bytes));
  const auto put = [&](std::int64_t first, std::span<const std::uint32_t> piece) {
    for (std::size_t i = 0; i < piece.size(); ++i) {
      const std::int64_t column = first + static_cast<std::int64_t>(i) / width;
      for (int nibble = 0; nibble < 8; ++nibble) {
        const std::int64_t row = static_cast<std::int64_t>(i) % width * 8 +
                                 kColumnOfNibble[static_cast<std::size_t>(nibble)];
        const auto code = static_cast<std::uint8_t>(piece[i] >> (4 * nibble) & 15U);
        std::uint8_t& pair = matrix.codes[static_cast<std::size_t>(row * row_bytes + column / 2)];
        pair = static_cast<std::uint8_t>(pair | code << (column % 2 * 4));
      }
    }
  };
  tensors.words_by_rows(".qweight", {columns, width}, put);
  matrix.stored_bits = tensors.stored_bits();
  return matrix;
}

/// [rows, columns] of 4-bit values as words along the rows.
template <class At>
std::vector<std::uint32_t> packed(std::int64_t rows, std::int64_t columns, const At& at) {
  std::vector<std::uint32_t> out(static_cast<std::size_t>(columns * rows / 8));
  for (std::int64_t column = 0; column < columns; ++column) {
    for (std::int64_t word = 0; word < rows / 8; ++word) {
      std::uint32_t& into = out[static_cast<std::size_t>(column * (rows / 8) + word)];
      for (int nibble = 0; nibble < 8; ++nibble)
        into |=
            std::uint32_t{at(word * 8 + kColumnOfNibble[static_cast<std::size_t>(nibble)], column)}
            << (4 * nibble);
    }
  }
  return out;
}

}  // namespace

std::unique_ptr<QuantizedLayout> open_awq(const Settings& settings) {
  return std::make_unique<Awq>(settings);
}

std::vector<StoredTensor> awq_tensors(const std::string& module, const QuantizedMatrix& matrix) {
  if (matrix.form != Form::kInteger || matrix.bits != 4 || !matrix.group_of.empty())
    refuse_to_hold(module, "AWQ", "it holds integers of 4 bits whose groups are in order");
  const std::int64_t rows = matrix.rows, columns = matrix.columns;
  const std::int64_t groups = groups_per_row(matrix);
  if (rows % 8 != 0 || columns % matrix.group_size != 0) {
    refuse_to_hold(module, "AWQ",
                   "it needs outputs in eights and inputs in groups of " +
                       std::to_string(matrix.group_size) + ", the layer has [" +
                       std::to_string(rows) + ", " + std::to_string(columns) + "]");
  }
  const auto zero_of = [&](std::int64_t row, std::int64_t group) {
    const std::uint16_t zero = matrix.zeros[static_cast<std::size_t>(row * groups + group)];
    if (zero > 15) refuse_to_hold(module, "AWQ", "a zero point does not fit 4 bits");
    return zero;
  };
  const std::int64_t row_bytes = words_per_row(columns, 4) * 4;
  const auto code_of = [&](std::int64_t row, std::int64_t column) {
    const unsigned pair = matrix.codes[static_cast<std::size_t>(row * row_bytes + column / 2)];
    return static_cast<std::uint16_t>(pair >> (column % 2 * 4) & 15U);
  };
  return {stored(module + ".qweight", "I32", {columns, rows / 8}, packed(rows, columns, code_of)),
          stored(module + ".qzeros", "I32", {groups, rows / 8}, packed(rows, groups, zero_of)),
          stored_scales(module + ".scales", {groups, rows}, matrix.scale_type,
                        turned(matrix.scales, rows, groups))};
}

}  // namespace assay_torch
