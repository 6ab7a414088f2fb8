// Datasets on the bare C ABI and bare Arrow structs: one that is right, the others with one fault
// each. Built without the SDK's layer, which would not let most of these faults through.
#include <assay/abi.h>
#include <assay/arrow_c.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr double kNoBound = std::numeric_limits<double>::infinity();

enum class Fault {
  kNone,
  kSchema,
  kMidway,
  kNegativeOffset,
  kOffsetsFall,
  kNullBuffer,
  kNullChildren,
  kFewChildren,
  kNegativeLength,
  kShortColumn,
  kNoRelease,
  kNotUtf8,
};

struct Fake {
  std::int64_t n = 0, batch = 1, after = 0;
  int errno_value = 0;
  Fault fault = Fault::kNone;
};

assay_status put(assay_error* error, assay_status code, const char* where, const char* text) {
  error->code = code;
  std::snprintf(error->where, sizeof error->where, "%s", where);
  std::snprintf(error->text, sizeof error->text, "%s", text);
  return code;
}

// ---- one batch: id int64, text utf8, category utf8 ----

struct TextColumn {
  std::vector<std::int32_t> offsets = {0};
  std::string bytes;
  void add(std::string_view text) {
    bytes += text;
    offsets.push_back(static_cast<std::int32_t>(bytes.size()));
  }
};

struct Batch {
  std::vector<std::int64_t> ids;
  TextColumn texts, categories;
  std::array<std::array<const void*, 3>, 3> buffers{};
  std::array<const void*, 1> root_buffers{};
  std::array<ArrowArray, 3> columns{};
  std::array<ArrowArray*, 3> pointers{};
};

void release_column(ArrowArray* array) { array->release = nullptr; }

void release_batch(ArrowArray* array) {
  for (std::int64_t i = 0; array->children != nullptr && i < array->n_children; ++i) {
    ArrowArray* column = array->children[i];
    if (column->release != nullptr) column->release(column);
  }
  delete static_cast<Batch*>(array->private_data);
  array->release = nullptr;
}

void fill(Batch& batch, std::int64_t first, std::int64_t n) {
  constexpr std::array<std::string_view, 3> kCategories = {"red", "green", "blue"};
  for (std::int64_t i = first; i < first + n; ++i) {
    const std::string_view category = kCategories[static_cast<std::size_t>(i % 3)];
    batch.ids.push_back(i);
    batch.texts.add("Row " + std::to_string(i) + " is about something " + std::string(category) +
                    ".");
    batch.categories.add(category);
  }
}

ArrowArray export_batch(Batch* batch) {
  const auto n = static_cast<std::int64_t>(batch->ids.size());
  batch->buffers[0] = {nullptr, batch->ids.data(), nullptr};
  batch->buffers[1] = {nullptr, batch->texts.offsets.data(), batch->texts.bytes.data()};
  batch->buffers[2] = {nullptr, batch->categories.offsets.data(), batch->categories.bytes.data()};
  for (std::size_t i = 0; i < 3; ++i) {
    batch->columns[i] = {
        n,      0, 0, i == 0 ? 2 : 3, 0, batch->buffers[i].data(), nullptr, nullptr, release_column,
        nullptr};
    batch->pointers[i] = &batch->columns[i];
  }
  return {
      n,    0, 0, 1, 3, batch->root_buffers.data(), batch->pointers.data(), nullptr, release_batch,
      batch};
}

void spoil(Fault fault, Batch& batch, ArrowArray& root) {
  switch (fault) {
    case Fault::kNegativeOffset:
      batch.texts.offsets.front() = -8;
      break;
    case Fault::kOffsetsFall:
      batch.texts.offsets.back() = 0;
      break;
    case Fault::kNullBuffer:
      batch.buffers[0][1] = nullptr;
      break;
    case Fault::kNullChildren:
      root.children = nullptr;
      break;
    case Fault::kFewChildren:
      root.n_children = 2;
      break;
    case Fault::kNegativeLength:
      root.length = -1;
      break;
    case Fault::kShortColumn:
      batch.columns[2].length -= 1;
      break;
    case Fault::kNotUtf8:
      batch.texts.bytes[0] = '\xFF';
      break;
    default:
      break;
  }
}

// ---- the stream ----

struct Stream {
  Fake fake;
  std::int64_t n_given = 0;
  std::string error;
};

constexpr int kColumns = 3;

struct Schema {
  std::array<ArrowSchema, kColumns> columns{};
  std::array<ArrowSchema*, kColumns> pointers{};
};

