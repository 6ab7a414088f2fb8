// Sinks that keep what they are given, and tables made in a line, for tests of components. They
// judge nothing.
#pragma once

#include <assay/abi.h>

#include <assay/arrow.hpp>
#include <assay/namespace.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {
namespace check {

struct SpySample {
  std::uint64_t row;
  std::string name;
  double value;
};
struct SpyTotal {
  std::string name;
  double value, std_error;
  std::uint64_t n;
};

/// What a metric gave.
struct SpyValues {
  std::vector<SpySample> samples;
  std::vector<SpyTotal> totals;

  SpyValues() = default;
  SpyValues(const SpyValues&) = delete;
  SpyValues& operator=(const SpyValues&) = delete;

  const assay_value_sink sink{
      sizeof(assay_value_sink), 0, this,
      [](void* ctx, std::uint64_t row, const char* name, double value) noexcept {
        static_cast<SpyValues*>(ctx)->samples.push_back({row, name, value});
      },
      [](void* ctx, const char* name, double value, double std_error, std::uint64_t n) noexcept {
        static_cast<SpyValues*>(ctx)->totals.push_back({name, value, std_error, n});
      }};
};

struct SpyAnswer {
  std::vector<float> logprobs;
  std::vector<std::uint8_t> greedy;
  std::vector<std::int32_t> tokens;
  int n_done = 0;
  assay_status code = ASSAY_OK;
  std::string text;
};

/// What a backend answered, by request id.
struct SpyResults {
  std::map<std::uint64_t, SpyAnswer> answers;
  std::int32_t reply = 0;  ///< what data calls return; non-zero: no more of this request

  SpyResults() = default;
  SpyResults(const SpyResults&) = delete;
  SpyResults& operator=(const SpyResults&) = delete;

  template <class Take>
  std::int32_t take(std::uint64_t id, Take take) noexcept {
    const std::scoped_lock hold(lock);
    take(answers[id]);
    return reply;
  }

  std::mutex lock;
  const assay_result_sink sink{
      sizeof(assay_result_sink),
      0,
      this,
      [](void* ctx, std::uint64_t id, std::uint64_t, const float* logprobs,
         const std::uint8_t* greedy, std::uint64_t n) noexcept {
        return static_cast<SpyResults*>(ctx)->take(id, [&](SpyAnswer& answer) {
          if (logprobs != nullptr) {
            answer.logprobs.insert(answer.logprobs.end(), logprobs, logprobs + n);
          }
          if (greedy != nullptr) answer.greedy.insert(answer.greedy.end(), greedy, greedy + n);
        });
      },
      [](void* ctx, std::uint64_t id, std::uint64_t, const assay_tensor*) noexcept {
        return static_cast<SpyResults*>(ctx)->take(id, [](SpyAnswer&) {});
      },
      [](void* ctx, std::uint64_t id, const std::int32_t* tokens, const float*,
         std::uint64_t n) noexcept {
        return static_cast<SpyResults*>(ctx)->take(id, [&](SpyAnswer& answer) {
          answer.tokens.insert(answer.tokens.end(), tokens, tokens + n);
        });
      },
      [](void* ctx, std::uint64_t id, const assay_error* failure, const assay_usage*) noexcept {
        static_cast<SpyResults*>(ctx)->take(id, [&](SpyAnswer& answer) {
          ++answer.n_done;
          if (failure == nullptr) return;
          answer.code = failure->code;
          answer.text = failure->text;
        });
      }};
};

/// A table of rows in memory.
class Table {
 public:
  /// `fill` appends one value to each child of the builder for each row, then calls end_struct().
  Table(std::vector<Field> columns, const std::function<void(Builder&)>& fill)
      : root_(table_of(std::move(columns))), schema_(make_schema(root_)) {
    Builder builder(root_);
    fill(builder);
    array_ = Array(builder.finish());
  }

  const ArrowSchema* schema() const { return schema_.get(); }
  const ArrowArray* array() const { return array_.get(); }

  /// Rows [begin, begin + n) without copying. Valid as long as the table; nothing to release.
  ArrowArray slice(std::int64_t begin, std::int64_t n) const {
    ArrowArray part = *array_;
    part.offset += begin;
    part.length = n;
    part.null_count = -1;
    return part;
  }

 private:
  Field root_;
  Schema schema_;
  Array array_;
};

}  // namespace check
}  // namespace v1
}  // namespace assay
