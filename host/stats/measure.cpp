#include "host/stats/measure.hpp"

#include <assay/ext.h>

#include <algorithm>
#include <assay/arrow.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "host/loader/instance.hpp"

namespace assay::host {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kBatchRows = 1024;

bool is_list(assay_type type) {
  return type == ASSAY_INTS || type == ASSAY_FLOATS || type == ASSAY_TEXTS;
}

void put(const Json& value, RowColumnData& column) {
  switch (column.type) {
    case ASSAY_FLOAT:
    case ASSAY_FLOATS:
      column.floats.push_back(value.is_number() ? value.get<double>() : kUnknown);
      break;
    case ASSAY_INT:
    case ASSAY_INTS:
      column.ints.push_back(value.is_number() ? value.get<std::int64_t>() : 0);
      break;
    case ASSAY_BOOL:
      column.ints.push_back(value.is_boolean() && value.get<bool>() ? 1 : 0);
      break;
    default:
      column.texts.push_back(value.is_string() ? value.get<std::string>() : value.dump());
  }
}

std::uint64_t n_values(const RowColumnData& column) {
  return column.floats.size() + column.ints.size() + column.texts.size();
}

void add_value(const Json* value, RowColumnData& column) {
  column.is_null.push_back(value == nullptr || value->is_null());
  if (!is_list(column.type)) {
    put(column.is_null.back() ? Json(nullptr) : *value, column);
    return;
  }
  if (!column.is_null.back() && value->is_array()) {
    for (const Json& element : *value) put(element, column);
  }
  column.ends.push_back(n_values(column));
}

Type arrow_type(assay_type type) {
  switch (type) {
    case ASSAY_BOOL:
      return Type::kBool;
    case ASSAY_INT:
    case ASSAY_INTS:
      return Type::kInt64;
    case ASSAY_FLOAT:
    case ASSAY_FLOATS:
      return Type::kFloat64;
    default:
      return Type::kText;
  }
}

Field field_of(const RowColumnData& column) {
  const Field element{
      is_list(column.type) ? "item" : column.name, arrow_type(column.type), {}, true};
  if (!is_list(column.type)) return element;
  return Field{column.name, Type::kList, {element}, true};
}

void append_element(const RowColumnData& column, std::uint64_t i, Builder& builder) {
  switch (arrow_type(column.type)) {
    case Type::kBool:
      builder.append_bool(column.ints[i] != 0);
      break;
    case Type::kInt64:
      builder.append_int(column.ints[i]);
      break;
    case Type::kFloat64:
      builder.append_float(column.floats[i]);
      break;
    default:
      builder.append_text(column.texts[i]);
  }
}

void append_row(const RowColumnData& column, std::uint64_t row, Builder& builder) {
  if (column.is_null[row]) {
    builder.append_null();
  } else if (!is_list(column.type)) {
    append_element(column, row, builder);
  } else {
    for (std::uint64_t i = row == 0 ? 0 : column.ends[row - 1]; i < column.ends[row]; ++i) {
      append_element(column, i, builder.child(0));
    }
    builder.end_list();
  }
}

/// assay.metric.sums/1 of a metric.
struct Sums {
  const assay_metric_sums_v1* table = nullptr;  ///< NULL: not offered
  std::vector<std::string> terms;

