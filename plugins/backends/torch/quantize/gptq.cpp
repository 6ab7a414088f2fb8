#include "quantize/gptq.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <assay/error.hpp>
#include <cstddef>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace assay_torch {
namespace {

constexpr std::int64_t kBlock = 128;  // columns between two products with all that follow
constexpr double kMostDamping = 1e6;

/// The order in which columns are taken, and the group of each, by place in that order.
struct Order {
  std::vector<std::int64_t> columns, groups;
  bool is_natural = true;  // groups lie in the file as they do without a g_idx
};

std::vector<std::int64_t> sorted_by(const std::vector<double>& keys) {
  std::vector<std::int64_t> out(keys.size());
  std::iota(out.begin(), out.end(), std::int64_t{0});
  std::stable_sort(out.begin(), out.end(), [&](std::int64_t a, std::int64_t b) {
    return keys[static_cast<std::size_t>(a)] > keys[static_cast<std::size_t>(b)];
  });
  return out;
}

Order order_of(const std::vector<double>& diagonal, const GptqSettings& settings,
               std::int64_t width) {
  Order out;
  const auto columns = static_cast<std::int64_t>(diagonal.size());
  if (settings.act_order) {
    out.columns = sorted_by(diagonal);
    out.is_natural = settings.static_groups || width >= columns;
  } else if (settings.group_aware) {
    std::vector<double> tops(static_cast<std::size_t>((columns + width - 1) / width), 0);
    for (std::size_t k = 0; k < diagonal.size(); ++k) {
      double& top = tops[k / static_cast<std::size_t>(width)];
      top = std::max(top, diagonal[k]);
    }
    const auto by_column = sorted_by(diagonal);
    for (const std::int64_t group : sorted_by(tops)) {
      std::copy_if(by_column.begin(), by_column.end(), std::back_inserter(out.columns),
                   [&](std::int64_t k) { return k / width == group; });
    }
  } else {
    out.columns.resize(diagonal.size());
    std::iota(out.columns.begin(), out.columns.end(), std::int64_t{0});
  }
  const bool is_by_place = settings.act_order && !settings.static_groups;
  for (std::int64_t i = 0; i < columns; ++i)
    out.groups.push_back((is_by_place ? i : out.columns[static_cast<std::size_t>(i)]) / width);
  return out;
}

/// The upper Cholesky factor of the inverse of the damped Hessian; `hessian` is used up.
at::Tensor factor(at::Tensor hessian, const GptqSettings& settings, GptqResult& result) {
  auto diagonal = hessian.diagonal();
  const auto plain = diagonal.clone();
  const double mean = plain.mean().item<double>();
  result.damping = settings.damping;
  for (result.attempts = 1;; ++result.attempts) {
    diagonal.copy_(plain.add(result.damping * mean));
    auto [lower, info] = at::linalg_cholesky_ex(hessian);
    if (info.item<int>() == 0) {
      const auto inverse = at::cholesky_inverse(lower);
      lower.reset();
      auto [upper, failed] = at::linalg_cholesky_ex(inverse, /*upper=*/true);
      if (failed.item<int>() == 0) return upper;
    }
    result.damping = result.damping == 0 ? 0.01 : 10 * result.damping;
    if (result.damping > kMostDamping) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "",
                         "the Hessian of the calibration's activations is not positive definite "
                         "however much it is damped; use another calibration, or method rtn");
    }
  }
}

/// The quantizer of one matrix. Weights lie column after column, in the order they are taken, so
/// that a column is contiguous; rows do not know of each other and are shared out to threads.
class Columns {
 public:
  Columns(const at::Tensor& weights, const GridSettings& settings, Order order,
          QuantizedMatrix& out)
      : rows_(weights.size(0)),
        columns_(weights.size(1)),
        groups_in_row_(groups_in_row(columns_, settings)),
        settings_(settings),
        order_(std::move(order)),
        out_(out),
        codes_(static_cast<std::size_t>(rows_ * columns_)) {
    const auto taken = at::tensor(order_.columns);
    weights_ = weights.t().index_select(0, taken).to(at::kDouble).contiguous();
  }

  /// Sets the grid of every row for the group of the columns [begin, end) in the order.
  void set_grids(std::int64_t begin, std::int64_t end) {
    const std::int64_t group = order_.groups[static_cast<std::size_t>(begin)];
    const double* values = weights_.const_data_ptr<double>();
    at::parallel_for(0, rows_, 64, [&](std::int64_t first, std::int64_t last) {
      std::vector<float> member(static_cast<std::size_t>(end - begin));
      for (std::int64_t row = first; row < last; ++row) {
        for (std::int64_t i = begin; i < end; ++i)
          member[static_cast<std::size_t>(i - begin)] = static_cast<float>(values[i * rows_ + row]);
        const Grid grid = grid_of(member, settings_);
        const auto at = static_cast<std::size_t>(row * groups_in_row_ + group);
        out_.scales[at] = grid.scale;
        out_.zeros[at] = grid.zero;
      }
    });
  }

  /// Grids of all groups from the weights as they are.
  void set_all_grids() {
    std::vector<std::vector<std::int64_t>> members(static_cast<std::size_t>(groups_in_row_));
    for (std::int64_t i = 0; i < columns_; ++i)
      members[static_cast<std::size_t>(order_.groups[static_cast<std::size_t>(i)])].push_back(i);
    const double* values = weights_.const_data_ptr<double>();
    at::parallel_for(0, rows_, 64, [&](std::int64_t first, std::int64_t last) {
      std::vector<float> member;
      for (std::int64_t row = first; row < last; ++row) {
        for (std::size_t group = 0; group < members.size(); ++group) {
          member.clear();
          for (const std::int64_t i : members[group])
            member.push_back(static_cast<float>(values[i * rows_ + row]));
          const Grid grid = grid_of(member, settings_);
          const auto at = static_cast<std::size_t>(row * groups_in_row_) + group;
          out_.scales[at] = grid.scale;
          out_.zeros[at] = grid.zero;
        }
      }
    });
  }

