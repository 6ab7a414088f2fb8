// The dataset layer: rows into batches, several streams of one instance, errors on the way.
#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <assay/plugin.hpp>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay {
namespace {

using check::Created;
using check::FakeHost;
using check::fresh_error;
using check::Options;

/// `rows` rows: i, a text of `bytes` bytes, and nothing in every third.
struct Count : Dataset {
  static constexpr Info info{"test/count", "1.0.0", "Counts"};
  static constexpr Option options[] = {integer("rows", "3", "How many."),
                                       integer("bytes", "1", "Of each text."),
                                       integer("fails_at", "-1", "The row that throws.")};
  static constexpr Column columns[] = {{ASSAY_INT, "i", "the row"},
                                       {ASSAY_TEXT, "text", "some bytes"},
                                       Column{ASSAY_FLOATS, "parts", "of i"}.optional()};
  std::int64_t rows, bytes, fails_at;
  std::int64_t i = 0;

  explicit Count(Context context)
      : rows(context.integer("rows")),
        bytes(context.integer("bytes")),
        fails_at(context.integer("fails_at")) {}
  void rewind(std::string_view split) {
    if (split == "none") throw Error(ASSAY_NOT_FOUND, "split", "there is no split none");
    i = 0;
  }
  bool next(Row& row) {
    if (i == rows) return false;
    if (i == fails_at)
      throw Error(ASSAY_INVALID_ARGUMENT, "row", "row " + std::to_string(i) + " is bad");
    row << i << std::string(static_cast<std::size_t>(bytes), 'a');
    if (i % 3 == 2) {
      row.null();
    } else {
      row << std::vector<double>{static_cast<double>(i) / 2, static_cast<double>(i)};
    }
    ++i;
    return true;
  }
};

Options counting(std::int64_t rows, std::int64_t bytes = 1, std::int64_t fails_at = -1) {
  return {{"rows", rows}, {"bytes", bytes}, {"fails_at", fails_at}};
}

Stream open(const Created& dataset, std::string_view split = "") {
  Stream stream;
  assay_error error = fresh_error();
  const assay_status status =
      dataset.api<assay_dataset_v1>().open(dataset.self(), str_of(split), stream.out(), &error);
  if (status != ASSAY_OK) throw Error(status, error.where, error.text);
  return stream;
}

std::vector<std::int64_t> batch_sizes(Stream& stream) {
  std::vector<std::int64_t> sizes;
  while (const auto batch = read_batch(stream, "")) sizes.push_back((*batch)->length);
  return sizes;
}

TEST(DatasetLayer, EndsABatchAfter1024RowsOr4MiB) {
  FakeHost host;
  const Created many(*detail::component_of<Count>(), host, counting(2500));
  Stream small_rows = open(many);
  EXPECT_EQ(batch_sizes(small_rows), (std::vector<std::int64_t>{1024, 1024, 452}));
  // A row of 1 MiB and a little: the fourth one passes 4 MiB.
  const Created big(*detail::component_of<Count>(), host, counting(9, 1 << 20));
  Stream large_rows = open(big);
  EXPECT_EQ(batch_sizes(large_rows), (std::vector<std::int64_t>{4, 4, 1}));
}

TEST(DatasetLayer, OfNoRowsGivesASchemaAndNoBatch) {
  FakeHost host;
  const Created empty(*detail::component_of<Count>(), host, counting(0));
  Stream stream = open(empty);
  const Schema schema = read_schema(stream, "");
  EXPECT_EQ(schema->n_children, 3);
  EXPECT_TRUE(batch_sizes(stream).empty());
}

TEST(DatasetLayer, DeclaresColumnsAndNullsAsTheyAre) {
  FakeHost host;
  const Created dataset(*detail::component_of<Count>(), host, counting(3));
  Stream stream = open(dataset);
  const Schema schema = read_schema(stream, "");
  EXPECT_STREQ(schema->children[0]->format, "l");
  EXPECT_EQ(schema->children[0]->flags, 0);
  EXPECT_STREQ(schema->children[2]->format, "+l");
  EXPECT_STREQ(schema->children[2]->children[0]->format, "g");
  EXPECT_EQ(schema->children[2]->flags, ARROW_FLAG_NULLABLE);
  const auto batch = read_batch(stream, "");
  const Rows rows(*schema, **batch);
  EXPECT_EQ(rows[1].numbers("parts"), (std::vector<double>{0.5, 1}));
  EXPECT_FALSE(rows[2].has("parts"));
}

TEST(DatasetLayer, LetsTwoStreamsOfOneInstanceTakeTurns) {
  FakeHost host;
  const Created dataset(*detail::component_of<Count>(), host, counting(3000));
  Stream a = open(dataset), b = open(dataset);
  const Schema schema = read_schema(a, "");
  for (int k = 0; k < 3; ++k) {
    for (Stream* stream : {&a, &b}) {
      const auto batch = read_batch(*stream, "");
      ASSERT_TRUE(batch);
      const Rows rows(*schema, **batch);
      EXPECT_EQ(rows[0].integer("i"), 1024 * k);
    }
  }
  EXPECT_FALSE(read_batch(a, ""));
  EXPECT_FALSE(read_batch(b, ""));
}

TEST(DatasetLayer, GivesBatchesThatOutliveStreamAndInstance) {
  FakeHost host;
  std::optional<Array> batch;
  Schema schema;
  {
    const Created dataset(*detail::component_of<Count>(), host, counting(2));
    Stream stream = open(dataset);
    schema = read_schema(stream, "");
    batch = read_batch(stream, "");
  }
  const Rows rows(*schema, **batch);
  EXPECT_EQ(rows[1].integer("i"), 1);
}

TEST(DatasetLayer, ReportsAMissingSplitWhenOpened) {
  FakeHost host;
  const Created dataset(*detail::component_of<Count>(), host, counting(2));
  try {
    open(dataset, "none");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ASSAY_NOT_FOUND);
    EXPECT_STREQ(error.what(), "there is no split none");
  }
}

