#include <algorithm>
#include <assay/suite/requests.hpp>
#include <assay/suite/rows.hpp>
#include <assay/text.hpp>
#include <cmath>
#include <cstring>

namespace assay::suite {
namespace {

// Summing in another order moves the last digits; rules say "no result", doubles say 1e-9.
constexpr double kRelative = 1e-9;

bool is_list(assay_type type) { return type >= ASSAY_INTS && type <= ASSAY_TEXTS; }

Type type_of_column(assay_type type) {
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

Field field_of(const assay_column& column) {
  const bool is_nullable = (column.flags & ASSAY_COL_OPTIONAL) != 0;
  const Type type = type_of_column(column.type);
  if (!is_list(column.type)) return {column.name, type, {}, is_nullable};
  return {column.name, Type::kList, {Field{"item", type, {}, false}}, is_nullable};
}

/// Texts with a number and a word each, for metrics that look for either; some with white space,
/// letters beyond ASCII or several words.
constexpr const char* kTexts[] = {"12",       "the answer is 7", " 3.5 ", "Z\xC3\xBCrich 1", "7",
                                  "0 apples", "about 12",        "-4\n",  "12 and 7",        "1"};

constexpr std::uint64_t kListLength = 4;

/// Values by the name the host gives its own columns; the rest are numbers any metric takes.
double plausible_number(Probe& probe, std::string_view name) {
  if (name == "loglikelihood" || name == "choice_loglikelihoods") return -probe.between(0.1, 20);
  if (name == "nll" || name == "window_nll") return probe.between(0.1, 5);
  return probe.between(0, 1);
}

std::int64_t plausible_integer(Probe& probe, std::string_view name) {
  if (name == "target" || name == "choice") {
    return static_cast<std::int64_t>(probe.below(kListLength));
  }
  return 1 + static_cast<std::int64_t>(probe.below(20));
}

void append(Probe& probe, Builder& to, Type type, std::string_view name) {
  switch (type) {
    case Type::kBool:
      return to.append_bool(probe.below(2) == 1);
    case Type::kInt64:
      return to.append_int(plausible_integer(probe, name));
    case Type::kFloat64:
      return to.append_float(plausible_number(probe, name));
    default:
      return to.append_text(kTexts[probe.below(std::size(kTexts))]);
  }
}

void append_row(Probe& probe, Builder& table, const std::vector<const assay_column*>& columns,
                std::uint64_t row, bool has_nulls) {
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const assay_column& column = *columns[k];
    Builder& to = table.child(k);
    if (has_nulls && (column.flags & ASSAY_COL_OPTIONAL) != 0 && (row + k) % 3 == 0) {
      to.append_null();
      continue;
    }
    const Type type = type_of_column(column.type);
    if (!is_list(column.type)) {
      append(probe, to, type, column.name);
      continue;
    }
    for (std::uint64_t i = 0; i < kListLength; ++i) append(probe, to.child(0), type, column.name);
    to.end_list();
  }
  table.end_struct();
}

bool is_same(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (a == b) return true;
  return std::abs(a - b) <= kRelative * std::max({1.0, std::abs(a), std::abs(b)});
}

}  // namespace

std::string spelled(const View& view, std::int64_t row) {
  if (view.is_null(row)) return "null";
  switch (view.type()) {
    case Type::kBool:
      return view.boolean(row) ? "true" : "false";
    case Type::kInt64:
    case Type::kInt32:
      return std::to_string(view.integer(row));
    case Type::kFloat64:
    case Type::kFloat32: {
      char text[40];
      std::snprintf(text, sizeof text, "%.17g", view.number(row));
      return text;
    }
    case Type::kText:
      return quoted(view.text(row));
    case Type::kList: {
      const View elements = view.list(row);
      std::string text = "[";
      for (std::int64_t i = 0; i < elements.size(); ++i) {
        text += (i > 0 ? ", " : "") + spelled(elements, i);
      }
      return text + "]";
    }
    case Type::kStruct: {
      std::string text = "{";
      for (std::int64_t k = 0; k < view.n_children(); ++k) {
        text += (k > 0 ? ", " : "") + spelled(view.child(k), row);
      }
      return text + "}";
    }
  }
  return "";
}

std::string spelled(const ArrowSchema& schema) {
  std::string text(name_of(*type_of(schema.format)));
  if (schema.n_children > 0) {
    text += "<";
    for (std::int64_t i = 0; i < schema.n_children; ++i) {
      const ArrowSchema& child = *schema.children[i];
      text += (i > 0 ? ", " : "") + std::string(child.name == nullptr ? "" : child.name) + ": " +
              spelled(child);
    }
    text += ">";
  }
  return text + ((schema.flags & ARROW_FLAG_NULLABLE) != 0 ? "?" : "");
}

Stream open_split(Probe& probe, const Made& made, const std::string& split) {
  Stream stream;
  assay_error error = patterned_error();
  const assay_status status = made.api<assay_dataset_v1>().open(
      made.self(), {split.data(), split.size()}, stream.out(), &error);
  probe.require(status == ASSAY_OK, "open of split " + quoted(split) + " answered " +
                                        said(status, error) +
                                        "; expected OK (name one with --dataset-split)");
  probe.expect(is_patterned(error), "open answered OK and wrote into the error");
  probe.require(static_cast<bool>(stream), "open answered OK and gave no stream");
  return stream;
}

Split read_split(Probe& probe, Stream& stream, std::uint64_t most) {
  Split split;
  const Schema schema = read_schema(stream, "the split");
  split.schema = spelled(*schema);
  while (split.rows.size() < most) {
    const std::optional<Array> batch = read_batch(stream, "the split");
    if (!batch) break;
    const auto fault = array_error(*schema, **batch);
    probe.require(!fault, "a batch is not what its schema says: " + fault.value_or(""));
    const View view(*schema, **batch);
    for (std::int64_t row = 0; row < view.size(); ++row) split.rows.push_back(spelled(view, row));
  }
  if (split.rows.size() > most) split.rows.resize(most);
  return split;
}

check::Table made_rows(Probe& probe, const RowsWanted& wanted) {
  std::vector<std::uint64_t> order;
  for (std::uint64_t i = 0; i < wanted.n; ++i) order.push_back(i);
  return made_rows(probe, wanted, order);
}

check::Table made_rows(Probe& probe, const RowsWanted& wanted,
                       const std::vector<std::uint64_t>& order) {
  std::vector<const assay_column*> columns;
  std::vector<Field> fields;
  for (std::uint64_t i = 0; i < probe.component().n_columns; ++i) {
    const assay_column& column = *probe.component().columns[i];
    if ((column.flags & ASSAY_COL_OPTIONAL) != 0 && !wanted.has_optional) continue;
    if (wanted.without == column.name) continue;
    columns.push_back(&column);
  }
  if (wanted.is_reversed) std::reverse(columns.begin(), columns.end());
  for (const assay_column* column : columns) fields.push_back(field_of(*column));
  return {fields, [&](Builder& table) {
            for (const std::uint64_t row : order) {
              // Each row has its own stream of numbers, so that it is the same wherever it comes.
              Settings settings = probe.settings();
              settings.seed = settings.seed * 1'000'003 + row;
              Probe of_row(probe.subject(), settings);
              std::vector<const assay_column*> in_order = columns;
              append_row(of_row, table, in_order, row, wanted.has_nulls);
            }
          }};
}

void update(Probe& probe, const Made& made, const ArrowSchema* schema, const ArrowArray* rows,
            std::uint64_t base, Given& given) {
  check::SpyValues values;
  assay_error error = patterned_error();
  const assay_status status =
      made.api<assay_metric_v1>().update(made.self(), schema, rows, &values.sink, &error);
  probe.require(status == ASSAY_OK, "update answered " + said(status, error) + "; expected OK");
  probe.expect(is_patterned(error), "update answered OK and wrote into the error");
  probe.expect(values.totals.empty(), "update gave a total; totals come from finish");
  for (const check::SpySample& sample : values.samples) {
    probe.expect(sample.row < static_cast<std::uint64_t>(rows->length),
                 "a sample of " + quoted(sample.name) + " is for row " +
                     std::to_string(sample.row) + " of a batch of " + std::to_string(rows->length));
    const bool is_new =
        given.samples.emplace(std::pair(base + sample.row, sample.name), sample.value).second;
    probe.expect(is_new, "the sample of " + quoted(sample.name) + " for row " +
                             std::to_string(sample.row) + " came twice");
  }
}

void finish(Probe& probe, const Made& made, Given& given) {
  check::SpyValues values;
  assay_error error = patterned_error();
  const assay_status status = made.api<assay_metric_v1>().finish(made.self(), &values.sink, &error);
  probe.require(status == ASSAY_OK, "finish answered " + said(status, error) + "; expected OK");
  probe.expect(is_patterned(error), "finish answered OK and wrote into the error");
  for (const check::SpyTotal& total : values.totals) {
    probe.expect(given.totals.emplace(total.name, total).second,
                 "the total of " + quoted(total.name) + " came twice");
  }
}

Given measure(Probe& probe, const check::Table& rows, std::uint64_t n,
              const std::vector<std::uint64_t>& cuts) {
  const Made made(probe);
  Given given;
  std::uint64_t begin = 0;
  const auto part = [&](std::uint64_t end) {
    const ArrowArray slice =
        rows.slice(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end - begin));
    update(probe, made, rows.schema(), &slice, begin, given);
    begin = end;
  };
  for (const std::uint64_t cut : cuts) part(cut);
  if (begin < n) part(n);
  finish(probe, made, given);
  return given;
}

