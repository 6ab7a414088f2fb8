// The CSV dataset: each record becomes one row of texts, or of numbers where that is asked for and
// loses nothing. What the columns mean is others' business.
#include <algorithm>
#include <assay/sdk.hpp>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "records.hpp"

namespace {

constexpr assay::FileKind kCsvFile{"CSV file", "csv", true};
constexpr std::uint64_t kRecordsPerCheckpoint = 10'000;

/// The whole number that is spelt like this and no other way: no sign but a minus, no leading
/// zeros.
std::optional<std::int64_t> exact_integer(std::string_view spelling) {
  std::int64_t value = 0;
  const char* end = spelling.data() + spelling.size();
  const auto [stop, error] = std::from_chars(spelling.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return std::to_string(value) == spelling ? std::optional(value) : std::nullopt;
}

/// The number with a fraction that is spelt like this and no other way: "0.5", "1.0"; not ".5",
/// "0.50", "5e-1".
std::optional<double> exact_fraction(std::string_view spelling) {
  constexpr double kLeast = 1e-4, kMost = 1e15;  // outside, a template may write an exponent
  double value = 0;
  const char* end = spelling.data() + spelling.size();
  const auto [stop, error] = std::from_chars(spelling.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  const double size = std::abs(value);
  if (size != 0 && !(size >= kLeast && size < kMost)) return std::nullopt;
  char digits[64];
  const auto written =
      std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed);
  std::string canonical(digits, written.ptr);
  if (canonical.find('.') == std::string::npos) canonical += ".0";
  return canonical == spelling ? std::optional(value) : std::nullopt;
}

/// What all values of a column are, as far as seen.
struct Spellings {
  bool are_integers = true, are_fractions = true, has_value = false, has_empty = false;

  void add(std::string_view value) {
    if (value.empty()) {
      has_empty = true;
      return;
    }
    has_value = true;
    are_integers = are_integers && exact_integer(value);
    are_fractions = are_fractions && exact_fraction(value);
  }

  assay::Field field(const std::string& name) const {
    if (has_value && are_integers) return {name, assay::Type::kInt64, {}, has_empty};
    if (has_value && are_fractions) return {name, assay::Type::kFloat64, {}, has_empty};
    return {name, assay::Type::kText, {}, false};
  }
};

template <class Number>
bool append_number(assay::Row& row, const std::optional<Number>& number) {
  row << number;
  return number.has_value();
}

/// False where the value is not of its column's type.
bool append(assay::Row& row, const assay::Field& field, const std::string& value) {
  if (field.type == assay::Type::kText) {
    row << value;
    return true;
  }
  if (value.empty()) {
    row.null();
    return true;
  }
  return field.type == assay::Type::kInt64 ? append_number(row, exact_integer(value))
                                           : append_number(row, exact_fraction(value));
}

char separator_of(const std::string& option) {
  const bool is_one_byte = option.size() == 1 && static_cast<unsigned char>(option[0]) < 0x80;
  if (is_one_byte && std::string_view("\"\r\n", 4).find(option[0]) == std::string_view::npos) {
    return option[0];
  }
  throw assay::Error(ASSAY_INVALID_ARGUMENT, "separator",
                     "separator must be one ASCII character that is no quote and no line end, such "
                     "as \",\", \";\" or \"\\t\"");
}

std::vector<std::string> names_of(const assay::Context& context) {
  const bool has_header = context.flag("header"), has_columns = context.has("columns");
  if (has_header && has_columns) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "columns",
                       "the header names the columns; leave columns out, or say header = false "
                       "where the first line is a record");
  }
  if (!has_header && !has_columns) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "header",
                       "header = false needs the names of the columns, such as columns = "
                       "[\"question\", \"answer\"]");
  }
  return has_columns ? context.texts("columns") : std::vector<std::string>();
}

/// Refuses names that no column can have. `where` begins the sentence.
void check_names(const std::vector<std::string>& names, const char* option,
                 const std::string& where) {
  constexpr std::size_t kMostColumns = 4096;
  if (names.empty() || names.size() > kMostColumns) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, option,
                       where + " names " + std::to_string(names.size()) +
                           " columns; a file has 1 to " + std::to_string(kMostColumns));
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) {
      throw assay::Error(
          ASSAY_INVALID_ARGUMENT, option,
          where + ": column " + std::to_string(i + 1) + " has no name; give every column one");
    }
    if (!seen.insert(names[i]).second) {
      throw assay::Error(
          ASSAY_INVALID_ARGUMENT, option,
          where + ": the name \"" + names[i] + "\" is there twice; give every column its own");
    }
  }
}

