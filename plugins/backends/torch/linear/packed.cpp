#include "linear/packed.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <span>
#include <utility>

namespace assay_torch {
namespace {

/// The kernels may read this far behind the codes.
constexpr std::int64_t kReadable = 64;

FloatType float_type(const at::TensorOptions& options) {
  const auto type = at::typeMetaToScalarType(options.dtype());
  if (type == at::kBFloat16) return FloatType::kBfloat16;
  return type == at::kHalf ? FloatType::kFloat16 : FloatType::kFloat32;
}

at::ScalarType scalar_type(FloatType type) {
  if (type == FloatType::kBfloat16) return at::kBFloat16;
  return type == FloatType::kFloat16 ? at::kHalf : at::kFloat;
}

/// Columns in the order of their groups.
std::vector<std::int32_t> sorted_columns(const std::vector<std::int32_t>& group_of) {
  std::vector<std::int32_t> order(group_of.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return group_of[static_cast<std::size_t>(a)] < group_of[static_cast<std::size_t>(b)];
  });
  return order;
}

/// Sums of one token, rounded once with the bias in them.
template <class Value>
void write_sums(std::span<const float> sums, const Value* bias, Value* out) {
  for (std::size_t n = 0; n < sums.size(); ++n) {
    const float offset = bias == nullptr ? 0.0F : static_cast<float>(bias[n]);
    out[n] = static_cast<Value>(bias == nullptr ? sums[n] : sums[n] + offset);
  }
}

}  // namespace

Packed::Packed(QuantizedMatrix matrix, at::Tensor bias, const at::TensorOptions& options,
               const Kernels& kernels)
    : options_(options), kernels_(kernels), type_(float_type(options)), bias_(std::move(bias)) {
  if (!matrix.group_of.empty()) order_columns(matrix);
  keep(matrix);
}

/// Puts the columns of each group side by side.
void Packed::order_columns(QuantizedMatrix& matrix) {
  const auto groups = static_cast<std::size_t>(groups_per_row(matrix));
  group_begins_.assign(groups + 1, 0);
  for (const std::int32_t group : matrix.group_of)
    ++group_begins_[static_cast<std::size_t>(group) + 1];
  std::partial_sum(group_begins_.begin(), group_begins_.end(), group_begins_.begin());
  const std::vector<std::int32_t> order = sorted_columns(matrix.group_of);
  if (std::is_sorted(order.begin(), order.end())) return;
  const auto width = order.size();
  at::parallel_for(0, matrix.rows, 16, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint16_t> codes(width), ordered(width);
    for (std::int64_t row = begin; row < end; ++row) {
      read_codes(matrix, row, 0, codes);
      for (std::size_t k = 0; k < width; ++k)
        ordered[k] = codes[static_cast<std::size_t>(order[k])];
      write_codes(matrix, row, ordered);
    }
  });
  order_ = at::empty({matrix.columns}, at::kInt);
  std::memcpy(order_.mutable_data_ptr(), order.data(), order_.nbytes());
  order_ = order_.to(options_.device());
}

void Packed::keep(const QuantizedMatrix& matrix) {
  const auto code_bytes = static_cast<std::int64_t>(matrix.codes.size());
  codes_ = at::zeros({code_bytes + kReadable}, at::kByte);
  std::memcpy(codes_.mutable_data_ptr(), matrix.codes.data(), matrix.codes.size());
  const auto count = static_cast<std::int64_t>(matrix.scales.size());
  auto scales = at::empty({count}, at::kFloat);
  std::memcpy(scales.mutable_data_ptr(), matrix.scales.data(), scales.nbytes());
  scales_ = scales.to(scalar_type(matrix.scale_type));

  rows_ = {.form = matrix.form,
           .rows = matrix.rows,
           .columns = matrix.columns,
           .bits = matrix.form == Form::kInteger ? matrix.bits
                   : matrix.form == Form::kTable ? 4
                                                 : 8,
           .codes = codes_.const_data_ptr<std::uint8_t>(),
           .scales = scales_.const_data_ptr(),
           .scale_type = matrix.scale_type,
           .groups = groups_per_row(matrix),
           .group_size = matrix.group_size,
           .is_per_127 = matrix.is_per_127};
  rows_.row_bits = rows_.columns * rows_.bits;
  switch (matrix.form) {
    case Form::kInteger: {
      rows_.places = stream_places(matrix.bits);
      rows_.row_bits = words_per_row(matrix.columns, matrix.bits) * 32;
      if (!group_begins_.empty()) rows_.group_begins = group_begins_.data();
      for (int i = 0; i < 16; ++i)
        rows_.table[i] = static_cast<float>(i & static_cast<int>(rows_.places.mask));
      const auto [least, most] = std::ranges::minmax(matrix.zeros);
      rows_.zero = least;
      if (least == most) break;
      rows_.has_wide_zeros = most > 255;
      zeros_ = at::empty({count * (rows_.has_wide_zeros ? 2 : 1)}, at::kByte);
      auto* const bytes = zeros_.mutable_data_ptr<std::uint8_t>();
      if (rows_.has_wide_zeros)
        std::memcpy(bytes, matrix.zeros.data(), zeros_.nbytes());
      else
        std::ranges::transform(matrix.zeros, bytes,
                               [](std::uint16_t zero) { return static_cast<std::uint8_t>(zero); });
      rows_.zeros = bytes;
      break;
    }
    case Form::kTable:
      rows_.places = high_first_places();
      std::ranges::copy(matrix.table, rows_.table);
      break;
    case Form::kInt8:
      rows_.group_size = rows_.columns;
      break;
    case Form::kFp8:
      rows_.rows_per_scale = matrix.block_rows == 0 ? matrix.rows : matrix.block_rows;
      rows_.group_size = matrix.block_columns == 0 ? matrix.columns : matrix.block_columns;
      rows_.groups = (rows_.columns + rows_.group_size - 1) / rows_.group_size;
      break;
  }
}

