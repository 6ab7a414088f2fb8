// The words of every layout, by hand: what a tool's bytes mean, whatever our writer would make.
#include <gmock/gmock.h>

#include "support/quantized_files.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::kModule;
using assay_torch_test::ones;
using assay_torch_test::QuantizedFiles;
using assay_torch_test::singles;
using assay_torch_test::tensor;
using assay_torch_test::words;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

std::string gptq(int bits, const std::string& more = "") {
  return R"({"quant_method": "gptq", "bits": )" + std::to_string(bits) +
         R"(, "group_size": -1, "sym": true)" + more + "}";
}

std::vector<float> counted(std::size_t count, int modulus, int less) {
  std::vector<float> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(static_cast<float>(static_cast<int>(i) % modulus - less));
  return out;
}

TEST(GptqLayout, CodesOfFourBitsLieLowestFirstAlongTheInputs) {
  QuantizedFiles files(gptq(4), {words(".qweight", {1, 8}, std::vector(8, 0x76543210U)),
                                 words(".qzeros", {1, 1}, {0x77777777U}), ones(".scales", {1, 8})});
  const auto values = files.values(8, 8);
  for (std::size_t row = 0; row < 8; ++row) {
    EXPECT_THAT(std::vector(values.begin() + 8 * static_cast<std::ptrdiff_t>(row),
                            values.begin() + 8 * static_cast<std::ptrdiff_t>(row + 1)),
                ElementsAreArray(counted(8, 8, 8)));
  }
}

TEST(GptqLayout, CodesOfThreeBitsAreOneStreamAcrossWords) {
  std::vector<std::uint32_t> codes;
  for (const std::uint32_t word : {0x88FAC688U, 0xC688FAC6U, 0xFAC688FAU})
    codes.insert(codes.end(), 32, word);
  QuantizedFiles files(gptq(3), {words(".qweight", {3, 32}, codes),
                                 words(".qzeros", {1, 3}, {0xDB6DB6DBU, 0xB6DB6DB6U, 0x6DB6DB6DU}),
                                 ones(".scales", {1, 32})});
  const auto values = files.values(32, 32);
  EXPECT_THAT(std::vector(values.begin(), values.begin() + 32),
              ElementsAreArray(counted(32, 8, 4)));
}

struct ZeroWords {
  int bits;
  std::vector<std::uint32_t> v1, v2;
};

// A file that says the wrong version is read by its words, and the description says so.
TEST(GptqLayout, SymmetricZeroPointsTellTheirVersion) {
  const ZeroWords all[] = {
      {2, {0x55555555U, 0x55555555U}, {0xAAAAAAAAU, 0xAAAAAAAAU}},
      {3, {0xDB6DB6DBU, 0xB6DB6DB6U, 0x6DB6DB6DU}, {0x24924924U, 0x49249249U, 0x92492492U}},
      {4, std::vector(4, 0x77777777U), std::vector(4, 0x88888888U)},
      {8, std::vector(8, 0x7F7F7F7FU), std::vector(8, 0x80808080U)}};
  for (const ZeroWords& zeros : all) {
    const auto bits = static_cast<std::int64_t>(zeros.bits);
    for (const bool is_v2 : {false, true}) {
      for (const bool says_v2 : {false, true}) {
        QuantizedFiles files(
            gptq(zeros.bits, says_v2 ? R"(, "checkpoint_format": "gptq_v2")" : ""),
            {words(".qweight", {bits, 32}, std::vector(static_cast<std::size_t>(32 * bits), 0U)),
             words(".qzeros", {1, bits}, is_v2 ? zeros.v2 : zeros.v1), ones(".scales", {1, 32})});
        EXPECT_THAT(files.read(32, 32).zeros, Each(1 << (zeros.bits - 1)));
        if (is_v2 == says_v2) {
          EXPECT_EQ(files.described_, "gptq " + std::to_string(bits) + " bits, one group a row");
        } else {
          EXPECT_THAT(files.described_,
                      HasSubstr("zero points of 1 symmetric modules are those of"));
        }
      }
    }
  }
}

