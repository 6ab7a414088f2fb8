#include "host/loader/dataset.hpp"

#include <assay/arrow_c.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/host/loader/in_memory_plugin.hpp"

namespace assay::host {
namespace {

/// Every record of one of the datasets in tests/fakes, or the failure that ends them.
class Dataset {
 public:
  Dataset(std::string_view id, Json options)
      : registry_(Registry::scan({ASSAY_TEST_FAKES})), component_(registry_.find(id)) {
    const Json defaults = {{"n", 10}, {"batch", 4}, {"after", 3}, {"errno", "EIO"}};
    for (const auto& [key, value] : defaults.items()) {
      if (!options.contains(key)) options[key] = value;
    }
    auto instance = Instance::create(*component_, options, Lease{.node = "dataset.fake"});
    EXPECT_TRUE(instance) << instance.error().text;
    instance_ = std::make_unique<Instance>(*std::move(instance));
  }

  Result<DatasetReader> open(const std::string& split = "") const {
    return DatasetReader::open(*instance_, split);
  }

  Instance& instance() const { return *instance_; }

  Result<std::vector<Json>> records() const {
    auto reader = open();
    if (!reader) return std::move(reader).error();
    std::vector<Json> records;
    for (;;) {
      auto record = reader->next();
      if (!record) return std::move(record).error();
      if (!*record) return records;
      records.push_back(**std::move(record));
    }
  }

 private:
  Registry registry_;
  const Component* component_;
  std::unique_ptr<Instance> instance_;
};

std::string fault_of(const std::string& fault) {
  const auto records = Dataset("fake/malformed", {{"fault", fault}}).records();
  if (records) return "(it was read)";
  EXPECT_EQ(records.error().where, "fake/malformed");
  return records.error().text;
}

TEST(DatasetReader, GivesEveryRowOfEveryBatchInOrder) {
  const auto records = Dataset("fake/rows", {{"n", 10}, {"batch", 4}}).records();
  ASSERT_TRUE(records) << records.error().text;
  ASSERT_EQ(records->size(), 10u);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ((*records)[i]["id"], i);
  EXPECT_EQ((*records)[7].dump(),
            R"({"id":7,"text":"Row 7 is about something green.","category":"green"})");
}

TEST(DatasetReader, GivesTheSameRowsHoweverTheyAreCutIntoBatches) {
  const auto whole = Dataset("fake/rows", {{"batch", 100}}).records();
  const auto single = Dataset("fake/rows", {{"batch", 1}}).records();
  ASSERT_TRUE(whole && single);
  EXPECT_EQ(*whole, *single);
}

TEST(DatasetReader, NamesColumnsBeforeTheFirstRow) {
  const Dataset dataset("fake/rows", Json::object());
  const auto reader = dataset.open();
  ASSERT_TRUE(reader) << reader.error().text;
  std::vector<std::string> names;
  for (const DatasetColumn& column : reader->columns()) {
    names.push_back(column.name);
    EXPECT_FALSE(column.is_nested);
  }
  EXPECT_THAT(names, testing::ElementsAre("id", "text", "category"));
}

TEST(DatasetReader, OfNoRowsIsAtItsEndAndStaysThere) {
  const Dataset dataset("fake/rows", {{"n", 0}});
  auto reader = dataset.open();
  ASSERT_TRUE(reader) << reader.error().text;
  for (int i = 0; i < 2; ++i) {
    const auto record = reader->next();
    ASSERT_TRUE(record);
    EXPECT_FALSE(record->has_value());
  }
}

TEST(DatasetReader, MayBeOpenedAgainAndMovedAndLeftHalfRead) {
  const Dataset dataset("fake/rows", Json::object());
  auto first = dataset.open("test");
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_EQ((**first->next())["id"], 0);
  DatasetReader moved = *std::move(first);
  EXPECT_EQ((**moved.next())["id"], 1);
  auto second = dataset.open("test");
  EXPECT_EQ((**second->next())["id"], 0);
}

TEST(DatasetReader, PassesOnThatASplitIsNotThere) {
  const auto reader = Dataset("fake/rows", Json::object()).open("train");
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, ASSAY_NOT_FOUND);
  EXPECT_EQ(reader.error().text, "fake/rows: there is no such split; there is \"test\"");
}

TEST(DatasetReader, TakesTheRowsOfIndices) {
  const Dataset rows("fake/ext-rows", Json::object());
  const std::uint64_t wanted[] = {7, 999, 7};
  auto reader = DatasetReader::take(rows.instance(), "train", wanted);
  ASSERT_TRUE(reader) << reader.error().text;
  for (const char* text : {"train 7", "train 999", "train 7"}) {
    const auto record = reader->next();
    ASSERT_TRUE(record && *record);
    EXPECT_EQ((**record).at("text"), text);
  }
  const auto end = reader->next();
  EXPECT_TRUE(end && !*end);

  const std::uint64_t beyond[] = {10};
  const auto refused = DatasetReader::take(rows.instance(), "test", beyond);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ASSAY_NOT_FOUND);
  EXPECT_EQ(refused.error().text, "fake/ext-rows: there is no row 10 among 10 (rows)");
  const Dataset counted("fake/rows", Json::object());
  EXPECT_EQ(DatasetReader::take(counted.instance(), "", beyond).error().text,
            "fake/rows: its rows can only be read one after the other");
}

