#include "quantize/gptq.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

using Matrix = std::vector<std::vector<double>>;

at::Tensor tensor_of(const Matrix& values) {
  const auto rows = static_cast<std::int64_t>(values.size());
  const auto columns = static_cast<std::int64_t>(values[0].size());
  auto out = at::empty({rows, columns}, at::kFloat);
  float* at = out.mutable_data_ptr<float>();
  for (const auto& row : values) {
    for (const double value : row) *at++ = static_cast<float>(value);
  }
  return out;
}

Matrix random_matrix(std::size_t rows, std::size_t columns, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Matrix out(rows, std::vector<double>(columns));
  for (auto& row : out) {
    for (double& value : row) value = double{normal(random)};
  }
  return out;
}

/// X X^T of columns that depend on each other, rounded to what float32 holds.
Matrix random_hessian(std::size_t columns, unsigned seed) {
  Matrix x = random_matrix(columns, 3 * columns, seed);
  for (std::size_t k = 1; k < columns; ++k) {
    for (std::size_t t = 0; t < x[k].size(); ++t)
      x[k][t] = 0.7 * x[k - 1][t] + x[k][t] * (1 + 0.2 * double(k % 5));
  }
  Matrix out(columns, std::vector<double>(columns));
  for (std::size_t i = 0; i < columns; ++i) {
    for (std::size_t j = 0; j < columns; ++j)
      out[i][j] = double{static_cast<float>(
          std::inner_product(x[i].begin(), x[i].end(), x[j].begin(), 0.0) / double(3 * columns))};
  }
  return out;
}

Matrix inverse(Matrix a) {
  const std::size_t n = a.size();
  Matrix out(n, std::vector<double>(n));
  for (std::size_t i = 0; i < n; ++i) out[i][i] = 1;
  for (std::size_t i = 0; i < n; ++i) {
    const double pivot = a[i][i];
    for (std::size_t j = 0; j < n; ++j) {
      a[i][j] /= pivot;
      out[i][j] /= pivot;
    }
    for (std::size_t r = 0; r < n; ++r) {
      if (r == i) continue;
      const double share = a[r][i];
      for (std::size_t j = 0; j < n; ++j) {
        a[r][j] -= share * a[i][j];
        out[r][j] -= share * out[i][j];
      }
    }
  }
  return out;
}

/// The paper's equations 2 and 3, one column after the other and no Cholesky factor: a column that
/// is done is eliminated from the inverse of the Hessian.
Matrix reference(Matrix w, Matrix h, const std::vector<std::size_t>& order,
                 const GridSettings& settings, double damping) {
  const std::size_t n = h.size();
  double mean = 0;
  for (std::size_t k = 0; k < n; ++k) mean += h[k][k] / double(n);
  for (std::size_t k = 0; k < n; ++k) h[k][k] += damping * mean;
  Matrix inverted = inverse(h);
  const auto width = static_cast<std::size_t>(group_width(std::int64_t(n), settings));
  Matrix out(w.size(), std::vector<double>(n));
  std::vector<Grid> grids(w.size());
  for (std::size_t place = 0; place < n; ++place) {
    const std::size_t k = order[place];
    for (std::size_t row = 0; row < w.size(); ++row) {
      if (place % width == 0) {
        std::vector<float> group;
        for (std::size_t i = place; i < std::min(place + width, n); ++i)
          group.push_back(static_cast<float>(w[row][order[i]]));
        grids[row] = grid_of(group, settings);
      }
      const std::uint16_t code = code_of(static_cast<float>(w[row][k]), grids[row], settings.bits);
      out[row][k] = double{value_of(code, grids[row])};
      const double error = (w[row][k] - out[row][k]) / inverted[k][k];
      for (std::size_t i = place; i < n; ++i) w[row][order[i]] -= error * inverted[k][order[i]];
    }
    for (std::size_t i = place + 1; i < n; ++i) {
      const double share = inverted[order[i]][k] / inverted[k][k];
      for (std::size_t j = place; j < n; ++j)
        inverted[order[i]][order[j]] -= share * inverted[k][order[j]];
    }
  }
  return out;
}

