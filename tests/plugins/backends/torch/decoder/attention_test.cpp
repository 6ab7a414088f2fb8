#include "decoder/attention.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace assay_torch {
namespace {

struct Shape {
  std::int64_t heads = 1, kv_heads = 1, head_dim = 1;
};

/// Queries, keys and values of one whole sequence, float64 copies of what the backend is given.
struct Sequence {
  std::vector<double> queries, keys, values;  ///< [tokens, heads or kv_heads, head_dim]
  std::int64_t fed = 0;
};

/// The definition, written as sums over positions: no tensors, no batches, no cache.
std::vector<double> naive(const AttentionRule& rule, const Shape& shape, const Sequence& sequence,
                          std::int64_t position) {
  std::vector<double> out;
  const std::int64_t dim = shape.head_dim;
  const auto at = [&](const std::vector<double>& all, std::int64_t heads, std::int64_t token,
                      std::int64_t head, std::int64_t d) {
    return all[static_cast<std::size_t>((token * heads + head) * dim + d)];
  };
  const std::int64_t first =
      rule.window > 0 ? std::max<std::int64_t>(0, position - rule.window + 1) : 0;
  for (std::int64_t head = 0; head < shape.heads; ++head) {
    const std::int64_t kv = head / (shape.heads / shape.kv_heads);
    std::vector<double> weights;
    double total = 0;
    for (std::int64_t key = first; key <= position; ++key) {
      double score = 0;
      for (std::int64_t d = 0; d < dim; ++d) {
        score += at(sequence.queries, shape.heads, position, head, d) *
                 at(sequence.keys, shape.kv_heads, key, kv, d);
      }
      score *= rule.scale;
      if (rule.softcap > 0) score = rule.softcap * std::tanh(score / rule.softcap);
      weights.push_back(std::exp(score));
      total += weights.back();
    }
    for (std::int64_t d = 0; d < dim; ++d) {
      double sum = 0;
      for (std::int64_t key = first; key <= position; ++key) {
        sum += weights[static_cast<std::size_t>(key - first)] / total *
               at(sequence.values, shape.kv_heads, key, kv, d);
      }
      out.push_back(sum);
    }
  }
  return out;
}

/// Sequences that are fed stretch by stretch, each stretch checked against naive().
class Feed {
 public:
  Feed(const AttentionRule& rule, const Shape& shape, std::size_t sequences, std::int64_t capacity,
       at::ScalarType dtype = at::kFloat)
      : rule_(rule), shape_(shape), dtype_(dtype), sequences_(sequences) {
    DecoderSpec spec;
    spec.layers = 1;
    spec.kv_heads = shape.kv_heads;
    spec.head_dim = shape.head_dim;
    cache_ = make_cache(spec, std::ssize(sequences_), capacity, at::TensorOptions(dtype));
  }

  struct Stretch {
    std::int64_t sequence = 0, length = 0;
  };

  /// The largest difference from naive(). Without a cache every sequence begins anew.
  double feed(const std::vector<Stretch>& stretches, bool with_cache = true) {
    std::vector<Segment> segments;
    std::int64_t tokens = 0;
    for (const auto& [sequence, length] : stretches) {
      Sequence& whole = sequences_[static_cast<std::size_t>(sequence)];
      if (!with_cache) whole = {};
      segments.push_back({length, whole.fed, with_cache ? sequence : -1});
      tokens += length;
    }
    // Heads of queries, keys and values lie side by side in a row, as after one fused projection.
    const std::int64_t heads = shape_.heads, kv = shape_.kv_heads;
    const auto rows = random_rows(tokens, heads + 2 * kv);
    auto out = at::empty({tokens, heads, shape_.head_dim}, at::TensorOptions(dtype_));
    attend(rule_, rows.narrow(1, 0, heads), rows.narrow(1, heads, kv),
           rows.narrow(1, heads + kv, kv), segments, with_cache ? &cache_.layers[0] : nullptr, out);
    double largest = 0;
    std::int64_t row = 0;
    for (const auto& [sequence, length] : stretches) {
      Sequence& whole = sequences_[static_cast<std::size_t>(sequence)];
      const auto keep = [&](std::vector<double>& to, std::int64_t first, std::int64_t count) {
        append(to, rows.narrow(0, row, length).narrow(1, first, count));
      };
      keep(whole.queries, 0, heads);
      keep(whole.keys, heads, kv);
      keep(whole.values, heads + kv, kv);
      for (std::int64_t i = 0; i < length; ++i, ++row) {
        std::vector<double> got;
        append(got, out.narrow(0, row, 1));
        const auto expected = naive(rule_, shape_, whole, whole.fed + i);
        for (std::size_t k = 0; k < got.size(); ++k) {
          if (!std::isfinite(got[k])) return std::numeric_limits<double>::infinity();
          largest = std::max(largest, std::fabs(got[k] - expected[k]));
        }
      }
      whole.fed += length;
    }
    return largest;
  }