  static Result<Sums> of(const Instance& instance) {
    Sums sums;
    const auto* table = instance.extension<assay_metric_sums_v1>(ASSAY_METRIC_SUMS_1);
    if (table == nullptr) return sums;
    if (!ASSAY_HAS(assay_metric_sums_v1, table, totals) || table->totals == nullptr ||
        (table->n_terms > 0 && table->terms == nullptr) ||
        std::any_of(table->terms, table->terms + table->n_terms,
                    [](const char* term) { return term == nullptr; })) {
      return Failure{ASSAY_INTERNAL, std::string(instance.component().id()) +
                                         ": misbehaviour: its " ASSAY_METRIC_SUMS_1
                                         " is not whole"};
    }
    sums.table = table;
    sums.terms.assign(table->terms, table->terms + table->n_terms);
    return sums;
  }
};

/// What a metric pushes, checked against what it declared.
class Values {
 public:
  Values(const MetricSpec& metric, const std::vector<std::string>& terms, std::size_t n_rows)
      : metric_(metric), names_(terms), terms_(terms.size(), std::vector<double>(n_rows, 0.0)) {
    measured_.totals.assign(metric.outputs.size(), {kUnknown, kUnknown, 0});
    measured_.samples.assign(metric.outputs.size(), std::vector<double>(n_rows, kUnknown));
    table_.struct_size = sizeof(table_);
    table_.ctx = this;
    table_.sample = [](void* ctx, std::uint64_t row, const char* name, double value) noexcept {
      static_cast<Values*>(ctx)->sample(row, name, value);
    };
    table_.total = [](void* ctx, const char* name, double value, double std_error,
                      std::uint64_t n) noexcept {
      static_cast<Values*>(ctx)->total(name, value, std_error, n);
    };
  }

  const assay_value_sink& table() const { return table_; }
  /// Per term its sample for each row, 0 where there is none.
  const std::vector<std::vector<double>>& terms() const { return terms_; }

  void begin_batch(std::size_t first_row, std::size_t n_rows) {
    first_row_ = first_row;
    n_rows_ = n_rows;
  }

  Result<Measured> finish() {
    // An output without a total stays unknown: it is undefined on these rows.
    for (std::size_t i = 0; i < metric_.outputs.size(); ++i) {
      if (metric_.outputs[i].is_mean) measured_.totals[i] = mean_of(measured_.samples[i]);
    }
    if (!fault_.empty()) {
      return Failure{ASSAY_INTERNAL, std::string(metric_.use.component->id()) + " " + fault_};
    }
    return std::move(measured_);
  }

 private:
  std::optional<std::size_t> output(const char* name) const {
    for (std::size_t i = 0; i < metric_.outputs.size(); ++i) {
      if (metric_.outputs[i].name == name) return i;
    }
    return std::nullopt;
  }

  void undeclared(const char* name) {
    fault("gave a value for \"" + std::string(name) + "\", an output it does not declare");
  }

  void fault(std::string text) {
    if (fault_.empty()) fault_ = std::move(text);
  }

  void sample(std::uint64_t row, const char* name, double value) {
    const auto which = output(name);
    const auto term = std::find(names_.begin(), names_.end(), name);
    if (!which && term == names_.end()) return undeclared(name);
    if (row >= n_rows_) {
      fault("gave a sample of " + std::string(name) + " for row " + std::to_string(row) + " of " +
            std::to_string(n_rows_));
      return;
    }
    if (term != names_.end() && !std::isnan(value)) {
      terms_[static_cast<std::size_t>(term - names_.begin())][first_row_ + row] = value;
    }
    if (!which) return;
    const MetricOutput& declared = metric_.outputs[*which];
    double& kept = measured_.samples[*which][first_row_ + row];
    if (!std::isnan(kept)) fault("gave two samples of " + declared.name + " for one row");
    if (value < declared.lo || value > declared.hi) {
      fault("gave a sample of " + declared.name +
            " outside the bounds it declares: " + std::to_string(value));
    }
    kept = value;
  }

  void total(const char* name, double value, double std_error, std::uint64_t n) {
    const auto which = output(name);
    if (!which) return undeclared(name);
    measured_.totals[*which] = {value, std_error, n};
  }

