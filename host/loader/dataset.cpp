#include "host/loader/dataset.hpp"

#include <algorithm>
#include <assay/arrow/check.hpp>
#include <assay/arrow/field.hpp>
#include <assay/arrow/holder.hpp>
#include <assay/arrow/stream.hpp>
#include <assay/arrow/view.hpp>
#include <cstring>
#include <limits>
#include <utility>

#include "host/core/utf8.hpp"

namespace assay::host {
namespace {

Failure failed(const Component& component, assay_status code, const std::string& text) {
  return {code, std::string(component.id()) + ": " + mended_utf8(text),
          std::string(component.id())};
}

Failure failed(const Component& component, const Error& error) {
  return failed(component, error.code(), error.what());
}

template <class Offset>
bool has_bytes(const ArrowArray& array) {
  const auto at = [&](std::int64_t i) {
    Offset offset;
    std::memcpy(&offset,
                static_cast<const char*>(array.buffers[1]) + i * std::int64_t{sizeof offset},
                sizeof offset);
    return offset;
  };
  return at(array.offset) != at(array.offset + array.length);
}

std::string subject(const ArrowSchema& schema) {
  const bool has_name = schema.name != nullptr && *schema.name != '\0';
  return has_name ? "column \"" + std::string(schema.name) + "\"" : "the table";
}

/// What has to hold before array_error() may add and count: lengths that memory could hold, and
/// children behind their number.
std::optional<std::string> wild_error(const ArrowSchema& schema, const ArrowArray& array) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 16;
  if (array.length > kMost || array.offset > kMost) {
    return subject(schema) + " has a length or offset that no memory holds";
  }
  if (array.n_children > 0 && array.children == nullptr) {
    return subject(schema) + " says it has " + std::to_string(array.n_children) +
           " children and has none";
  }
  for (std::int64_t k = 0; k < std::min(array.n_children, schema.n_children); ++k) {
    if (array.children[k] == nullptr) continue;
    if (auto error = wild_error(*schema.children[k], *array.children[k])) return error;
  }
  return std::nullopt;
}

std::optional<std::string> lacks_bytes(const ArrowSchema& schema, const ArrowArray& array) {
  const bool is_large = schema.format[0] == 'U';
  if ((is_large || schema.format[0] == 'u') && array.length > 0 && array.buffers[2] == nullptr &&
      (is_large ? has_bytes<std::int64_t>(array) : has_bytes<std::int32_t>(array))) {
    return subject(schema) + " has texts and no buffer for them";
  }
  for (std::int64_t k = 0; k < array.n_children; ++k) {
    if (auto error = lacks_bytes(*schema.children[k], *array.children[k])) return error;
  }
  return std::nullopt;
}

/// The value of a row as JSON. A text that is not UTF-8 leaves its sentence in `fault`.
Json value_of(const View& view, std::int64_t row, std::optional<std::string>& fault) {
  if (view.is_null(row)) return nullptr;
  switch (view.type()) {
    case Type::kBool:
      return view.boolean(row);
    case Type::kInt64:
    case Type::kInt32:
      return view.integer(row);
    case Type::kFloat64:
    case Type::kFloat32:
      return view.number(row);
    case Type::kText: {
      const std::string_view text = view.text(row);
      if (const auto byte = utf8_fault(text)) {
        fault = "byte " + std::to_string(*byte) + " is not UTF-8; save the data as UTF-8";
        return nullptr;
      }
      return std::string(text);
    }
    case Type::kList: {
      Json list = Json::array();
      const View elements = view.list(row);
      for (std::int64_t i = 0; i < elements.size(); ++i) {
        list.push_back(value_of(elements, i, fault));
      }
      return list;
    }
    case Type::kStruct:
      break;
  }
  Json object = Json::object();
  for (std::int64_t k = 0; k < view.n_children(); ++k) {
    object[std::string(view.child_name(k))] = value_of(view.child(k), row, fault);
  }
  return object;
}

}  // namespace

std::optional<std::string> batch_error(const ArrowSchema& schema, const ArrowArray& array) {
  if (auto error = wild_error(schema, array)) return error;
  if (auto error = array_error(schema, array)) return error;
  if (auto error = lacks_bytes(schema, array)) return error;
  const View rows(schema, array);
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    if (rows.is_null(i)) return "the table has a row that is null; nulls belong into columns";
  }
  return std::nullopt;
}

