#include "linear/make.hpp"

#include <ATen/ops/empty.h>

#include <cstddef>
#include <span>
#include <utility>

#include "linear/dense.hpp"

namespace assay_torch {
namespace {

at::Tensor values_of(const ModuleWeight& module) {
  if (!module.quantized) return module.dense;
  const QuantizedMatrix& matrix = *module.quantized;
  auto out = at::empty({matrix.rows, matrix.columns}, at::kFloat);
  dequantize(matrix, {out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.numel())});
  return out;
}

}  // namespace

std::unique_ptr<Linear> make_linear(std::vector<ModuleWeight> modules, at::Tensor bias,
                                    const LinearSettings& settings) {
  // What has the dtype already is taken as it is, without a second copy.
  if (modules.size() == 1 && modules[0].dense.defined() &&
      modules[0].dense.dtype() == settings.options.dtype() && modules[0].dense.is_contiguous()) {
    return std::make_unique<Dense>(modules[0].dense.to(settings.options.device()), std::move(bias));
  }
  std::int64_t rows = 0, columns = 0;
  for (const ModuleWeight& module : modules) {
    rows += module.quantized ? module.quantized->rows : module.dense.size(0);
    columns = module.quantized ? module.quantized->columns : module.dense.size(1);
  }
  auto weight = at::empty({rows, columns}, at::TensorOptions(settings.options).device(at::kCPU));
  std::int64_t row = 0;
  for (ModuleWeight& module : modules) {
    const auto values = values_of(module);
    weight.narrow(0, row, values.size(0)).copy_(values);
    row += values.size(0);
    module = {};
  }
  return std::make_unique<Dense>(weight.to(settings.options.device()), std::move(bias));
}

}  // namespace assay_torch