  const MetricSpec& metric_;
  const std::vector<std::string>& names_;  // of terms
  std::vector<std::vector<double>> terms_;
  Measured measured_;
  std::size_t first_row_ = 0, n_rows_ = 0;
  std::string fault_;
  assay_value_sink table_{};
};

/// The declared columns that exist, in the order of their declaration.
std::vector<const RowColumnData*> columns_for(const MetricSpec& metric, const RowTable& table) {
  std::vector<const RowColumnData*> columns;
  const assay_component& component = *metric.use.component->constants;
  for (std::uint64_t i = 0; i < component.n_columns; ++i) {
    for (const RowColumnData& column : table.columns()) {
      if (column.name == component.columns[i]->name) columns.push_back(&column);
    }
  }
  return columns;
}

bool is_all_null(const RowColumnData& column) {
  return std::all_of(column.is_null.begin(), column.is_null.end(), [](bool null) { return null; });
}

Result<void> update(Instance& instance, const std::vector<const RowColumnData*>& columns,
                    std::span<const std::uint64_t> rows, const Values& values) {
  std::vector<Field> fields;
  for (const RowColumnData* column : columns) fields.push_back(field_of(*column));
  const Field root = table_of(std::move(fields));
  const Schema schema(make_schema(root));
  Builder builder(root);
  for (const std::uint64_t row : rows) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      append_row(*columns[i], row, builder.child(i));
    }
    builder.end_struct();
  }
  const Array array(builder.finish());
  return instance.call("update", [&](assay_error* error) {
    return instance.api<assay_metric_v1>().update(instance.self(), schema.get(), array.get(),
                                                  &values.table(), error);
  });
}

/// Rows of one jackknife block out of `rows`, the others kept.
std::vector<std::uint64_t> without_block(std::span<const std::uint64_t> rows, std::uint64_t block,
                                         std::uint64_t n_blocks) {
  std::vector<std::uint64_t> kept;
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    if (block_of(i, rows.size(), n_blocks) != block) kept.push_back(rows[i]);
  }
  return kept;
}

/// Per output its totals with parts of the rows left out; empty where there are none to be had.
using LeftOut = std::vector<std::vector<double>>;

/// Which standard errors of totals are wanted?
using Wants = bool (*)(const MetricSpec&, const Measured&);

bool wants_none(const MetricSpec&, const Measured&) { return false; }

bool wants_unknown(const MetricSpec& metric, const Measured& measured) {
  for (std::size_t i = 0; i < metric.outputs.size(); ++i) {
    if (!metric.outputs[i].is_mean && std::isnan(measured.totals[i].std_error)) return true;
  }
  return false;
}

bool wants_totals(const MetricSpec& metric, const Measured&) {
  return std::any_of(metric.outputs.begin(), metric.outputs.end(),
                     [](const MetricOutput& output) { return !output.is_mean; });
}

/// The totals without each of the rows, from sums.
///
/// Shapes   terms [n_terms][n_rows]
Result<LeftOut> without_each(const Instance& instance, const Sums& sums,
                             const std::vector<std::vector<double>>& terms, std::size_t n_rows,
                             std::size_t n_outputs) {
  const std::size_t n_terms = terms.size();
  std::vector<double> whole;
  for (const auto& term : terms) whole.push_back(std::accumulate(term.begin(), term.end(), 0.0));

  LeftOut left_out(n_outputs);
  std::vector<double> part, items, out;
  for (std::size_t first = 0; first < n_rows; first += kBatchRows) {
    const std::size_t n = std::min(kBatchRows, n_rows - first);
    part.assign(n * n_terms, 0);
    items.assign(n, static_cast<double>(n_rows - 1));
    out.assign(n * n_outputs, kUnknown);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n_terms; ++k) {
        part[i * n_terms + k] = whole[k] - terms[k][first + i];
      }
    }
    const auto given = instance.call("totals", [&](assay_error* error) {
      return sums.table->totals(instance.self(), part.data(), items.data(), n, out.data(), error);
    });
    if (!given) return given.error();
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n_outputs; ++k) {
        left_out[k].push_back(out[i * n_outputs + k]);
      }
    }
  }
  return left_out;
}

