// The exact product of 8-bit codes, written once over a vector type V of an instruction set. What
// rows.hpp says of templates holds here too.
#pragma once

#include <cstdint>

#include "linear/kernels/kernels.hpp"

namespace assay_torch {

/// Sums over all columns for kRows rows and kTokens tokens, with V::kOffset added to each code of a
/// token.
template <class V, unsigned kRows, unsigned kTokens>
void sum_products(std::int64_t columns, const std::int8_t* x, const std::int8_t* weights,
                  std::int32_t (&out)[kTokens][kRows]) {
  typename V::Sums sums[kTokens][kRows];
  for (unsigned t = 0; t < kTokens; ++t) {
    for (unsigned r = 0; r < kRows; ++r) sums[t][r] = V::no_sums();
  }
  const auto step = [&](std::int64_t k, auto load_tokens, auto load_rows) {
    typename V::Codes tokens[kTokens];
    for (unsigned t = 0; t < kTokens; ++t) tokens[t] = load_tokens(x + t * columns + k);
    for (unsigned r = 0; r < kRows; ++r) {
      const auto row = load_rows(weights + r * columns + k);
      for (unsigned t = 0; t < kTokens; ++t)
        sums[t][r] = V::add_products(sums[t][r], tokens[t], row);
    }
  };
  std::int64_t k = 0;
  for (; k + V::kStep <= columns; k += V::kStep) step(k, V::load_tokens, V::load_rows);
  if (k < columns) {
    // Codes behind the end are zeros of the weights.
    std::int8_t last[(kTokens > kRows ? kTokens : kRows)][V::kStep];
    unsigned used = 0;
    const auto filled = [&](const std::int8_t* codes) {
      std::int8_t* const to = last[used++];
      __builtin_memset(to, 0, V::kStep);
      __builtin_memcpy(to, codes, static_cast<std::size_t>(columns - k));
      return static_cast<const std::int8_t*>(to);
    };
    typename V::Codes tokens[kTokens];
    for (unsigned t = 0; t < kTokens; ++t) tokens[t] = V::load_tokens(filled(x + t * columns + k));
    used = 0;
    for (unsigned r = 0; r < kRows; ++r) {
      const auto row = V::load_rows(filled(weights + r * columns + k));
      for (unsigned t = 0; t < kTokens; ++t)
        sums[t][r] = V::add_products(sums[t][r], tokens[t], row);
    }
  }
  for (unsigned t = 0; t < kTokens; ++t) {
    for (unsigned r = 0; r < kRows; ++r) out[t][r] = V::sum(sums[t][r]);
  }
}

template <class V, unsigned kRows, unsigned kTokens>
void int8_block(const Int8Tokens& x, const Int8Rows& m, std::int64_t token, std::int64_t row,
                float* out, std::int64_t stride) {
  std::int32_t sums[kTokens][kRows];
  sum_products<V, kRows, kTokens>(m.columns, x.codes + token * m.columns, m.codes + row * m.columns,
                                  sums);
  for (unsigned t = 0; t < kTokens; ++t) {
    for (unsigned r = 0; r < kRows; ++r) {
      const std::int32_t sum = sums[t][r] - V::kOffset * m.sums[row + r];
      float value = static_cast<float>(sum) * (x.scales[token + t] * m.scales[row + r]) * x.factor;
      if (m.bias != nullptr) value += m.bias[row + r];
      out[(token + t) * stride + row + r] = value;
    }
  }
}

template <class V, unsigned kRows>
void int8_rows(const Int8Tokens& x, const Int8Rows& m, RowRange tokens, std::int64_t row,
               float* out, std::int64_t stride) {
  std::int64_t t = tokens.first;
  const std::int64_t end = tokens.first + tokens.count;
  for (; t + 4 <= end; t += 4) int8_block<V, kRows, 4>(x, m, t, row, out, stride);
  for (; t < end; ++t) int8_block<V, kRows, 1>(x, m, t, row, out, stride);
}

template <class V>
void multiply_int8_with(const Int8Tokens& x, const Int8Rows& m, RowRange rows, float* out,
                        std::int64_t stride) {
  // So many tokens at a time stay in the second cache while the rows pass.
  constexpr std::int64_t kTokensAtOnce = 64;
  for (std::int64_t t = 0; t < x.tokens; t += kTokensAtOnce) {
    const std::int64_t left = x.tokens - t;
    const RowRange tokens{t, left < kTokensAtOnce ? left : kTokensAtOnce};
    std::int64_t n = rows.first;
    const std::int64_t end = rows.first + rows.count;
    for (; n + V::kRows <= end; n += V::kRows) int8_rows<V, V::kRows>(x, m, tokens, n, out, stride);
    for (; n < end; ++n) int8_rows<V, 1>(x, m, tokens, n, out, stride);
  }
}

}  // namespace assay_torch