void need_rows(Probe& probe) {
  if (probe.component().n_columns == 0) probe.skip("it declares no columns to make rows of");
  const Made made(probe);
  const check::Table rows = made_rows(probe, {});
  check::SpyValues values;
  assay_error error = check::fresh_error();
  const assay_status status = made.api<assay_metric_v1>().update(
      made.self(), rows.schema(), rows.array(), &values.sink, &error);
  if (status == ASSAY_INVALID_ARGUMENT) {
    probe.skip("it refuses rows made from its columns: " + said(status, error));
  }
}

void expect_same_totals(Probe& probe, const Given& expected, const Given& got,
                        const std::string& what) {
  for (const auto& [name, total] : expected.totals) {
    const auto found = got.totals.find(name);
    if (found == got.totals.end()) {
      probe.expect(false, what + ": the total of " + quoted(name) + " did not come");
      continue;
    }
    probe.expect(is_same(total.value, found->second.value),
                 what + ": the total of " + quoted(name) + " is " + shown(found->second.value) +
                     "; expected " + shown(total.value));
    probe.expect(is_same(total.std_error, found->second.std_error) && total.n == found->second.n,
                 what + ": standard error or count of " + quoted(name) + " differ");
  }
  probe.expect(got.totals.size() == expected.totals.size(),
               what + ": " + std::to_string(got.totals.size()) + " totals came; expected " +
                   std::to_string(expected.totals.size()));
}

}  // namespace assay::suite
