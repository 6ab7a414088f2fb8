// Codes and scales that the tools themselves chose, from the same weights.
#include <assay/abi.h>
#include <gtest/gtest.h>

#include <bit>
#include <nlohmann/json.hpp>

#include "checkpoint/weights.hpp"
#include "host/core/hash.hpp"
#include "quantize/rtn.hpp"
#include "quantize/scaled.hpp"
#include "quantize/table.hpp"
#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::golden;
using assay_torch_test::read_bytes;

QuantizedMatrix named(const std::string& setting, const std::vector<float>& w, std::int64_t rows,
                      std::int64_t columns) {
  if (setting == "nf4b64") return table_quantize(kNf4, w, rows, columns, false);
  const auto group = setting.substr(setting.find('g') + 1);
  return rtn_quantize(
      w, rows, columns,
      {.bits = setting[3] - '0', .group_size = group == "C" ? 0 : std::stoll(group)});
}

/// A checkpoint that a tool made of tinystories-656k, and the weights it was made of.
class Tools : public ::testing::Test {
 protected:
  bool open(const std::string& name) {
    const auto dir = assay_torch_test::shared("data/checkpoints/" + name);
    const auto base = assay_torch_test::shared("data/models/tinystories-656k");
    if (!dir || !base) return false;
    packed_.emplace(dir->string());
    base_.emplace(base->string());
    for (const std::string& tensor : packed_->names()) {
      const std::string end = "_proj.weight";
      if (tensor.ends_with(end)) modules_.push_back(tensor.substr(0, tensor.size() - 7));
    }
    EXPECT_EQ(modules_.size(), 14U);
    return true;
  }
  std::vector<float> weights(const std::string& module) {
    shape_ = base_->shape(module + ".weight");
    std::vector<float> out(static_cast<std::size_t>(shape_[0] * shape_[1]));
    base_->read(module + ".weight", shape_, out);
    return out;
  }
  std::vector<std::uint8_t> bytes(const std::string& tensor) const {
    std::vector<std::uint8_t> out(packed_->bytes(tensor));
    packed_->read_bytes(tensor, 0, std::as_writable_bytes(std::span(out)));
    return out;
  }
  std::vector<float> floats(const std::string& tensor) const {
    std::vector<float> out(packed_->bytes(tensor) / 4);
    packed_->read_bytes(tensor, 0, std::as_writable_bytes(std::span(out)));
    return out;
  }

  std::optional<Weights> packed_, base_;
  std::vector<std::string> modules_;
  std::vector<std::int64_t> shape_;
};

// tests/golden/torch_golden.py ran the functions of the script that made the model's published
// figures.
TEST_F(Tools, LedgerLlamaIsRestoredAsTheScriptOfItsFiguresDoesBitForBit) {
  const auto dir = assay_torch_test::model("ledger/model", "ledger-llama");
  if (!dir) GTEST_SKIP() << "needs the ledger-llama model in share/data or ASSAY_SHARED";
  const Weights weights(dir->string());
  const auto expected = nlohmann::json::parse(read_bytes(golden("ledger_rounded.json")));
  for (const auto& [setting, tensors] : expected.items()) {
    for (const auto& [name, digest] : tensors.items()) {
      const auto& shape = weights.shape(name);
      std::vector<float> w(static_cast<std::size_t>(shape[0] * shape[1]));
      weights.read(name, shape, w);
      dequantize(named(setting, w, shape[0], shape[1]), w);
      for (float& v : w) v += 0.0F;  // -0 becomes 0, as in the golden file
      EXPECT_EQ(assay::host::sha256(assay_torch_test::floats(w)), digest.get<std::string>())
          << setting << " " << name;
    }
  }
}

