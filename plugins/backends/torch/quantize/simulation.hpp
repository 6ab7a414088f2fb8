// Simulated quantization of a model: which layers are rounded, how, and what the stored form would
// take. The arithmetic of one matrix is in rtn.hpp and nf4.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/matrix.hpp"
#include "quantize/rtn.hpp"

namespace assay_torch {

enum class Method { kRtn, kNf4 };

struct Simulation {
  Method method = Method::kRtn;
  RtnSettings rtn;
  /// Modules left alone: a pattern with * or ? must match the whole name, one without is a part of
  /// it.
  std::vector<std::string> skip;
};

/// Shapes   weights [rows, columns] row-major
QuantizedMatrix quantized(const Simulation& simulation, std::span<const float> weights,
                          std::int64_t rows, std::int64_t columns);

/// Says whether a module ("model.layers.0.mlp.up_proj") is named by a skip pattern.
bool matches(std::string_view pattern, std::string_view module);

/// The module's first matching pattern, or nothing.
std::optional<std::size_t> skipped_by(const Simulation& simulation, std::string_view module);

}  // namespace assay_torch