struct Csv : assay::Dataset {
  static constexpr assay::Info info{"assay/csv", "1.0.0", "Rows of a CSV or TSV file",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr const char* kTypes[] = {"text", "infer", nullptr};
  static constexpr assay::Option options[] = {
      assay::path_in("path", nullptr,
                     "The file, UTF-8; {split} in it, or a folder, stands for the split."),
      assay::text("separator", "\",\"", "The character between two fields."),
      assay::flag("header", "true", "Does the first record name the columns?"),
      assay::texts("columns", nullptr, "The names of the columns, with header = false.").optional(),
      assay::choice("types", "\"text\"", kTypes,
                    "\"infer\": a column is numbers when that changes no spelling."),
      assay::text("split_column", nullptr,
                  "The column that names each row's split, where one file holds several.")
          .optional()};

  using Fields = std::vector<assay::Field>;

  assay::Context context;
  std::string path;
  char separator;
  std::vector<std::string> names;  // empty: the header has them
  bool infers;
  std::optional<std::string> split_column;
  std::map<std::string, Fields> known;  // the columns of each file that was read for them
  std::string file, split;              // what is being read
  std::size_t split_place = 0;          // of the split column
  std::optional<csv::RecordReader> reader;
  csv::Record record;

  explicit Csv(assay::Context given)
      : context(given),
        path(given.text("path")),
        separator(separator_of(given.text("separator"))),
        names(names_of(given)),
        infers(given.text("types") == "infer"),
        split_column(assay::split_column_of(given)) {
    if (given.has("columns")) check_names(names, "columns", "columns");
  }

  void rewind(std::string_view wanted) {
    file = assay::file_of_split(path, split_column ? "" : wanted, kCsvFile);
    split = wanted;
    if (!known.contains(file)) known.emplace(file, find_fields());
    if (split_column) check_split();
    open();
  }

  const Fields& schema() const { return known.at(file); }

  bool next(assay::Row& row) {
    // Every record was checked when the file was read for its columns.
    while (read_again()) {
      if (record.fields.size() != schema().size()) refuse_changed_file();
      if (split_column && record.fields[split_place] != split) continue;
      for (std::size_t i = 0; i < record.fields.size(); ++i) {
        if (!append(row, schema()[i], record.fields[i])) refuse_changed_file();
      }
      return true;
    }
    return false;
  }

  bool read_again() {
    try {
      return reader->next(record);
    } catch (const assay::Error& failure) {
      if (failure.code() == ASSAY_INVALID_ARGUMENT) refuse_changed_file();
      throw;
    }
  }

  [[noreturn]] void refuse_changed_file() const {
    throw assay::Error(ASSAY_ABORTED, "path",
                       file + ":" + std::to_string(record.line) +
                           ": the file changed while it was read; run again");
  }

  /// Goes to the first record behind the header and gives the names of the columns.
  std::vector<std::string> open() {
    reader.emplace(file, separator);
    if (!names.empty()) return names;
    if (!reader->next(record)) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "path",
                         file + ": the file is empty; its first record must name the columns");
    }
    check_names(record.fields, "path", file + ":" + std::to_string(record.line) + ": the header");
    return record.fields;
  }

  /// Reads the whole file and checks it, for the types of its columns.
  Fields find_fields() {
    const std::vector<std::string> columns = open();
    std::vector<Spellings> spellings(columns.size());
    for (std::uint64_t n_records = 1; reader->next(record); ++n_records) {
      check_size(columns.size());
      if (infers) {
        for (std::size_t i = 0; i < columns.size(); ++i) spellings[i].add(record.fields[i]);
      }
      if (n_records % kRecordsPerCheckpoint == 0) context.checkpoint();
    }
    Fields fields;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const bool is_text = !infers || columns[i] == split_column;
      fields.push_back(is_text ? assay::Field{columns[i]} : spellings[i].field(columns[i]));
    }
    return fields;
  }

  void check_size(std::size_t n_columns) const {
    const std::size_t n_fields = record.fields.size();
    if (n_fields == n_columns) return;
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "path",
                       file + ":" + std::to_string(record.line) + ": row has " +
                           std::to_string(n_fields) + (n_fields == 1 ? " field, " : " fields, ") +
                           (names.empty() ? "the header has " : "columns names ") +
                           std::to_string(n_columns) +
                           "; put fields that hold the separator or a line end in quotes");
  }

  void check_split() {
    assay::check_split_column(*split_column, schema(), file);
    const auto has_name = [this](const assay::Field& field) { return field.name == *split_column; };
    split_place =
        static_cast<std::size_t>(std::ranges::find_if(schema(), has_name) - schema().begin());
    open();
    assay::require_split(split, *split_column, file, [this](std::string& next_split) {
      if (!reader->next(record)) return false;
      next_split = record.fields.at(split_place);
      return true;
    });
  }
};

}  // namespace

ASSAY_PLUGIN("assay/csv", "1.0.0", "assay", "Apache-2.0", Csv)
