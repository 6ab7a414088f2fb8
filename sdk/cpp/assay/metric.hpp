// What the author of a metric writes and the calls the layer makes of it: samples of each row,
// means and totals at the end. Grouping is the host's.
#pragma once

#include <array>
#include <assay/declare.hpp>
#include <assay/instance.hpp>
#include <assay/namespace.hpp>
#include <assay/sample.hpp>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// Base of every metric, which has
///   static constexpr Info info;  static constexpr Option options[] (if any);
///   static constexpr Column columns[];  static constexpr Output outputs[];
///   explicit T(Context);
///   double score(const Sample&)           for one mean() output, or
///   void score(const Sample&, Values)     for several;
///   void finish(Totals)                   when an output is a total(), and, where totals follow
///                                         from sums (metric_sums.hpp),
///   static constexpr const char* terms[]; samples that add up, outputs or not;
///   void totals(std::span<const double> sums, double items, std::span<double> out) const.
/// An Error that score() throws gets the row in front, counted from 0 over all batches.
struct Metric {};

namespace detail {

/// Mean and spread of one output's samples, in one pass and the same however rows are cut.
///
/// Source   Welford 1962, "Note on a method for calculating corrected sums of squares and
/// products"
class Moments {
 public:
  void add(double value) {
    ++n_;
    const double step = value - mean_;
    mean_ += step / static_cast<double>(n_);
    squares_ += step * (value - mean_);
  }
  std::uint64_t n() const { return n_; }
  double mean() const { return mean_; }
  /// Of the mean: sqrt(sum (x - mean)^2 / (n - 1) / n). NaN below two samples.
  double std_error() const {
    if (n_ < 2) return std::numeric_limits<double>::quiet_NaN();
    const auto n = static_cast<double>(n_);
    return std::sqrt(squares_ / (n - 1) / n);
  }

 private:
  std::uint64_t n_ = 0;
  double mean_ = 0, squares_ = 0;
};

struct OutputState {
  const assay_column* declared;
  Moments samples = {};
  std::uint64_t next_row = 0;  // the first row of this batch that may still get a sample
  bool has_total = false;
};

inline OutputState* find_output(std::vector<OutputState>& outputs, std::string_view name) {
  for (OutputState& output : outputs) {
    if (name == output.declared->name) return &output;
  }
  return nullptr;
}

[[noreturn]] inline void refuse_output(std::string_view name) {
  throw Error(
      ASSAY_INTERNAL, std::string(name),
      "the metric gave a value for \"" + std::string(name) + "\", which is not among its outputs");
}

}  // namespace detail

/// Where score() puts the samples of its row, each output at most once. NaN: does not apply.
class Values {
 public:
  /// `terms`: names that have samples and no total.
  Values(std::vector<detail::OutputState>& outputs, std::vector<detail::OutputState>& terms,
         const assay_value_sink& sink, const assay_host* table, std::uint64_t row)
      : outputs_(&outputs), terms_(&terms), sink_(&sink), table_(table), row_(row) {}

  void sample(const char* name, double value) {
    detail::OutputState* found = detail::find_output(*outputs_, name);
    if (found == nullptr) found = detail::find_output(*terms_, name);
    if (found == nullptr) detail::refuse_output(name);
    detail::OutputState& output = *found;
    if (output.next_row > row_) {
      throw Error(ASSAY_INTERNAL, name,
                  "the metric gave two samples of \"" + std::string(name) + "\" for one row");
    }
    output.next_row = row_ + 1;
    if (kIsChecked && (value < output.declared->lo || value > output.declared->hi)) {
      misbehaved(table_, "plugin", "samples-lie-in-their-bounds",
                 "sample " + std::to_string(value) + " of \"" + std::string(name) +
                     "\" lies outside the bounds it declares");
    }
    if (!std::isnan(value)) output.samples.add(value);
    sink_->sample(sink_->ctx, row_, output.declared->name, value);
  }
  void operator()(const char* name, double value) { sample(name, value); }

 private:
  std::vector<detail::OutputState>*outputs_, *terms_;
  const assay_value_sink* sink_;
  const assay_host* table_;
  std::uint64_t row_;
};

