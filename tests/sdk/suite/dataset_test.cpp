// A dataset by hand, with streams it can spoil, and the same with one fault at a time.
#include <assay/abi.h>
#include <assay/ext.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <assay/arrow.hpp>
#include <atomic>
#include <cstring>
#include <string_view>

#include "tests/sdk/suite/planted.hpp"

namespace {

using assay::Builder;
using assay::Field;
using assay::Type;
using assay::suite::named;
using assay::suite::outcome_of;
using assay::suite::Planted;
using assay::suite::shown;
using assay::suite::Verdict;

constexpr std::uint64_t kRows = 3;

std::string fault;  // what the dataset below does wrong; empty: nothing

bool has(const char* name) { return fault == name; }

std::vector<Field> columns(bool is_n_nullable = false) {
  std::vector<Field> fields{{"line", Type::kText, {}, false}};
  if (has("lacks_column")) return fields;
  const Type type = has("another_type") ? Type::kFloat64 : Type::kInt64;
  fields.push_back({"n", type, {}, is_n_nullable});
  return fields;
}

ArrowArray row_of(std::uint64_t row) {
  const bool is_null = has("unannounced_null") && row == 1;
  Builder table(assay::table_of(columns(is_null)));
  table.child(0).append_text("line " + std::to_string(row));
  if (is_null) {
    table.child(1).append_null();
  } else if (table.n_children() > 1) {
    table.child(1).append_int(static_cast<std::int64_t>(row));
  }
  table.end_struct();
  return table.finish();
}

/// A batch for each row.
ArrowArrayStream stream_of(std::vector<std::uint64_t> rows) {
  static std::atomic<std::size_t> shared_place;
  shared_place = 0;
  return assay::make_stream(columns(), [rows, place = std::size_t{0}](ArrowArray* out) mutable {
    const std::size_t at = has("one_place") ? shared_place++ : place++;
    if (at >= rows.size()) return false;
    *out = row_of(rows[at]);
    return true;
  });
}

ArrowArrayStream whole() { return stream_of({0, 1, 2}); }

// What spoils a stream that is sound.

template <class Released>
void (*sound_release)(Released*) = nullptr;

template <class Released>
void keep_release(Released* released) {
  sound_release<Released>(released);
  released->release = keep_release<Released>;
}

template <class Released>
void spoil_release(Released* released, const char* by) {
  if (!has(by) || released->release == nullptr) return;
  sound_release<Released> = released->release;
  released->release = keep_release<Released>;
}

char* last_text = nullptr;  // of the last batch, three bytes

int next(ArrowArrayStream* stream, ArrowArray* out) noexcept {
  const int code = assay::detail::stream_next(stream, out);
  if (out->release == nullptr && has("begins_again")) {
    ArrowArrayStream again = whole();
    std::swap(stream->private_data, again.private_data);
    again.release(&again);
  }
  if (out->release != nullptr) {
    last_text = static_cast<char*>(const_cast<void*>(out->children[0]->buffers[2]));
  }
  spoil_release(out, "array_keeps_release");
  return code;
}

int schema(ArrowArrayStream* stream, ArrowSchema* out) noexcept {
  const int code = assay::detail::stream_schema(stream, out);
  if (has("odd_format")) out->children[0]->format = "z";
  if (has("nameless")) out->children[0]->name = "";
  spoil_release(out, "schema_keeps_release");
  return code;
}

void scribble(ArrowArrayStream* stream) noexcept {
  assay::detail::release_stream(stream);
  std::memset(last_text, 'x', 3);
}

void spoil(ArrowArrayStream* stream) {
  stream->get_next = next;
  stream->get_schema = schema;
  spoil_release(stream, "stream_keeps_release");
  if (has("array_dies_with_stream")) stream->release = scribble;
}

assay_status refused(assay_error* error, const char* text) noexcept {
  error->code = ASSAY_NOT_FOUND;
  std::strcpy(error->where, "");
  std::strcpy(error->text, has("refuses_without_a_word") ? "" : text);
  return ASSAY_NOT_FOUND;
}

assay_status open(void*, assay_str split, ArrowArrayStream* out, assay_error* error) noexcept {
  if (split.len > 0) return refused(error, "there is no such split");
  *out = whole();
  spoil(out);
  return ASSAY_OK;
}

assay_status splits(void*, const assay_split_sink* sink, assay_error*) noexcept {
  sink->split(sink->ctx, {"", 0}, has("counts_wrong") ? kRows + 1 : kRows);
  if (has("names_a_ghost")) sink->split(sink->ctx, {"ghost", 5}, ASSAY_UNKNOWN);
  return ASSAY_OK;
}

assay_status take(void*, assay_str, const std::uint64_t* rows, std::uint64_t n,
                  ArrowArrayStream* out, assay_error* error) noexcept {
  std::vector<std::uint64_t> wanted(rows, rows + n);
  const bool is_inside =
      std::all_of(wanted.begin(), wanted.end(), [](std::uint64_t row) { return row < kRows; });
  if (!is_inside && !has("takes_beyond")) return refused(error, "there is no such row");
  if (has("takes_in_order")) std::sort(wanted.begin(), wanted.end());
  if (has("takes_once")) {
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  }
  *out = stream_of(std::move(wanted));
  return ASSAY_OK;
}

constexpr assay_column kLine{sizeof kLine, ASSAY_TEXT, 0, "line", "a line", nullptr, 1, 0};
constexpr assay_column kNumber{sizeof kNumber, ASSAY_INT, 0, "n", "its number", nullptr, 1, 0};
constexpr const assay_column* kColumns[] = {&kLine, &kNumber};
constexpr assay_dataset_v1 kApi{sizeof kApi, 0, open};
constexpr assay_dataset_rows_v1 kRowsApi{sizeof kRowsApi, 0, splits, take};
constexpr assay_extension kExtensions[] = {{ASSAY_DATASET_ROWS_1, &kRowsApi}};
constexpr assay_component kComponent{
    sizeof kComponent,
    ASSAY_DATASET,
    "acme/streams",
    "1.0.0",
    "A dataset with a planted fault",
    ASSAY_CAP_CONCURRENT,
    nullptr,
    0,
    kColumns,
    2,
    nullptr,
    0,
    [](const assay_host*, const assay_config*, const assay_resources*, void** self,
       assay_error*) noexcept -> assay_status {
      *self = new char;
      return ASSAY_OK;
    },
    [](void* self) noexcept { delete static_cast<char*>(self); },
    &kApi,
    kExtensions,
    1};

class PlantedStream : public testing::TestWithParam<Planted> {
 public:
  ~PlantedStream() override { fault.clear(); }
};

TEST_P(PlantedStream, IsFound) {
  fault.clear();
  const auto sound = outcome_of(GetParam().test, kComponent);
  EXPECT_EQ(sound.verdict, Verdict::kPassed) << shown(sound);
  fault = GetParam().fault;
  EXPECT_EQ(outcome_of(GetParam().test, kComponent).verdict, Verdict::kFailed)
      << fault << " was not found";
}

constexpr Planted kPlanted[] = {
    {"odd_format", "dataset.schema-is-in-the-profile"},
    {"nameless", "dataset.schema-is-in-the-profile"},
    {"lacks_column", "dataset.schema-is-as-declared"},
    {"another_type", "dataset.schema-is-as-declared"},
    {"unannounced_null", "dataset.nulls-are-announced"},
    {"one_place", "dataset.two-streams-at-once"},
    {"one_place", "dataset.streams-on-two-threads"},
    {"begins_again", "dataset.end-is-the-end"},
    {"stream_keeps_release", "dataset.release-releases"},
    {"schema_keeps_release", "dataset.release-releases"},
    {"array_keeps_release", "dataset.release-releases"},
    {"array_dies_with_stream", "dataset.arrays-outlive-their-stream"},
    {"refuses_without_a_word", "fuzz.splits"},
    {"counts_wrong", "rows.splits-can-be-opened"},
    {"names_a_ghost", "rows.splits-can-be-opened"},
    {"takes_in_order", "rows.take-gives-the-stream-s-rows"},
    {"takes_once", "rows.take-gives-the-stream-s-rows"},
    {"takes_beyond", "rows.take-gives-the-stream-s-rows"},
};

INSTANTIATE_TEST_SUITE_P(Each, PlantedStream, testing::ValuesIn(kPlanted), named);

}  // namespace
