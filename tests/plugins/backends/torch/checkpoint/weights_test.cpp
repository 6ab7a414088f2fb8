#include "checkpoint/weights.hpp"

#include <assay/abi.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <functional>
#include <limits>

#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::floats;
using assay_torch_test::safetensors;
using assay_torch_test::thrown;
using assay_torch_test::write_bytes;
using ::testing::ElementsAre;

class WeightsOf : public ::testing::Test {
 protected:
  void single(std::string_view header, std::string_view data) {
    write_bytes(dir_.path() / "model.safetensors", safetensors(header, data));
  }
  std::vector<float> read(const std::string& name, std::vector<std::int64_t> shape,
                          std::size_t count) {
    std::vector<float> out(count);
    Weights(dir_.path().string()).read(name, shape, out);
    return out;
  }
  std::vector<std::uint16_t> read_into(const std::string& name, FloatType type) {
    const Weights weights(dir_.path().string());
    std::vector<std::uint16_t> out(2);
    weights.read_into(name, weights.shape(name), type, std::as_writable_bytes(std::span(out)));
    return out;
  }
  std::string error(const std::function<void()>& call) {
    std::string text = thrown(call);
    for (std::size_t at; (at = text.find(dir_.path().string())) != std::string::npos;) {
      text.replace(at, dir_.path().string().size(), "DIR");
    }
    return text;
  }

  assay_torch_test::TempDir dir_;
};

TEST_F(WeightsOf, ADirectoryWithoutThemSaysWhatAModelDirectoryNeeds) {
  EXPECT_EQ(error([&] { Weights(dir_.path().string()); }),
            "5 DIR: no weights: a model directory needs model.safetensors, or "
            "model.safetensors.index.json and the files it names");
}

TEST_F(WeightsOf, Float16AreWidenedExactly) {
  // 1.5, -2, the smallest subnormal 2^-24, the largest 65504
  single(R"({"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}})",
         std::string("\x00\x3e\x00\xc0\x01\x00\xff\x7b", 8));
  EXPECT_THAT(read("a", {4}, 4), ElementsAre(1.5F, -2.0F, 0x1p-24F, 65504.0F));
}

TEST_F(WeightsOf, Bfloat16AreWidenedExactly) {
  single(R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})",
         std::string("\xc0\x3f\x00\xc0", 4));
  EXPECT_THAT(read("a", {2}, 2), ElementsAre(1.5F, -2.0F));
}

TEST_F(WeightsOf, AFileWithMisalignedDataAreReadAllTheSame) {
  single(
      R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})",
      std::string("x") + floats({0.1F, -7.0F}));
  EXPECT_THAT(read("a", {2}, 2), ElementsAre(0.1F, -7.0F));
}

TEST_F(WeightsOf, AnotherShapeAreRefusedWithBothShapes) {
  single(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", floats({1, 2}));
  EXPECT_EQ(
      error([&] {
        read("a", {1, 2}, 2);
      }),
      "3 DIR/model.safetensors: tensor \"a\" has the shape [2], config.json calls for [1, 2]");
}

TEST_F(WeightsOf, ADtypeThatHoldsNoFloatsAreRefused) {
  single(R"({"a":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}})", floats({1, 2}));
  EXPECT_EQ(error([&] { read("a", {2}, 2); }),
            "3 DIR/model.safetensors: tensor \"a\" is I32; weights are read as F32, F16 or BF16");
}

TEST_F(WeightsOf, AModelThatLacksATensorAreRefusedByName) {
  single(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", floats({1, 2}));
  EXPECT_EQ(error([&] { read("b", {2}, 2); }),
            "3 DIR: the weights hold no tensor \"b\", which config.json calls for");
}

TEST_F(WeightsOf, NanAndInfinityAreRefusedWithTensorAndIndex) {
  single(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})",
         floats({1, std::numeric_limits<float>::quiet_NaN(), 2}));
  EXPECT_EQ(error([&] { read("a", {3}, 3); }),
            "3 DIR/model.safetensors: tensor \"a\" holds NaN at index 1 of 3; every weight must be "
            "finite: fetch or export the "
            "checkpoint again");
  single(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})", std::string("\x00\xfc", 2));
  EXPECT_EQ(error([&] { read("a", {1}, 1); }),
            "3 DIR/model.safetensors: tensor \"a\" holds an infinity at index 0 of 1; every weight "
            "must be finite: fetch or "
            "export the checkpoint again");
}

TEST_F(WeightsOf, NanIsFoundInEveryFormat) {
  single(
      R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[2,4]}})",
      std::string("\x01\x7c\xff\xff", 4));
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(error([&] { read(name, {1}, 1); }),
              "3 DIR/model.safetensors: tensor \"" + std::string(name) +
                  "\" holds NaN at index 0 of 1; every weight must be finite: fetch or export the "
                  "checkpoint again");
  }
}

TEST_F(WeightsOf, OneFormatAreCopiedAndOfAnotherRounded) {
  single(
      R"({"b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"f":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
      std::string("\xc1\x3f\x01\x00", 4) + floats({1 + 0x3p-8F, -2}));
  EXPECT_THAT(read_into("b", FloatType::kBfloat16), ElementsAre(0x3FC1, 0x0001));
  EXPECT_THAT(read_into("b", FloatType::kFloat16), ElementsAre(0x3E08, 0x0000));
  EXPECT_THAT(read_into("f", FloatType::kBfloat16), ElementsAre(0x3F82, 0xC000));
  EXPECT_THAT(read_into("f", FloatType::kFloat16), ElementsAre(0x3C0C, 0xC000));
}

