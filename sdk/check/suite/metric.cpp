// Tests of metrics: how rows are cut, ordered and typed changes nothing; values are as declared.
#include <algorithm>
#include <array>
#include <assay/suite/requests.hpp>
#include <assay/suite/rows.hpp>
#include <cmath>
#include <cstring>

namespace assay::suite {
namespace {

constexpr std::uint64_t kRows = 24;

std::vector<std::uint64_t> random_cuts(Probe& probe, std::uint64_t n) {
  std::vector<std::uint64_t> cuts;
  for (int i = 0; i < 6; ++i) cuts.push_back(probe.below(n + 1));
  std::sort(cuts.begin(), cuts.end());  // equal ones make empty batches
  return cuts;
}

void expect_same(Probe& probe, const Given& expected, const Given& got, const std::string& what) {
  expect_same_totals(probe, expected, got, what);
  for (const auto& [at, value] : expected.samples) {
    const auto found = got.samples.find(at);
    const bool is_same =
        found != got.samples.end() &&
        (found->second == value || (std::isnan(found->second) && std::isnan(value)));
    probe.expect(is_same, what + ": the sample of " + quoted(at.second) + " for row " +
                              std::to_string(at.first) + " differs");
  }
  probe.expect(expected.samples.size() == got.samples.size(),
               what + ": " + std::to_string(got.samples.size()) + " samples came; expected " +
                   std::to_string(expected.samples.size()));
}

void takes_declared_rows(Probe& probe) {
  if (probe.component().n_columns == 0) probe.skip("it declares no columns to make rows of");
  const check::Table rows = made_rows(probe, {.n = kRows});
  measure(probe, rows, kRows, {});
}

void cuts_change_nothing(Probe& probe) {
  need_rows(probe);
  const check::Table rows = made_rows(probe, {.n = kRows});
  const Given whole = measure(probe, rows, kRows, {});
  std::vector<std::uint64_t> each;
  for (std::uint64_t i = 1; i < kRows; ++i) each.push_back(i);
  expect_same(probe, whole, measure(probe, rows, kRows, each), "one row at a time");
  expect_same(probe, whole, measure(probe, rows, kRows, {0, 0, 5, 5, kRows}),
              "with empty batches between");
  for (int i = 0; i < 3; ++i) {
    expect_same(probe, whole, measure(probe, rows, kRows, random_cuts(probe, kRows)),
                "cut at random");
  }
}

void order_changes_nothing(Probe& probe) {
  need_rows(probe);
  std::vector<std::uint64_t> order;
  for (std::uint64_t i = 0; i < kRows; ++i) order.push_back(i);
  const Given straight = measure(probe, made_rows(probe, {.n = kRows}, order), kRows, {});
  std::reverse(order.begin(), order.end());
  expect_same_totals(probe, straight,
                     measure(probe, made_rows(probe, {.n = kRows}, order), kRows, {}),
                     "rows in the opposite order");
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[probe.below(i)]);
  expect_same_totals(probe, straight,
                     measure(probe, made_rows(probe, {.n = kRows}, order), kRows, {7}),
                     "rows shuffled");
}

void nothing_is_legal(Probe& probe) {
  {
    const Made made(probe);
    Given given;
    finish(probe, made, given);
    for (const auto& [name, total] : given.totals) {
      probe.expect(total.n == 0, "finish without update gave " + quoted(name) + " over " +
                                     std::to_string(total.n) + " items; expected none or 0");
    }
  }
  if (probe.component().n_columns == 0) return;
  const check::Table rows = made_rows(probe, {.n = 0});
  const Given given = measure(probe, rows, 0, {0, 0});
  probe.expect(given.samples.empty(), "an empty batch gave samples");
}

void nulls_are_taken(Probe& probe) {
  bool has_optional = false;
  for (std::uint64_t i = 0; i < probe.component().n_columns; ++i) {
    has_optional = has_optional || (probe.component().columns[i]->flags & ASSAY_COL_OPTIONAL) != 0;
  }
  if (!has_optional) probe.skip("no column is OPTIONAL");
  need_rows(probe);
  measure(probe, made_rows(probe, {.n = kRows, .has_nulls = true}), kRows, {5});
  measure(probe, made_rows(probe, {.n = kRows, .has_optional = false}), kRows, {5});
}

void columns_by_name(Probe& probe) {
  need_rows(probe);
  // The same values under the same names, made column by column for each row.
  const check::Table straight = made_rows(probe, {.n = 1});
  const View view(*straight.schema(), *straight.array());
  const Given expected = measure(probe, straight, 1, {});
  std::vector<ArrowSchema*> schemas(straight.schema()->children,
                                    straight.schema()->children + straight.schema()->n_children);
  std::vector<ArrowArray*> arrays(straight.array()->children,
                                  straight.array()->children + straight.array()->n_children);
  std::reverse(schemas.begin(), schemas.end());
  std::reverse(arrays.begin(), arrays.end());
  ArrowSchema schema = *straight.schema();
  ArrowArray array = *straight.array();
  schema.children = schemas.data();
  array.children = arrays.data();
  const Made made(probe);
  Given got;
  update(probe, made, &schema, &array, 0, got);
  finish(probe, made, got);
  expect_same(probe, expected, got, "columns in the opposite order");
}

void large_texts_are_taken(Probe& probe) {
  need_rows(probe);
  const check::Table rows = made_rows(probe, {.n = kRows});
  const Given expected = measure(probe, rows, kRows, {});
  // The same buffers, offsets widened: large_utf8 instead of utf8.
  std::vector<ArrowSchema> schemas;
  std::vector<ArrowArray> arrays;
  std::vector<std::vector<std::int64_t>> offsets;
  std::vector<std::array<const void*, 3>> buffers;
  const auto n = static_cast<std::size_t>(rows.schema()->n_children);
  offsets.resize(n);
  buffers.resize(n);
  bool has_text = false;
  for (std::size_t k = 0; k < n; ++k) {
    schemas.push_back(*rows.schema()->children[k]);
    arrays.push_back(*rows.array()->children[k]);
    if (std::string_view(schemas[k].format) != "u") continue;
    has_text = true;
    const auto* narrow = static_cast<const std::int32_t*>(arrays[k].buffers[1]);
    offsets[k].assign(narrow, narrow + kRows + 1);
    buffers[k] = {arrays[k].buffers[0], offsets[k].data(), arrays[k].buffers[2]};
    schemas[k].format = "U";
    arrays[k].buffers = buffers[k].data();
  }
  if (!has_text) probe.skip("no column is text");
  std::vector<ArrowSchema*> schema_pointers;
  std::vector<ArrowArray*> array_pointers;
  for (std::size_t k = 0; k < n; ++k) {
    schema_pointers.push_back(&schemas[k]);
    array_pointers.push_back(&arrays[k]);
  }
  ArrowSchema schema = *rows.schema();
  ArrowArray array = *rows.array();
  schema.children = schema_pointers.data();
  array.children = array_pointers.data();
  const Made made(probe);
  Given got;
  update(probe, made, &schema, &array, 0, got);
  finish(probe, made, got);
  expect_same(probe, expected, got, "texts as large_utf8");
}

void input_is_borrowed(Probe& probe) {
  need_rows(probe);
  const check::Table rows = made_rows(probe, {.n = kRows});
  static int n_released;
  n_released = 0;
  ArrowSchema schema = *rows.schema();
  ArrowArray array = *rows.array();
  schema.release = [](ArrowSchema*) { ++n_released; };
  array.release = [](ArrowArray*) { ++n_released; };
  const ArrowSchema schema_before = schema;
  const ArrowArray array_before = array;
  {
    const Made made(probe);
    Given given;
    update(probe, made, &schema, &array, 0, given);
    finish(probe, made, given);
  }
  probe.expect(n_released == 0, "the metric released what it was lent");
  probe.expect(std::memcmp(&schema, &schema_before, sizeof schema) == 0 &&
                   std::memcmp(&array, &array_before, sizeof array) == 0,
               "the metric moved or changed what it was lent");
}

void nothing_after_finish(Probe& probe) {
  need_rows(probe);
  const Made made(probe);
  const check::Table rows = made_rows(probe, {.n = 3});
  Given given;
  update(probe, made, rows.schema(), rows.array(), 0, given);
  finish(probe, made, given);
  const auto& metric = made.api<assay_metric_v1>();
  check::SpyValues values;
  assay_error error = check::fresh_error();
  const assay_status updated =
      metric.update(made.self(), rows.schema(), rows.array(), &values.sink, &error);
  probe.expect(
      updated == ASSAY_FAILED_PRECONDITION,
      "update after finish answered " + said(updated, error) + "; expected FAILED_PRECONDITION");
  error = check::fresh_error();
  const assay_status finished = metric.finish(made.self(), &values.sink, &error);
  probe.expect(
      finished == ASSAY_FAILED_PRECONDITION,
      "finish a second time answered " + said(finished, error) + "; expected FAILED_PRECONDITION");
}

void instances_do_not_interact(Probe& probe) {
  need_rows(probe);
  const check::Table rows = made_rows(probe, {.n = kRows});
  const Given alone = measure(probe, rows, kRows, {});
  const Made first(probe), second(probe);
  Given a, b;
  for (std::uint64_t row = 0; row < kRows; ++row) {
    const ArrowArray slice = rows.slice(static_cast<std::int64_t>(row), 1);
    update(probe, first, rows.schema(), &slice, row, a);
    // The other one gets every second row.
    if (row % 2 == 0) update(probe, second, rows.schema(), &slice, row, b);
  }
  finish(probe, second, b);
  finish(probe, first, a);
  expect_same(probe, alone, a, "with another instance at work");
}

void values_are_as_declared(Probe& probe) {
  const assay_component& component = probe.component();
  if (component.n_outputs == 0) probe.skip("its outputs are known after a run only");
  need_rows(probe);
  const Given given = measure(probe, made_rows(probe, {.n = kRows}), kRows, {});
  const auto find = [&](const std::string& name) -> const assay_column* {
    for (std::uint64_t i = 0; i < component.n_outputs; ++i) {
      if (name == component.outputs[i]->name) return component.outputs[i];
    }
    return nullptr;
  };
  for (const auto& [at, value] : given.samples) {
    const assay_column* output = find(at.second);
    if (output == nullptr) {
      probe.expect(false,
                   "a sample is named " + quoted(at.second) + ", which is no declared output");
      continue;
    }
    probe.expect(std::isnan(value) || (output->lo <= value && value <= output->hi),
                 "a sample of " + quoted(at.second) + " is " + shown(value) + "; declared are " +
                     shown(output->lo) + " to " + shown(output->hi));
  }
  for (const auto& [name, total] : given.totals) {
    probe.expect(find(name) != nullptr,
                 "a total is named " + quoted(name) + ", which is no declared output");
    probe.expect(total.n <= kRows, "the total of " + quoted(name) + " is over " +
                                       std::to_string(total.n) + " items of " +
                                       std::to_string(kRows));
    probe.expect(!(total.std_error < 0), "the standard error of " + quoted(name) + " is negative");
  }
}

void means_are_means(Probe& probe) {
  const assay_component& component = probe.component();
  bool has_mean = false;
  for (std::uint64_t i = 0; i < component.n_outputs; ++i) {
    has_mean = has_mean || (component.outputs[i]->flags & ASSAY_COL_MEAN) != 0;
  }
  if (!has_mean) probe.skip("no output is a MEAN");
  need_rows(probe);
  const Given given = measure(probe, made_rows(probe, {.n = kRows}), kRows, {3, 11});
  for (std::uint64_t i = 0; i < component.n_outputs; ++i) {
    const assay_column& output = *component.outputs[i];
    if ((output.flags & ASSAY_COL_MEAN) == 0) continue;
    double sum = 0;
    std::uint64_t n = 0;
    for (const auto& [at, value] : given.samples) {
      if (at.second != output.name || std::isnan(value)) continue;
      sum += value;
      ++n;
    }
    if (n == 0) continue;
    const auto total = given.totals.find(output.name);
    if (total == given.totals.end()) {
      probe.expect(false, "the total of " + quoted(output.name) + " did not come");
      continue;
    }
    const double mean = sum / static_cast<double>(n);
    probe.expect(std::abs(total->second.value - mean) <= 1e-9 * std::max(1.0, std::abs(mean)),
                 "the total of " + quoted(output.name) + " is " + shown(total->second.value) +
                     "; the mean of its samples is " + shown(mean));
    probe.expect(total->second.n == n, "the total of " + quoted(output.name) + " is over " +
                                           std::to_string(total->second.n) + " items; " +
                                           std::to_string(n) + " samples came");
  }
}

void missing_column(Probe& probe) {
  need_rows(probe);
  for (std::uint64_t i = 0; i < probe.component().n_columns; ++i) {
    const assay_column& column = *probe.component().columns[i];
    if ((column.flags & ASSAY_COL_OPTIONAL) != 0) continue;
    if (probe.component().n_columns == 1) probe.skip("it has one column only");
    const check::Table rows = made_rows(probe, {.n = 3, .without = column.name});
    const Made made(probe);
    check::SpyValues values;
    assay_error error = check::fresh_error();
    const assay_status status = made.api<assay_metric_v1>().update(
        made.self(), rows.schema(), rows.array(), &values.sink, &error);
    probe.expect(status == ASSAY_INVALID_ARGUMENT || status == ASSAY_NOT_FOUND,
                 "rows without the column " + quoted(column.name) + " were answered with " +
                     said(status, error) + "; expected INVALID_ARGUMENT");
  }
}

constexpr Test kTests[] = {
    {"metric.takes-declared-rows", ASSAY_METRIC, nullptr, Level::kNote, 26, true,
     "A metric takes rows made from the columns it declares.", takes_declared_rows},
    {"metric.cuts-change-nothing", ASSAY_METRIC, nullptr, Level::kMust, 12, true,
     "How rows are cut into batches changes no result.", cuts_change_nothing},
    {"metric.order-changes-nothing", ASSAY_METRIC, nullptr, Level::kMust, 12, true,
     "The order of rows changes no total.", order_changes_nothing},
    {"metric.nothing-is-legal", ASSAY_METRIC, nullptr, Level::kMust, 12, true,
     "finish without update is legal, and so is an empty batch.", nothing_is_legal},
    {"metric.nulls-are-taken", ASSAY_METRIC, nullptr, Level::kMust, 26, true,
     "OPTIONAL columns may have nulls or be left out.", nulls_are_taken},
    {"metric.columns-by-name", ASSAY_METRIC, nullptr, Level::kMust, 26, true,
     "Columns come by name, in any order.", columns_by_name},
    {"metric.large-texts-are-taken", ASSAY_METRIC, nullptr, Level::kMust, 26, true,
     "A text column is utf8 or large_utf8.", large_texts_are_taken},
    {"metric.input-is-borrowed", ASSAY_METRIC, nullptr, Level::kMust, 2, true,
     "Arrays and schemas given to update are borrowed: never released, never moved.",
     input_is_borrowed},
    {"metric.nothing-after-finish", ASSAY_METRIC, nullptr, Level::kMust, 12, true,
     "After finish, update and finish answer FAILED_PRECONDITION.", nothing_after_finish},
    {"metric.instances-do-not-interact", ASSAY_METRIC, nullptr, Level::kMust, 12, true,
     "One instance per group: two do not interact.", instances_do_not_interact},
    {"metric.values-are-as-declared", ASSAY_METRIC, nullptr, Level::kMust, 25, true,
     "Samples and totals have declared names, come once, and lie within their bounds.",
     values_are_as_declared},
    {"metric.means-are-means", ASSAY_METRIC, nullptr, Level::kMust, 0, true,
     "The total of a MEAN output is the mean of its samples.", means_are_means},
    {"metric.missing-column", ASSAY_METRIC, nullptr, Level::kMust, 26, true,
     "Rows that lack a needed column are refused.", missing_column},
};

}  // namespace

std::span<const Test> metric_tests() { return kTests; }

}  // namespace assay::suite
