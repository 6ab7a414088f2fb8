// Arrow columns: built, read back whole and in slices, refused when they are not what they say.
#include <gtest/gtest.h>

#include <assay/arrow.hpp>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace assay {
namespace {

/// Built columns with their schema, to look at.
struct Built {
  Schema schema;
  Array array;
  View view() const { return {*schema, *array}; }
};

Built built(Builder& builder) {
  return {Schema(make_schema(builder.field())), Array(builder.finish())};
}

Field list_of(std::string name, Type element, bool nullable = false) {
  return {std::move(name), Type::kList, {{"item", element, {}, nullable}}, nullable};
}

std::string message_of(const auto& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Column, KeepsEveryPlainTypeExactly) {
  Builder table(table_of({{"b", Type::kBool},
                          {"l", Type::kInt64},
                          {"g", Type::kFloat64},
                          {"f", Type::kFloat32},
                          {"i", Type::kInt32},
                          {"u", Type::kText}}));
  constexpr std::int64_t kBig = std::numeric_limits<std::int64_t>::min();
  table.child(0).append_bool(true);
  table.child(1).append_int(kBig);
  table.child(2).append_float(0.1);
  table.child(3).append_float(0.5);
  table.child(4).append_int(-7);
  table.child(5).append_text("na\xC3\xAFve");
  table.end_struct();
  const Built columns = built(table);
  const View view = columns.view();
  ASSERT_EQ(view.size(), 1);
  EXPECT_TRUE(view.child(0).boolean(0));
  EXPECT_EQ(view.child(1).integer(0), kBig);
  EXPECT_EQ(view.child(2).number(0), 0.1);
  EXPECT_EQ(view.child(3).number(0), 0.5);
  EXPECT_EQ(view.child(4).integer(0), -7);
  EXPECT_EQ(view.child(5).text(0), "na\xC3\xAFve");
  EXPECT_EQ(view.child_name(5), "u");
  EXPECT_EQ(view.find("i"), 4);
  EXPECT_EQ(view.find("x"), -1);
}

TEST(Column, HasABitmapOnlyFromItsFirstNullOn) {
  Builder column({"x", Type::kInt64, {}, true});
  column.append_int(1);
  EXPECT_EQ(built(column).array->buffers[0], nullptr);
  for (int i = 0; i < 20; ++i) i == 9 || i == 17 ? column.append_null() : column.append_int(i);
  const Built values = built(column);
  EXPECT_EQ(values.array->null_count, 2);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(values.view().is_null(i), i == 9 || i == 17) << i;
    if (i == 9 || i == 17) continue;
    ASSERT_EQ(values.view().integer(i), i);
  }
}

TEST(Column, OfBoolsCrossesByteBoundaries) {
  Builder column({"x", Type::kBool});
  for (int i = 0; i < 19; ++i) column.append_bool(i % 3 == 0);
  const Built values = built(column);
  for (int i = 0; i < 19; ++i) EXPECT_EQ(values.view().boolean(i), i % 3 == 0) << i;
}

TEST(Column, HasArrowsBytesForAKnownListOfTexts) {
  // By hand: [["ab", "c"], null, []] has list offsets 0 2 2 2, text offsets 0 2 3, bytes "abc" and
  // validity bits 1 0 1.
  Builder column(list_of("x", Type::kText, true));
  column.child(0).append_text("ab");
  column.child(0).append_text("c");
  column.end_list();
  column.append_null();
  column.end_list();
  const Built values = built(column);
  const auto* offsets = static_cast<const std::int32_t*>(values.array->buffers[1]);
  EXPECT_EQ(std::vector<std::int32_t>(offsets, offsets + 4),
            (std::vector<std::int32_t>{0, 2, 2, 2}));
  EXPECT_EQ(*static_cast<const std::uint8_t*>(values.array->buffers[0]), 0b101);
  const ArrowArray& texts = *values.array->children[0];
  const auto* ends = static_cast<const std::int32_t*>(texts.buffers[1]);
  EXPECT_EQ(std::vector<std::int32_t>(ends, ends + 3), (std::vector<std::int32_t>{0, 2, 3}));
  EXPECT_EQ(std::string(static_cast<const char*>(texts.buffers[2]), 3), "abc");
  EXPECT_STREQ(values.schema->format, "+l");
  EXPECT_EQ(values.schema->flags, ARROW_FLAG_NULLABLE);
  EXPECT_STREQ(values.schema->children[0]->format, "u");
}