TEST_F(Tools, Nf4CodesAndNestedScalesAreThoseOfBitsandbytes) {
  if (!open("bnb-nf4-dq")) GTEST_SKIP() << "needs data/checkpoints/bnb-nf4-dq in ASSAY_SHARED";
  for (const std::string& module : modules_) {
    const auto w = weights(module);
    const QuantizedMatrix ours = table_quantize(kNf4, w, shape_[0], shape_[1], true);
    EXPECT_EQ(ours.codes, bytes(module + ".weight")) << module;
    EXPECT_EQ(ours.nested->codes, bytes(module + ".weight.absmax")) << module;
    EXPECT_EQ(ours.nested->absmax, floats(module + ".weight.nested_absmax")) << module;
    const auto state = bytes(module + ".weight.quant_state.bitsandbytes__nf4");
    const auto said = nlohmann::json::parse(state.begin(), state.end());
    EXPECT_EQ(ours.nested->offset, said["nested_offset"].get<float>()) << module;
    const auto map = floats(module + ".weight.nested_quant_map");
    EXPECT_TRUE(std::equal(map.begin(), map.end(), dynamic_map().begin())) << module;
  }
}

TEST_F(Tools, Int8CodesAndRowScalesAreThoseOfBitsandbytes) {
  if (!open("bnb-int8")) GTEST_SKIP() << "needs data/checkpoints/bnb-int8 in ASSAY_SHARED";
  for (const std::string& module : modules_) {
    const auto w = weights(module);
    const QuantizedMatrix ours = int8_quantize(w, shape_[0], shape_[1], 6);
    EXPECT_EQ(ours.codes, bytes(module + ".weight")) << module;
    EXPECT_EQ(ours.scales, floats(module + ".SCB")) << module;
  }
}

TEST_F(Tools, W8a8CodesAndScalesAreThoseOfCompressedTensors) {
  if (!open("ct-w8a8-int8")) GTEST_SKIP() << "needs data/checkpoints/ct-w8a8-int8 in ASSAY_SHARED";
  for (const std::string& module : modules_) {
    const auto w = weights(module);
    const QuantizedMatrix ours = w8a8_quantize(w, shape_[0], shape_[1], FloatType::kFloat32);
    EXPECT_EQ(ours.codes, bytes(module + ".weight")) << module;
    EXPECT_EQ(ours.scales, floats(module + ".weight_scale")) << module;
  }
}

TEST_F(Tools, Fp8CodesAndScalesAreThoseOfCompressedTensors) {
  if (!open("ct-fp8")) GTEST_SKIP() << "needs data/checkpoints/ct-fp8 in ASSAY_SHARED";
  for (const std::string& module : modules_) {
    const auto w = weights(module);
    const QuantizedMatrix ours =
        fp8_quantize(w, shape_[0], shape_[1], Fp8Scope::kChannel, FloatType::kFloat32);
    EXPECT_EQ(ours.codes, bytes(module + ".weight")) << module;
    EXPECT_EQ(ours.scales, floats(module + ".weight_scale")) << module;
  }
}

// Rows of one weight: 448 per unit of the largest of the row, of the block, or of all.
TEST(Scaled, Fp8ScalesReachAsFarAsTheScopeSays) {
  std::vector<float> w(130 * 2, 1.0F);
  w[0] = 4.0F;
  w[259] = 2.0F;
  const auto scales = [&](Fp8Scope scope) {
    auto matrix = fp8_quantize(w, 130, 2, scope, FloatType::kFloat32);
    std::vector<float> out(w.size());
    dequantize(matrix, out);
    EXPECT_EQ(out[0], 4.0F);
    return matrix.scales;
  };
  EXPECT_EQ(scales(Fp8Scope::kTensor), (std::vector<float>{4.0F / 448}));
  EXPECT_EQ(scales(Fp8Scope::kBlock), (std::vector<float>{4.0F / 448, 2.0F / 448}));
  const auto channels = scales(Fp8Scope::kChannel);
  EXPECT_EQ(channels.size(), 130U);
  EXPECT_EQ(channels[1], 1.0F / 448);
}

TEST(Scaled, ARowOfZerosStaysZero) {
  const std::vector<float> w(8, 0.0F);
  for (const QuantizedMatrix& matrix :
       {int8_quantize(w, 1, 8, 6), w8a8_quantize(w, 1, 8, FloatType::kFloat32),
        fp8_quantize(w, 1, 8, Fp8Scope::kTensor, FloatType::kFloat32)}) {
    std::vector<float> out(8, 1.0F);
    dequantize(matrix, out);
    EXPECT_EQ(out, w);
  }
}

}  // namespace
}  // namespace assay_torch