void release_leaf(ArrowSchema* schema) { schema->release = nullptr; }

void release_schema(ArrowSchema* schema) {
  for (ArrowSchema& column : static_cast<Schema*>(schema->private_data)->columns) {
    if (column.release != nullptr) column.release(&column);
  }
  delete static_cast<Schema*>(schema->private_data);
  schema->release = nullptr;
}

int get_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  const Fault fault = static_cast<Stream*>(stream->private_data)->fake.fault;
  auto* schema = new Schema;
  // tdD: days since 1970, outside the profile
  const char* const formats[] = {"l", fault == Fault::kSchema ? "tdD" : "u", "u"};
  const char* const names[] = {"id", "text", "category"};
  for (std::size_t i = 0; i < kColumns; ++i) {
    schema->columns[i] = {formats[i], names[i], nullptr,      0,      0,
                          nullptr,    nullptr,  release_leaf, nullptr};
    schema->pointers[i] = &schema->columns[i];
  }
  *out = {"+s", "", nullptr, 0, kColumns, schema->pointers.data(), nullptr, release_schema, schema};
  return 0;
}

int get_next(ArrowArrayStream* stream, ArrowArray* out) {
  Stream& state = *static_cast<Stream*>(stream->private_data);
  const Fake& fake = state.fake;
  if (fake.fault == Fault::kMidway && state.n_given >= fake.after) {
    state.error = "the disk went away after " + std::to_string(state.n_given) + " rows";
    return fake.errno_value;
  }
  std::int64_t n = std::min(fake.batch, fake.n - state.n_given);
  if (fake.fault == Fault::kMidway) n = std::min(n, fake.after - state.n_given);
  if (n <= 0) {
    *out = {};
    return 0;
  }
  auto* batch = new Batch;
  fill(*batch, state.n_given, n);
  *out = export_batch(batch);
  spoil(fake.fault, *batch, *out);
  state.n_given += n;
  return 0;
}

const char* get_last_error(ArrowArrayStream* stream) {
  const std::string& error = static_cast<Stream*>(stream->private_data)->error;
  return error.empty() ? nullptr : error.c_str();
}

void release_stream(ArrowArrayStream* stream) {
  delete static_cast<Stream*>(stream->private_data);
  stream->release = nullptr;
}

assay_status open(void* self, assay_str split, ArrowArrayStream* out, assay_error* error) noexcept {
  const Fake& fake = *static_cast<const Fake*>(self);
  if (split.len > 0 && std::string_view(split.ptr, split.len) != "test") {
    return put(error, ASSAY_NOT_FOUND, "split", "there is no such split; there is \"test\"");
  }
  if (fake.fault == Fault::kNoRelease) {
    *out = {};
    return ASSAY_OK;
  }
  *out = {get_schema, get_next, get_last_error, release_stream, new Stream{fake, 0, ""}};
  return ASSAY_OK;
}

// ---- options ----

constexpr assay_option option(assay_type type, const char* name, const char* fallback, double lo,
                              const char* help, const char* const* choices = nullptr) {
  return {sizeof(assay_option), type, 0, name, help, fallback, choices, lo, kNoBound};
}

constexpr const char* kErrors[] = {"EIO", "EINVAL", "ENOMEM", nullptr};
constexpr int kErrnos[] = {EIO, EINVAL, ENOMEM};
constexpr const char* kFaults[] = {
    "negative_offset", "offsets_fall", "null_buffer", "null_children", "few_children",
    "negative_length", "short_column", "no_release",  "not_utf8",      nullptr};

constexpr assay_option kN = option(ASSAY_INT, "n", "10", 0, "How many rows.");
constexpr assay_option kBatch = option(ASSAY_INT, "batch", "4", 1, "Rows of one Arrow batch.");
constexpr assay_option kAfter = option(ASSAY_INT, "after", "3", 0, "Rows before it fails.");
constexpr assay_option kErrno =
    option(ASSAY_CHOICE, "errno", "\"EIO\"", 0, "What get_next answers then.", kErrors);
constexpr assay_option kFault =
    option(ASSAY_CHOICE, "fault", "\"null_buffer\"", 0, "What is wrong with a batch.", kFaults);

constexpr const assay_option* kOptions[] = {&kN, &kBatch};
constexpr const assay_option* kMidwayOptions[] = {&kN, &kBatch, &kAfter, &kErrno};
constexpr const assay_option* kMalformedOptions[] = {&kN, &kBatch, &kFault};