std::vector<float> restored(const QuantizedMatrix& matrix) {
  std::vector<float> out(static_cast<std::size_t>(matrix.rows * matrix.columns));
  dequantize(matrix, out);
  return out;
}

std::vector<float> flat(const Matrix& values) {
  std::vector<float> out;
  for (const auto& row : values) {
    for (const double value : row) out.push_back(static_cast<float>(value));
  }
  return out;
}

// Steps of 1 from 0 to 3. 0.4 becomes 0, an error of 0.4, of which H12 / H22 = 1/2 is made up for
// in the second column: 2.4 + 0.2 becomes 3, where alone it became 2.
TEST(Gptq, MakesUpInTheNextColumnForWhatTheFirstLost) {
  const at::Tensor w = tensor_of({{0.4, 2.4, 3}});
  const at::Tensor h = tensor_of({{2, 1, 0}, {1, 2, 0}, {0, 0, 1}});
  const GptqResult result = gptq_quantize(w, h, {.damping = 0}, {.bits = 2, .group_size = 0});
  EXPECT_EQ(restored(result.matrix), (std::vector<float>{0, 3, 3}));
  EXPECT_EQ(result.damping, 0);
  EXPECT_EQ(result.attempts, 1);
}

TEST(Gptq, IsRoundToNearestWhereInputsAreIndependent) {
  const Matrix w = random_matrix(5, 40, 1);
  const GridSettings grid{.bits = 3, .group_size = 16};
  const auto ours = gptq_quantize(tensor_of(w), at::eye(40), {}, grid);
  EXPECT_EQ(restored(ours.matrix), restored(rtn_quantize(flat(w), 5, 40, grid)));
}

// Float64 on both sides, so that codes are the same unless a weight lies within 1e-12 of a bound.
TEST(Gptq, DoesWhatThePapersEquationsSay) {
  for (const std::int64_t group : {0, 8, 12}) {
    const Matrix w = random_matrix(6, 40, 2), h = random_hessian(40, 3);
    const GridSettings grid{.bits = 3, .group_size = group};
    std::vector<std::size_t> order(40);
    std::iota(order.begin(), order.end(), std::size_t{0});
    EXPECT_EQ(restored(gptq_quantize(tensor_of(w), tensor_of(h), {.damping = 0.01}, grid).matrix),
              flat(reference(w, h, order, grid, 0.01)))
        << "groups of " << group;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return h[a][a] > h[b][b]; });
    const auto sorted =
        gptq_quantize(tensor_of(w), tensor_of(h), {.damping = 0.01, .act_order = true}, grid);
    EXPECT_EQ(restored(sorted.matrix), flat(reference(w, h, order, grid, 0.01)))
        << "groups of " << group << ", largest first";
    EXPECT_EQ(sorted.matrix.group_of.empty(), group == 0);
  }
}

// 150 columns in groups of 140 and of 24: blocks of columns end where neither 128 nor the row does.
TEST(Gptq, BlocksOfColumnsChangeNothing) {
  const Matrix w = random_matrix(2, 150, 4), h = random_hessian(150, 5);
  std::vector<std::size_t> order(150);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (const std::int64_t group : {140, 24}) {
    const GridSettings grid{.bits = 4, .group_size = group, .symmetric = true};
    EXPECT_EQ(restored(gptq_quantize(tensor_of(w), tensor_of(h), {.damping = 0.1}, grid).matrix),
              flat(reference(w, h, order, grid, 0.1)));
  }
}