 private:
  static void append(std::vector<double>& to, const at::Tensor& from) {
    const auto values = from.to(at::kDouble).contiguous();
    to.insert(to.end(), values.const_data_ptr<double>(),
              values.const_data_ptr<double>() + values.numel());
  }

  at::Tensor random_rows(std::int64_t tokens, std::int64_t heads) {
    auto rows = at::empty({tokens, heads, shape_.head_dim}, at::kFloat);
    auto* value = rows.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < rows.numel(); ++i)
      value[i] = static_cast<float>(random_() % 2001) / 1000.0F - 1.0F;
    return rows.to(dtype_);
  }

  AttentionRule rule_;
  Shape shape_;
  at::ScalarType dtype_;
  std::vector<Sequence> sequences_;
  KvCache cache_;
  std::mt19937_64 random_{7};
};

struct Case {
  std::int64_t heads, kv_heads;
  std::int64_t window;
  double softcap;
  at::ScalarType dtype;
  double tolerance;
};

class AttentionCase : public ::testing::TestWithParam<Case> {
 protected:
  Feed make_feed(std::size_t sequences, std::int64_t capacity) const {
    const Case& each = GetParam();
    const AttentionRule rule{.scale = 0.7, .softcap = each.softcap, .window = each.window};
    return {rule, {each.heads, each.kv_heads, 6}, sequences, capacity, each.dtype};
  }
  c10::InferenceMode guard_;
};

TEST_P(AttentionCase, WithoutACacheIsTheDefinition) {
  Feed feed = make_feed(5, 1);
  EXPECT_LT(feed.feed({{0, 9}, {1, 9}, {2, 1}, {3, 30}, {4, 4}}, false), GetParam().tolerance);
}

TEST_P(AttentionCase, GoesOnBehindTheCacheAsIfFedAtOnce) {
  Feed feed = make_feed(6, 64);
  // Prompts, one of a single token; then continuations of one length and of several, then single
  // steps of all, of some in another order, and of old ones beside a new one.
  EXPECT_LT(feed.feed({{0, 5}, {1, 5}, {2, 12}, {3, 1}, {4, 33}}), GetParam().tolerance);
  EXPECT_LT(feed.feed({{0, 4}, {1, 4}, {2, 4}, {3, 7}}), GetParam().tolerance);
  for (int step = 0; step < 3; ++step) {
    EXPECT_LT(feed.feed({{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}}), GetParam().tolerance);
  }
  EXPECT_LT(feed.feed({{4, 1}, {0, 1}, {2, 1}}), GetParam().tolerance);
  EXPECT_LT(feed.feed({{0, 1}, {5, 8}, {1, 1}, {3, 2}}), GetParam().tolerance);
  EXPECT_LT(feed.feed({{2, 1}}), GetParam().tolerance);
}

std::vector<Case> cases() {
  // Values lie in [-1, 1]. float32: sums of at most 60 products. bfloat16 rounds weights and the
  // result to 8 bits, float16 to 11: a few halves of the last place at 1.
  const std::vector<std::pair<at::ScalarType, double>> dtypes = {
      {at::kFloat, 2e-6}, {at::kBFloat16, 1e-2}, {at::kHalf, 1.5e-3}};
  std::vector<Case> all;
  for (const auto& [dtype, tolerance] : dtypes) {
    for (const std::int64_t kv_heads : {4, 2, 1}) {
      for (const std::int64_t window : {0, 1, 3, 20}) {
        for (const double softcap : {0.0, 0.8})
          all.push_back({4, kv_heads, window, softcap, dtype, tolerance});
      }
    }
  }
  return all;
}

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  const Case& each = info.param;
  return std::string(c10::toString(each.dtype)) + "_kv" + std::to_string(each.kv_heads) +
         "_window" + std::to_string(each.window) + (each.softcap > 0 ? "_capped" : "");
}

