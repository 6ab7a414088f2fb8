// The kernels over a quantized matrix, written once over a vector type V of an instruction set.
// Each set's file brings its V and nothing else.
//
// All is a template of V, and V lies in an unnamed namespace: were there a function that two of
// those files share, the linker would keep one of them, perhaps with instructions that the machine
// lacks. For the same reason nothing inline of the standard library is called here.
#pragma once

#include <cstdint>

#include "linear/kernels/kernels.hpp"

namespace assay_torch {

/// Columns of one row that share a scale.
struct Run {
  std::int64_t begin = 0, end = 0;
  std::int64_t group = 0;  ///< in the row
  std::int64_t scale = 0;  ///< index
};

template <class V>
Run first_run(const PackedRows& m, std::int64_t row) {
  Run run;
  std::int64_t end = m.group_size;
  if (m.form == Form::kTable) {
    const std::int64_t flat = row * m.columns;
    run.scale = flat / m.group_size;
    end = (run.scale + 1) * m.group_size - flat;
  } else {
    run.scale = row / m.rows_per_scale * m.groups;
    if (m.group_begins != nullptr) end = m.group_begins[1];
  }
  run.end = end < m.columns ? end : m.columns;
  return run;
}

template <class V>
void advance(const PackedRows& m, Run& run) {
  run.begin = run.end;
  ++run.group;
  ++run.scale;
  if (run.begin == m.columns) return;
  const std::int64_t end =
      m.group_begins != nullptr ? m.group_begins[run.group + 1] : run.begin + m.group_size;
  run.end = end < m.columns ? end : m.columns;
}

/// Finite values only.
template <class V>
float half_value(std::uint16_t half) {
  const std::uint32_t size = static_cast<std::uint32_t>(half & 0x7FFFU) << 13;
  const float value = __builtin_bit_cast(float, size) * 0x1p112F;
  return (half & 0x8000U) != 0 ? -value : value;
}

template <class V>
float scale_at(const PackedRows& m, std::int64_t index) {
  if (m.scale_type == FloatType::kFloat32) return static_cast<const float*>(m.scales)[index];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(m.scales)[index];
  if (m.scale_type == FloatType::kFloat16) return half_value<V>(bits);
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
}

template <class V>
float zero_at(const PackedRows& m, std::int64_t index) {
  if (m.zeros == nullptr) return m.zero;
  if (m.has_wide_zeros)
    return static_cast<float>(static_cast<const std::uint16_t*>(m.zeros)[index]);
  return static_cast<float>(static_cast<const std::uint8_t*>(m.zeros)[index]);
}

template <class V>
float e4m3_value_of(std::uint8_t code) {
  const std::uint32_t size = code & 0x7FU;
  float value = __builtin_bit_cast(float, size << 20) * 0x1p120F;
  if (size == 0x7F) value = __builtin_nanf("");
  return (code & 0x80U) != 0 ? -value : value;
}

/// The code of one column.
template <class V>
std::uint32_t code_at(const PackedRows& m, std::int64_t row, std::int64_t column) {
  const std::int64_t at = row * m.row_bits + column * m.bits;
  const std::uint8_t* bytes = m.codes + at / 8;
  if (m.form == Form::kTable) return at % 8 == 0 ? unsigned{*bytes} >> 4 : *bytes & 15U;
  std::uint32_t three = 0;
  for (unsigned i = 0; i < 3; ++i) three |= static_cast<std::uint32_t>(bytes[i]) << (8 * i);
  return three >> (at % 8) & static_cast<std::uint32_t>(m.places.mask);
}

/// How the codes of a form become weights: `Scale` is made once for a run of columns, `at` gives
/// the weights of V::kWidth columns, `one` that of a single one.
///
/// Codes of up to 4 bits are looked up in a table of the 16 weights they stand for.
template <class V, bool kCrosses>
struct Lookup {
  struct Scale {
    typename V::Table weights;
    float scale, zero;
  };
  typename V::Places places;

  explicit Lookup(const PackedRows& m) : places(V::places(m.places)) {}
  Scale scale(const PackedRows& m, std::int64_t index) const {
    const float scale = scale_at<V>(m, index), zero = zero_at<V>(m, index);
    return {V::table(m.table, scale, zero), scale, zero};
  }
  typename V::Floats at(const std::uint8_t* codes, const Scale& s) const {
    return V::lookup(s.weights, V::template unpack_narrow<kCrosses>(codes, places));
  }
  float one(const PackedRows& m, std::int64_t row, std::int64_t column, const Scale& s) const {
    return s.scale * (m.table[code_at<V>(m, row, column)] - s.zero);
  }
};

/// Integers of 5 to 16 bits.
template <class V, bool kCrosses>
struct Wide {
  struct Scale {
    float scale, zero;
  };
  typename V::Places places;