TEST(DatasetLayer, ReportsABadRowFromTheStream) {
  FakeHost host;
  const Created dataset(*detail::component_of<Count>(), host, counting(2000, 1, 1500));
  Stream stream = open(dataset);
  ASSERT_TRUE(read_batch(stream, ""));
  ArrowArray out{};
  EXPECT_EQ(stream->get_next(stream.get(), &out), EINVAL);
  EXPECT_STREQ(stream->get_last_error(stream.get()), "row 1500 is bad");
}

/// Columns that depend on the split, nested rows.
struct Nested : Dataset {
  static constexpr Info info{"test/nested", "1.0.0", "Nested rows"};
  int left = 0;

  explicit Nested(Context) {}
  void rewind(std::string_view) { left = 2; }
  std::vector<Field> schema(std::string_view split) {
    const Field pair{"item", Type::kStruct, {{"key"}, {"on", Type::kBool, {}, true}}};
    std::vector<Field> fields = {{"pairs", Type::kList, {pair}}};
    if (split == "wide") fields.push_back({"more", Type::kFloat64, {}, true});
    return fields;
  }
  bool next(Row& row) {
    if (left-- == 0) return false;
    row.begin_list();
    for (int k = 0; k < left; ++k) row.begin_struct() << "k" << std::optional<bool>();
    for (int k = 0; k < left; ++k) row.end_struct();
    row.end_list();
    return true;
  }
};

TEST(DatasetLayer, AsksForColumnsOfTheSplitThatIsOpened) {
  FakeHost host;
  const Created dataset(*detail::component_of<Nested>(), host);
  EXPECT_EQ(detail::component_of<Nested>()->n_columns, 0U);
  Stream narrow = open(dataset);
  const Schema schema = read_schema(narrow, "");
  EXPECT_EQ(schema->n_children, 1);
  const auto batch = read_batch(narrow, "");
  const Rows rows(*schema, **batch);
  const View pairs = rows[0].column("pairs").list(0);
  ASSERT_EQ(pairs.size(), 1);
  EXPECT_EQ(pairs.child(0).text(0), "k");
  EXPECT_TRUE(pairs.child(1).is_null(0));
  EXPECT_EQ(rows[1].column("pairs").list(1).size(), 0);
  Stream wide = open(dataset, "wide");
  EXPECT_EQ(read_schema(wide, "")->n_children, 2);
}

TEST(DatasetLayer, NamesTheColumnsOfARowThatIsTooShort) {
  FakeHost host;
  const Created dataset(*detail::component_of<Nested>(), host);
  Stream wide = open(dataset, "wide");
  try {
    read_batch(wide, "");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "a row gives only 1 values for the columns pairs, more");
  }
}

std::string message_of(const std::vector<Field>& columns, const auto& fill) {
  Builder table(table_of(columns));
  Row row(table);
  try {
    fill(row);
    row.end();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Row, RefusesWhatDoesNotFitItsColumns) {
  const std::vector<Field> one = {{"t", Type::kText}};
  EXPECT_EQ(message_of(one,
                       [](Row& row) {
                         row << "a"
                             << "b";
                       }),
            "a row gives more than 1 values for the columns t");
  EXPECT_EQ(message_of(one, [](Row& row) { row << 1; }),
            "column \"t\" holds text and got a whole number");
  EXPECT_EQ(message_of(one, [](Row& row) { row.begin_list(); }),
            "column \"t\" holds text and got a list");
  EXPECT_EQ(message_of(one, [](Row& row) { row << std::nullopt; }),
            "column \"t\" got no value and is not declared nullable");
  EXPECT_EQ(message_of({{"n", Type::kInt64}}, [](Row& row) { row << UINT64_MAX; }),
            "18446744073709551615 does not fit into int64");
  const std::vector<Field> list = {{"v", Type::kList, {{"item", Type::kInt64}}}};
  EXPECT_EQ(message_of(list, [](Row& row) { row.begin_list() << 1; }),
            "a row ended inside column \"v\"");
  EXPECT_EQ(message_of(list, [](Row& row) { row.end_list(); }),
            "a row ends a list it did not begin");
}

}  // namespace
}  // namespace assay
