#include "host/worker/wire.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "host/worker/far_answers.hpp"

namespace assay::host {
namespace {

using testing::ElementsAre;

std::vector<std::int32_t> tokens_of(const assay_request& request) {
  return {request.tokens, request.tokens + request.n_tokens};
}

TEST(Wire, ValuesComeBackAsTheyWere) {
  WireWriter out;
  const float values[] = {1.5F, -2.0F};
  out.put<std::int32_t>(-7).text(std::string_view("two\0words", 9)).array(values, 2);
  out.array<float>(nullptr, 3).put<double>(0.1);
  WireReader in(out.bytes());
  EXPECT_EQ(in.get<std::int32_t>(), -7);
  EXPECT_EQ(in.text(), std::string_view("two\0words", 9));
  EXPECT_THAT(in.array<float>().value(), ElementsAre(1.5F, -2.0F));
  EXPECT_FALSE(in.array<float>().has_value());
  EXPECT_EQ(in.get<double>(), 0.1);
  EXPECT_TRUE(in.is_whole());
  EXPECT_TRUE(in.rest().empty());
}

TEST(Wire, BeyondTheEndThereAreZerosAndAMark) {
  WireWriter out;
  out.put<std::uint64_t>(1ull << 60);  // the length of a text that is not there
  WireReader text(out.bytes());
  EXPECT_EQ(text.text(), "");
  EXPECT_FALSE(text.is_whole());

  WireWriter huge;
  huge.put<std::uint8_t>(1).put<std::uint64_t>(std::numeric_limits<std::uint64_t>::max());
  WireReader array(huge.bytes());
  EXPECT_TRUE(array.array<double>().value().empty());
  EXPECT_FALSE(array.is_whole());
}

TEST(Wire, BatchKeepsTokensSamplingsStopsAndStride) {
  // A newer host's requests are longer than ours.
  struct Longer {
    assay_request request;
    std::uint64_t newer;
  };
  const std::int32_t first[] = {1, 2, 3}, second[] = {4};
  const std::int32_t stop_a[] = {7, 8, -1}, stop_b[] = {9, -1};
  const std::int32_t* const stops[] = {stop_a, stop_b, nullptr};
  const assay_sampling sampling{sizeof(assay_sampling), 5, 2, 3, 0.5F, 0.9F, 77, stops};
  const Longer requests[] = {
      {{11, ASSAY_REQ_SCORE, ASSAY_WANT_LOGPROBS, first, 3, 1, 2, 1, nullptr}, 99},
      {{12, ASSAY_REQ_GENERATE, 0, second, 1, 0, 0, 0, &sampling}, 99}};
  const assay_batch batch{sizeof(assay_batch), ASSAY_BATCH_ORDERED, 2, sizeof(Longer),
                          &requests[0].request};
  WireWriter out;
  put_batch(out, batch);
  WireReader in(out.bytes());
  const auto back = get_batch(in);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->batch.flags, ASSAY_BATCH_ORDERED);
  ASSERT_EQ(back->batch.n, 2u);
  EXPECT_EQ(back->batch.stride, sizeof(assay_request));
  const assay_request& score = back->batch.requests[0];
  EXPECT_EQ(score.id, 11u);
  EXPECT_THAT(tokens_of(score), ElementsAre(1, 2, 3));
  EXPECT_EQ(score.first, 1u);
  EXPECT_EQ(score.prefix_group, 2u);
  EXPECT_EQ(score.sampling, nullptr);
  const assay_sampling& drawn = *back->batch.requests[1].sampling;
  EXPECT_EQ(drawn.max_new, 5u);
  EXPECT_EQ(drawn.seed, 77u);
  EXPECT_EQ(drawn.top_p, 0.9F);
  EXPECT_EQ(drawn.stops[0][1], 8);
  EXPECT_EQ(drawn.stops[0][2], -1);
  EXPECT_EQ(drawn.stops[1][0], 9);
  EXPECT_EQ(drawn.stops[2], nullptr);
}

TEST(Wire, BatchCutAnywhereIsNoBatch) {
  const std::int32_t tokens[] = {1, 2, 3};
  const assay_request request{1, ASSAY_REQ_SCORE, 3, tokens, 3, 1, 0, 0, nullptr};
  const assay_batch batch{sizeof(assay_batch), 0, 1, sizeof(assay_request), &request};
  WireWriter out;
  put_batch(out, batch);
  for (std::size_t n = 0; n < out.bytes().size(); ++n) {
    WireReader in(std::string_view(out.bytes()).substr(0, n));
    EXPECT_FALSE(get_batch(in)) << n;
  }
}

Field sample_table() {
  return table_of({{"id", Type::kInt64, {}, true},
                   {"text", Type::kText, {}, true},
                   {"small", Type::kInt32},
                   {"p", Type::kFloat32},
                   {"x", Type::kFloat64},
                   {"flag", Type::kBool},
                   {"list", Type::kList, {{"item", Type::kText, {}, true}}, true},
                   {"nested", Type::kStruct, {{"a", Type::kInt64, {}, true}}, true}});
}

Array sample_rows(const Field& table) {
  Builder rows(table);
  for (int i = 0; i < 3; ++i) {
    if (i == 1) {
      rows.child(0).append_null();
      rows.child(1).append_null();
      rows.child(6).append_null();
      rows.child(7).append_null();
    } else {
      rows.child(0).append_int(std::numeric_limits<std::int64_t>::min() + i);
      rows.child(1).append_text(i == 0 ? "" : "p\u00e9");
      rows.child(6).child(0).append_text("a");
      rows.child(6).child(0).append_null();
      rows.child(6).end_list();
      rows.child(7).child(0).append_int(i);
      rows.child(7).end_struct();
    }
    rows.child(2).append_int(-i);
    rows.child(3).append_float(0.25 * i);
    rows.child(4).append_float(0.1 * i);
    rows.child(5).append_bool(i == 2);
    rows.end_struct();
  }
  return Array(rows.finish());
}

TEST(Wire, RowsComeBackValueByValue) {
  const Field table = sample_table();
  const Schema schema(make_schema(table));
  const Array rows = sample_rows(table);
  WireWriter out;
  put_field(out, table);
  put_rows(out, *schema, *rows);
  WireReader in(out.bytes());
  const auto field = get_field(in);
  ASSERT_TRUE(field);
  EXPECT_EQ(field->children[6].children[0].name, "item");
  EXPECT_TRUE(field->children[0].nullable);
  auto back = get_rows(in, *field);
  ASSERT_TRUE(back);
  const Array copy(std::move(*back));
  WireWriter again;
  put_field(again, *field);
  put_rows(again, *schema, *copy);
  EXPECT_EQ(again.bytes(), out.bytes());
  const View view(*schema, *copy);
  EXPECT_TRUE(view.child(0).is_null(1));
  EXPECT_EQ(view.child(1).text(2), "p\u00e9");
  EXPECT_EQ(view.child(6).list(0).size(), 2);
  EXPECT_TRUE(view.child(6).list(2).is_null(1));
}

TEST(Wire, SliceOfRowsIsSentAlone) {
  const Field table = sample_table();
  const Schema schema(make_schema(table));
  const Array rows = sample_rows(table);
  ArrowArray slice = *rows;
  slice.offset = 2;
  slice.length = 1;
  slice.null_count = -1;
  WireWriter out;
  put_rows(out, *schema, slice);
  WireReader in(out.bytes());
  auto back = get_rows(in, table);
  ASSERT_TRUE(back);
  const Array copy(std::move(*back));
  const View view(*schema, *copy);
  ASSERT_EQ(view.size(), 1);
  EXPECT_EQ(view.child(1).text(0), "p\u00e9");
  EXPECT_EQ(view.child(2).integer(0), -2);
}

TEST(Wire, DamagedRowsAreNoRows) {
  const Field table = sample_table();
  const Schema schema(make_schema(table));
  const Array rows = sample_rows(table);
  WireWriter out;
  put_rows(out, *schema, *rows);
  for (std::size_t n = 0; n < out.bytes().size(); ++n) {
    WireReader in(std::string_view(out.bytes()).substr(0, n));
    EXPECT_FALSE(get_rows(in, table)) << n;
  }
  // Whatever is changed, nothing worse than other values comes of it.
  for (std::size_t n = 0; n < out.bytes().size(); ++n) {
    std::string bytes = out.bytes();
    bytes[n] = static_cast<char>(bytes[n] ^ 0xff);
    WireReader in(bytes);
    if (auto back = get_rows(in, table)) Array(std::move(*back)).reset();
  }
}

TEST(Wire, FieldsNestedWithoutEndAreRefused) {
  WireWriter out;
  for (int depth = 0; depth < 1000; ++depth) {
    out.text(std::string_view("l")).put<std::uint8_t>(6).put<std::uint8_t>(0);
    out.put<std::uint64_t>(1);
  }
  WireReader in(out.bytes());
  EXPECT_FALSE(get_field(in));
}

TEST(Wire, TextBatchKeepsMessagesAndStops) {
  const assay_message turns[] = {{str_of("system"), str_of("Be brief.")},
                                 {str_of("user"), str_of("Why?")}};
  const assay_str stops[] = {str_of("\n"), str_of("END")};
  const assay_sampling sampling{sizeof(assay_sampling), 5, 0, 0, 0, 1, 3, nullptr};
  const assay_text_request requests[] = {
      {1, ASSAY_REQ_GENERATE, 0, {turns, 2, sizeof(assay_message)}, {}, {}, &sampling, stops, 2},
      {2, ASSAY_REQ_SCORE, 3, {nullptr, 0, 0}, str_of("2+2="), str_of("4"), nullptr, nullptr, 0}};
  const assay_text_batch batch{sizeof(assay_text_batch), 0, 2, sizeof(assay_text_request),
                               requests};
  WireWriter out;
  put_text_batch(out, batch);
  WireReader in(out.bytes());
  const auto back = get_text_batch(in);
  ASSERT_TRUE(back);
  ASSERT_EQ(back->batch.n, 2u);
  const assay_text_request& chat = back->batch.requests[0];
  ASSERT_EQ(chat.messages.n, 2u);
  EXPECT_EQ(view_of(chat.messages.data[1].text), "Why?");
  ASSERT_EQ(chat.n_stops, 2u);
  EXPECT_EQ(view_of(chat.stops[1]), "END");
  EXPECT_EQ(chat.sampling->max_new, 5u);
  EXPECT_EQ(view_of(back->batch.requests[1].continuation), "4");
}

TEST(Wire, ErrorsKeepCodeWhereAndText) {
  assay_error error{};
  error.struct_size = sizeof error;
  put(&error, ASSAY_NOT_FOUND, "kv.bits", "no such thing");
  WireWriter out;
  put_error(out, error);
  WireReader in(out.bytes());
  const assay_error back = get_error(in);
  EXPECT_EQ(back.code, ASSAY_NOT_FOUND);
  EXPECT_STREQ(back.where, "kv.bits");
  EXPECT_STREQ(back.text, "no such thing");
}

}  // namespace
}  // namespace assay::host
