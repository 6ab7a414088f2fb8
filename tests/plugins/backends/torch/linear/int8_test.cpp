// The layer of 8-bit weights and activations: against arithmetic done here, and against what
// bitsandbytes and compressed-tensors computed with their own files.
#include "linear/int8.hpp"

#include <ATen/ops/_int_mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/safetensors.hpp"
#include "decoder/architecture.hpp"
#include "decoder/head.hpp"
#include "decoder/load.hpp"
#include "linear/make.hpp"
#include "support/fixtures.hpp"
#include "support/random_matrix.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::random_matrix;
using Kind = ActivationRule::Kind;

at::Tensor applied(const Linear& linear, const at::Tensor& x,
                   std::span<const std::int64_t> lengths = {}) {
  auto out = at::empty({x.size(0), linear.dequantize().size(0)}, x.options());
  linear.apply(x, out, lengths);
  return out;
}

TEST(Int8, SumsCodesAndScalesOnce) {
  auto matrix = random_matrix({Form::kInt8, 6, 100}, 4);
  matrix.activations.kind = Kind::kInt8PerToken;
  const auto bias = at::randn({6}), x = at::randn({9, 100});
  const Int8 layer(matrix, bias, at::kFloat, fastest_kernels());
  const auto tokens = int8_codes(matrix.activations, x, {});
  const auto weights = layer.dequantize().to(at::kDouble);
  const auto inputs = tokens.codes.to(at::kDouble).mul(tokens.scales.unsqueeze(1));
  const auto expected = inputs.mm(weights.t()).add(bias).to(at::kFloat);
  // Four roundings to float32, relative to each sum; no sum of several is rounded.
  EXPECT_TRUE(applied(layer, x).allclose(expected, 1e-6, 1e-6));
}

TEST(Int8, LeavesOutliersInTheirOwnPrecision) {
  auto matrix = random_matrix({Form::kInt8, 6, 100}, 4);
  matrix.is_per_127 = true;
  matrix.activations.kind = Kind::kInt8Outliers;
  const Int8 layer(matrix, {}, at::kFloat, fastest_kernels());
  auto x = at::randn({4, 100}).clamp_(-5, 5);
  x[1][40] = 1000;
  const auto expected = x.mm(layer.dequantize().t());
  // Of codes alone 1000 would leave steps of 8 for the others; here they have steps of 5 / 127.
  const auto out = applied(layer, x);
  const double error = out.sub(expected).norm().item<double>();
  EXPECT_LT(error, 0.02 * x.clamp(-5, 5).mm(layer.dequantize().t()).norm().item<double>());
  const std::int64_t lengths[] = {1, 3};
  EXPECT_TRUE(applied(layer, x, lengths)[0].equal(applied(layer, x.narrow(0, 0, 1))[0]));
}

TEST(Int8, IsTheSameOnEveryInstructionSet) {
  for (const Kind kind : {Kind::kInt8PerToken, Kind::kInt8Outliers}) {
    auto matrix = random_matrix({Form::kInt8, 21, 130}, 9);
    matrix.activations.kind = kind;
    const auto x = at::randn({6, 130}).mul_(3);
    const Int8 portable(matrix, {}, at::kFloat, *kernels_for(InstructionSet::kPortable));
    for (const InstructionSet set : kInstructionSets) {
      if (kernels_for(set) == nullptr) continue;  // kernels_test.cpp says so
      const Int8 layer(matrix, {}, at::kFloat, *kernels_for(set));
      EXPECT_TRUE(applied(layer, x).equal(applied(portable, x))) << to_string(set);
    }
  }
}

// The route of machines with tiles of integers.
TEST(Int8, LibtorchsOperatorSumsExactlyWhereIntegersHaveInstructions) {
  if (kernels_for(InstructionSet::kAvx512Vnni) == nullptr)
    GTEST_SKIP() << "this machine has no AVX-512 VNNI, without which the operator may saturate";
  for (const std::int64_t columns : {7, 64, 1000, 4096}) {
    auto x = at::randint(-128, 128, {17, columns}, at::kChar);
    auto weights = at::randint(-128, 128, {24, columns}, at::kChar);
    x.select(0, 0).fill_(-128);
    weights.select(0, 0).fill_(-128);
    weights.select(0, 1).fill_(127);
    EXPECT_TRUE(at::_int_mm(x, weights.t())
                    .to(at::kLong)
                    .equal(x.to(at::kLong).mm(weights.to(at::kLong).t())));
  }
}

