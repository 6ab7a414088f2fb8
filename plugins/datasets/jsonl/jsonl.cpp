// The JSONL dataset: one JSON object per line becomes one row. The columns are those of all lines
// together; what they mean is others' business.
#include <assay/sdk.hpp>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lines.hpp"
#include "shape.hpp"

namespace {

using nlohmann::json;

constexpr std::uint64_t kLinesPerCheckpoint = 10'000;

assay::Type type_of(jsonl::Kind kind) {
  switch (kind) {
    case jsonl::Kind::kBool:
      return assay::Type::kBool;
    case jsonl::Kind::kInt:
      return assay::Type::kInt64;
    case jsonl::Kind::kFloat:
      return assay::Type::kFloat64;
    case jsonl::Kind::kList:
      return assay::Type::kList;
    case jsonl::Kind::kObject:
      return assay::Type::kStruct;
    case jsonl::Kind::kText:
    case jsonl::Kind::kNothing:  // only null was seen: any type would do
      return assay::Type::kText;
  }
  return assay::Type::kText;
}

assay::Field field_of(std::string name, const jsonl::Shape& shape, bool is_nullable) {
  assay::Field field{std::move(name), type_of(shape.kind), {}, is_nullable};
  if (shape.kind == jsonl::Kind::kList) {
    const jsonl::Shape& element = *shape.element;
    const bool may_be_null = element.has_null || element.kind == jsonl::Kind::kNothing;
    field.children.push_back(field_of("item", element, may_be_null));
  }
  for (const jsonl::Shape::Field& child : shape.fields) {
    field.children.push_back(field_of(child.name, *child.shape, !shape.always_has(child)));
  }
  return field;
}

using Fields = std::vector<assay::Field>;

void append_fields(assay::Row& row, const Fields& fields, const json& object);

void append(assay::Row& row, const assay::Field& field, const json& value) {
  switch (value.type()) {
    case json::value_t::boolean:
      row << value.get<bool>();
      return;
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
      row << value.get<std::int64_t>();
      return;
    case json::value_t::number_float:
      row << value.get<double>();
      return;
    case json::value_t::string:
      row << value.get_ref<const std::string&>();
      return;
    case json::value_t::array:
      row.begin_list();
      for (const json& element : value) append(row, field.children.at(0), element);
      row.end_list();
      return;
    case json::value_t::object:
      row.begin_struct();
      append_fields(row, field.children, value);
      row.end_struct();
      return;
    default:
      row.null();
  }
}

void append_fields(assay::Row& row, const Fields& fields, const json& object) {
  for (const assay::Field& field : fields) {
    const auto found = object.find(field.name);
    if (found == object.end()) {
      row.null();
    } else {
      append(row, field, *found);
    }
  }
}

constexpr assay::FileKind kJsonlFile{"JSONL file", "jsonl", true};

struct Jsonl : assay::Dataset {
  static constexpr assay::Info info{"assay/jsonl", "1.0.0", "One JSON object per line",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::path_in("path", nullptr,
                     "The file, one JSON object per line, UTF-8; {split} in it, or a folder, "
                     "stands for the split."),
      assay::text("split_column", nullptr,
                  "The column of texts that names each row's split, where one file holds several.")
          .optional()};

  assay::Context context;
  std::string path;
  std::optional<std::string> split_column;
  std::map<std::string, Fields> known;  // the columns of each file that was read for them
  std::string file, split;              // what is being read
  std::optional<jsonl::LineReader> reader;

  explicit Jsonl(assay::Context given)
      : context(given), path(given.text("path")), split_column(assay::split_column_of(given)) {}

  void rewind(std::string_view wanted) {
    file = assay::file_of_split(path, split_column ? "" : wanted, kJsonlFile);
    split = wanted;
    if (!known.contains(file)) known.emplace(file, find_fields());
    if (split_column) check_split();
    reader.emplace(file);
  }

  const Fields& schema() const { return known.at(file); }

  bool next(assay::Row& row) {
    std::string_view line;
    while (reader->next(line)) {
      // Every line was checked when the file was read for its columns.
      try {
        const json record = json::parse(line);
        if (split_column && split_of(record) != split) continue;
        append_fields(row, schema(), record);
      } catch (const json::exception&) {
        refuse_changed_file();
      } catch (const assay::Error&) {
        refuse_changed_file();
      }
      return true;
    }
    return false;
  }

  /// The split of a record; "" where it names none, for which nobody can ask.
  std::string split_of(const json& record) const {
    const auto found = record.find(*split_column);
    return found == record.end() || found->is_null() ? "" : found->get<std::string>();
  }

  void check_split() const {
    assay::check_split_column(*split_column, schema(), file);
    jsonl::LineReader lines(file);
    assay::require_split(split, *split_column, file, [&](std::string& next_split) {
      std::string_view line;
      if (!lines.next(line)) return false;
      if (lines.number() % kLinesPerCheckpoint == 0) context.checkpoint();
      next_split = split_of(json::parse(line));
      return true;
    });
  }

  [[noreturn]] void refuse_changed_file() const {
    throw assay::Error(ASSAY_ABORTED, "path",
                       file + ":" + std::to_string(reader->number()) +
                           ": the file changed while it was read; run again");
  }

  /// Reads the whole file for the types of its columns.
  Fields find_fields() const {
    jsonl::Shape records;
    jsonl::LineReader lines(file);
    std::string_view line;
    std::uint64_t n_lines = 0;
    while (lines.next(line)) {
      jsonl::add_line(records, line, lines.number(), file);
      if (++n_lines % kLinesPerCheckpoint == 0) context.checkpoint();
    }
    if (n_lines > 0 && records.fields.empty()) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "path",
                         file + ": no object has a key, so there are no columns");
    }
    return field_of("", records, false).children;
  }
};

}  // namespace

ASSAY_PLUGIN("assay/jsonl", "1.0.0", "assay", "Apache-2.0", Jsonl)
