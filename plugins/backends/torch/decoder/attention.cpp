#include "decoder/attention.hpp"

#include <ATen/ops/_softmax.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/index_put.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "decoder/cudnn_attention.hpp"

namespace assay_torch {
namespace {

constexpr std::int64_t kMaxPairs = std::int64_t{8} << 20;
constexpr std::int64_t kLeastWindowedRows = 128;

/// Neighbouring segments of one length that are all new or all go on: attended to as one batch,
/// without padding of the queries.
struct Run {
  std::int64_t first_token = 0;
  std::span<const Segment> segments;

  std::int64_t size() const { return static_cast<std::int64_t>(segments.size()); }
  std::int64_t length() const { return segments.front().length; }
  bool is_kept() const { return segments.front().slot >= 0; }
  bool goes_on() const { return segments.front().past > 0; }
  bool takes(const Segment& segment) const {
    return segment.length == length() && (segment.slot >= 0) == is_kept() &&
           (segment.past > 0) == goes_on();
  }
  Run part(std::int64_t first, std::int64_t count) const {
    return {first_token + first * length(),
            segments.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))};
  }
};

std::vector<Run> runs_of(std::span<const Segment> segments) {
  std::vector<Run> runs;
  std::int64_t token = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (runs.empty() || !runs.back().takes(segments[i])) {
      runs.push_back({token, segments.subspan(i, 1)});
    } else {
      const std::size_t count = runs.back().segments.size() + 1;
      runs.back().segments = segments.subspan(i + 1 - count, count);
    }
    token += segments[i].length;
  }
  return runs;
}

/// Shapes   packed [tokens, heads, head_dim]; result [sequences, heads, length, head_dim]
at::Tensor as_batch(const at::Tensor& packed, const Run& run) {
  return packed.narrow(0, run.first_token, run.size() * run.length())
      .unflatten(0, {run.size(), run.length()})
      .transpose(1, 2);
}

at::Tensor gather(const Run& run, std::int64_t Segment::*field, const at::Device& device) {
  std::vector<std::int64_t> values;
  for (const Segment& segment : run.segments) values.push_back(segment.*field);
  return at::tensor(values, at::kLong).to(device);
}

void store(const at::Tensor& packed, const Run& run, at::Tensor& cache) {
  if (run.length() == 1) {
    cache.index_put_({gather(run, &Segment::slot, cache.device()), std::nullopt,
                      gather(run, &Segment::past, cache.device())},
                     packed.narrow(0, run.first_token, run.size()));
    return;
  }
  const auto batch = as_batch(packed, run);
  for (std::int64_t i = 0; i < run.size(); ++i) {
    const Segment& segment = run.segments[static_cast<std::size_t>(i)];
    cache.select(0, segment.slot).narrow(1, segment.past, segment.length).copy_(batch.select(0, i));
  }
}

/// The rows of the run's slots: a view where the slots follow one another.
at::Tensor slots_of(const at::Tensor& cache, const Run& run) {
  for (std::size_t i = 1; i < run.segments.size(); ++i) {
    if (run.segments[i].slot != run.segments[0].slot + static_cast<std::int64_t>(i))
      return cache.index_select(0, gather(run, &Segment::slot, cache.device()));
  }
  return cache.narrow(0, run.segments[0].slot, run.size());
}

/// The keys at positions [from, to) of each sequence, or their values.
at::Tensor at_positions(const at::Tensor& packed, const at::Tensor& cache, const Run& run,
                        std::int64_t from, std::int64_t to) {
  if (!run.goes_on()) return as_batch(packed, run).narrow(2, from, to - from);
  return slots_of(cache.narrow(2, from, to - from), run);
}

/// Some queries of a run and the stretch of positions that any of them sees.
struct Chunk {
  Run run;
  std::int64_t first_row = 0, rows = 0;
  std::int64_t first_key = 0, end_key = 0;
  bool is_ragged = false;  ///< the sequences' pasts differ
};

/// Shapes   bool [sequences, or 1 when they are alike, 1, rows, keys]
at::Tensor visible(const AttentionRule& rule, const Chunk& chunk, const at::Device& device) {
  const auto longs = at::TensorOptions(at::kLong).device(device);
  const Run alike = chunk.is_ragged ? chunk.run : chunk.run.part(0, 1);
  const auto rows = at::arange(chunk.first_row, chunk.first_row + chunk.rows, longs).unsqueeze(1);
  const auto positions = gather(alike, &Segment::past, device).view({-1, 1, 1, 1}).add(rows);
  const auto keys = at::arange(chunk.first_key, chunk.end_key, longs);
  auto seen = keys.le(positions);
  if (rule.window > 0) seen.logical_and_(keys.gt(positions.sub(rule.window)));
  return seen;
}

/// Scores, cap and softmax in float32.
///
/// Source   Gemma 2, arXiv 2408.00118, section 2: soft_cap * tanh(logits / soft_cap)
at::Tensor attend_capped(const AttentionRule& rule, const at::Tensor& queries,
                         const at::Tensor& keys, const at::Tensor& values, const at::Tensor& seen) {
  const std::int64_t sequences = queries.size(0), rows = queries.size(2), dim = queries.size(3);
  const std::int64_t kv_heads = keys.size(1), length = keys.size(2);
  const auto grouped = queries.to(at::kFloat).reshape({sequences, kv_heads, -1, dim});
  auto scores = at::matmul(grouped, keys.to(at::kFloat).transpose(2, 3));
  scores.mul_(rule.scale / rule.softcap).tanh_().mul_(rule.softcap);
  if (seen.defined()) {
    scores.view({sequences, kv_heads, -1, rows, length})
        .masked_fill_(seen.logical_not().unsqueeze(2), -std::numeric_limits<float>::infinity());
  }
  return at::matmul(at::_softmax(scores, -1, false), values.to(at::kFloat))
      .view({sequences, queries.size(1), rows, dim});
}