TEST(SplitsOf, AreThoseThatTheDatasetNames) {
  const Dataset rows("fake/ext-rows", Json::object());
  const auto splits = splits_of(rows.instance());
  ASSERT_TRUE(splits && *splits);
  ASSERT_EQ((*splits)->size(), 3U);
  EXPECT_EQ((**splits)[0].name, "train");
  EXPECT_EQ((**splits)[0].rows, 1000U);
  EXPECT_EQ((**splits)[2].name, "stream");
  EXPECT_EQ((**splits)[2].rows, std::nullopt);
}

TEST(SplitsOf, IsNothingWhereTheDatasetNamesNone) {
  const Dataset counted("fake/rows", Json::object());
  const auto splits = splits_of(counted.instance());
  ASSERT_TRUE(splits);
  EXPECT_FALSE(*splits);
}

TEST(SplitsOf, RefusesANameThatIsThereTwice) {
  const Dataset twice("fake/ext-rows-twice", Json::object());
  const auto splits = splits_of(twice.instance());
  ASSERT_FALSE(splits);
  EXPECT_EQ(splits.error().text,
            "fake/ext-rows-twice: misbehaviour: the split \"train\" is named twice");
}

TEST(DatasetReader, RefusesASchemaOutsideTheProfile) {
  const auto reader = Dataset("fake/bad-schema", Json::object()).open();
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, ASSAY_FAILED_PRECONDITION);
  EXPECT_EQ(reader.error().text,
            "fake/bad-schema: column \"text\" has the Arrow type \"tdD\"; expected bool, int32, "
            "int64, float32, float64, utf8, large_utf8, list or struct");
}

TEST(DatasetReader, PassesOnAFailureInTheMiddleAfterTheRowsBeforeIt) {
  const Dataset dataset("fake/fails-midway", {{"after", 6}});
  auto reader = dataset.open();
  ASSERT_TRUE(reader) << reader.error().text;
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(reader->next());
  for (int i = 0; i < 2; ++i) {
    const auto record = reader->next();
    ASSERT_FALSE(record);
    EXPECT_EQ(record.error().code, ASSAY_UNAVAILABLE);
    EXPECT_EQ(record.error().text, "fake/fails-midway: the disk went away after 6 rows");
  }
}

