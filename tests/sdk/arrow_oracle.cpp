// Arrow columns of the SDK behind two C functions, so that arrow_oracle.py can let Arrow itself
// read what the builder makes, and the views read what Arrow makes.
#include <assay/arrow.hpp>
#include <assay/row.hpp>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace assay;

std::string shown(const View& view, std::int64_t i);

std::string shown_list(const View& elements) {
  std::string text;
  for (std::int64_t k = 0; k < elements.size(); ++k) {
    text += (k == 0 ? "" : ",") + shown(elements, k);
  }
  return "[" + text + "]";
}

std::string shown_struct(const View& view, std::int64_t i) {
  std::string text;
  for (std::int64_t k = 0; k < view.n_children(); ++k) {
    text += (k == 0 ? "" : ",") + std::string(view.child_name(k)) + ":" + shown(view.child(k), i);
  }
  return "{" + text + "}";
}

std::string shown(const View& view, std::int64_t i) {
  if (view.is_null(i)) return "null";
  char number[40];
  switch (view.type()) {
    case Type::kBool:
      return view.boolean(i) ? "true" : "false";
    case Type::kInt64:
    case Type::kInt32:
      return std::to_string(view.integer(i));
    case Type::kFloat64:
    case Type::kFloat32:
      std::snprintf(number, sizeof number, "%.17g", view.number(i));
      return number;
    case Type::kText:
      return "\"" + std::string(view.text(i)) + "\"";
    case Type::kList:
      return shown_list(view.list(i));
    case Type::kStruct:
      return shown_struct(view, i);
  }
  return "";
}

const std::vector<Field>& columns() {
  static const std::vector<Field> kColumns = {
      {"i", Type::kInt64, {}, true},
      {"b", Type::kBool, {}, true},
      {"f", Type::kFloat32},
      {"t", Type::kText, {}, true},
      {"l",
       Type::kList,
       {{"item",
         Type::kStruct,
         {{"k", Type::kInt32}, {"v", Type::kList, {{"item", Type::kText, {}, true}}, true}},
         true}},
       true}};
  return kColumns;
}

/// The rows that arrow_oracle.py expects in its row().
void add_row(Row& row, int x) {
  x % 7 == 0 ? row.null() : row << x;
  x % 5 == 0 ? row.null() : row << (x % 2 == 0);
  row << x / 4.0;
  x % 3 == 0 ? row.null() : row << "t" + std::to_string(x);
  if (x % 11 == 0) {
    row.null();
    return;
  }
  row.begin_list();
  for (int k = 0; k < x % 4; ++k) {
    if (k == 2) {
      row.null();
      continue;
    }
    row.begin_struct() << k;
    if (x % 13 == 0) {
      row.null();
    } else {
      row << std::vector<std::optional<std::string>>{"a", std::nullopt};
    }
    row.end_struct();
  }
  row.end_list();
}

bool next_batch(int& n_given, ArrowArray* out) {
  if (n_given == 300) return false;
  Builder table(table_of(columns()));
  for (int i = 0; i < 100; ++i) {
    Row row(table);
    add_row(row, n_given++);
    row.end();
  }
  *out = table.finish();
  return true;
}

}  // namespace

extern "C" {

ASSAY_EXPORT void oracle_make(ArrowArrayStream* out) {
  *out = assay::make_stream(columns(),
                            [n = 0](ArrowArray* batch) mutable { return next_batch(n, batch); });
}

/// One line for each row, or why the table cannot be read. Takes over both.
ASSAY_EXPORT const char* oracle_read(ArrowSchema* given_schema, ArrowArray* given_array) {
  const Schema schema(std::move(*given_schema));
  const Array array(std::move(*given_array));
  static std::string text;
  text = profile_error(*schema).value_or("");
  if (text.empty()) text = array_error(*schema, *array).value_or("");
  if (!text.empty()) return text.c_str();
  const View table(*schema, *array);
  for (std::int64_t i = 0; i < table.size(); ++i) text += shown(table, i) + "\n";
  return text.c_str();
}
}