void Packed::apply(const at::Tensor& x, at::Tensor& out,
                   std::span<const std::int64_t> /*lengths*/) const {
  const at::Tensor ordered = order_.defined() ? x.index_select(1, order_) : x;
  if (x.is_cpu() && x.size(0) <= kFewTokens)
    apply_to_few(ordered, out);
  else
    apply_in_tiles(ordered, out);
}

void Packed::apply_to_few(const at::Tensor& x, at::Tensor& out) const {
  constexpr std::int64_t kRowsAtOnce = 64;
  const std::int64_t tokens = x.size(0);
  const auto wide = x.to(at::kFloat).contiguous();
  const auto* const values = wide.const_data_ptr<float>();
  const auto work = [&]<class Value>(const Value* bias, Value* written) {
    at::parallel_for(0, rows_.rows, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      float sums[std::size_t{kFewTokens * kRowsAtOnce}];
      for (std::int64_t row = begin; row < end; row += kRowsAtOnce) {
        const std::int64_t count = std::min(kRowsAtOnce, end - row);
        kernels_.multiply(rows_, {row, count}, values, tokens, sums);
        for (std::int64_t t = 0; t < tokens; ++t) {
          write_sums({sums + t * count, static_cast<std::size_t>(count)},
                     bias == nullptr ? nullptr : bias + row, written + t * out.stride(0) + row);
        }
      }
    });
  };
  const auto work_as = [&]<class Value>(Value* written) {
    work(bias_.defined() ? bias_.const_data_ptr<Value>() : static_cast<const Value*>(nullptr),
         written);
  };
  if (type_ == FloatType::kFloat32) return work_as(out.mutable_data_ptr<float>());
  if (type_ == FloatType::kBfloat16) return work_as(out.mutable_data_ptr<at::BFloat16>());
  work_as(out.mutable_data_ptr<at::Half>());
}

void Packed::apply_in_tiles(const at::Tensor& x, at::Tensor& out) const {
  const std::int64_t row_bytes = rows_.columns * static_cast<std::int64_t>(size_bytes(type_));
  const std::int64_t tile_rows =
      std::min(rows_.rows, std::max(std::int64_t{16}, kTileBytes / row_bytes / 16 * 16));
  const auto tile =
      at::empty({tile_rows, rows_.columns}, at::TensorOptions(options_).device(at::kCPU));
  for (std::int64_t first = 0; first < rows_.rows; first += tile_rows) {
    const std::int64_t count = std::min(tile_rows, rows_.rows - first);
    const auto values = tile.narrow(0, 0, count);
    dequantize_into({first, count}, values);
    const auto weights = values.to(options_.device());
    auto into = out.narrow(1, first, count);
    if (bias_.defined())
      at::addmm_out(into, bias_.narrow(0, first, count), x, weights.t());
    else
      at::mm_out(into, x, weights.t());
  }
}

/// Shapes   values [rows.count, columns] contiguous, in the compute dtype, on the CPU
void Packed::dequantize_into(RowRange rows, const at::Tensor& values) const {
  auto* const bytes = static_cast<std::byte*>(values.mutable_data_ptr());
  const std::int64_t row_bytes = values.stride(0) * values.element_size();
  constexpr std::int64_t kFewestRows = 8;
  at::parallel_for(0, rows.count, kFewestRows, [&](std::int64_t begin, std::int64_t end) {
    kernels_.dequantize(rows_, {rows.first + begin, end - begin}, type_, bytes + begin * row_bytes);
  });
}

at::Tensor Packed::dequantize() const {
  auto values =
      at::empty({rows_.rows, rows_.columns}, at::TensorOptions(options_).device(at::kCPU));
  dequantize_into({0, rows_.rows}, values);
  values = values.to(options_.device());
  return order_.defined() ? values.index_select(1, at::argsort(order_)) : values;
}

std::uint64_t Packed::bytes() const {
  std::uint64_t bytes = group_begins_.size() * sizeof(std::int32_t);
  for (const at::Tensor& tensor : {codes_, scales_, zeros_, order_, bias_}) {
    if (tensor.defined()) bytes += tensor.nbytes();
  }
  return bytes;
}

std::string Packed::describe() const {
  std::string text = "packed ";
  switch (rows_.form) {
    case Form::kInteger:
      text += "int" + std::to_string(rows_.bits) +
              (rows_.group_begins != nullptr
                   ? ", " + std::to_string(rows_.groups) + " groups in an order of their own"
                   : ", groups of " + std::to_string(rows_.group_size));
      break;
    case Form::kTable:
      text += "table of 16, blocks of " + std::to_string(rows_.group_size);
      break;
    case Form::kInt8:
      text += "int8";
      break;
    case Form::kFp8:
      text += "fp8, blocks of " + std::to_string(rows_.rows_per_scale) + " x " +
              std::to_string(rows_.group_size);
      break;
  }
  return text + " [" + std::to_string(rows_.rows) + ", " + std::to_string(rows_.columns) + "], " +
         (options_.device().is_cpu() ? kernels_.name : "dequantized in every call");
}

}  // namespace assay_torch
