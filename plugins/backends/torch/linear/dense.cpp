#include "linear/dense.hpp"

#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

#include <utility>

namespace assay_torch {

Dense::Dense(at::Tensor weight, at::Tensor bias)
    : weight_(std::move(weight)), transposed_(weight_.t()), bias_(std::move(bias)) {}

void Dense::apply(const at::Tensor& x, at::Tensor& out,
                  std::span<const std::int64_t> /*lengths*/) const {
  if (bias_.defined()) {
    at::addmm_out(out, bias_, x, transposed_);
  } else {
    at::mm_out(out, x, transposed_);
  }
}

at::Tensor Dense::dequantize() const { return weight_; }

std::uint64_t Dense::bytes() const {
  return weight_.nbytes() + (bias_.defined() ? bias_.nbytes() : 0);
}

std::string Dense::describe() const {
  return "dense " +
         std::string(weight_.scalar_type() == at::kFloat ? "float32"
                                                         : c10::toString(weight_.scalar_type())) +
         " [" + std::to_string(weight_.size(0)) + ", " + std::to_string(weight_.size(1)) + "]";
}

}  // namespace assay_torch