/// A checkpoint of the tools, its linear layers made of its own codes.
class Int8Checkpoint : public ::testing::Test {
 protected:
  struct Layer {
    std::string name;
    Kind kind;
  };

  static at::Tensor tensor(const SafetensorsFile& file, const std::string& name) {
    const TensorEntry& entry = file.tensors().at(name);
    static const std::map<std::string, at::ScalarType> types = {
        {"F32", at::kFloat}, {"F16", at::kHalf}, {"I8", at::kChar}, {"I32", at::kInt}};
    auto out = at::empty(entry.shape, types.at(entry.dtype));
    file.read(entry, 0, {static_cast<std::byte*>(out.mutable_data_ptr()), out.nbytes()});
    return out;
  }

  static ModuleWeight module(const SafetensorsFile& file, const std::string& name, Kind kind) {
    const auto codes = tensor(file, name + ".weight");
    const bool is_bitsandbytes = kind == Kind::kInt8Outliers;
    const auto scales =
        tensor(file, name + (is_bitsandbytes ? ".SCB" : ".weight_scale")).to(at::kFloat);
    QuantizedMatrix matrix;
    matrix.form = Form::kInt8;
    matrix.rows = codes.size(0);
    matrix.columns = codes.size(1);
    matrix.bits = 8;
    const auto* const bytes = static_cast<const std::uint8_t*>(codes.const_data_ptr());
    matrix.codes.assign(bytes, bytes + codes.numel());
    const auto* const values = scales.const_data_ptr<float>();
    matrix.scales.assign(values, values + scales.numel());
    matrix.is_per_127 = is_bitsandbytes;
    matrix.activations.kind = kind;
    return {.quantized = std::move(matrix)};
  }

  /// The shared model's architecture with the checkpoint's tensors.
  static Decoder decoder(const std::string& base, const std::string& dir, Kind kind,
                         const LinearSettings& settings) {
    const DecoderSpec spec = read_spec(base);
    const Weights weights(dir);
    const SafetensorsFile file(dir + "/model.safetensors");
    ModelReader reader(spec, weights, settings);
    Decoder decoder = reader.ends();
    for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
      Block block = reader.norms(layer);
      for (const Slot slot : {Slot::kQueryKeyValue, Slot::kOutput, Slot::kGateUp, Slot::kDown}) {
        std::vector<ModuleWeight> modules;
        for (const auto& part : reader.modules(layer, slot))
          modules.push_back(module(file, part.name, kind));
        linear_of(block, slot) = reader.assemble(layer, slot, std::move(modules));
      }
      decoder.blocks.push_back(std::move(block));
    }
    return decoder;
  }

  static at::Tensor logits(const Decoder& decoder, const at::Tensor& ids) {
    const Segment segments[] = {{.length = ids.numel()}};
    const auto hidden = forward(decoder, ids.to(at::kLong), segments);
    auto out = at::empty({hidden.size(0), decoder.spec.vocab}, hidden.options());
    decoder.head->apply(hidden, out, {});
    return out.to(at::kFloat);
  }

  /// Root mean square.
  static double distance(const at::Tensor& a, const at::Tensor& b) {
    return a.sub(b).norm().item<double>() / std::sqrt(static_cast<double>(a.numel()));
  }

  c10::InferenceMode guard_;
};