struct WithLeftOut {
  Measured measured;
  LeftOut left_out;
};

/// Runs the metric; where errors are wanted and it has sums, its totals without each of the rows.
Result<WithLeftOut> run_once(const MetricSpec& metric, const RowTable& table,
                             std::span<const std::uint64_t> rows, std::uint64_t seed, Wants wants) {
  Lease lease;
  lease.node = std::string(metric.use.component->id());
  lease.seed = seed;
  auto instance = Instance::create(*metric.use.component, metric.use.options, lease);
  if (!instance) return std::move(instance).error();
  const auto sums = Sums::of(*instance);
  if (!sums) return sums.error();
  std::vector<const RowColumnData*> columns = columns_for(metric, table);
  std::erase_if(columns, [](const RowColumnData* column) { return is_all_null(*column); });
  Values values(metric, sums->terms, rows.size());
  for (std::size_t first = 0; first < rows.size(); first += kBatchRows) {
    const auto part = rows.subspan(first, std::min(kBatchRows, rows.size() - first));
    values.begin_batch(first, part.size());
    if (auto ok = update(*instance, columns, part, values); !ok) return std::move(ok).error();
  }
  const auto finished = instance->call("finish", [&](assay_error* error) {
    return instance->api<assay_metric_v1>().finish(instance->self(), &values.table(), error);
  });
  if (!finished) return finished.error();
  auto measured = values.finish();
  if (!measured) return std::move(measured).error();
  WithLeftOut result{*std::move(measured), {}};
  if (sums->table == nullptr || rows.size() < 2 || !wants(metric, result.measured)) return result;
  auto left_out =
      without_each(*instance, *sums, values.terms(), rows.size(), metric.outputs.size());
  if (!left_out) return std::move(left_out).error();
  result.left_out = *std::move(left_out);
  return result;
}

/// The totals without each of the blocks, running the metric on what is left.
LeftOut without_blocks(const MetricSpec& metric, const RowTable& table,
                       std::span<const std::uint64_t> rows, std::uint64_t seed) {
  const std::uint64_t n_blocks = std::min<std::uint64_t>(kJackknifeBlocks, rows.size());
  LeftOut left_out(metric.outputs.size());
  for (std::uint64_t block = 0; block < n_blocks; ++block) {
    const auto part = measure(metric, table, without_block(rows, block, n_blocks), seed);
    if (!part) return {};  // a metric that is undefined on a part has no error
    for (std::size_t i = 0; i < left_out.size(); ++i) {
      left_out[i].push_back(part->totals[i].value);
    }
  }
  return left_out;
}

/// Measures, with the parts left out that the wanted errors need.
Result<WithLeftOut> leave_out(const MetricSpec& metric, const RowTable& table,
                              std::span<const std::uint64_t> rows, std::uint64_t seed,
                              Wants wants) {
  auto result = run_once(metric, table, rows, seed, wants);
  if (!result || rows.size() < 2 || !result->left_out.empty()) return result;
  if (wants(metric, result->measured)) {
    result->left_out = without_blocks(metric, table, rows, seed);
  }
  return result;
}

}  // namespace

RowTable::RowTable(const TaskSpec& task) : group_by_(task.group_by) {
  for (const MetricSpec& metric : task.metrics) {
    const assay_component& component = *metric.use.component->constants;
    for (std::uint64_t i = 0; i < component.n_columns; ++i) {
      const assay_column& wanted = *component.columns[i];
      const auto has_name = [&](const RowColumnData& c) { return c.name == wanted.name; };
      if (std::any_of(columns_.begin(), columns_.end(), has_name)) continue;
      columns_.push_back({wanted.name, wanted.type, {}, {}, {}, {}, {}});
    }
  }
}

