#include "quantize/rtn.hpp"

#include <algorithm>
#include <assay/error.hpp>
#include <cmath>
#include <limits>
#include <string>

namespace assay_torch {
namespace {

struct Grid {
  float scale;
  float zero;
};

std::int64_t group_width(std::int64_t columns, const RtnSettings& settings) {
  return settings.group_size <= 0 ? columns : std::min(settings.group_size, columns);
}

Grid grid_of(std::span<const float> group, const RtnSettings& settings) {
  float low = 0, high = 0;
  for (float w : group) {
    low = std::min(low, w);
    high = std::max(high, w);
  }
  const float top_code = static_cast<float>((1 << settings.bits) - 1);
  if (settings.symmetric) {
    high = std::max(-low, high);
    low = -high;
  }
  // A range this small has no float32 scale; its weights round to zero like those of an empty
  // group.
  if ((high - low) / top_code < std::numeric_limits<float>::min()) {
    low = -1;
    high = 1;
  }
  const float scale = (high - low) / top_code;
  if (settings.symmetric) return {scale, static_cast<float>(1 << (settings.bits - 1))};
  return {scale, std::nearbyintf(-low / scale)};
}

}  // namespace

std::int64_t rtn_groups_per_row(std::int64_t columns, const RtnSettings& settings) {
  const std::int64_t width = group_width(columns, settings);
  return width == 0 ? 0 : (columns + width - 1) / width;
}

RtnCodes rtn_quantize(std::span<const float> weights, std::int64_t rows, std::int64_t columns,
                      const RtnSettings& settings) {
  if (settings.bits < 2 || settings.bits > 16) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "simulate.bits",
                       "round to nearest takes 2 to 16 bits, got " + std::to_string(settings.bits));
  }
  const std::int64_t width = group_width(columns, settings);
  const float top_code = static_cast<float>((1 << settings.bits) - 1);
  RtnCodes out;
  out.groups = rtn_groups_per_row(columns, settings);
  out.codes.resize(weights.size());
  out.scales.reserve(static_cast<std::size_t>(rows * out.groups));
  out.zeros.reserve(static_cast<std::size_t>(rows * out.groups));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t begin = 0; begin < columns; begin += width) {
      const auto at = static_cast<std::size_t>(row * columns + begin);
      const auto group =
          weights.subspan(at, static_cast<std::size_t>(std::min(width, columns - begin)));
      const Grid grid = grid_of(group, settings);
      for (std::size_t i = 0; i < group.size(); ++i) {
        const float code = std::nearbyintf(group[i] / grid.scale) + grid.zero;
        out.codes[at + i] = static_cast<std::uint16_t>(std::clamp(code, 0.0F, top_code));
      }
      out.scales.push_back(grid.scale);
      out.zeros.push_back(static_cast<std::uint16_t>(grid.zero));
    }
  }
  return out;
}

void rtn_dequantize(const RtnCodes& codes, std::int64_t rows, std::int64_t columns,
                    const RtnSettings& settings, std::span<float> out) {
  const std::int64_t width = group_width(columns, settings);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t k = 0; k < columns; ++k) {
      const auto group = static_cast<std::size_t>(row * codes.groups + k / width);
      const auto at = static_cast<std::size_t>(row * columns + k);
      const int steps = static_cast<int>(codes.codes[at]) - static_cast<int>(codes.zeros[group]);
      out[at] = static_cast<float>(steps) * codes.scales[group];
    }
  }
}

std::uint64_t rtn_storage_bits(std::int64_t rows, std::int64_t columns,
                               const RtnSettings& settings) {
  const auto bits = static_cast<std::uint64_t>(settings.bits);
  const auto groups = static_cast<std::uint64_t>(rows * rtn_groups_per_row(columns, settings));
  const std::uint64_t per_group = 16 + (settings.symmetric ? 0 : bits);
  return static_cast<std::uint64_t>(rows * columns) * bits + groups * per_group;
}

}  // namespace assay_torch
