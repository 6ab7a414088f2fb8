#include "quantize/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace assay_torch {
namespace {

/// The entries of a table in ascending order, and the bounds between them.
struct Sorted {
  explicit Sorted(std::span<const float> table) : codes(table.size()) {
    std::iota(codes.begin(), codes.end(), std::uint8_t{0});
    std::stable_sort(codes.begin(), codes.end(),
                     [&](std::uint8_t a, std::uint8_t b) { return table[a] < table[b]; });
    // FP4 has zero twice; the second is never chosen.
    const auto same = [&](std::uint8_t a, std::uint8_t b) { return table[a] == table[b]; };
    codes.erase(std::unique(codes.begin(), codes.end(), same), codes.end());
    for (std::size_t i = 0; i + 1 < codes.size(); ++i)
      bounds.push_back((table[codes[i]] + table[codes[i + 1]]) / 2);
  }
  std::uint8_t nearest(float value) const {
    const auto bound = std::lower_bound(bounds.begin(), bounds.end(), value);
    const auto at = static_cast<std::size_t>(bound - bounds.begin());
    if (bound != bounds.end() && *bound == value) return std::min(codes[at], codes[at + 1]);
    return codes[at];
  }
  std::vector<std::uint8_t> codes;
  std::vector<float> bounds;
};

float absmax_of(std::span<const float> values) {
  float top = 0;
  for (const float value : values) top = std::max(top, std::fabs(value));
  return top;
}

/// bitsandbytes looks the code of a block scale up in 65,536 bins over [-1, 1].
float binned(float value) {
  const double bin = std::nearbyint((double{value} + 1) / 2 * 65535);
  return static_cast<float>(bin / 65535 * 2 - 1);
}

/// Codes the scales, and replaces them by what the codes stand for.
NestedScales nest(std::vector<float>& scales) {
  static const Sorted sorted(dynamic_map());
  NestedScales out;
  out.offset = static_cast<float>(std::accumulate(scales.begin(), scales.end(), 0.0) /
                                  static_cast<double>(scales.size()));
  for (float& scale : scales) scale -= out.offset;
  const std::span<float> all(scales);
  for (std::size_t begin = 0; begin < all.size(); begin += kNestedBlock) {
    const auto block = all.subspan(begin, std::min<std::size_t>(kNestedBlock, all.size() - begin));
    const float top = absmax_of(block);
    out.absmax.push_back(top);
    for (float& scale : block) {
      const std::uint8_t code = sorted.nearest(top == 0 ? 0 : binned(scale / top));
      out.codes.push_back(code);
      // Two roundings, as the tool has it: the product must not be contracted with the sum.
      const volatile float product = dynamic_map()[code] * top;
      scale = product + out.offset;
    }
  }
  return out;
}

std::array<float, 256> make_dynamic_map() {
  std::array<float, 256> out{};
  std::size_t at = 0;
  for (int exponent = 0; exponent < 7; ++exponent) {
    const auto power = static_cast<float>(std::pow(10.0, exponent - 6));
    const int items = 1 << exponent;
    const float step = (1.0F - 0.1F) / static_cast<float>(items);
    // torch.linspace counts from the nearer end, and fuses.
    const auto bound = [&](int i) {
      return i < (items + 1) / 2 ? std::fma(step, static_cast<float>(i), 0.1F)
                                 : std::fma(-step, static_cast<float>(items - i), 1.0F);
    };
    for (int i = 0; i < items; ++i) {
      const float mean = power * ((bound(i) + bound(i + 1)) / 2);
      out[at++] = mean;
      out[at++] = -mean;
    }
  }
  out[at++] = 0;
  out[at++] = 1;
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

const std::array<float, 256>& dynamic_map() {
  static const std::array<float, 256> map = make_dynamic_map();
  return map;
}

QuantizedMatrix table_quantize(const std::array<float, 16>& table, std::span<const float> weights,
                               std::int64_t rows, std::int64_t columns, bool is_nested) {
  const Sorted sorted(table);
  QuantizedMatrix out;
  out.form = Form::kTable;
  out.rows = rows;
  out.columns = columns;
  out.table = table;
  out.group_size = kTableBlock;
  out.codes.resize((weights.size() + 1) / 2);
  for (std::size_t begin = 0; begin < weights.size(); begin += kTableBlock) {
    const auto block =
        weights.subspan(begin, std::min<std::size_t>(kTableBlock, weights.size() - begin));
    const float top = absmax_of(block);
    out.scales.push_back(top);
    for (std::size_t i = 0; i < block.size(); ++i) {
      const std::size_t at = begin + i;
      const unsigned code = sorted.nearest(top == 0 ? 0 : block[i] / top);
      out.codes[at / 2] =
          static_cast<std::uint8_t>(out.codes[at / 2] | code << (at % 2 == 0 ? 4U : 0U));
    }
  }
  const std::uint64_t blocks = out.scales.size();
  out.stored_bits = 4 * weights.size() + 32 * blocks;
  if (is_nested && blocks > 0) {
    out.nested = nest(out.scales);
    out.stored_bits = 4 * weights.size() + 8 * blocks + 32 * (out.nested->absmax.size() + 1);
  }
  return out;
}

}  // namespace assay_torch