  explicit Wide(const PackedRows& m) : places(V::places(m.places)) {}
  Scale scale(const PackedRows& m, std::int64_t index) const {
    return {scale_at<V>(m, index), zero_at<V>(m, index)};
  }
  typename V::Floats at(const std::uint8_t* codes, const Scale& s) const {
    const auto steps =
        V::subtract(V::to_floats(V::template unpack_wide<kCrosses>(codes, places)), V::all(s.zero));
    return V::multiply(V::all(s.scale), steps);
  }
  float one(const PackedRows& m, std::int64_t row, std::int64_t column, const Scale& s) const {
    return s.scale * (static_cast<float>(code_at<V>(m, row, column)) - s.zero);
  }
};

/// With kPer127 there is a second product, by float32(1/127).
template <class V, bool kPer127>
struct SignedBytes {
  using Scale = float;
  static constexpr float kFactor = 7.874015718698502e-3F;

  explicit SignedBytes(const PackedRows& /*m*/) {}
  Scale scale(const PackedRows& m, std::int64_t index) const { return scale_at<V>(m, index); }
  typename V::Floats at(const std::uint8_t* codes, Scale s) const {
    const auto weights = V::multiply(V::int8(codes), V::all(s));
    return kPer127 ? V::multiply(weights, V::all(kFactor)) : weights;
  }
  float one(const PackedRows& m, std::int64_t row, std::int64_t column, Scale s) const {
    const auto code = static_cast<std::int8_t>(m.codes[row * m.columns + column]);
    const float weight = static_cast<float>(code) * s;
    return kPer127 ? weight * kFactor : weight;
  }
};

template <class V>
struct Fp8 {
  using Scale = float;