TEST_F(WeightsOf, AValueThatTheWantedFormatCannotHoldAreRefused) {
  single(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", floats({65504, -70000.5F}));
  EXPECT_EQ(error([&] { read_into("a", FloatType::kFloat16); }),
            "3 DIR/model.safetensors: tensor \"a\" holds -70000.5 at index 1 of 2, and the largest "
            "float16 is 65504; use dtype = \"float32\"");
  EXPECT_THAT(read_into("a", FloatType::kBfloat16), ElementsAre(0x4780, 0xC789));
}

TEST_F(WeightsOf, ATensorAreReadIntoExactlyItsSize) {
  single(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", floats({1, 2}));
  EXPECT_EQ(error([&] { read("a", {2}, 1); }),
            "13 tensor \"a\" was to be read into 4 bytes, it needs 8");
}

TEST_F(WeightsOf, ALargeTensorAreTheSameByAnyNumberOfThreads) {
  constexpr std::int64_t kCount = 700'001;  // more than five pieces, and a rest
  std::vector<float> values(kCount);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const std::string header = R"({"a":{"dtype":"F32","shape":[700001],"data_offsets":[0,2800004]}})";
  single(header, floats(values));
  for (const std::uint32_t threads : {0U, 1U, 3U, 64U}) {
    std::vector<float> out(values.size());
    Weights(dir_.path().string(), threads).read("a", {&kCount, 1}, out);
    EXPECT_EQ(out, values) << threads;
  }
  values[650'000] = values[300'000] = std::numeric_limits<float>::infinity();
  single(header, floats(values));
  EXPECT_EQ(error([&] {
              Weights(dir_.path().string(), 3).read("a", {&kCount, 1}, values);
            }),
            "3 DIR/model.safetensors: tensor \"a\" holds an infinity at index 300000 of 700001; "
            "every weight must be finite: fetch or export the checkpoint again");
}

TEST_F(WeightsOf, AFileCutWhileItIsReadAreRefused) {
  single(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", floats({1, 2}));
  const Weights weights(dir_.path().string());
  std::filesystem::resize_file(dir_.path() / "model.safetensors", 63);
  std::vector<float> out(2);
  const std::int64_t shape[] = {2};
  EXPECT_EQ(
      error([&] { weights.read("a", shape, out); }),
      "10 DIR/model.safetensors: had 70 bytes when it was opened and ends at byte 63 now; run "
      "again when nothing writes to it");
}

TEST_F(WeightsOf, NoValuesAreReadWithoutError) {
  single(R"({"a":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}})", "");
  EXPECT_TRUE(read("a", {0, 3}, 0).empty());
}

TEST_F(WeightsOf, SeveralShardsAreFoundThroughTheIndex) {
  write_bytes(
      dir_.path() / "one.safetensors",
      safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", floats({1})));
  write_bytes(
      dir_.path() / "two.safetensors",
      safetensors(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", floats({2})));
  write_bytes(dir_.path() / "model.safetensors.index.json",
              R"({"metadata":{}, "weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  EXPECT_THAT(read("a", {1}, 1), ElementsAre(1.0F));
  EXPECT_THAT(read("b", {1}, 1), ElementsAre(2.0F));
  EXPECT_EQ(Weights(dir_.path().string()).values(), 2U);
}

TEST_F(WeightsOf, AnIndexThatDoesNotFitItsShardsAreRefused) {
  const auto index = dir_.path() / "model.safetensors.index.json";
  write_bytes(index, R"({"weight_map":{"a":"one.safetensors"}})");
  EXPECT_EQ(error([&] { Weights(dir_.path().string()); }),
            "5 DIR/model.safetensors.index.json: weight_map names \"one.safetensors\", which is "
            "not in the directory; copy that "
            "file too");
  write_bytes(dir_.path() / "one.safetensors", safetensors("{}", ""));
  EXPECT_EQ(error([&] { Weights(dir_.path().string()); }),
            "3 DIR/model.safetensors.index.json: weight_map says that \"one.safetensors\" holds "
            "\"a\", but it does not");
  write_bytes(index, R"({"weight_map":{"a":"../one.safetensors"}})");
  EXPECT_EQ(error([&] { Weights(dir_.path().string()); }),
            "3 DIR/model.safetensors.index.json: weight_map names \"../one.safetensors\"; shards "
            "lie beside the index");
  write_bytes(index, R"({"weight_map":{"a":1e999}})");
  EXPECT_EQ(error([&] { Weights(dir_.path().string()); }),
            "3 DIR/model.safetensors.index.json: holds a number beyond every double");
  write_bytes(index,
              R"({"weight_map":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}");
  EXPECT_EQ(error([&] { Weights(dir_.path().string()); }),
            "3 DIR/model.safetensors.index.json: nests deeper than 100 levels");
  write_bytes(index, "{}");
  EXPECT_EQ(error([&] { Weights(dir_.path().string()); }),
            "3 DIR/model.safetensors.index.json: weight_map: expected a table of texts");
}

}  // namespace
}  // namespace assay_torch