/// One run, with no more than kMaxPairs pairs of a query and a key at a time.
class Attention {
 public:
  Attention(const AttentionRule& rule, const at::Tensor& queries, const at::Tensor& keys,
            const at::Tensor& values, const CacheLayer* cache, at::Tensor& out)
      : rule_(rule), queries_(queries), keys_(keys), values_(values), cache_(cache), out_(out) {}

  void run(const Run& run) const {
    const bool is_square = !run.goes_on() && (rule_.window == 0 || run.length() <= rule_.window);
    if (is_square && rule_.softcap == 0) {
      as_batch(out_, run).copy_(fused(as_batch(queries_, run), as_batch(keys_, run),
                                      as_batch(values_, run), {}, /*is_causal=*/true));
      return;
    }
    const auto [least, most] = pasts(run);
    const std::int64_t held = rule_.softcap > 0 ? queries_.size(1) : 1;
    const std::int64_t total = most + run.length();
    const std::int64_t most_rows =
        rule_.window > 0 ? std::max(rule_.window, kLeastWindowedRows) : run.length();
    const std::int64_t keys =
        rule_.window > 0 ? std::min(total, most - least + rule_.window + most_rows) : total;
    const std::int64_t sequences =
        std::clamp(kMaxPairs / (held * keys), std::int64_t{1}, run.size());
    const std::int64_t rows = std::clamp(kMaxPairs / (held * keys * sequences), std::int64_t{1},
                                         std::min(run.length(), most_rows));
    for (std::int64_t first = 0; first < run.size(); first += sequences) {
      part(run.part(first, std::min(sequences, run.size() - first)), rows);
    }
  }

 private:
  static std::pair<std::int64_t, std::int64_t> pasts(const Run& run) {
    const auto [least, most] = std::ranges::minmax(run.segments, {}, &Segment::past);
    return {least.past, most.past};
  }

  void part(const Run& run, std::int64_t step) const {
    const auto [least, most] = pasts(run);
    for (std::int64_t row = 0; row < run.length(); row += step) {
      const std::int64_t rows = std::min(step, run.length() - row);
      const std::int64_t first_key =
          rule_.window > 0 ? std::max(std::int64_t{0}, least + row - rule_.window + 1) : 0;
      chunk({run, row, rows, first_key, most + row + rows, least != most});
    }
  }

  void chunk(const Chunk& chunk) const {
    const auto of = [&](const at::Tensor& packed, at::Tensor CacheLayer::*cached) {
      return at_positions(packed, cache_ == nullptr ? at::Tensor() : cache_->*cached, chunk.run,
                          chunk.first_key, chunk.end_key);
    };
    const auto queries = as_batch(queries_, chunk.run).narrow(2, chunk.first_row, chunk.rows);
    const auto keys = of(keys_, &CacheLayer::keys), values = of(values_, &CacheLayer::values);
    at::Tensor seen;
    if (chunk.is_ragged || chunk.rows > 1) seen = visible(rule_, chunk, queries.device());
    as_batch(out_, chunk.run)
        .narrow(2, chunk.first_row, chunk.rows)
        .copy_(rule_.softcap > 0 ? attend_capped(rule_, queries, keys, values, seen)
                                 : fused(queries, keys, values, seen, /*is_causal=*/false));
  }

  /// One query of several heads that share a key head is given as several queries of one head: the
  /// keys are read once, which in bfloat16 takes an eighth of the time.
  at::Tensor fused(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                   const at::Tensor& seen, bool is_causal) const {
    const bool is_grouped = queries.size(1) != keys.size(1);
    if (!is_grouped || queries.size(2) > 1)
      return kernel(queries, keys, values, seen, is_causal, is_grouped);
    const auto folded = queries.squeeze(2).unflatten(1, {keys.size(1), -1});
    return kernel(folded, keys, values, seen, false, false).flatten(1, 2).unsqueeze(2);
  }

  at::Tensor kernel(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                    const at::Tensor& seen, bool is_causal, bool is_grouped) const {
    if (const auto out = cudnn_attention(queries, keys, values, seen, is_causal, rule_.scale))
      return *out;
    return at::scaled_dot_product_attention(queries, keys, values,
                                            seen.defined() ? std::optional(seen) : std::nullopt,
                                            0.0, is_causal, rule_.scale, is_grouped);
  }

  const AttentionRule& rule_;
  const at::Tensor &queries_, &keys_, &values_;
  const CacheLayer* cache_;
  at::Tensor& out_;
};

}  // namespace

void attend(const AttentionRule& rule, const at::Tensor& queries, const at::Tensor& keys,
            const at::Tensor& values, std::span<const Segment> segments, CacheLayer* cache,
            at::Tensor& out) {
  const Attention attention(rule, queries, keys, values, cache, out);
  for (const Run& run : runs_of(segments)) {
    if (run.is_kept()) {
      store(keys, run, cache->keys);
      store(values, run, cache->values);
    }
    attention.run(run);
  }
}

}  // namespace assay_torch