/// Rows i = 0..9 of {"n": i, "s": {"t": text or null, "v": [i, i + 1, ...] of i % 4 elements}}.
Built nested_rows() {
  Builder table(table_of(
      {{"n", Type::kInt64},
       {"s", Type::kStruct, {{"t", Type::kText, {}, true}, list_of("v", Type::kInt64)}, true}}));
  for (int i = 0; i < 10; ++i) {
    table.child(0).append_int(i);
    Builder& nested = table.child(1);
    if (i == 4) {
      nested.append_null();
    } else {
      i % 3 == 0 ? nested.child(0).append_null()
                 : nested.child(0).append_text("row " + std::to_string(i));
      for (int k = 0; k < i % 4; ++k) nested.child(1).child(0).append_int(i + k);
      nested.child(1).end_list();
      nested.end_struct();
    }
    table.end_struct();
  }
  return built(table);
}

void expect_nested_row(const View& view, std::int64_t at, int i) {
  EXPECT_EQ(view.child(0).integer(at), i);
  const View nested = view.child(1);
  ASSERT_EQ(nested.is_null(at), i == 4);
  if (i == 4) return;
  ASSERT_EQ(nested.child(0).is_null(at), i % 3 == 0);
  const std::string expected = i % 3 == 0 ? "" : "row " + std::to_string(i);
  EXPECT_EQ(nested.child(0).text(at), expected);
  const View list = nested.child(1).list(at);
  ASSERT_EQ(list.size(), i % 4);
  for (int k = 0; k < i % 4; ++k) EXPECT_EQ(list.integer(k), i + k);
}

TEST(View, ReadsNestedRowsWithNulls) {
  const Built rows = nested_rows();
  for (int i = 0; i < 10; ++i) expect_nested_row(rows.view(), i, i);
}

TEST(View, ReadsEverySliceOfTheTable) {
  const Built rows = nested_rows();
  for (int begin = 0; begin <= 10; ++begin) {
    for (int n = 0; begin + n <= 10; ++n) {
      ArrowArray part = *rows.array;
      part.offset = begin;
      part.length = n;
      ASSERT_EQ(array_error(*rows.schema, part), std::nullopt);
      const View view(*rows.schema, part);
      ASSERT_EQ(view.size(), n);
      for (int i = 0; i < n; ++i) expect_nested_row(view, i, begin + i);
    }
  }
}

TEST(View, AddsTheOffsetsOfParentAndChild) {
  // Producers that slice columns one by one put the offset into the child.
  Builder table(table_of({{"n", Type::kInt64, {}, true}}));
  for (int i = 0; i < 6; ++i) {
    i == 4 ? table.child(0).append_null() : table.child(0).append_int(10 * i);
    table.end_struct();
  }
  const Built rows = built(table);
  rows.array->children[0]->offset = 2;
  rows.array->children[0]->length = 4;
  ArrowArray part = *rows.array;
  part.offset = 1;
  part.length = 3;
  ASSERT_EQ(array_error(*rows.schema, part), std::nullopt);
  const View column = View(*rows.schema, part).child(0);
  EXPECT_EQ(column.integer(0), 30);
  EXPECT_TRUE(column.is_null(1));
  EXPECT_EQ(column.integer(2), 50);
}

TEST(View, ReadsLargeTexts) {
  const std::int64_t offsets[] = {0, 1, 4};
  const void* buffers[] = {nullptr, offsets, "abcd"};
  ArrowSchema schema{"U", "x", nullptr, 0, 0, nullptr, nullptr, [](ArrowSchema*) {}, nullptr};
  ArrowArray array{2, 0, 0, 3, 0, buffers, nullptr, nullptr, [](ArrowArray*) {}, nullptr};
  EXPECT_EQ(View(schema, array).text(0), "a");
  EXPECT_EQ(View(schema, array).text(1), "bcd");
}

