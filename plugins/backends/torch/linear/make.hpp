// A linear layer from the weights of its modules: which implementation fits them, and what is made
// of them on the way. Files are not read here.
#pragma once

#include <ATen/core/TensorBody.h>

#include <memory>
#include <optional>
#include <vector>

#include "linear/kernels/kernels.hpp"
#include "linear/linear.hpp"
#include "quantize/matrix.hpp"

namespace assay_torch {

/// The weights of one module: values, or their quantized form.
///
/// Shapes   dense [rows, columns], float32 or what is computed in, on the CPU
struct ModuleWeight {
  at::Tensor dense = {};  ///< undefined where there is a quantized form
  std::optional<QuantizedMatrix> quantized = {};
};

struct LinearSettings {
  // Not explicit: dtype and device are all that most callers choose.
  LinearSettings(const at::TensorOptions& computed_in) : options(computed_in) {}  // NOLINT

  at::TensorOptions options;  ///< dtype and device that are computed in
  bool is_packed = false;     ///< quantized weights stay so; else they become `options` once
  /// Quantized matrices that come with a rule for activations follow it.
  bool quantizes_activations = true;
  const Kernels* kernels = nullptr;  ///< null: the fastest that the machine has
};

/// Modules that read the same input, their rows one behind the other. Modules whose weights or
/// input are treated in different ways become layers of their own within the one.
///
/// Shapes   bias [rows of all] in the dtype and on the device, or undefined
std::unique_ptr<Linear> make_linear(std::vector<ModuleWeight> modules, at::Tensor bias,
                                    const LinearSettings& settings);

}  // namespace assay_torch
