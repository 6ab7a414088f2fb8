#include "host/loader/dataset.hpp"

#include <assay/ext.h>

#include <algorithm>
#include <assay/arrow/check.hpp>
#include <assay/arrow/field.hpp>
#include <assay/arrow/holder.hpp>
#include <assay/arrow/stream.hpp>
#include <assay/arrow/view.hpp>
#include <cstring>
#include <limits>
#include <mutex>
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

namespace {

const assay_dataset_rows_v1* rows_table(const Instance& instance) {
  return instance.extension<assay_dataset_rows_v1>(ASSAY_DATASET_ROWS_1);
}

/// Keeps the splits that a component names.
struct SplitList {
  std::mutex lock;
  std::vector<DatasetSplit> splits;
  std::string fault;  ///< of a name that cannot be one

  static void take(void* ctx, assay_str name, std::uint64_t rows) noexcept {
    auto& self = *static_cast<SplitList*>(ctx);
    const std::scoped_lock hold(self.lock);
    const std::string split(view_of(name));
    const auto is_same = [&](const DatasetSplit& other) { return other.name == split; };
    if (utf8_fault(split)) {
      self.fault = "a split has a name that is not UTF-8";
    } else if (std::any_of(self.splits.begin(), self.splits.end(), is_same)) {
      self.fault = "the split \"" + split + "\" is named twice";
    }
    self.splits.push_back({split, rows == ASSAY_UNKNOWN ? std::nullopt : std::optional(rows)});
  }
};

}  // namespace

Result<std::optional<std::vector<DatasetSplit>>> splits_of(Instance& instance) {
  const assay_dataset_rows_v1* table = rows_table(instance);
  if (table == nullptr) return std::optional<std::vector<DatasetSplit>>();
  SplitList list;
  const assay_split_sink sink{sizeof sink, 0, &list, SplitList::take};
  auto asked = instance.call(
      "splits", [&](assay_error* error) { return table->splits(instance.self(), &sink, error); });
  if (!asked) return std::move(asked).error();
  if (!list.fault.empty()) {
    return failed(instance.component(), ASSAY_INTERNAL, "misbehaviour: " + list.fault);
  }
  return std::optional(std::move(list.splits));
}

// Hidden, as the SDK's types are.
struct __attribute__((visibility("hidden"))) DatasetReader::State {
  explicit State(const Component& of) : component(of) {}

  Component component;
  const Instance* owner = nullptr;
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
  Result<void> take(Instance& instance, const std::string& split,
                    std::span<const std::uint64_t> rows);
  Result<void> begin(Instance& instance, const char* call, Result<void> opened);
  Result<bool> read_batch();
  Result<std::optional<Json>> next();
};

Result<void> DatasetReader::State::open(Instance& instance, const std::string& split) {
  return begin(instance, "open", instance.call("open", [&](assay_error* error) {
    return instance.api<assay_dataset_v1>().open(instance.self(), {split.data(), split.size()},
                                                 stream.out(), error);
  }));
}

Result<void> DatasetReader::State::take(Instance& instance, const std::string& split,
                                        std::span<const std::uint64_t> rows) {
  const assay_dataset_rows_v1* table = rows_table(instance);
  if (table == nullptr || !ASSAY_HAS(assay_dataset_rows_v1, table, take) ||
      table->take == nullptr) {
    return failed(component, ASSAY_UNIMPLEMENTED, "its rows can only be read one after the other");
  }
  return begin(instance, "take", instance.call("take", [&](assay_error* error) {
    return table->take(instance.self(), {split.data(), split.size()}, rows.data(), rows.size(),
                       stream.out(), error);
  }));
}

/// Reads the schema of a stream that the component was asked for.
Result<void> DatasetReader::State::begin(Instance& instance, const char* call,
                                         Result<void> opened) {
  owner = &instance;
  if (!opened) {
    // On failure the out-struct is the plugin's affair: not ours to release.
    stream.take();
    return opened;
  }
  if (!stream || stream->get_schema == nullptr || stream->get_next == nullptr) {
    return failed(component, ASSAY_INTERNAL,
                  "misbehaviour: " + std::string(call) + " answered OK and gave no stream");
  }
  int code = 0;
  auto read =
      instance.watch("get_schema", [&] { code = stream->get_schema(stream.get(), schema.out()); });
  if (!read) return read;
  if (code != 0) return failed(component, stream_error(*stream, code, ""));
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
    int code = 0;
    const auto read =
        owner->watch("get_next", [&] { code = stream->get_next(stream.get(), batch.out()); });
    if (!read) return read.error();
    if (code != 0) return failed(component, stream_error(*stream, code, ""));
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

Result<DatasetReader> DatasetReader::take(Instance& instance, const std::string& split,
                                          std::span<const std::uint64_t> rows) {
  auto state = std::make_unique<State>(instance.component());
  auto taken = state->take(instance, split, rows);
  if (!taken) return std::move(taken).error();
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