/// Where finish() puts totals, each output at most once. A mean() output it leaves out gets the
/// mean of its samples.
class Totals {
 public:
  Totals(std::vector<detail::OutputState>& outputs, const assay_value_sink& sink,
         std::uint64_t n_rows)
      : outputs_(&outputs), sink_(&sink), n_rows_(n_rows) {}

  /// `std_error` NaN: not known. `n`: items behind the value; all of them when left out.
  void total(const char* name, double value,
             double std_error = std::numeric_limits<double>::quiet_NaN(),
             std::optional<std::uint64_t> n = std::nullopt) {
    detail::OutputState* found = detail::find_output(*outputs_, name);
    if (found == nullptr) detail::refuse_output(name);
    detail::OutputState& output = *found;
    if (output.has_total) {
      throw Error(ASSAY_INTERNAL, name,
                  "the metric gave two totals of \"" + std::string(name) + "\"");
    }
    output.has_total = true;
    sink_->total(sink_->ctx, output.declared->name, value, std_error, n.value_or(n_rows_));
  }
  void operator()(const char* name, double value,
                  double std_error = std::numeric_limits<double>::quiet_NaN(),
                  std::optional<std::uint64_t> n = std::nullopt) {
    total(name, value, std_error, n);
  }

 private:
  std::vector<detail::OutputState>* outputs_;
  const assay_value_sink* sink_;
  std::uint64_t n_rows_;
};

namespace detail {

template <class T>
concept ScoresOne = requires(T& metric, const Sample& sample) {
  { metric.score(sample) } -> std::convertible_to<double>;
};
template <class T>
concept ScoresSeveral = requires(T& metric, const Sample& sample, Values& values) {
  metric.score(sample, values);
};
template <class T>
concept HasTerms = requires {
  T::terms[0];
};
template <class T>
concept Finishes = requires(T& metric, Totals& totals) {
  metric.finish(totals);
};

/// Does a column of an Arrow type serve where this one is declared?
inline bool serves(const View& column, assay_type declared) {
  const auto is_int = [](Type t) { return t == Type::kInt64 || t == Type::kInt32; };
  const auto is_number = [&](Type t) {
    return is_int(t) || t == Type::kFloat64 || t == Type::kFloat32;
  };
  const Type type = column.type();
  if (type == Type::kList) {
    const Type element = column.element_type();
    return (declared == ASSAY_INTS && is_int(element)) ||
           (declared == ASSAY_FLOATS && is_number(element)) ||
           (declared == ASSAY_TEXTS && element == Type::kText);
  }
  return (declared == ASSAY_BOOL && type == Type::kBool) ||
         (declared == ASSAY_INT && is_int(type)) || (declared == ASSAY_FLOAT && is_number(type)) ||
         (declared == ASSAY_TEXT && type == Type::kText);
}

inline std::string_view name_of_type(assay_type type) {
  switch (type) {
    case ASSAY_BOOL:
      return "bool";
    case ASSAY_INT:
      return "int";
    case ASSAY_FLOAT:
      return "float";
    case ASSAY_TEXT:
      return "text";
    case ASSAY_INTS:
      return "list of int";
    case ASSAY_FLOATS:
      return "list of float";
    case ASSAY_TEXTS:
      return "list of text";
    default:
      return "unknown";
  }
}

inline void check_column(const Rows& rows, const assay_column& declared) {
  const View* column = rows.find(declared.name);
  if (column == nullptr) {
    if ((declared.flags & ASSAY_COL_OPTIONAL) != 0) return;
    throw Error(
        ASSAY_INVALID_ARGUMENT, declared.name,
        "the rows lack the column \"" + std::string(declared.name) + "\", which the metric needs");
  }
  if (!serves(*column, declared.type)) {
    throw Error(ASSAY_INVALID_ARGUMENT, declared.name,
                "column \"" + std::string(declared.name) + "\" holds " +
                    std::string(name_of(column->type())) + "; the metric needs " +
                    std::string(name_of_type(declared.type)));
  }
}

/// Terms as columns, unbounded: they have samples as outputs have.
template <class T>
constexpr auto columns_of_terms() {
  if constexpr (HasTerms<T>) {
    return [&]<std::size_t... i>(std::index_sequence<i...>) {
      return std::array<Output, sizeof...(i)>{Output(T::terms[i], "", 0)...};
    }
    (std::make_index_sequence<std::size(T::terms)>());
  } else {
    return std::array<Output, 0>{};
  }
}

template <class T>
struct MetricInstance : Instance<T> {
  static constexpr auto kTerms = columns_of_terms<T>();