// The largest entry of each token lies a rounding error from a code's half step (it is 127.5
// scales), so codes go either way and logits with them: the tool's own, with its inputs moved by
// 3e-7 of themselves, move by 0.17 to 0.45. What holds is the size of the whole difference, against
// that of leaving activations as they are.
TEST_F(Int8Checkpoint, W8a8IsCloserToCompressedTensorsThanItsWeightsAlone) {
  const auto base = assay_torch_test::shared("data/models/tinystories-656k");
  const auto dir = assay_torch_test::shared("data/checkpoints/ct-w8a8-int8");
  if (!base || !dir)
    GTEST_SKIP() << "needs data/models/tinystories-656k and data/checkpoints/ct-w8a8-int8";
  LinearSettings settings{at::TensorOptions(at::kFloat)};
  const auto whole = decoder(base->string(), dir->string(), Kind::kInt8PerToken, settings);
  settings.quantizes_activations = false;
  const auto weights_only = decoder(base->string(), dir->string(), Kind::kInt8PerToken, settings);
  const SafetensorsFile reference(dir->string() + "/reference.safetensors");
  for (const std::string prompt : {"prompt0", "prompt1"}) {
    const auto ids = tensor(reference, prompt + ".ids");
    const auto tool = tensor(reference, prompt + ".logits_tool");
    const auto dequantized = tensor(reference, prompt + ".logits_dequant_fp32");
    EXPECT_LT(distance(logits(weights_only, ids), dequantized), 1e-5) << prompt;
    EXPECT_LT(distance(logits(whole, ids), tool), 0.6 * distance(dequantized, tool)) << prompt;
  }
}

// In float16, as the tool ran. Float16 sums in another order move codes, and entries next to the
// threshold across it.
TEST_F(Int8Checkpoint, LlmInt8FindsTheOutliersOfBitsandbytes) {
  const auto base = assay_torch_test::shared("data/models/tinystories-656k");
  const auto dir = assay_torch_test::shared("data/checkpoints/bnb-int8");
  if (!base || !dir)
    GTEST_SKIP() << "needs data/models/tinystories-656k and data/checkpoints/bnb-int8";
  const auto decoder_of_tool = decoder(base->string(), dir->string(), Kind::kInt8Outliers,
                                       LinearSettings(at::TensorOptions(at::kHalf)));
  const SafetensorsFile reference(dir->string() + "/reference.safetensors");
  for (const std::string prompt : {"prompt0", "prompt1"}) {
    const auto tool = tensor(reference, prompt + ".logits_tool");
    const auto dequantized = tensor(reference, prompt + ".logits_dequant_fp32");
    EXPECT_LT(distance(logits(decoder_of_tool, tensor(reference, prompt + ".ids")), tool),
              0.9 * distance(dequantized, tool))
        << prompt;
  }

  const auto expected = nlohmann::json::parse(assay_torch_test::read_bytes(*dir / "reference.json"))
                            .at("outlier_columns_prompt1")
                            .get<std::map<std::string, std::vector<std::int64_t>>>();
  const auto ids = tensor(reference, "prompt1.ids").to(at::kLong);
  const Segment segments[] = {{.length = ids.numel()}};
  auto x = enter(decoder_of_tool, ids, segments);
  for (std::size_t layer = 0; layer < decoder_of_tool.blocks.size(); ++layer) {
    pass_block(decoder_of_tool, decoder_of_tool.blocks[layer], layer, segments, x,
               [&](Slot slot, const at::Tensor& input) {
                 const char* const names[] = {"self_attn.q_proj", "self_attn.o_proj",
                                              "mlp.gate_proj", "mlp.down_proj"};
                 const auto name = "model.layers." + std::to_string(layer) + "." +
                                   names[static_cast<std::size_t>(slot)];
                 // Outliers of the tool, and of ours, but for those within 1 % of the threshold.
                 const auto largest = input.abs().amax(0).to(at::kFloat);
                 const auto& outliers = expected.at(name);
                 for (std::int64_t k = 0; k < largest.numel(); ++k) {
                   const float size = largest[k].item<float>();
                   if (std::fabs(size - 6) < 0.06F) continue;
                   const bool is_theirs = std::ranges::count(outliers, k) != 0;
                   EXPECT_EQ(size >= 6, is_theirs) << name << " column " << k << ": " << size;
                 }
               });
  }
}

}  // namespace
}  // namespace assay_torch