  explicit Fp8(const PackedRows& /*m*/) {}
  Scale scale(const PackedRows& m, std::int64_t index) const { return scale_at<V>(m, index); }
  typename V::Floats at(const std::uint8_t* codes, Scale s) const {
    return V::multiply(V::e4m3(codes), V::all(s));
  }
  float one(const PackedRows& m, std::int64_t row, std::int64_t column, Scale s) const {
    return e4m3_value_of<V>(m.codes[row * m.columns + column]) * s;
  }
};

/// Calls `vectors(column, codes)` for whole vectors of the run and `one(column)` for the columns
/// that make none or do not begin a byte.
template <class V, class Vectors, class One>
void for_columns(const PackedRows& m, std::int64_t row, const Run& run, Vectors&& vectors,
                 One&& one) {
  std::int64_t k = run.begin;
  const std::int64_t base = row * m.row_bits, step_bits = std::int64_t{V::kWidth} * m.bits;
  while (k < run.end && (base + k * m.bits) % 8 != 0) one(k++);
  const std::uint8_t* codes = m.codes + (base + k * m.bits) / 8;
  for (; step_bits % 8 == 0 && k + V::kWidth <= run.end; k += V::kWidth) {
    vectors(k, codes);
    codes += step_bits / 8;
  }
  while (k < run.end) one(k++);
}

template <class V, class Weights, FloatType kType>
void dequantize_as(const PackedRows& m, RowRange rows, void* out) {
  const Weights weights(m);
  constexpr std::int64_t kBytes = kType == FloatType::kFloat32 ? 4 : 2;
  auto* const bytes = static_cast<std::uint8_t*>(out);
  for (std::int64_t i = 0; i < rows.count; ++i) {
    const std::int64_t row = rows.first + i;
    std::uint8_t* const to = bytes + i * m.columns * kBytes;
    for (Run run = first_run<V>(m, row); run.begin < m.columns; advance<V>(m, run)) {
      const auto scale = weights.scale(m, run.scale);
      for_columns<V>(
          m, row, run,
          [&](std::int64_t k, const std::uint8_t* codes) {
            V::template store<kType>(to + k * kBytes, weights.at(codes, scale));
          },
          [&](std::int64_t k) {
            std::uint8_t rounded[V::kWidth * kBytes];
            V::template store<kType>(rounded, V::all(weights.one(m, row, k, scale)));
            __builtin_memcpy(to + k * kBytes, rounded, kBytes);
          });
    }
  }
}

/// kRows rows by kTokens tokens at a time: a vector of weights is made once for all tokens, a
/// vector of x loaded once for all rows.
template <class V, class Weights, unsigned kRows, unsigned kTokens>
void multiply_block(const PackedRows& m, const Weights& weights, std::int64_t row, const float* x,
                    float (&out)[kTokens][kRows]) {
  typename V::Floats sums[kTokens][kRows];
  for (unsigned t = 0; t < kTokens; ++t) {
    for (unsigned r = 0; r < kRows; ++r) {
      sums[t][r] = V::all(0);
      out[t][r] = 0;
    }
  }
  Run runs[kRows];
  for (unsigned r = 0; r < kRows; ++r) runs[r] = first_run<V>(m, row + r);
  while (runs[0].begin < m.columns) {
    typename Weights::Scale scales[kRows];
    for (unsigned r = 0; r < kRows; ++r) scales[r] = weights.scale(m, runs[r].scale);
    for_columns<V>(
        m, row, runs[0],
        [&](std::int64_t k, const std::uint8_t* codes) {
          typename V::Floats values[kTokens];
          for (unsigned t = 0; t < kTokens; ++t) values[t] = V::load(x + t * m.columns + k);
          for (unsigned r = 0; r < kRows; ++r) {
            const auto w = weights.at(codes + r * m.row_bits / 8, scales[r]);
            for (unsigned t = 0; t < kTokens; ++t)
              sums[t][r] = V::add_product(sums[t][r], values[t], w);
          }
        },
        [&](std::int64_t k) {
          for (unsigned r = 0; r < kRows; ++r) {
            const float w = weights.one(m, row + r, k, scales[r]);
            for (unsigned t = 0; t < kTokens; ++t) out[t][r] += x[t * m.columns + k] * w;
          }
        });
    for (unsigned r = 0; r < kRows; ++r) advance<V>(m, runs[r]);
  }
  for (unsigned t = 0; t < kTokens; ++t) {
    for (unsigned r = 0; r < kRows; ++r) out[t][r] += V::sum(sums[t][r]);
  }
}

template <class V, class Weights, unsigned kTokens>
void multiply_tokens(const PackedRows& m, RowRange rows, const float* x, float* out) {
  const Weights weights(m);
  // Rows go together where their runs begin at the same columns and at whole bytes.
  const bool go_together = m.form != Form::kTable || m.columns % m.group_size == 0;
  std::int64_t n = 0;
  for (; go_together && m.row_bits % 8 == 0 && n + V::kRows <= rows.count; n += V::kRows) {
    float sums[kTokens][V::kRows];
    multiply_block<V, Weights, V::kRows, kTokens>(m, weights, rows.first + n, x, sums);
    for (unsigned t = 0; t < kTokens; ++t) {
      for (unsigned r = 0; r < V::kRows; ++r) out[t * rows.count + n + r] = sums[t][r];
    }
  }
  for (; n < rows.count; ++n) {
    float sums[kTokens][1];
    multiply_block<V, Weights, 1, kTokens>(m, weights, rows.first + n, x, sums);
    for (unsigned t = 0; t < kTokens; ++t) out[t * rows.count + n] = sums[t][0];
  }
}

/// Calls `with` with the weights that the matrix' form calls for, as a null pointer to their type.
template <class V, class With>
void with_weights(const PackedRows& m, With&& with) {
  const bool crosses = m.places.crosses_words;
  if (m.form == Form::kTable) return with(static_cast<Lookup<V, false>*>(nullptr));
  if (m.form == Form::kFp8) return with(static_cast<Fp8<V>*>(nullptr));
  if (m.form == Form::kInt8) {
    return m.is_per_127 ? with(static_cast<SignedBytes<V, true>*>(nullptr))
                        : with(static_cast<SignedBytes<V, false>*>(nullptr));
  }
  if (m.bits <= 4) {
    return crosses ? with(static_cast<Lookup<V, true>*>(nullptr))
                   : with(static_cast<Lookup<V, false>*>(nullptr));
  }
  return crosses ? with(static_cast<Wide<V, true>*>(nullptr))
                 : with(static_cast<Wide<V, false>*>(nullptr));
}

template <class V>
void dequantize_with(const PackedRows& m, RowRange rows, FloatType type, void* out) {
  with_weights<V>(m, [&]<class Weights>(Weights* /*type*/) {
    if (type == FloatType::kFloat32)
      dequantize_as<V, Weights, FloatType::kFloat32>(m, rows, out);
    else if (type == FloatType::kBfloat16)
      dequantize_as<V, Weights, FloatType::kBfloat16>(m, rows, out);
    else
      dequantize_as<V, Weights, FloatType::kFloat16>(m, rows, out);
  });
}

template <class V>
void multiply_with(const PackedRows& m, RowRange rows, const float* x, std::int64_t tokens,
                   float* out) {
  with_weights<V>(m, [&]<class Weights>(Weights* /*type*/) {
    std::int64_t t = 0;
    for (; t + 4 <= tokens; t += 4)
      multiply_tokens<V, Weights, 4>(m, rows, x + t * m.columns, out + t * rows.count);
    for (; t + 2 <= tokens; t += 2)
      multiply_tokens<V, Weights, 2>(m, rows, x + t * m.columns, out + t * rows.count);
    if (t < tokens)
      multiply_tokens<V, Weights, 1>(m, rows, x + t * m.columns, out + t * rows.count);
  });
}

}  // namespace assay_torch
