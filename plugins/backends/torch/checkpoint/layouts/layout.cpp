#include "checkpoint/layouts/layout.hpp"

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <regex>

#include "quantize/e4m3.hpp"

namespace assay_torch {

bool is_in_block(std::string_view module) {
  while (!module.empty()) {
    const std::string_view part = module.substr(0, module.find('.'));
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!part.empty() && std::all_of(part.begin(), part.end(), is_digit)) return true;
    module.remove_prefix(std::min(module.size(), part.size() + 1));
  }
  return false;
}

Claim claim_of_skipped(const std::vector<std::string>& skipped, std::string_view module) {
  Claim claim = Claim::kQuantized;
  const std::string parts = "." + std::string(module) + ".";
  for (const std::string& name : skipped) {
    if (parts.find("." + name + ".") != std::string::npos) return Claim::kPlain;
    if (module.find(name) != std::string_view::npos) claim = Claim::kSilent;
  }
  return claim;
}

bool starts_with_match(const Settings& settings, std::string_view key, std::string_view expression,
                       const std::string& module) {
  // Deep ones would overflow the stack of the compiler, and matching without the flag may take
  // exponential time.
  constexpr std::size_t kLongest = 1000;
  constexpr auto kFlags = std::regex::ECMAScript | std::regex_constants::__polynomial;
  try {
    if (expression.size() > kLongest)
      throw std::regex_error(std::regex_constants::error_complexity);
    const std::regex regex(expression.begin(), expression.end(), kFlags);
    return std::regex_search(module, regex, std::regex_constants::match_continuous);
  } catch (const std::regex_error&) {
    settings.refuse(key, "\"" + std::string(expression.substr(0, kLongest)) +
                             "\" is not a regular expression that can be used here");
  }
}

std::uint16_t field_of(const std::uint32_t* words, std::int64_t index, int bits) {
  const std::int64_t at = index * bits, word = at / 32;
  const auto shift = static_cast<unsigned>(at % 32), width = static_cast<unsigned>(bits);
  std::uint32_t field = words[word] >> shift;
  if (shift + width > 32) field |= words[word + 1] << (32 - shift);
  return static_cast<std::uint16_t>(field & ((1U << width) - 1));
}

void add_field(std::uint32_t* words, std::int64_t index, int bits, std::uint16_t value) {
  const std::int64_t at = index * bits, word = at / 32;
  const auto shift = static_cast<unsigned>(at % 32), width = static_cast<unsigned>(bits);
  words[word] |= std::uint32_t{value} << shift;
  if (shift + width > 32) words[word + 1] |= std::uint32_t{value} >> (32 - shift);
}

std::vector<std::int32_t> group_indices(ModuleTensors& tensors, std::string_view suffix,
                                        std::int64_t columns, std::int64_t group_size,
                                        std::int64_t groups) {
  const auto words = tensors.words(suffix, {columns});
  std::vector<std::int32_t> out(words.begin(), words.end());
  bool is_plain = true;
  for (std::int64_t k = 0; k < columns; ++k) {
    const std::int32_t group = out[static_cast<std::size_t>(k)];
    if (group < 0 || group >= groups) {
      tensors.refuse(suffix, "holds " + std::to_string(group) + " at index " + std::to_string(k) +
                                 "; expected a group from 0 to " + std::to_string(groups - 1));
    }
    is_plain = is_plain && group == k / group_size;
  }
  if (is_plain) out.clear();
  return out;
}

void read_fp8(ModuleTensors& tensors, std::string_view scale_suffix, QuantizedMatrix& matrix) {
  matrix.form = Form::kFp8;
  matrix.bits = 8;
  matrix.codes = tensors.bytes(".weight", "F8_E4M3", {matrix.rows, matrix.columns});
  const auto nan = std::find_if(matrix.codes.begin(), matrix.codes.end(),
                                [](std::uint8_t code) { return (code & 0x7FU) == 0x7FU; });
  if (nan != matrix.codes.end()) {
    tensors.refuse(".weight", "holds NaN at index " + std::to_string(nan - matrix.codes.begin()) +
                                  "; every weight must be finite: fetch or export the checkpoint "
                                  "again");
  }
  const std::int64_t height = matrix.block_rows == 0 ? matrix.rows : matrix.block_rows;
  const std::int64_t width = matrix.block_columns == 0 ? matrix.columns : matrix.block_columns;
  const Shape grid = {parts_of(matrix.rows, height), parts_of(matrix.columns, width)};
  // Savers leave axes of one element out.
  const Shape& declared = tensors.shape(scale_suffix);
  Shape shape = grid;
  if (grid == Shape{1, 1} && (declared.empty() || declared == Shape{1})) shape = declared;
  if (grid[1] == 1 && declared == Shape{grid[0]}) shape = declared;
  matrix.scale_type = tensors.float_type(scale_suffix);
  matrix.scales = tensors.floats(scale_suffix, shape);
}

float read_activation_scale(ModuleTensors& tensors, std::string_view suffix) {
  const Shape& declared = tensors.shape(suffix);
  const auto scale = tensors.floats(suffix, declared.empty() ? Shape{} : Shape{1});
  if (!(scale[0] > 0)) tensors.refuse(suffix, "is not above 0, so it cannot scale activations");
  return scale[0];
}

StoredTensor stored_scales(std::string name, std::vector<std::int64_t> shape, FloatType type,
                           const std::vector<float>& scales) {
  constexpr std::array kNames = {"F32", "BF16", "F16"};
  StoredTensor out{std::move(name), kNames[static_cast<std::size_t>(type)], std::move(shape), {}};
  out.data.resize(scales.size() * size_bytes(type));
  convert(FloatType::kFloat32, std::as_bytes(std::span(scales)), type, out.data);
  return out;
}

void refuse_to_hold(const std::string& module, const std::string& layout, const std::string& why) {
  throw assay::Error(ASSAY_INVALID_ARGUMENT,
                     module + ": the " + layout + " layout cannot hold it: " + why);
}

}  // namespace assay_torch
