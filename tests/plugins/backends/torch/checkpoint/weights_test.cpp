#include "checkpoint/weights.hpp"

#include <assay/abi.h>
#include <gmock/gmock.h>

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
  write_bytes(index, "{}");
  EXPECT_EQ(error([&] { Weights(dir_.path().string()); }),
            "3 DIR/model.safetensors.index.json: weight_map: expected a table of texts");
}

}  // namespace
}  // namespace assay_torch
