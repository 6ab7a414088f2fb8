// GPTQ: codes of one matrix chosen column by column, what each column loses made up for by those
// behind it. Where the Hessian comes from is pipeline.hpp's.
#pragma once

#include <ATen/core/Tensor.h>

#include "quantize/matrix.hpp"
#include "quantize/rtn.hpp"
#include "quantize/settings.hpp"

namespace assay_torch {

struct GptqResult {
  QuantizedMatrix matrix;
  double damping = 0;  ///< what was added to the diagonal, as a share of its mean
  int attempts = 1;    ///< factorizations that it took
  std::int64_t dead_columns = 0;
};

/// Columns that no token reached (a zero on the diagonal) become zero. A Hessian that is not
/// positive definite is damped ten times as much (0.01 after 0) until it is; GPTQModel adds 0.01
/// instead, which takes many factorizations where it takes more than one. Everything but the choice
/// of a code is float64.
///
/// Shapes   weights [rows, columns] float32, hessian [columns, columns] float32, both on the CPU
/// Fails    ASSAY_INVALID_ARGUMENT the Hessian is not finite
/// Units    memory: 8 (2 columns^2 + rows columns) bytes beside its arguments
/// Source   arXiv 2210.17323, algorithm 1; IST-DASLab/gptq gptq.py; group_aware: GPTQModel gar.py
GptqResult gptq_quantize(const at::Tensor& weights, const at::Tensor& hessian,
                         const GptqSettings& settings, const GridSettings& grid);

}  // namespace assay_torch