  /// Chooses the codes of the columns [begin, end) and leaves their errors, each over its entry of
  /// the factor's diagonal, where the weights were.
  void quantize(std::int64_t begin, std::int64_t end, const at::Tensor& factor, bool has_grids) {
    const double* upper = factor.const_data_ptr<double>();
    double* values = weights_.mutable_data_ptr<double>();
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t group = order_.groups[static_cast<std::size_t>(i)];
      const bool is_first = i == 0 || order_.groups[static_cast<std::size_t>(i - 1)] != group;
      if (!has_grids && is_first) set_grids(i, group_end(i));
      const double* entries = upper + i * columns_;
      const std::int64_t column = order_.columns[static_cast<std::size_t>(i)];
      at::parallel_for(0, rows_, 256, [&](std::int64_t first, std::int64_t last) {
        double* errors = values + i * rows_;
        for (std::int64_t row = first; row < last; ++row) {
          const auto at = static_cast<std::size_t>(row * groups_in_row_ + group);
          const Grid grid{out_.scales[at], out_.zeros[at]};
          const std::uint16_t code = code_of(static_cast<float>(errors[row]), grid, settings_.bits);
          codes_[static_cast<std::size_t>(row * columns_ + column)] = code;
          errors[row] = (errors[row] - double{value_of(code, grid)}) / entries[i];
        }
        for (std::int64_t next = i + 1; next < end; ++next) {
          double* later = values + next * rows_;
          const double share = entries[next];
          for (std::int64_t row = first; row < last; ++row) later[row] -= share * errors[row];
        }
      });
    }
  }

  /// Makes up, in the columns from `end` on, for the errors of [begin, end).
  void make_up(std::int64_t begin, std::int64_t end, const at::Tensor& factor) {
    if (end == columns_) return;
    auto rest = weights_.narrow(0, end, columns_ - end);
    const auto shares = factor.narrow(0, begin, end - begin).narrow(1, end, columns_ - end);
    at::addmm_out(rest, rest, shares.t(), weights_.narrow(0, begin, end - begin), 1, -1);
  }

  /// Where the columns of the group that begins at `begin` end.
  std::int64_t group_end(std::int64_t begin) const {
    std::int64_t end = begin;
    while (end < columns_ && order_.groups[static_cast<std::size_t>(end)] ==
                                 order_.groups[static_cast<std::size_t>(begin)])
      ++end;
    return end;
  }

  void write() {
    const std::span<const std::uint16_t> codes(codes_);
    const auto width = static_cast<std::size_t>(columns_);
    for (std::int64_t row = 0; row < rows_; ++row)
      write_codes(out_, row, codes.subspan(static_cast<std::size_t>(row) * width, width));
    if (order_.is_natural) return;
    out_.group_of.resize(width);
    for (std::size_t i = 0; i < width; ++i)
      out_.group_of[static_cast<std::size_t>(order_.columns[i])] =
          static_cast<std::int32_t>(order_.groups[i]);
  }

 private:
  std::int64_t rows_, columns_, groups_in_row_;
  const GridSettings& settings_;
  Order order_;
  QuantizedMatrix& out_;
  std::vector<std::uint16_t> codes_;  // [rows, columns] as the file orders them
  at::Tensor weights_;                // [columns, rows] in the order taken
};

}  // namespace

GptqResult gptq_quantize(const at::Tensor& weights, const at::Tensor& hessian,
                         const GptqSettings& settings, const GridSettings& grid) {
  const std::int64_t columns = weights.size(1);
  if (!at::isfinite(hessian).all().item<bool>()) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "",
                       "the activations of the calibration are not finite, so there is no Hessian; "
                       "compute with dtype = \"float32\", or use another calibration");
  }
  GptqResult result;
  result.matrix = empty_integer_matrix(weights.size(0), columns, grid);
  auto work = hessian.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  auto alive = weights.clone();
  std::vector<double> diagonal;
  for (std::int64_t k = 0; k < columns; ++k) {
    double& entry = work.mutable_data_ptr<double>()[k * columns + k];
    if (entry == 0) {
      entry = 1;
      alive.select(1, k).zero_();
      ++result.dead_columns;
    }
    diagonal.push_back(entry);
  }
  const std::int64_t width = group_width(columns, grid);
  Order order = order_of(diagonal, settings, width);
  if (settings.act_order || settings.group_aware) {
    const auto taken = at::tensor(order.columns);
    work = work.index_select(0, taken).index_select(1, taken);
  }
  const auto upper = factor(std::move(work), settings, result).contiguous();
  Columns state(alive, grid, std::move(order), result.matrix);
  if (settings.static_groups) state.set_all_grids();
  // Blocks end where groups do, so that a group's grid is made of weights that all is made up in.
  const std::int64_t step = width <= kBlock ? kBlock / width * width : kBlock;
  for (std::int64_t begin = 0; begin < columns;) {
    std::int64_t end = std::min(begin + step, columns);
    if (width > kBlock) end = std::min(end, begin / width * width + width);
    state.quantize(begin, end, upper, settings.static_groups);
    state.make_up(begin, end, upper);
    begin = end;
  }
  state.write();
  return result;
}

}  // namespace assay_torch