  explicit MetricInstance(const Context& given) : Instance<T>(given) {
    for (const Output& output : T::outputs) outputs.push_back({&output});
    for (const Output& term : kTerms) {
      if (find_output(outputs, term.name) == nullptr) terms.push_back({&term});
    }
  }

  void update(const ArrowSchema& schema, const ArrowArray& array, const assay_value_sink& sink) {
    require_order(!is_finished, "update", "after finish");
    const Rows rows(schema, array);
    if constexpr (requires { T::columns; }) {
      for (const Column& column : T::columns) check_column(rows, column);
    }
    for (OutputState& output : outputs) output.next_row = 0;
    for (OutputState& term : terms) term.next_row = 0;
    for (std::int64_t row = 0; row < rows.size(); ++row) {
      try {
        score(rows[row],
              {outputs, terms, sink, this->context.host_table(), static_cast<std::uint64_t>(row)});
      } catch (const Error& failure) {
        throw Error(failure.code(), failure.where(),
                    "row " + std::to_string(n_rows) + ": " + failure.what());
      }
      ++n_rows;
    }
  }

  void score(const Sample& row, Values values) {
    if constexpr (ScoresSeveral<T>) {
      this->component.score(row, values);
    } else {
      values.sample(T::outputs[0].name, this->component.score(row));
    }
  }

  void finish(const assay_value_sink& sink) {
    require_order(!is_finished, "finish", "a second time");
    is_finished = true;
    if constexpr (Finishes<T>) {
      Totals totals(outputs, sink, n_rows);
      this->component.finish(totals);
    }
    for (const OutputState& output : outputs) {
      const Moments& samples = output.samples;
      const bool is_mean = (output.declared->flags & ASSAY_COL_MEAN) != 0;
      // The mean of nothing is no number, so there is no total.
      if (!is_mean || output.has_total || samples.n() == 0) continue;
      sink.total(sink.ctx, output.declared->name, samples.mean(), samples.std_error(), samples.n());
    }
  }

  std::vector<OutputState> outputs;
  std::vector<OutputState> terms;  // those that are no output
  std::uint64_t n_rows = 0;
  bool is_finished = false;
};

template <class T>
struct MetricEntry {
  using Self = MetricInstance<T>;
  static_assert(ScoresOne<T> || ScoresSeveral<T>,
                "a metric needs: double score(const assay::Sample&), or void "
                "score(const assay::Sample&, assay::Values)");
  static_assert(
      requires { T::outputs[0]; }, "a metric needs: static constexpr assay::Output outputs[]");
  static_assert(ScoresSeveral<T> || std::size(T::outputs) == 1,
                "double score(const assay::Sample&) gives one output; with several, write void "
                "score(const assay::Sample&, assay::Values)");

  static assay_status update(void* self, const ArrowSchema* schema, const ArrowArray* rows,
                             const assay_value_sink* sink, assay_error* error) noexcept {
    return wall(error, [&] {
      auto& metric = *static_cast<Self*>(self);
      const Turn turn(metric.calls, metric.context.host_table(), "update");
      metric.update(*schema, *rows, *sink);
    });
  }
  static assay_status finish(void* self, const assay_value_sink* sink,
                             assay_error* error) noexcept {
    return wall(error, [&] {
      auto& metric = *static_cast<Self*>(self);
      const Turn turn(metric.calls, metric.context.host_table(), "finish");
      metric.finish(*sink);
    });
  }
  static constexpr assay_metric_v1 kApi{sizeof(assay_metric_v1), 0, update, finish};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