double lost(const Matrix& w, const Matrix& h, const QuantizedMatrix& matrix) {
  auto d = restored(matrix);
  const auto plain = flat(w);
  double sum = 0;
  const std::size_t n = h.size();
  for (std::size_t i = 0; i < d.size(); ++i) d[i] -= plain[i];
  for (std::size_t row = 0; row < w.size(); ++row) {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j)
        sum += double{d[row * n + i]} * h[i][j] * double{d[row * n + j]};
    }
  }
  return sum;
}

TEST(Gptq, EveryOrderAndStaticGroupsLoseLessThanRoundToNearest) {
  const Matrix w = random_matrix(16, 96, 6), h = random_hessian(96, 7);
  const GridSettings grid{.bits = 3, .group_size = 32, .scale_type = FloatType::kFloat16};
  const double plain = lost(w, h, rtn_quantize(flat(w), 16, 96, grid));
  for (const GptqSettings& settings :
       {GptqSettings{}, GptqSettings{.act_order = true}, GptqSettings{.group_aware = true},
        GptqSettings{.static_groups = true},
        GptqSettings{.act_order = true, .static_groups = true}}) {
    const auto result = gptq_quantize(tensor_of(w), tensor_of(h), settings, grid);
    EXPECT_LT(lost(w, h, result.matrix), 0.8 * plain);
    const bool is_by_place = settings.act_order && !settings.static_groups;
    for (std::size_t k = 0; is_by_place && k < 96; ++k) EXPECT_LT(result.matrix.group_of[k], 3);
  }
}

// With groups fixed beforehand the file needs no g_idx, whatever the order.
TEST(Gptq, StaticGroupsStayWhereTheyAre) {
  const Matrix w = random_matrix(2, 64, 8), h = random_hessian(64, 9);
  const auto result =
      gptq_quantize(tensor_of(w), tensor_of(h), {.act_order = true, .static_groups = true},
                    {.bits = 4, .group_size = 16});
  EXPECT_TRUE(result.matrix.group_of.empty());
  EXPECT_EQ(result.matrix.scales,
            rtn_quantize(flat(w), 2, 64, {.bits = 4, .group_size = 16}).scales);
}

TEST(Gptq, DampsAHessianThatIsNotPositiveDefiniteUntilItIs) {
  const Matrix w = random_matrix(2, 3, 10);
  const Matrix h = {{1, 2.5, 0}, {2.5, 1, 0}, {0, 0, 1}};  // eigenvalues 3.5, 1, -1.5
  const auto result =
      gptq_quantize(tensor_of(w), tensor_of(h), {.damping = 0}, {.bits = 4, .group_size = 0});
  EXPECT_EQ(result.attempts, 5);  // 0, 0.01, 0.1, 1 and, past the eigenvalue of -1.5, 10
  EXPECT_EQ(result.damping, 10);
  for (const float value : restored(result.matrix)) EXPECT_TRUE(std::isfinite(value));
}

TEST(Gptq, ColumnsThatNoTokenReachedBecomeZero) {
  Matrix h = random_hessian(6, 11);
  for (std::size_t k = 0; k < 6; ++k) h[2][k] = h[k][2] = 0;
  const auto result = gptq_quantize(tensor_of(random_matrix(3, 6, 12)), tensor_of(h), {},
                                    {.bits = 4, .group_size = 0});
  EXPECT_EQ(result.dead_columns, 1);
  const auto values = restored(result.matrix);
  for (std::size_t row = 0; row < 3; ++row) EXPECT_EQ(values[row * 6 + 2], 0.0F);
}

TEST(Gptq, RefusesAHessianThatIsNotFinite) {
  Matrix h = random_hessian(4, 13);
  h[1][2] = NAN;
  EXPECT_EQ(assay_torch_test::thrown(
                [&] { gptq_quantize(tensor_of(random_matrix(1, 4, 14)), tensor_of(h), {}, {}); }),
            "3 the activations of the calibration are not finite, so there is no Hessian; compute "
            "with dtype = \"float32\", or use another calibration");
}

}  // namespace
}  // namespace assay_torch