TEST(View, SaysWhatAColumnHoldsWhenAskedForSomethingElse) {
  Builder column({"n", Type::kInt64});
  column.append_int(1);
  const Built values = built(column);
  EXPECT_EQ(message_of([&] { values.view().text(0); }),
            "column \"n\" holds int64 and was read as text");
  EXPECT_EQ(message_of([&] { values.view().boolean(0); }),
            "column \"n\" holds int64 and was read as bool");
}

TEST(Builder, RefusesValuesOfAnotherType) {
  Builder text({"t", Type::kText});
  EXPECT_EQ(message_of([&] { text.append_int(1); }),
            "column \"t\" holds text and got a whole number");
  Builder whole({"n", Type::kInt64});
  EXPECT_EQ(message_of([&] { whole.append_float(1); }),
            "column \"n\" holds int64 and got a number with a fraction");
  Builder narrow({"i", Type::kInt32});
  EXPECT_EQ(message_of([&] { narrow.append_int(std::int64_t{1} << 31); }),
            "column \"i\" holds int32 and got 2147483648");
}

TEST(Builder, RefusesANullWhereNoneMayBe) {
  Builder column({"n", Type::kInt64});
  EXPECT_EQ(message_of([&] { column.append_null(); }),
            "column \"n\" got no value and is not declared nullable");
}

TEST(Builder, RefusesRowsOfUnequalLength) {
  Builder table(table_of({{"a", Type::kInt64}, {"b", Type::kInt64}}));
  table.child(0).append_int(1);
  EXPECT_EQ(message_of([&] { table.end_struct(); }),
            "column \"b\" has 0 values and column \"a\" has 1; every row needs one value for each "
            "column");
}

TEST(Builder, BeginsAgainAfterFinish) {
  Builder column({"t", Type::kText, {}, true});
  column.append_null();
  column.append_text("first");
  const Built first = built(column);
  EXPECT_EQ(column.size(), 0);
  column.append_text("second");
  const Built second = built(column);
  EXPECT_EQ(second.array->null_count, 0);
  EXPECT_EQ(second.view().text(0), "second");
  EXPECT_EQ(first.view().text(1), "first");
}

TEST(Arrays, OutliveTheirBuilderAndLetAChildBeMovedOut) {
  Built rows = nested_rows();
  Array child(std::move(*rows.array->children[0]));
  rows.array.reset();
  EXPECT_EQ(View(*rows.schema->children[0], *child).integer(9), 9);
}

TEST(ProfileError, SaysNothingAboutATableInsideTheProfile) {
  EXPECT_EQ(profile_error(*nested_rows().schema), std::nullopt);
}

TEST(ProfileError, NamesColumnAndReason) {
  const auto error_of = [](const std::vector<Field>& fields, auto&& change) {
    const Schema schema(make_schema(table_of(fields)));
    change(*schema.get()->children[0]);
    return profile_error(*schema).value_or("none");
  };
  const Field list = list_of("tags", Type::kText);
  EXPECT_EQ(error_of({{"when"}}, [](ArrowSchema& column) { column.format = "tdD"; }),
            "column \"when\" has the Arrow type \"tdD\"; expected bool, int32, int64, float32, "
            "float64, utf8, large_utf8, list or struct");
  EXPECT_EQ(error_of({list}, [](ArrowSchema& column) { column.children[0]->format = "z"; }),
            "column \"tags[]\" has the Arrow type \"z\"; expected bool, int32, int64, float32, "
            "float64, utf8, large_utf8, list or struct");
  EXPECT_EQ(error_of({list}, [](ArrowSchema& column) { column.dictionary = column.children[0]; }),
            "column \"tags\" is dictionary-encoded; send plain values");
  EXPECT_EQ(error_of({{"a"}, {"a"}}, [](ArrowSchema&) {}), "the table has two columns named \"a\"");
  const Schema bare(make_schema({"x", Type::kInt64}));
  EXPECT_EQ(profile_error(*bare), "the table is not a struct of columns");
}