assay_status choice(const assay_host* host, const assay_config* config, const char* key,
                    const char* const* choices, int* out) {
  assay_str text{};
  const assay_status status = host->get_text(config, key, &text);
  if (status != ASSAY_OK) return status;
  for (int i = 0; choices[i] != nullptr; ++i) {
    if (std::string_view(text.ptr, text.len) == choices[i]) {
      *out = i;
      return ASSAY_OK;
    }
  }
  return ASSAY_INVALID_ARGUMENT;
}

assay_status create_with(Fault fault, const assay_host* host, const assay_config* config,
                         void** self, assay_error* error) {
  Fake fake;
  fake.fault = fault;
  if (host->get_int(config, "n", &fake.n) != ASSAY_OK ||
      host->get_int(config, "batch", &fake.batch) != ASSAY_OK) {
    return put(error, ASSAY_INVALID_ARGUMENT, "n", "cannot be read as an integer");
  }
  int index = 0;
  if (fault == Fault::kMidway) {
    if (host->get_int(config, "after", &fake.after) != ASSAY_OK ||
        choice(host, config, "errno", kErrors, &index) != ASSAY_OK) {
      return put(error, ASSAY_INVALID_ARGUMENT, "errno", "cannot be read");
    }
    fake.errno_value = kErrnos[index];
  }
  if (fault == Fault::kNegativeOffset) {
    if (choice(host, config, "fault", kFaults, &index) != ASSAY_OK) {
      return put(error, ASSAY_INVALID_ARGUMENT, "fault", "cannot be read");
    }
    fake.fault = static_cast<Fault>(static_cast<int>(Fault::kNegativeOffset) + index);
  }
  *self = new Fake(fake);
  return ASSAY_OK;
}

template <Fault kWhich>
assay_status create(const assay_host* host, const assay_config* config, const assay_resources*,
                    void** self, assay_error* error) noexcept {
  return create_with(kWhich, host, config, self, error);
}

void destroy(void* self) noexcept { delete static_cast<Fake*>(self); }

// ---- constants ----

constexpr assay_dataset_v1 kApi = {sizeof(assay_dataset_v1), 0, open};

constexpr assay_column column(assay_type type, const char* name, const char* help) {
  return {sizeof(assay_column), type, 0, name, help, nullptr, 1, 0};
}
constexpr assay_column kId = column(ASSAY_INT, "id", "the row's number, from 0");
constexpr assay_column kText = column(ASSAY_TEXT, "text", "a sentence");
constexpr assay_column kCategory = column(ASSAY_TEXT, "category", "red, green or blue");
constexpr const assay_column* kColumnList[] = {&kId, &kText, &kCategory};

template <std::size_t N>
constexpr assay_component component(const char* id, const char* summary,
                                    const assay_option* const (&options)[N],
                                    decltype(assay_component::create) create_function) {
  return {sizeof(assay_component),
          ASSAY_DATASET,
          id,
          "1.0.0",
          summary,
          ASSAY_CAP_DETERMINISTIC,
          options,
          N,
          kColumnList,
          kColumns,
          nullptr,
          0,
          create_function,
          destroy,
          &kApi,
          nullptr,
          0};
}

constexpr assay_component kRows =
    component("fake/rows", "Numbered sentences in three colours", kOptions, create<Fault::kNone>);
constexpr assay_component kBadSchema =
    component("fake/bad-schema", "Has a column of dates, which is outside the profile", kOptions,
              create<Fault::kSchema>);
constexpr assay_component kFailsMidway =
    component("fake/fails-midway", "Its stream fails after some rows", kMidwayOptions,
              create<Fault::kMidway>);
constexpr assay_component kMalformed =
    component("fake/malformed", "Its batches break the rules of Arrow", kMalformedOptions,
              create<Fault::kNegativeOffset>);
constexpr const assay_component* kComponents[] = {&kRows, &kBadSchema, &kFailsMidway, &kMalformed};

}  // namespace

ASSAY_NOTE("fake/datasets");

extern "C" {
ASSAY_EXPORT extern const assay_plugin assay_plugin_v1;
const assay_plugin assay_plugin_v1 = {sizeof(assay_plugin),
                                      ASSAY_ABI_MAJOR,
                                      ASSAY_ABI_MINOR,
                                      "fake/datasets",
                                      "1.0.0",
                                      "fake",
                                      "Apache-2.0",
                                      __VERSION__,
                                      kComponents,
                                      sizeof kComponents / sizeof kComponents[0]};
}
