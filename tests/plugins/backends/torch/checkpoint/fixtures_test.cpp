// Checkpoints that the tools themselves wrote: every layer's float32 weights, bit for bit.
#include "support/fixtures.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/quantized.hpp"
#include "host/core/hash.hpp"

namespace assay_torch {
namespace {

class ToolsCheckpoint : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto dir = assay_torch_test::shared(std::string("data/checkpoints/") + GetParam());
    if (!dir) GTEST_SKIP() << "needs data/checkpoints/" << GetParam() << " in ASSAY_SHARED";
    dir_ = dir->string();
    reference_ = nlohmann::json::parse(assay_torch_test::read_bytes(*dir / "reference.json"));
  }

  std::string dir_;
  nlohmann::json reference_;
};

std::string digest_of(const QuantizedMatrix& matrix) {
  std::vector<float> values(static_cast<std::size_t>(matrix.rows * matrix.columns));
  dequantize(matrix, values);
  return assay::host::sha256(assay_torch_test::floats(values));
}

TEST_P(ToolsCheckpoint, HasTheToolsWeightsInEveryLayer) {
  const auto checkpoint = QuantizedCheckpoint::open(dir_, ZeroWrap::kMask);
  ASSERT_TRUE(checkpoint);
  const Weights weights(dir_);
  std::vector<std::string> read;
  for (const auto& [name, layer] : reference_["layers"].items()) {
    ASSERT_TRUE(checkpoint->holds(weights, name));
    const auto matrix = checkpoint->read(weights, name, layer["shape"][0].get<std::int64_t>(),
                                         layer["shape"][1].get<std::int64_t>(), read);
    EXPECT_EQ(digest_of(matrix), layer["dequant_fp32_sha256"].get<std::string>()) << name;
  }
  // What nobody read are the tensors that no tool quantized.
  for (const std::string& name : weights.names()) {
    const bool is_plain = name == "model.embed_tokens.weight" || name.ends_with("norm.weight");
    EXPECT_NE(is_plain, std::find(read.begin(), read.end(), name) != read.end()) << name;
  }
  EXPECT_FALSE(checkpoint->holds(weights, "lm_head"));
}

TEST_P(ToolsCheckpoint, CountsTheBytesOfItsFile) {
  const auto checkpoint = QuantizedCheckpoint::open(dir_, ZeroWrap::kMask);
  const Weights weights(dir_);
  for (const auto& [name, layer] : reference_["layers"].items()) {
    std::vector<std::string> read;
    const auto matrix = checkpoint->read(weights, name, layer["shape"][0].get<std::int64_t>(),
                                         layer["shape"][1].get<std::int64_t>(), read);
    std::uint64_t bits = 0;
    for (const std::string& tensor : read) bits += 8 * weights.bytes(tensor);
    EXPECT_EQ(matrix.stored_bits, bits) << name;
  }
}

/// The layout that a fixture's method has.
FileLayout layout_of(const std::string& fixture) {
  if (fixture.starts_with("gptq")) return FileLayout::kGptq;
  if (fixture.starts_with("awq")) return FileLayout::kAwq;
  return fixture.starts_with("bnb") ? FileLayout::kBitsandbytes : FileLayout::kCompressedTensors;
}

// GPTQ's zero points are the exception: they are written as they are, and the tool's less one.
TEST_P(ToolsCheckpoint, IsWrittenAgainToTheByte) {
  const auto checkpoint = QuantizedCheckpoint::open(dir_, ZeroWrap::kMask);
  const Weights weights(dir_);
  for (const auto& [name, layer] : reference_["layers"].items()) {
    std::vector<std::string> read;
    const auto matrix = checkpoint->read(weights, name, layer["shape"][0].get<std::int64_t>(),
                                         layer["shape"][1].get<std::int64_t>(), read);
    const auto tensors = to_tensors(layout_of(GetParam()), name, matrix);
    EXPECT_EQ(tensors.size(), read.size());
    for (const StoredTensor& tensor : tensors) {
      ASSERT_TRUE(weights.holds(tensor.name)) << tensor.name;
      EXPECT_EQ(tensor.dtype, weights.dtype(tensor.name)) << tensor.name;
      std::vector<std::byte> bytes(weights.bytes(tensor.name));
      weights.read_bytes(tensor.name, 0, bytes);
      // JSON has spaces here and there.
      const bool is_json = tensor.name.find("quant_state") != std::string::npos;
      if (!is_json) {
        EXPECT_EQ(tensor.shape, weights.shape(tensor.name)) << tensor.name;
      }
      if (tensor.name.ends_with(".qzeros") && layout_of(GetParam()) == FileLayout::kGptq) {
        EXPECT_EQ(tensor.data, std::vector<std::byte>(bytes.size(), std::byte{0x88}));
      } else if (is_json) {
        const auto json = [](const std::vector<std::byte>& text) {
          return nlohmann::json::parse(reinterpret_cast<const char*>(text.data()),
                                       reinterpret_cast<const char*>(text.data()) + text.size());
        };
        EXPECT_EQ(json(tensor.data), json(bytes));
      } else {
        EXPECT_EQ(tensor.data, bytes) << tensor.name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ToolsCheckpoint,
                         ::testing::Values("awq-4bit-g128", "bnb-int8", "bnb-nf4-dq", "ct-fp8",
                                           "ct-w4a16-g128", "ct-w8a8-int8", "gptq-4bit-g128",
                                           "gptq-4bit-g64-actorder"),
                         [](const auto& fixture) {
                           std::string name = fixture.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace assay_torch