bool RowTable::add(const Json& row) {
  if (row.at("status") != "ok") return false;
  index_.push_back(row.at("index").get<std::uint64_t>());
  std::vector<std::string> groups;
  for (const std::string& key : group_by_) groups.push_back(row.at("groups").at(key));
  groups_.push_back(std::move(groups));
  for (RowColumnData& column : columns_) add_value(column_of(row, column.name), column);
  return true;
}

std::vector<std::uint64_t> all_rows(const RowTable& table) {
  std::vector<std::uint64_t> rows(table.size());
  for (std::uint64_t i = 0; i < rows.size(); ++i) rows[i] = i;
  return rows;
}

const Json* column_of(const Json& row, const std::string& name) {
  if (const auto columns = row.find("columns"); columns != row.end()) {
    if (const auto own = columns->find(name); own != columns->end()) return &*own;
  }
  const auto result = row.find(name);
  return result == row.end() ? nullptr : &*result;
}

Result<Measured> measure(const MetricSpec& metric, const RowTable& table,
                         std::span<const std::uint64_t> rows, std::uint64_t seed) {
  auto result = run_once(metric, table, rows, seed, wants_none);
  if (!result) return std::move(result).error();
  return std::move(result->measured);
}

Result<Measured> measure_with_errors(const MetricSpec& metric, const RowTable& table,
                                     std::span<const std::uint64_t> rows, std::uint64_t seed) {
  auto result = leave_out(metric, table, rows, seed, wants_unknown);
  if (!result) return std::move(result).error();
  Measured& measured = result->measured;
  for (std::size_t i = 0; i < result->left_out.size(); ++i) {
    double& error = measured.totals[i].std_error;
    if (!metric.outputs[i].is_mean && std::isnan(error)) {
      error = jackknife_error(result->left_out[i]);
    }
  }
  return std::move(measured);
}

Result<std::vector<Paired>> compare(const MetricSpec& metric, const RowTable& a,
                                    std::span<const std::uint64_t> rows_a, const RowTable& b,
                                    std::span<const std::uint64_t> rows_b, std::uint64_t seed) {
  const auto whole_a = leave_out(metric, a, rows_a, seed, wants_totals);
  if (!whole_a) return whole_a.error();
  const auto whole_b = leave_out(metric, b, rows_b, seed, wants_totals);
  if (!whole_b) return whole_b.error();
  const bool has_parts = !whole_a->left_out.empty() && !whole_b->left_out.empty();
  std::vector<Paired> paired;
  for (std::size_t i = 0; i < metric.outputs.size(); ++i) {
    const Measured &of_a = whole_a->measured, &of_b = whole_b->measured;
    Paired one{of_a.totals[i].value, of_b.totals[i].value, {}};
    if (metric.outputs[i].is_mean) {
      one.delta = paired_difference(of_a.samples[i], of_b.samples[i]);
    } else {
      one.delta = {one.candidate - one.baseline, kUnknown, rows_a.size()};
      if (has_parts)
        one.delta.std_error = jackknife_error(whole_a->left_out[i], whole_b->left_out[i]);
    }
    paired.push_back(one);
  }
  return paired;
}

std::vector<Group> groups_of(const TaskSpec& task, const RowTable& table) {
  const std::size_t n_keys = task.group_by.size();
  std::vector<Group> groups;
  const auto add_by = [&](const std::vector<std::size_t>& keys) {
    std::map<std::string, std::size_t> places;
    for (std::uint64_t row = 0; row < table.size(); ++row) {
      std::string name;
      for (const std::size_t key : keys) {
        name += (name.empty() ? "" : ",") + task.group_by[key] + "=" + table.groups(row)[key];
      }
      const auto [place, is_new] = places.emplace(name, groups.size());
      if (is_new) groups.push_back({name, {}});
      groups[place->second].rows.push_back(row);
    }
  };
  std::vector<std::size_t> all;
  for (std::size_t key = 0; key < n_keys; ++key) {
    add_by({key});
    all.push_back(key);
  }
  if (n_keys > 1) add_by(all);
  return groups;
}

}  // namespace assay::host
