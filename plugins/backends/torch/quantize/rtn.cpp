#include "quantize/rtn.hpp"

#include <algorithm>
#include <assay/error.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace assay_torch {
namespace {

/// A range this small has no scale; its weights round to zero like those of an empty group.
bool is_too_small(float scale, FloatType type) {
  return type == FloatType::kFloat16 ? scale == 0 : scale < std::numeric_limits<float>::min();
}

}  // namespace

Grid grid_of(std::span<const float> group, const GridSettings& settings) {
  float low = 0, high = 0;
  for (const float w : group) {
    low = std::min(low, w);
    high = std::max(high, w);
  }
  const float top_code = static_cast<float>((1 << settings.bits) - 1);
  if (settings.symmetric) {
    high = std::max(-low, high);
    low = -high;
  }
  float scale = rounded(settings.scale_type, (high - low) / top_code);
  if (is_too_small(scale, settings.scale_type)) {
    low = -1;
    scale = rounded(settings.scale_type, 2 / top_code);
  }
  if (!std::isfinite(scale)) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "",
                       "weights from " + std::to_string(low) + " to " + std::to_string(high) +
                           " need a scale beyond the largest " + to_string(settings.scale_type) +
                           "; use more bits or skip the layer");
  }
  if (settings.symmetric)
    return {scale, static_cast<std::uint16_t>(1U << static_cast<unsigned>(settings.bits - 1))};
  return {scale,
          static_cast<std::uint16_t>(std::clamp(std::nearbyintf(-low / scale), 0.0F, top_code))};
}

std::uint16_t code_of(float weight, const Grid& grid, int bits) {
  const float top_code = static_cast<float>((1 << bits) - 1);
  const float code = std::nearbyintf(weight / grid.scale) + static_cast<float>(grid.zero);
  return static_cast<std::uint16_t>(std::clamp(code, 0.0F, top_code));
}

float value_of(std::uint16_t code, const Grid& grid) {
  return grid.scale * static_cast<float>(int{code} - int{grid.zero});
}

std::int64_t group_width(std::int64_t columns, const GridSettings& settings) {
  return settings.group_size <= 0 ? columns : std::min(settings.group_size, columns);
}

std::int64_t groups_in_row(std::int64_t columns, const GridSettings& settings) {
  const std::int64_t width = group_width(columns, settings);
  return width == 0 ? 0 : (columns + width - 1) / width;
}

QuantizedMatrix empty_integer_matrix(std::int64_t rows, std::int64_t columns,
                                     const GridSettings& settings) {
  if (settings.bits < 2 || settings.bits > 16) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "bits",
                       "codes take 2 to 16 bits, got " + std::to_string(settings.bits));
  }
  QuantizedMatrix out;
  out.form = Form::kInteger;
  out.rows = rows;
  out.columns = columns;
  out.bits = settings.bits;
  out.scale_type = settings.scale_type;
  out.group_size = group_width(columns, settings);
  const auto groups = static_cast<std::size_t>(rows * groups_in_row(columns, settings));
  out.scales.resize(groups);
  out.zeros.resize(groups);
  out.codes.resize(static_cast<std::size_t>(rows * words_per_row(columns, out.bits) * 4));
  out.stored_bits = grid_storage_bits(rows, columns, settings);
  return out;
}

QuantizedMatrix rtn_quantize(std::span<const float> weights, std::int64_t rows,
                             std::int64_t columns, const GridSettings& settings) {
  QuantizedMatrix out = empty_integer_matrix(rows, columns, settings);
  const auto width = static_cast<std::size_t>(out.group_size);
  std::vector<std::uint16_t> codes(static_cast<std::size_t>(columns));
  std::size_t group_at = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto values = weights.subspan(static_cast<std::size_t>(row) * codes.size(), codes.size());
    for (std::size_t begin = 0; begin < values.size(); begin += width, ++group_at) {
      const auto group = values.subspan(begin, std::min(width, values.size() - begin));
      const Grid grid = grid_of(group, settings);
      for (std::size_t i = 0; i < group.size(); ++i)
        codes[begin + i] = code_of(group[i], grid, settings.bits);
      out.scales[group_at] = grid.scale;
      out.zeros[group_at] = grid.zero;
    }
    write_codes(out, row, codes);
  }
  return out;
}

std::uint64_t grid_storage_bits(std::int64_t rows, std::int64_t columns,
                                const GridSettings& settings) {
  const auto bits = static_cast<std::uint64_t>(settings.bits);
  const auto groups = static_cast<std::uint64_t>(rows * groups_in_row(columns, settings));
  const std::uint64_t per_group = 16 + (settings.symmetric ? 0 : bits);
  return static_cast<std::uint64_t>(rows * columns) * bits + groups * per_group;
}

}  // namespace assay_torch
