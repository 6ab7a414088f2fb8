#include "quantize/layout.hpp"

#include <algorithm>
#include <assay/error.hpp>
#include <vector>

namespace assay_torch {
namespace {

std::vector<int> widths_of(const Recipe& recipe) {
  std::vector<int> out = {recipe.grid.bits};
  for (const Override& rule : recipe.overrides) {
    if (rule.bits) out.push_back(*rule.bits);
  }
  return out;
}

bool is_gptq_width(int bits) { return bits == 2 || bits == 3 || bits == 4 || bits == 8; }

bool is_one_form(const Recipe& recipe) {
  return std::all_of(recipe.overrides.begin(), recipe.overrides.end(), [&](const Override& rule) {
    return rule.bits.value_or(recipe.grid.bits) == recipe.grid.bits &&
           rule.group_size.value_or(recipe.grid.group_size) == recipe.grid.group_size;
  });
}

}  // namespace

FileLayout layout_of(const Recipe& recipe) {
  switch (recipe.method) {
    case Method::kNf4:
    case Method::kFp4:
    case Method::kInt8:
      return FileLayout::kBitsandbytes;
    case Method::kW8a8:
      return FileLayout::kCompressedTensors;
    case Method::kFp8:
      return recipe.scope == Fp8Scope::kBlock ? FileLayout::kFineGrainedFp8
                                              : FileLayout::kCompressedTensors;
    case Method::kAwq:
      if (recipe.grid.bits == 4 && is_one_form(recipe)) return FileLayout::kAwq;
      break;
    case Method::kRtn:
    case Method::kGptq:
      break;
  }
  const auto widths = widths_of(recipe);
  return std::all_of(widths.begin(), widths.end(), is_gptq_width) ? FileLayout::kGptq
                                                                  : FileLayout::kCompressedTensors;
}

FloatType scale_type_of(const Recipe& recipe, FloatType stored) {
  if (recipe.method == Method::kRtn && recipe.table == "simulate") return FloatType::kFloat32;
  switch (layout_of(recipe)) {
    case FileLayout::kGptq:
    case FileLayout::kAwq:
      return FloatType::kFloat16;
    case FileLayout::kCompressedTensors:
      return stored;
    case FileLayout::kBitsandbytes:
    case FileLayout::kFineGrainedFp8:
      break;
  }
  return FloatType::kFloat32;
}

void check_writable(const Recipe& recipe) {
  const auto widths = widths_of(recipe);
  const int widest = *std::max_element(widths.begin(), widths.end());
  if (widest > 8) {
    throw assay::Error(
        ASSAY_INVALID_ARGUMENT, recipe.table + ".bits",
        "no file layout holds " + std::to_string(widest) + " bits; use 8 or fewer, or simulate");
  }
  if (recipe.gptq.act_order && !recipe.gptq.static_groups &&
      layout_of(recipe) != FileLayout::kGptq) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, recipe.table + ".act_order",
                       "only GPTQ files hold columns in another order, and those have 2, 3, 4 or "
                       "8 bits; use such bits, static_groups or group_aware");
  }
}

}  // namespace assay_torch