TEST(ArrayError, NamesWhatDoesNotGoWithTheSchema) {
  const auto error_of = [](auto&& change) {
    Built rows = nested_rows();
    const ArrowArray whole = *rows.array->children[0];
    change(*rows.array, *rows.array->children[0], *rows.array->children[1]->children[1]);
    const std::string error = array_error(*rows.schema, *rows.array).value_or("none");
    *rows.array->children[0] = whole;
    return error;
  };
  using A = ArrowArray;
  EXPECT_EQ(error_of([](A&, A& n, A&) { n.length = 3; }),
            "column \"n\" has 3 values where 10 are needed");
  EXPECT_EQ(error_of([](A&, A& n, A&) { n.n_buffers = 3; }),
            "column \"n\" has 3 buffers; its type has 2");
  EXPECT_EQ(error_of([](A&, A& n, A&) { n.null_count = 1; }),
            "column \"n\" has nulls and no bitmap");
  EXPECT_EQ(error_of([](A& table, A&, A&) { table.length = -1; }),
            "the table has a negative length or offset");
  EXPECT_EQ(error_of([](A&, A&, A& v) { v.children[0]->length = 2; }),
            "column \"s.v\" has a list that ends behind its elements");
  EXPECT_EQ(error_of([](A&, A&, A& v) {
              const_cast<std::int32_t*>(static_cast<const std::int32_t*>(v.buffers[1]))[3] = 99;
            }),
            "column \"s.v\" has offsets that descend");
}

TEST(Stream, GivesItsBatchesAndThenTheEndForEver) {
  int n = 0;
  Stream stream(make_stream({{"n", Type::kInt64}}, [&n](ArrowArray* out) {
    if (n == 2) return false;
    Builder table(table_of({{"n", Type::kInt64}}));
    table.child(0).append_int(n++);
    table.end_struct();
    *out = table.finish();
    return true;
  }));
  const Schema schema = read_schema(stream, "t");
  EXPECT_STREQ(schema->children[0]->name, "n");
  for (int i = 0; i < 2; ++i) {
    const auto batch = read_batch(stream, "t");
    ASSERT_TRUE(batch);
    EXPECT_EQ(View(*schema, **batch).child(0).integer(0), i);
  }
  EXPECT_FALSE(read_batch(stream, "t"));
  EXPECT_FALSE(read_batch(stream, "t"));
  EXPECT_EQ(n, 2);
}

TEST(Stream, TurnsErrorsIntoErrnoAndText) {
  const auto code_of = [](assay_status status) {
    Stream stream(make_stream(
        {}, [status](ArrowArray*) -> bool { throw Error(status, "line 7 is not a record"); }));
    ArrowArray out{};
    const int code = stream->get_next(stream.get(), &out);
    EXPECT_STREQ(stream->get_last_error(stream.get()), "line 7 is not a record");
    EXPECT_EQ(out.release, nullptr);
    return code;
  };
  EXPECT_EQ(code_of(ASSAY_INVALID_ARGUMENT), EINVAL);
  EXPECT_EQ(code_of(ASSAY_RESOURCE_EXHAUSTED), ENOMEM);
  EXPECT_EQ(code_of(ASSAY_NOT_FOUND), EIO);
}

TEST(Stream, IsReadWithItsErrorsAsErrors) {
  Stream stream(make_stream({}, [](ArrowArray*) -> bool { throw 1; }));
  try {
    read_batch(stream, "faq");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ASSAY_UNAVAILABLE);
    EXPECT_EQ(error.where(), "faq");
    EXPECT_STREQ(error.what(), "unknown exception");
  }
  EXPECT_FALSE(read_batch(stream, "faq")) << "after an error there is nothing more";
}

}  // namespace
}  // namespace assay
