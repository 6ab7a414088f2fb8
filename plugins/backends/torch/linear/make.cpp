#include "linear/make.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

#include "linear/activations.hpp"
#include "linear/dense.hpp"
#include "linear/int8.hpp"
#include "linear/packed.hpp"
#include "linear/stacked.hpp"

namespace assay_torch {
namespace {

using Kind = ActivationRule::Kind;

enum class Route { kDense, kPacked, kInt8 };

struct Plan {
  Route route = Route::kDense;
  ActivationRule rule = {};

  bool operator==(const Plan&) const = default;
};

std::int64_t rows_of(const ModuleWeight& module) {
  return module.quantized ? module.quantized->rows : module.dense.size(0);
}

std::int64_t columns_of(const ModuleWeight& module) {
  return module.quantized ? module.quantized->columns : module.dense.size(1);
}

Plan plan_for(const ModuleWeight& module, const LinearSettings& settings) {
  if (!module.quantized) return {};
  Plan plan{.route = settings.is_packed ? Route::kPacked : Route::kDense};
  if (settings.quantizes_activations) plan.rule = module.quantized->activations;
  const bool has_integers =
      plan.rule.kind == Kind::kInt8PerToken || plan.rule.kind == Kind::kInt8Outliers;
  if (has_integers && module.quantized->form == Form::kInt8 &&
      module.quantized->columns <= Int8::kMostColumns)
    plan.route = Route::kInt8;
  return plan;
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

/// Whether the rows of `b` can follow those of `a` in one matrix.
bool can_join(const QuantizedMatrix& a, const QuantizedMatrix& b) {
  if (a.form != b.form || a.columns != b.columns || a.scale_type != b.scale_type) return false;
  switch (a.form) {
    case Form::kInteger:
      return a.bits == b.bits && a.group_size == b.group_size && a.group_of == b.group_of &&
             groups_per_row(a) == groups_per_row(b);
    case Form::kTable:
      return a.table == b.table && a.group_size == b.group_size && a.columns % a.group_size == 0 &&
             a.columns % 2 == 0;
    case Form::kInt8:
      return a.is_per_127 == b.is_per_127;
    default:
      return a.block_rows == b.block_rows && a.block_columns == b.block_columns &&
             a.block_rows != 0 && a.rows % a.block_rows == 0;
  }
}

void join(QuantizedMatrix& to, const QuantizedMatrix& from) {
  append(to.codes, from.codes);
  append(to.scales, from.scales);
  append(to.zeros, from.zeros);
  to.nested.reset();
  to.rows += from.rows;
  to.stored_bits += from.stored_bits;
}

at::Tensor values_of(const ModuleWeight& module) {
  if (!module.quantized) return module.dense;
  const QuantizedMatrix& matrix = *module.quantized;
  auto out = at::empty({matrix.rows, matrix.columns}, at::kFloat);
  dequantize(matrix, {out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.numel())});
  return out;
}

std::unique_ptr<Linear> make_dense(std::span<ModuleWeight> modules, at::Tensor bias,
                                   const at::TensorOptions& options) {
  // What has the dtype already is taken as it is, without a second copy.
  if (modules.size() == 1 && modules[0].dense.defined() &&
      modules[0].dense.dtype() == options.dtype() && modules[0].dense.is_contiguous())
    return std::make_unique<Dense>(modules[0].dense.to(options.device()), std::move(bias));
  std::int64_t rows = 0;
  for (const ModuleWeight& module : modules) rows += rows_of(module);
  auto weight =
      at::empty({rows, columns_of(modules[0])}, at::TensorOptions(options).device(at::kCPU));
  std::int64_t row = 0;
  for (ModuleWeight& module : modules) {
    const auto values = values_of(module);
    weight.narrow(0, row, values.size(0)).copy_(values);
    row += values.size(0);
    module = {};
  }
  return std::make_unique<Dense>(weight.to(options.device()), std::move(bias));
}

/// Of modules with one plan.
std::unique_ptr<Linear> make_part(std::span<ModuleWeight> modules, const Plan& plan,
                                  at::Tensor bias, const LinearSettings& settings) {
  const Kernels& kernels = settings.kernels ? *settings.kernels : fastest_kernels();
  std::unique_ptr<Linear> linear;
  if (plan.route == Route::kDense) {
    linear = make_dense(modules, std::move(bias), settings.options);
  } else {
    QuantizedMatrix matrix = std::move(*modules[0].quantized);
    for (ModuleWeight& module : modules.subspan(1)) {
      join(matrix, *module.quantized);
      module = {};
    }
    if (plan.route == Route::kInt8)
      return std::make_unique<Int8>(matrix, std::move(bias), settings.options, kernels);
    linear =
        std::make_unique<Packed>(std::move(matrix), std::move(bias), settings.options, kernels);
  }
  if (plan.rule.kind == Kind::kNone) return linear;
  return std::make_unique<RoundedInput>(plan.rule, std::move(linear));
}

/// How many modules from the first on can be one part.
std::size_t joinable(std::span<const ModuleWeight> modules, const Plan& plan,
                     const LinearSettings& settings) {
  std::size_t count = 1;
  while (count < modules.size() && plan_for(modules[count], settings) == plan &&
         (plan.route == Route::kDense ||
          can_join(*modules[count - 1].quantized, *modules[count].quantized)))
    ++count;
  return count;
}

}  // namespace

std::unique_ptr<Linear> make_linear(std::vector<ModuleWeight> modules, at::Tensor bias,
                                    const LinearSettings& settings) {
  std::vector<Stacked::Part> parts;
  std::span<ModuleWeight> left(modules);
  std::int64_t row = 0;
  while (!left.empty()) {
    const Plan plan = plan_for(left[0], settings);
    const auto taken = left.first(joinable(left, plan, settings));
    std::int64_t rows = 0;
    for (const ModuleWeight& module : taken) rows += rows_of(module);
    auto part_bias = bias.defined() ? bias.narrow(0, row, rows) : bias;
    parts.push_back({make_part(taken, plan, std::move(part_bias), settings), rows});
    row += rows;
    left = left.subspan(taken.size());
  }
  if (parts.size() == 1) return std::move(parts[0].linear);
  return std::make_unique<Stacked>(std::move(parts));
}

}  // namespace assay_torch
