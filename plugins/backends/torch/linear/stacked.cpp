#include "linear/stacked.hpp"

#include <ATen/ops/cat.h>

#include <utility>

namespace assay_torch {

Stacked::Stacked(std::vector<Part> parts) : parts_(std::move(parts)) {}

void Stacked::apply(const at::Tensor& x, at::Tensor& out,
                    std::span<const std::int64_t> lengths) const {
  std::int64_t row = 0;
  for (const Part& part : parts_) {
    auto into = out.narrow(1, row, part.rows);
    part.linear->apply(x, into, lengths);
    row += part.rows;
  }
}

at::Tensor Stacked::dequantize() const {
  std::vector<at::Tensor> weights;
  for (const Part& part : parts_) weights.push_back(part.linear->dequantize());
  return at::cat(weights);
}

std::uint64_t Stacked::bytes() const {
  std::uint64_t bytes = 0;
  for (const Part& part : parts_) bytes += part.linear->bytes();
  return bytes;
}

std::string Stacked::describe() const {
  std::string text;
  for (const Part& part : parts_) text += (text.empty() ? "" : "; ") + part.linear->describe();
  return text;
}

}  // namespace assay_torch