TEST(GptqLayout, TheLargestZeroPointOfV1WrapsAsAsked) {
  const std::string asymmetric =
      R"({"quant_method": "gptq", "bits": 4, "group_size": -1, "sym": false})";
  QuantizedFiles files(asymmetric,
                       {words(".qweight", {1, 8}, std::vector(8, 0U)),
                        words(".qzeros", {1, 1}, {0x543210F0U}), ones(".scales", {1, 8})});
  EXPECT_THAT(files.read(8, 8, ZeroWrap::kMask).zeros, ElementsAre(1, 0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(files.described_, HasSubstr("1 zero points are the largest"));
  EXPECT_THAT(files.read(8, 8, ZeroWrap::kCarry).zeros, ElementsAre(1, 0, 2, 2, 3, 4, 5, 6));
  EXPECT_THAT(files.read(8, 8, ZeroWrap::kNone).zeros, ElementsAre(1, 16, 1, 2, 3, 4, 5, 6));
}

TEST(GptqLayout, GroupIndicesAssignColumnsToScales) {
  const std::string settings =
      R"({"quant_method": "gptq", "bits": 8, "group_size": 2, "sym": true, "desc_act": true})";
  QuantizedFiles files(settings, {words(".qweight", {1, 4}, std::vector(4, 0x81818181U)),
                                  words(".qzeros", {2, 1}, {0x7F7F7F7FU, 0x7F7F7F7FU}),
                                  singles(".scales", {2, 4}, {1, 2, 3, 4, 10, 20, 30, 40}),
                                  words(".g_idx", {4}, {1, 0, 1, 0})});
  EXPECT_THAT(files.values(4, 4),
              ElementsAre(10, 1, 10, 1, 20, 2, 20, 2, 30, 3, 30, 3, 40, 4, 40, 4));
}

TEST(GptqLayout, TheLastGroupMayBeShort) {
  const std::string settings =
      R"({"quant_method": "gptq", "bits": 8, "group_size": 3, "sym": true})";
  QuantizedFiles files(settings, {words(".qweight", {1, 4}, std::vector(4, 0x81818181U)),
                                  words(".qzeros", {2, 1}, {0x7F7F7F7FU, 0x7F7F7F7FU}),
                                  singles(".scales", {2, 4}, {1, 1, 1, 1, 5, 5, 5, 5})});
  const auto values = files.values(4, 4);
  EXPECT_THAT(std::vector(values.begin(), values.begin() + 4), ElementsAre(1, 1, 1, 5));
}

TEST(AwqLayout, ColumnsAreInterleavedAndZeroPointsStoredAsTheyAre) {
  QuantizedFiles files(R"({"quant_method": "awq", "bits": 4, "group_size": 2, "version": "GEMM"})",
                       {words(".qweight", {2, 1}, {0x75316420U, 0x75316420U}),
                        words(".qzeros", {1, 1}, {0x11111111U}), ones(".scales", {1, 8})});
  EXPECT_THAT(files.values(8, 2), ElementsAre(-1, -1, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6));
}

std::vector<float> table() { return counted(16, 16, 0); }

std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

StoredTensor state(const std::string& more = "", const std::string& separator = ".") {
  const auto json = bytes_of(
      R"({"quant_type": "nf4", "blocksize": 2, "dtype": "float32", "shape": [2, 2])" + more + "}");
  return tensor(".weight" + separator + "quant_state.bitsandbytes__nf4", "U8",
                {static_cast<std::int64_t>(json.size())}, json);
}

const char* const kNf4 =
    R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"})";

TEST(BitsandbytesLayout, TheFirstOfTwoCodesIsTheHighHalf) {
  for (const char* separator : {".", "_"}) {
    const std::string weight = std::string(".weight") + separator;
    QuantizedFiles files(kNf4,
                         {tensor(".weight", "U8", {2, 1}, std::vector<std::uint8_t>{0x3C, 0x12}),
                          singles(weight + "absmax", {2}, {1, 10}),
                          singles(weight + "quant_map", {16}, table()), state("", separator)});
    EXPECT_THAT(files.values(2, 2), ElementsAre(3, 12, 10, 20));
  }
}

TEST(BitsandbytesLayout, BytesMayBeDeclaredAsAnyDtype) {
  QuantizedFiles files(
      kNf4, {tensor(".weight", "BF16", {1, 1}, std::vector<std::uint8_t>{0x3C, 0x12}),
             singles(".weight.absmax", {2}, {1, 10}), singles(".weight.quant_map", {16}, table()),
             state()});
  EXPECT_THAT(files.values(2, 2), ElementsAre(3, 12, 10, 20));
}

TEST(BitsandbytesLayout, NestedScalesAreAProductAndAnOffset) {
  auto nested = std::vector<float>(256, 0);
  nested[7] = 0.5F;
  nested[9] = -0.25F;
  QuantizedFiles files(kNf4,
                       {tensor(".weight", "U8", {2, 1}, std::vector<std::uint8_t>{0x11, 0x11}),
                        tensor(".weight.absmax", "U8", {2}, std::vector<std::uint8_t>{7, 9}),
                        singles(".weight.nested_absmax", {1}, {8}),
                        singles(".weight.nested_quant_map", {256}, nested),
                        singles(".weight.quant_map", {16}, table()),
                        state(R"(, "nested_blocksize": 256, "nested_offset": 3.0)")});
  EXPECT_THAT(files.values(2, 2), ElementsAre(7, 7, 1, 1));
}

TEST(BitsandbytesLayout, EightBitsAreCodesTimesRowScalesPer127) {
  QuantizedFiles files(
      R"({"quant_method": "bitsandbytes", "load_in_8bit": true, "llm_int8_threshold": 0.0})",
      {tensor(".weight", "I8", {2, 2}, std::vector<std::int8_t>{127, -127, 1, 0}),
       singles(".SCB", {2}, {3, 127}),
       tensor(".weight_format", "U8", {}, std::vector<std::uint8_t>{0})});
  const float per_127 = 7.874015718698502e-3F;
  const auto matrix = files.read(2, 2);
  EXPECT_THAT(files.values(2, 2), ElementsAre(381 * per_127, -381 * per_127, 127 * per_127, 0));
  EXPECT_EQ(matrix.activations.kind, ActivationRule::Kind::kInt8Outliers);
  EXPECT_TRUE(std::isinf(matrix.activations.threshold));
}

std::string compressed(const std::string& weights, const std::string& inputs = "null",
                       const std::string& format = "pack-quantized") {
  return R"({"quant_method": "compressed-tensors", "format": ")" + format +
         R"(", "config_groups": {"group_0": {"targets": ["Linear"], "weights": )" + weights +
         R"(, "input_activations": )" + inputs + "}}, \"ignore\": [\"lm_head\"]}";
}

StoredTensor shape_of(std::int64_t rows, std::int64_t columns) {
  return tensor(".weight_shape", "I64", {2}, std::vector<std::int64_t>{rows, columns});
}

TEST(CompressedTensorsLayout, CodesAndZeroPointsAreStoredAboveTheMiddle) {
  QuantizedFiles symmetric(compressed(R"({"num_bits": 4, "strategy": "channel"})"),
                           {words(".weight_packed", {1, 1}, {0x76543210U}),
                            ones(".weight_scale", {1, 1}), shape_of(1, 8)});
  EXPECT_THAT(symmetric.values(1, 8), ElementsAreArray(counted(8, 8, 8)));

  QuantizedFiles asymmetric(
      compressed(R"({"num_bits": 4, "strategy": "group", "group_size": 4, "symmetric": false})"),
      {words(".weight_packed", {2, 1}, {0x76543210U, 0x76543210U}), ones(".weight_scale", {2, 2}),
       words(".weight_zero_point", {1, 2}, {0x00000021U, 0x00000043U}), shape_of(2, 8)});
  EXPECT_THAT(asymmetric.values(2, 8),
              ElementsAre(-1, 0, 1, 2, 1, 2, 3, 4, -2, -1, 0, 1, 0, 1, 2, 3));

  asymmetric.tensors_[2] =
      tensor(".weight_zero_point", "I8", {2, 2}, std::vector<std::int8_t>{-7, -5, -6, -4});
  EXPECT_THAT(asymmetric.values(2, 8),
              ElementsAre(-1, 0, 1, 2, 1, 2, 3, 4, -2, -1, 0, 1, 0, 1, 2, 3));
}

TEST(CompressedTensorsLayout, OlderFilesLeaveBitsOfWordsEmpty) {
  // Of three bits ten lie in a word.
  const std::string settings = compressed(R"({"num_bits": 3, "strategy": "channel"})");
  const auto scale = ones(".weight_scale", {1, 1});
  QuantizedFiles dense(
      settings, {words(".weight_packed", {1, 4}, {0x88FAC688U, 0xC688FAC6U, 0xFAC688FAU, 0x7U}),
                 scale, shape_of(1, 33)});
  auto expected = counted(32, 8, 4);
  expected.push_back(3);
  EXPECT_EQ(dense.values(1, 33), expected);
  QuantizedFiles loose(settings, {words(".weight_packed", {1, 7}, {0x08FAC688U, 5, 0, 0, 0, 0, 0}),
                                  scale, shape_of(1, 64)});
  const auto values = loose.values(1, 64);
  EXPECT_THAT(std::vector(values.begin(), values.begin() + 10),
              ElementsAreArray(counted(10, 8, 4)));
  EXPECT_EQ(values[10], 1);
}

TEST(CompressedTensorsLayout, Int8ReachesMinus128AndQuantizesTokens) {
  QuantizedFiles files(
      compressed(R"({"num_bits": 8, "strategy": "channel"})",
                 R"({"num_bits": 8, "type": "int", "strategy": "token", "dynamic": true})",
                 "int-quantized"),
      {tensor(".weight", "I8", {2, 2}, std::vector<std::int8_t>{-128, 127, 1, 0}),
       singles(".weight_scale", {2, 1}, {2, 3})});
  EXPECT_THAT(files.values(2, 2), ElementsAre(-256, 254, 3, 0));
  EXPECT_EQ(files.read(2, 2).activations.kind, ActivationRule::Kind::kInt8PerToken);
}

TEST(CompressedTensorsLayout, Fp8HasStaticScalesOfActivations) {
  QuantizedFiles files(
      compressed(R"({"num_bits": 8, "type": "float", "strategy": "tensor"})",
                 R"({"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": false})",
                 "float-quantized"),
      {tensor(".weight", "F8_E4M3", {1, 3}, std::vector<std::uint8_t>{0x38, 0x80, 0x7E}),
       singles(".weight_scale", {1}, {0.5F}), singles(".input_scale", {1}, {0.125F})});
  const auto values = files.values(1, 3);
  EXPECT_THAT(values, ElementsAre(0.5F, 0, 224));
  EXPECT_TRUE(std::signbit(values[1]));
  const auto rule = files.read(1, 3).activations;
  EXPECT_EQ(rule.kind, ActivationRule::Kind::kFp8PerTensor);
  EXPECT_EQ(rule.scale, 0.125F);
}

TEST(Fp8Layout, BlocksAtTheEdgesMayBePartial) {
  const std::vector<std::uint8_t> all(9, 0x38);  // 1
  QuantizedFiles files(R"({"quant_method": "fp8", "weight_block_size": [2, 2]})",
                       {tensor(".weight", "F8_E4M3", {3, 3}, all),
                        singles(".weight_scale_inv", {2, 2}, {1, 2, 3, 4})});
  EXPECT_THAT(files.values(3, 3), ElementsAre(1, 1, 2, 1, 1, 2, 3, 3, 4));
  EXPECT_EQ(files.read(3, 3).activations.group_size, 2);
}

TEST(Fp8Layout, InverseSemanticsDivide) {
  QuantizedFiles files(R"({"quant_method": "fp8", "weight_scale_semantics": "inverse"})",
                       {tensor(".weight", "F8_E4M3", {1, 2}, std::vector<std::uint8_t>{0x38, 0x40}),
                        singles(".weight_scale_inv", {}, {4})});
  EXPECT_THAT(files.values(1, 2), ElementsAre(0.25F, 0.5F));
}

TEST(Fp8Layout, FbgemmHasAScaleForEachRow) {
  QuantizedFiles files(R"({"quant_method": "fbgemm_fp8"})",
                       {tensor(".weight", "F8_E4M3", {2, 1}, std::vector<std::uint8_t>{0x38, 0x38}),
                        singles(".weight_scale", {2, 1}, {2, 3})});
  EXPECT_THAT(files.values(2, 1), ElementsAre(2, 3));
}

}  // namespace
}  // namespace assay_torch