TEST(DatasetReader, TranslatesTheErrnoOfAStream) {
  const auto code_of = [](const char* name) {
    return Dataset("fake/fails-midway", {{"errno", name}}).records().error().code;
  };
  EXPECT_EQ(code_of("EIO"), ASSAY_UNAVAILABLE);
  EXPECT_EQ(code_of("EINVAL"), ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(code_of("ENOMEM"), ASSAY_RESOURCE_EXHAUSTED);
}

TEST(DatasetReader, RefusesBatchesThatBreakTheRulesOfArrow) {
  EXPECT_EQ(fault_of("negative_offset"), "fake/malformed: column \"text\" has a negative offset");
  EXPECT_EQ(fault_of("offsets_fall"), "fake/malformed: column \"text\" has offsets that descend");
  EXPECT_EQ(fault_of("null_buffer"),
            "fake/malformed: column \"id\" has values and no buffer for them");
  EXPECT_EQ(fault_of("null_children"),
            "fake/malformed: the table says it has 3 children and has none");
  EXPECT_EQ(fault_of("few_children"), "fake/malformed: the table has 2 children; its schema has 3");
  EXPECT_EQ(fault_of("negative_length"),
            "fake/malformed: the table has a negative length or offset");
  EXPECT_EQ(fault_of("short_column"),
            "fake/malformed: column \"category\" has 3 values where 4 are needed");
  EXPECT_EQ(fault_of("no_release"),
            "fake/malformed: misbehaviour: open answered OK and gave no stream");
}

TEST(DatasetReader, SaysWhichTextIsNotUtf8) {
  const auto records = Dataset("fake/malformed", {{"fault", "not_utf8"}}).records();
  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(
      records.error().text,
      "fake/malformed: column \"text\" of row 0: byte 0 is not UTF-8; save the data as UTF-8");
}

// ---- one batch of every type, made by hand ----

/// An array whose buffers and children live elsewhere.
ArrowArray leaf(std::int64_t length, std::int64_t offset, std::int64_t null_count,
                std::vector<const void*>& buffers, std::vector<ArrowArray*>& children) {
  return {length,
          null_count,
          offset,
          static_cast<std::int64_t>(buffers.size()),
          static_cast<std::int64_t>(children.size()),
          buffers.data(),
          children.data(),
          nullptr,
          [](ArrowArray* array) { array->release = nullptr; },
          nullptr};
}

ArrowSchema leaf_schema(const char* format, const char* name, std::vector<ArrowSchema*>& children) {
  return {format,
          name,
          nullptr,
          ARROW_FLAG_NULLABLE,
          static_cast<std::int64_t>(children.size()),
          children.data(),
          nullptr,
          [](ArrowSchema* schema) { schema->release = nullptr; },
          nullptr};
}

/// Two rows: the table begins at row 1 of its columns, and some columns have offsets of their own.
struct EveryType {
  std::vector<ArrowSchema*> no_schemas, list_schemas, struct_schemas, root_schemas;
  std::vector<ArrowArray*> no_arrays, list_arrays, struct_arrays, root_arrays;

  // Bitmaps are read from the lowest bit. bool: (skipped) 1, null
  std::uint8_t bool_valid = 0b011, bool_bits = 0b010;
  std::array<std::int64_t, 4> int64s = {-1, -1, std::numeric_limits<std::int64_t>::min(),
                                        std::numeric_limits<std::int64_t>::max()};
  std::array<std::int32_t, 3> int32s = {-1, -7, 8};
  std::array<double, 3> doubles = {-1, 0.1, 1e300};
  std::array<float, 3> floats = {-1, 0.5f, -2.25f};
  std::array<std::int64_t, 4> large_offsets = {0, 1, 1, 5};
  std::array<std::int32_t, 4> list_offsets = {0, 1, 3, 3};
  std::array<std::int32_t, 4> element_offsets = {0, 1, 2, 4};
  std::uint8_t struct_valid = 0b011;

  std::vector<const void*> bool_buffers{&bool_valid, &bool_bits}, int64_buffers{nullptr, &int64s},
      int32_buffers{nullptr, &int32s}, double_buffers{nullptr, &doubles},
      float_buffers{nullptr, &floats}, large_buffers{nullptr, &large_offsets, "xdone"},
      list_buffers{nullptr, &list_offsets}, element_buffers{nullptr, &element_offsets, "abcd"},
      struct_buffers{&struct_valid}, root_buffers{nullptr};

  std::vector<ArrowSchema> schemas;
  std::vector<ArrowArray> arrays;
  ArrowSchema element_schema{}, inner_schema{}, schema{};
  ArrowArray element_array{}, inner_array{}, array{};

  EveryType() {
    element_schema = leaf_schema("u", "item", no_schemas);
    inner_schema = leaf_schema("i", "inner", no_schemas);
    list_schemas = {&element_schema};
    struct_schemas = {&inner_schema};
    schemas = {leaf_schema("b", "flag", no_schemas),     leaf_schema("l", "big", no_schemas),
               leaf_schema("i", "small", no_schemas),    leaf_schema("g", "wide", no_schemas),
               leaf_schema("f", "narrow", no_schemas),   leaf_schema("U", "text", no_schemas),
               leaf_schema("+l", "words", list_schemas), leaf_schema("+s", "pair", struct_schemas)};
    element_array = leaf(3, 0, 0, element_buffers, no_arrays);
    inner_array = leaf(3, 0, 0, int32_buffers, no_arrays);
    list_arrays = {&element_array};
    struct_arrays = {&inner_array};
    arrays = {
        leaf(3, 0, -1, bool_buffers, no_arrays),  leaf(3, 1, 0, int64_buffers, no_arrays),
        leaf(3, 0, 0, int32_buffers, no_arrays),  leaf(3, 0, 0, double_buffers, no_arrays),
        leaf(3, 0, 0, float_buffers, no_arrays),  leaf(3, 0, 0, large_buffers, no_arrays),
        leaf(3, 0, 0, list_buffers, list_arrays), leaf(3, 0, 1, struct_buffers, struct_arrays)};
    for (ArrowSchema& column : schemas) root_schemas.push_back(&column);
    for (ArrowArray& column : arrays) root_arrays.push_back(&column);
    schema = leaf_schema("+s", "", root_schemas);
    array = leaf(2, 1, 0, root_buffers, root_arrays);
  }
};

EveryType* batch_to_give = nullptr;

/// Opens a stream of *batch_to_give, once.
assay_status open_in_memory(void*, assay_str, ArrowArrayStream* out, assay_error*) noexcept {
  out->private_data = batch_to_give;
  out->get_schema = [](ArrowArrayStream*, ArrowSchema* schema) {
    *schema = batch_to_give->schema;
    return 0;
  };
  out->get_next = [](ArrowArrayStream* stream, ArrowArray* array) {
    if (stream->private_data == nullptr) {
      *array = {};
    } else {
      *array = batch_to_give->array;
    }
    stream->private_data = nullptr;
    return 0;
  };
  out->get_last_error = [](ArrowArrayStream*) -> const char* { return nullptr; };
  out->release = [](ArrowArrayStream* stream) { stream->release = nullptr; };
  return ASSAY_OK;
}

class InMemoryBatch : public testing::Test {
 protected:
  InMemoryBatch() {
    batch_to_give = &batch_;
    fake_.component.id = "fake/memory";
    fake_.component.kind = ASSAY_DATASET;
    fake_.component.api = &api_;
    registry_.add(fake_.plugin, "/fakes/memory.so");
    auto instance = Instance::create(registry_.components()[0], Json::object(), Lease{});
    instance_ = std::make_unique<Instance>(*std::move(instance));
  }
  /// The failure of reading the batch, or "" when it can be read.
  std::string fault() {
    auto reader = DatasetReader::open(*instance_, "");
    if (!reader) return reader.error().text;
    const auto record = reader->next();
    return record ? "" : record.error().text;
  }

  const assay_dataset_v1 api_ = {sizeof(assay_dataset_v1), 0, open_in_memory};
  InMemoryPlugin fake_;
  Registry registry_;
  EveryType batch_;
  std::unique_ptr<Instance> instance_;
};

TEST_F(InMemoryBatch, TurnsEveryTypeOfTheProfileIntoJson) {
  auto reader = DatasetReader::open(*instance_, "");
  ASSERT_TRUE(reader) << reader.error().text;
  const auto first = reader->next();
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_EQ((**first).dump(),
            R"({"flag":true,"big":-9223372036854775808,"small":-7,"wide":0.1,"narrow":0.5,)"
            R"("text":"","words":["b","cd"],"pair":{"inner":-7}})");
  const auto second = reader->next();
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_EQ((**second).dump(),
            R"({"flag":null,"big":9223372036854775807,"small":8,"wide":1e+300,"narrow":-2.25,)"
            R"("text":"done","words":[],"pair":null})");
  EXPECT_FALSE(reader->next()->has_value());
}

TEST_F(InMemoryBatch, SaysWhichColumnsAreNested) {
  const auto reader = DatasetReader::open(*instance_, "");
  ASSERT_TRUE(reader) << reader.error().text;
  std::vector<std::string> nested;
  for (const DatasetColumn& column : reader->columns()) {
    if (column.is_nested) nested.push_back(column.name);
  }
  EXPECT_THAT(nested, testing::ElementsAre("words", "pair"));
}

TEST_F(InMemoryBatch, WithoutBytesForItsTextsIsRefused) {
  batch_.large_buffers[2] = nullptr;
  EXPECT_EQ(fault(), "fake/memory: column \"text\" has texts and no buffer for them");
}

TEST_F(InMemoryBatch, WithoutBytesForItsEmptyTextsIsFine) {
  batch_.large_buffers[2] = nullptr;
  batch_.large_offsets = {0, 0, 0, 0};
  EXPECT_EQ(fault(), "");
}

TEST_F(InMemoryBatch, WithWildLengthsIsRefusedBeforeTheyAreAdded) {
  batch_.arrays[2].offset = std::numeric_limits<std::int64_t>::max() - 1;
  EXPECT_EQ(fault(), "fake/memory: column \"small\" has a length or offset that no memory holds");
}

TEST_F(InMemoryBatch, WithAListBehindItsElementsIsRefused) {
  batch_.list_offsets[3] = 4;
  EXPECT_EQ(fault(), "fake/memory: column \"words\" has a list that ends behind its elements");
}

TEST_F(InMemoryBatch, WithNullsAndNoBitmapIsRefused) {
  batch_.arrays[2].null_count = 1;
  EXPECT_EQ(fault(), "fake/memory: column \"small\" has nulls and no bitmap");
}

TEST_F(InMemoryBatch, WithARowThatIsNullIsRefused) {
  const std::uint8_t valid = 0b010;
  batch_.root_buffers[0] = &valid;
  batch_.array.null_count = 1;
  EXPECT_EQ(fault(), "fake/memory: the table has a row that is null; nulls belong into columns");
}

TEST_F(InMemoryBatch, WithAColumnThatIsNotThereIsRefused) {
  batch_.root_arrays[3] = nullptr;
  EXPECT_EQ(fault(), "fake/memory: the table has a child that is null");
}

TEST_F(InMemoryBatch, WithTwoColumnsOfOneNameIsRefused) {
  batch_.schemas[1].name = "flag";
  EXPECT_EQ(fault(), "fake/memory: the table has two columns named \"flag\"");
}

TEST_F(InMemoryBatch, WithATextInsideAListThatIsNotUtf8IsRefused) {
  batch_.element_buffers[2] = "a\xC3zz";
  EXPECT_EQ(fault(),
            "fake/memory: column \"words\" of row 0: byte 0 is not UTF-8; save the data as UTF-8");
}

}  // namespace
}  // namespace assay::host