INSTANTIATE_TEST_SUITE_P(All, AttentionCase, ::testing::ValuesIn(cases()), name_of);

class Attention : public ::testing::Test {
 protected:
  /// One head of one dimension, queries all `query`.
  static std::vector<float> attend_to(const AttentionRule& rule, float query,
                                      const std::vector<float>& keys,
                                      const std::vector<float>& values) {
    const auto column = [](const std::vector<float>& of) {
      return at::tensor(of).view({-1, 1, 1});
    };
    const auto k = column(keys);
    auto out = at::empty_like(k);
    const Segment whole[] = {{.length = k.size(0)}};
    attend(rule, at::full_like(k, query), k, column(values), whole, nullptr, out);
    return {out.const_data_ptr<float>(), out.const_data_ptr<float>() + out.numel()};
  }
  c10::InferenceMode guard_;
};

TEST_F(Attention, OfAZeroQueryIsTheMeanOfWhatIsSeen) {
  const std::vector<float> keys = {5, -3, 2, 9}, values = {4, 8, 0, 20};
  // Means of 1, 2, 3 and 4 values.
  EXPECT_EQ(attend_to({.scale = 1}, 0, keys, values), (std::vector<float>{4, 6, 4, 8}));
  // Means of the last two.
  EXPECT_EQ(attend_to({.scale = 1, .window = 2}, 0, keys, values),
            (std::vector<float>{4, 6, 4, 10}));
}

TEST_F(Attention, ASoftCapBendsTheScore) {
  // cap * tanh(key / cap) = log 3 where tanh is 1/2: weights 1/4 and 3/4.
  const double cap = 2 * std::log(3.0), key = cap * std::atanh(0.5);
  const auto got = attend_to({.scale = 1, .softcap = cap}, 1, {0, static_cast<float>(key)}, {0, 4});
  EXPECT_NEAR(got[1], 3.0, 1e-6);  // float32
}

// More pairs of a query and a key than are held at a time: 8 * 1100 * 1100 capped scores, and a
// window whose queries come 128 at a time. Sums of 1100 products in float32.
TEST_F(Attention, OfALongSequenceIsCutIntoChunks) {
  Feed capped({.scale = 0.7, .softcap = 0.8}, {8, 2, 2}, 1, 1101);
  EXPECT_LT(capped.feed({{0, 1100}}), 5e-6);
  EXPECT_LT(capped.feed({{0, 1}}), 5e-6);
  Feed windowed({.scale = 0.7, .window = 50}, {2, 1, 2}, 2, 1300);
  EXPECT_LT(windowed.feed({{0, 600}, {1, 600}}), 5e-6);
  EXPECT_LT(windowed.feed({{0, 300}}), 5e-6);
  EXPECT_LT(windowed.feed({{0, 300}, {1, 300}}), 5e-6);
}

TEST(KvCache, ClosingASlotMovesTheLastSequenceIntoItAndLeavesZeros) {
  DecoderSpec spec;
  spec.layers = 2;
  spec.kv_heads = spec.head_dim = 1;
  KvCache cache = make_cache(spec, 3, 4, at::kFloat);
  const auto row = [&](std::int64_t slot) {
    const auto values = cache.layers[1].values.select(0, slot).flatten();
    return std::vector<float>(values.const_data_ptr<float>(), values.const_data_ptr<float>() + 4);
  };
  cache.layers[1].values.select(0, 0).narrow(1, 0, 4).fill_(1);
  cache.layers[1].values.select(0, 2).narrow(1, 0, 2).fill_(3);
  close_slot(cache, {0, 4}, {2, 2});
  EXPECT_EQ(row(0), (std::vector<float>{3, 3, 0, 0}));
  EXPECT_EQ(row(2), (std::vector<float>{0, 0, 0, 0}));
  close_slot(cache, {0, 2}, {0, 2});
  EXPECT_EQ(row(0), (std::vector<float>{0, 0, 0, 0}));
}

}  // namespace
}  // namespace assay_torch