// Hidden, as the SDK's types are.
struct __attribute__((visibility("hidden"))) DatasetReader::State {
  explicit State(const Component& of) : component(of) {}

  Component component;
  Stream stream;
  Schema schema;
  std::vector<DatasetColumn> columns;

  Array batch;                // alive while `views` point into it
  std::vector<View> views;    // of its columns
  std::int64_t next_row = 0;  // within the batch
  std::uint64_t n_rows = 0;   // given so far, over all batches
  bool is_over = false;
  std::optional<Failure> failure;

  Result<void> open(Instance& instance, const std::string& split);
  Result<bool> read_batch();
  Result<std::optional<Json>> next();
};

Result<void> DatasetReader::State::open(Instance& instance, const std::string& split) {
  assay_error error{};
  error.struct_size = sizeof error;
  const assay_status status = instance.api<assay_dataset_v1>().open(
      instance.self(), {split.data(), split.size()}, stream.out(), &error);
  if (status != ASSAY_OK) {
    // On failure the out-struct is the plugin's affair: not ours to release.
    stream.take();
    return failure_from(component, status, error);
  }
  if (!stream || stream->get_schema == nullptr || stream->get_next == nullptr) {
    return failed(component, ASSAY_INTERNAL, "misbehaviour: open answered OK and gave no stream");
  }
  if (const int code = stream->get_schema(stream.get(), schema.out()); code != 0) {
    return failed(component, stream_error(*stream, code, ""));
  }
  if (const auto fault = profile_error(*schema)) {
    return failed(component, ASSAY_FAILED_PRECONDITION, *fault);
  }
  for (std::int64_t k = 0; k < schema->n_children; ++k) {
    const ArrowSchema& column = *schema->children[k];
    columns.push_back({column.name == nullptr ? "" : column.name, column.format[0] == '+'});
  }
  return {};
}

/// Takes the next batch that has rows; false at the end.
Result<bool> DatasetReader::State::read_batch() {
  do {
    views.clear();
    next_row = 0;
    if (const int code = stream->get_next(stream.get(), batch.out()); code != 0) {
      return failed(component, stream_error(*stream, code, ""));
    }
    if (!batch) return false;
    if (const auto fault = batch_error(*schema, *batch)) {
      return failed(component, ASSAY_INVALID_ARGUMENT, *fault);
    }
  } while (batch->length == 0);
  const View table(*schema, *batch);
  for (std::int64_t k = 0; k < table.n_children(); ++k) views.push_back(table.child(k));
  return true;
}

Result<std::optional<Json>> DatasetReader::State::next() {
  if (!batch || next_row == batch->length) {
    auto has_batch = read_batch();
    if (!has_batch) return std::move(has_batch).error();
    is_over = !*has_batch;
    if (is_over) return std::optional<Json>();
  }
  Json record = Json::object();
  for (std::size_t k = 0; k < views.size(); ++k) {
    std::optional<std::string> fault;
    record[columns[k].name] = value_of(views[k], next_row, fault);
    if (fault) {
      return failed(
          component, ASSAY_INVALID_ARGUMENT,
          "column \"" + columns[k].name + "\" of row " + std::to_string(n_rows) + ": " + *fault);
    }
  }
  ++next_row;
  ++n_rows;
  return std::optional(std::move(record));
}

Result<DatasetReader> DatasetReader::open(Instance& instance, const std::string& split) {
  auto state = std::make_unique<State>(instance.component());
  auto opened = state->open(instance, split);
  if (!opened) return std::move(opened).error();
  return DatasetReader(std::move(state));
}

DatasetReader::DatasetReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
DatasetReader::DatasetReader(DatasetReader&&) noexcept = default;
DatasetReader& DatasetReader::operator=(DatasetReader&&) noexcept = default;
DatasetReader::~DatasetReader() = default;

const std::vector<DatasetColumn>& DatasetReader::columns() const { return state_->columns; }

Result<std::optional<Json>> DatasetReader::next() {
  if (state_->failure) return *state_->failure;
  if (state_->is_over) return std::optional<Json>();
  auto record = state_->next();
  if (!record) state_->failure = record.error();
  return record;
}

}  // namespace assay::host
