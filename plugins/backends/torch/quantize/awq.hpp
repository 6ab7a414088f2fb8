// AWQ and SmoothQuant: scales of input channels that make a layer easier to quantize, and AWQ's
// search for smaller ranges. Where the scales are taken out again is fold.hpp's.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>

#include "quantize/rtn.hpp"
#include "quantize/settings.hpp"

namespace assay_torch {

/// What a layer's inputs were like, over all tokens of the calibration.
///
/// Shapes   hessian [columns, columns], the mean of x x^T; absmean, absmax [columns]; float32
struct InputStatistics {
  at::Tensor hessian, absmean, absmax;
};

/// A matrix that reads the scaled inputs, and how it will be rounded.
struct Consumer {
  at::Tensor weights;  ///< [rows, columns] float32
  GridSettings grid;
};

struct ScaleSearch {
  at::Tensor scales;            ///< [columns]; weights are multiplied, inputs divided by them
  std::optional<double> ratio;  ///< the exponent of the inputs; none: all scales are 1
};

/// The scales, of 20 ratios and of none at all, with which the consumers' outputs change least:
/// sum of tr(D H D^T). AutoAWQ compares outputs of attention or MLP on the calibration instead;
/// this objective is the layers' own, takes no further passes, and is what `output_error` tells.
///
/// Source   arXiv 2306.00978, equation 4; AutoAWQ 0.2.9 quantizer.py, _compute_best_scale
ScaleSearch search_scales(std::span<const Consumer> consumers, const InputStatistics& inputs,
                          const AwqSettings& settings);

/// The weights with the range of each group of a row made smaller where that loses less.
///
/// Source   AutoAWQ 0.2.9 quantizer.py, _compute_best_clip: ten ranges from all down to 0.55
at::Tensor clipped(const Consumer& consumer, const at::Tensor& hessian);

/// absmax(x)^alpha / absmax(W)^(1 - alpha).
///
/// Source   SmoothQuant, arXiv 2211.10438, equation 4
at::Tensor smoothing_scales(std::span<const Consumer> consumers, const InputStatistics& inputs,
                            double alpha);

}  // namespace assay_torch
