// Quantized checkpoints that are wrong: each a sentence that names the file and the tensor or key.
#include <gmock/gmock.h>

#include <functional>
#include <limits>

#include "support/quantized_files.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::kModule;
using assay_torch_test::ones;
using assay_torch_test::QuantizedFiles;
using assay_torch_test::singles;
using assay_torch_test::tensor;
using assay_torch_test::words;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

const std::string kGptq =
    R"({"quant_method": "gptq", "bits": 8, "group_size": 2, "sym": true, "desc_act": true)";

/// A layer [4, 4] in two groups.
QuantizedFiles gptq(const std::string& more = "") {
  return {kGptq + more + "}",
          {words(".qweight", {1, 4}, std::vector(4, 0x81818181U)),
           words(".qzeros", {2, 1}, {0x7F7F7F7FU, 0x7F7F7F7FU}), ones(".scales", {2, 4}),
           words(".g_idx", {4}, {1, 0, 1, 0})}};
}

struct Wrong {
  std::function<void(QuantizedFiles&)> change;
  const char* sentence;
};

TEST(RefusedGptq, TensorsByNameAndPlace) {
  const Wrong all[] = {
      {[](auto& files) {
         files.tensors_[3] = words(".g_idx", {4}, {1, 0, 2, 0});
       },
       "3 DIR/model.safetensors: tensor \"M.g_idx\" holds 2 at index 2; expected a group from 0 to "
       "1"},
      {[](auto& files) {
         files.tensors_[3] = words(".g_idx", {4}, {1, 0, 0xFFFFFFFFU, 0});
       },
       "3 DIR/model.safetensors: tensor \"M.g_idx\" holds -1 at index 2; expected a group from 0 "
       "to 1"},
      {[](auto& files) { files.tensors_.pop_back(); },
       "3 DIR/model.safetensors: tensor \"M.qweight\" has no g_idx beside it, which desc_act = "
       "true calls for"},
      {[](auto& files) {
         files.tensors_[2] = ones(".scales", {1, 4});
       },
       "3 DIR/model.safetensors: tensor \"M.scales\" has the shape [1, 4], config.json calls for "
       "[2, 4]"},
      {[](auto& files) {
         files.tensors_[2] = singles(".scales", {2, 4}, {1, 1, 1, kNaN, 1, 1, 1, 1});
       },
       "3 DIR/model.safetensors: tensor \"M.scales\" holds NaN at index 3 of 8; every weight must "
       "be finite: fetch or export the checkpoint again"},
      {[](auto& files) {
         files.tensors_[2] = singles(".scales", {2, 4}, {1, 1, 1, 1, 1, kInfinity, 1, 1});
       },
       "3 DIR/model.safetensors: tensor \"M.scales\" holds an infinity at index 5 of 8; every "
       "weight must be finite: fetch or export the checkpoint again"},
      {[](auto& files) {
         files.tensors_[2] = words(".scales", {2, 4}, std::vector(8, 1U));
       },
       "3 DIR/model.safetensors: tensor \"M.scales\" is I32; scales are read as F32, F16 or BF16"},
      {[](auto& files) {
         files.tensors_[0] = ones(".qweight", {1, 4});
       },
       "3 DIR/model.safetensors: tensor \"M.qweight\" is F32; expected I32"},
      {[](auto& files) { files.tensors_.erase(files.tensors_.begin() + 1); },
       "3 DIR: the weights hold no tensor \"M.qzeros\", which config.json calls for"}};
  for (const Wrong& wrong : all) {
    QuantizedFiles files = gptq();
    wrong.change(files);
    EXPECT_EQ(files.refusal(4, 4), wrong.sentence);
  }
}

TEST(RefusedGptq, ConfigurationsByKey) {
  const std::pair<const char*, const char*> all[] = {
      {R"(, "checkpoint_format": "marlin")",
       "12 DIR/config.json: quantization_config.checkpoint_format: \"marlin\" is not supported; "
       "supported: \"gptq\", \"gptq_v2\". Convert the checkpoint with the tool that wrote it"},
      {R"(, "checkpoint_format": "gptq", "format": "gptq_v2")",
       "3 DIR/config.json: quantization_config.checkpoint_format: \"gptq\" contradicts format "
       "\"gptq_v2\""},
      {R"(, "is_marlin_format": true)",
       "12 DIR/config.json: quantization_config.is_marlin_format: weights shuffled for the Marlin "
       "kernel are not supported; use the checkpoint it was made from"},
      {R"(, "dynamic": {"+:.*up_proj": {"bits": 5}})",
       "12 DIR/config.json: quantization_config.dynamic.+:.*up_proj.bits: 5 (the planar layout "
       "gptq_p) is not supported; supported: 2, 3, 4, 8"},
      {R"(, "dynamic": {"(": {}})",
       "3 DIR/config.json: quantization_config.dynamic: \"(\" is not a regular expression that can "
       "be used here"},
      {R"(, "dynamic": {"-:.*up_proj": {}})",
       "3 module \"M\": the weights hold it as gptq, config.json says that it is not quantized; "
       "check that both are of one model"},
      {R"(, "modules_in_block_to_quantize": [["self_attn.q_proj"], ["mlp.down_proj"]])",
       "3 module \"M\": the weights hold it as gptq, config.json says that it is not quantized; "
       "check that both are of one model"},
      {R"(, "modules_to_not_convert": ["mlp"])",
       "3 module \"M\": the weights hold it as gptq, config.json says that it is not quantized; "
       "check that both are of one model"},
      {R"(, "pack_dtype": "int16")",
       "12 DIR/config.json: quantization_config.pack_dtype: \"int16\" is not supported; supported: "
       "\"int32\""}};
  for (const auto& [more, sentence] : all) EXPECT_EQ(gptq(more).refusal(4, 4), sentence);
}

TEST(RefusedGptq, APlainModuleThatShouldBeQuantized) {
  QuantizedFiles files = gptq();
  files.tensors_ = {ones(".weight", {4, 4})};
  EXPECT_EQ(files.refusal(4, 4),
            "3 DIR/model.safetensors: tensor \"M.weight\" is plain F32, config.json says that the "
            "module is gptq; check that both are of one model");
}

TEST(RefusedCheckpoint, MethodsAndVersionsByName) {
  const std::pair<const char*, const char*> all[] = {
      {R"({"quant_method": "quip"})",
       "12 DIR/config.json: quantization_config.quant_method: \"quip\" is not supported; "
       "supported: \"gptq\", \"awq\", \"bitsandbytes\", \"compressed-tensors\", \"fp8\", "
       "\"fbgemm_fp8\""},
      {R"({"bits": 4})",
       "3 DIR/config.json: quantization_config.quant_method: is missing, so the layout is not "
       "known"},
      {R"({"quant_method": "gptq", "method": "awq"})",
       "3 DIR/config.json: quantization_config.quant_method: \"gptq\" contradicts method \"awq\""},
      {R"({"quant_method": "gptq"})",
       "3 DIR/config.json: quantization_config.bits: is missing; expected 2, 3, 4 or 8"},
      {R"({"quant_method": "gptq", "bits": "4"})",
       "3 DIR/config.json: quantization_config.bits: expected a whole number, got \"4\""},
      {R"({"quant_method": "gptq", "bits": 4, "group_size": 0})",
       "3 DIR/config.json: quantization_config.group_size: expected -1 or a number above 0, got 0"},
      {R"({"quant_method": "awq", "bits": 4, "version": "gemv"})",
       "12 DIR/config.json: quantization_config.version: \"gemv\" is not supported; supported: "
       "\"gemm\""},
      {R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": true})",
       "3 DIR/config.json: quantization_config.load_in_4bit: expected one of load_in_4bit and "
       "load_in_8bit to be true"},
      {R"({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized",
           "config_groups": {"a": {}}})",
       "12 DIR/config.json: quantization_config.format: \"nvfp4-pack-quantized\" is not supported; "
       "supported: \"pack-quantized\", \"int-quantized\", \"float-quantized\", "
       "\"naive-quantized\", \"mixed-precision\""},
      {R"({"quant_method": "compressed-tensors", "format": "pack-quantized",
           "kv_cache_scheme": {"num_bits": 8}, "config_groups": {"a": {}}})",
       "12 DIR/config.json: quantization_config.kv_cache_scheme: is not supported: it changes what "
       "the model computes"},
      {R"({"quant_method": "fp8", "fmt": "e5m2"})",
       "12 DIR/config.json: quantization_config.fmt: \"e5m2\" is not supported; supported: "
       "\"e4m3\""}};
  for (const auto& [settings, sentence] : all) {
    QuantizedFiles files(settings, {ones(".weight", {1, 1})});
    EXPECT_EQ(files.refusal(1, 1), sentence);
  }
}

TEST(RefusedAwq, LayersItsWordsCannotHoldAndScaledActivations) {
  const std::string settings =
      R"({"quant_method": "awq", "bits": 4, "group_size": 2, "version": "gemm"})";
  QuantizedFiles odd(settings, {words(".qweight", {3, 1}, {0, 0, 0}), words(".qzeros", {1, 1}, {0}),
                                ones(".scales", {1, 8})});
  EXPECT_EQ(odd.refusal(8, 3),
            "3 DIR/model.safetensors: tensor \"M.qweight\" is of a layer [8, 3]; AWQ needs outputs "
            "in eights and inputs in groups of 2");
  odd.tensors_.push_back(ones(".scale", {1}));
  odd.tensors_.back().name = "model.layers.0.mlp.act.scales";
  EXPECT_EQ(odd.refusal(8, 2),
            "12 DIR/model.safetensors: tensor \"model.layers.0.mlp.act.scales\" divides "
            "activations (ScaledActivation), which is not supported; use a checkpoint in another "
            "layout");
}

std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

QuantizedFiles nf4(const std::string& state, const std::string& more = "") {
  const auto json = bytes_of(state);
  return {R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4")" +
              more + "}",
          {tensor(".weight", "U8", {2, 1}, std::vector<std::uint8_t>{1, 2}),
           ones(".weight.absmax", {1}), ones(".weight.quant_map", {16}),
           tensor(".weight.quant_state.bitsandbytes__nf4", "U8",
                  {static_cast<std::int64_t>(json.size())}, json)}};
}

TEST(RefusedBitsandbytes, StatesAndTensors) {
  const std::string good = R"({"quant_type": "nf4", "blocksize": 64, "shape": [2, 2]})";
  const std::string at = "DIR/model.safetensors: tensor \"M.weight.quant_state.bitsandbytes__nf4\"";
  EXPECT_EQ(nf4(good).refusal(2, 2), "");
  EXPECT_EQ(nf4("{").refusal(2, 2), "3 " + at + ": not valid JSON at byte 2");
  EXPECT_EQ(nf4(R"({"quant_type": "nf4", "shape": [4, 1]})").refusal(2, 2),
            "3 " + at + ": shape: [4, 1], config.json calls for [2, 2]");
  EXPECT_EQ(nf4(R"({"quant_type": "fp4", "shape": [2, 2]})").refusal(2, 2),
            "3 " + at + " says quant_type \"fp4\", config.json says \"nf4\"");
  EXPECT_EQ(nf4(R"({"quant_type": "nf4", "blocksize": 0, "shape": [2, 2]})").refusal(2, 2),
            "3 " + at + ": blocksize: expected an even number, got 0");
  EXPECT_EQ(nf4(R"({"quant_type": "nf4", "blocksize": 2, "shape": [2, 2]})").refusal(2, 2),
            "3 DIR/model.safetensors: tensor \"M.weight.absmax\" has the shape [1], config.json "
            "calls for [2]");
  QuantizedFiles short_weight = nf4(good);
  short_weight.tensors_[0] = tensor(".weight", "U8", {1, 1}, std::vector<std::uint8_t>{1});
  EXPECT_EQ(short_weight.refusal(2, 2),
            "3 DIR/model.safetensors: tensor \"M.weight\" has 1 bytes; two weights a byte make 2");
}

TEST(RefusedBitsandbytes, EightBitsWhereFourAreSaidAndOldFormats) {
  const std::string eight = R"({"quant_method": "bitsandbytes", "load_in_8bit": true})";
  QuantizedFiles files(
      eight, {tensor(".weight", "I8", {1, 2}, std::vector<std::int8_t>{1, 2}), ones(".SCB", {1}),
              tensor(".weight_format", "U8", {}, std::vector<std::uint8_t>{2})});
  EXPECT_EQ(files.refusal(1, 2),
            "3 DIR/model.safetensors: tensor \"M.weight_format\" is 2; supported: 0 (rows). Save "
            "it again with bitsandbytes 0.45 or later");
  QuantizedFiles four(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})", files.tensors_);
  EXPECT_EQ(four.refusal(1, 2),
            "3 DIR/model.safetensors: tensor \"M.weight\" is of a layer with 8 bits (SCB), "
            "config.json says 4 bits");
}

std::string compressed(const std::string& weights, const std::string& more = "") {
  return R"({"quant_method": "compressed-tensors", "format": "pack-quantized",
             "config_groups": {"a": {"targets": ["Linear"], "weights": )" +
         weights + more + R"(}}, "ignore": ["re:.*gate"]})";
}

TEST(RefusedCompressedTensors, SchemesAndTensors) {
  const std::string channel = R"({"num_bits": 4, "strategy": "channel"})";
  const auto shape = tensor(".weight_shape", "I64", {2}, std::vector<std::int64_t>{1, 9});
  QuantizedFiles files(compressed(channel), {words(".weight_packed", {1, 1}, {0}),
                                             ones(".weight_scale", {1, 1}), shape});
  EXPECT_EQ(files.refusal(1, 8),
            "3 DIR/model.safetensors: tensor \"M.weight_shape\" holds [1, 9], config.json calls "
            "for [1, 8]");
  const std::string key = "DIR/config.json: quantization_config.config_groups.a.";
  const std::tuple<std::string, std::string, std::string> all[] = {
      {R"({"num_bits": 16})", "",
       "12 " + key +
           "weights.num_bits: 16 is not supported; supported: 1 to 8, and 8 for "
           "\"float\""},
      {R"({"num_bits": 4, "strategy": "tensor_group"})", "",
       "12 " + key +
           "weights.strategy: \"tensor_group\" is not supported; supported: \"tensor\", "
           "\"channel\", \"group\", \"block\""},
      {R"({"num_bits": 4, "strategy": "group"})", "",
       "3 " + key + "weights.group_size: expected a number above 0"},
      {R"({"num_bits": 8, "type": "float"})", "",
       "3 " + key + "format: \"pack-quantized\" contradicts weights of type \"float\""},
      {channel, R"(, "input_activations": {"num_bits": 4, "dynamic": true, "strategy": "token"})",
       "12 " + key +
           "input_activations.strategy: these activations are not supported; supported: "
           "symmetric, 8 bits, dynamic by token (int, float) or group (float), or static "
           "for the tensor (float)"}};
  for (const auto& [weights, more, sentence] : all) {
    QuantizedFiles wrong(compressed(weights, more), files.tensors_);
    EXPECT_EQ(wrong.refusal(1, 8), sentence);
  }
}

TEST(RefusedFp8, NaNInfiniteScalesAndOtherFormats) {
  const std::string settings = R"({"quant_method": "fp8", "activation_scheme": "static"})";
  QuantizedFiles files(settings,
                       {tensor(".weight", "F8_E4M3", {1, 2}, std::vector<std::uint8_t>{0, 0xFF}),
                        ones(".weight_scale", {1}), singles(".input_scale", {1}, {0})});
  EXPECT_EQ(files.refusal(1, 2),
            "3 DIR/model.safetensors: tensor \"M.weight\" holds NaN at index 1; every weight must "
            "be finite: fetch or export the checkpoint again");
  files.tensors_[0] = tensor(".weight", "F8_E4M3", {1, 2}, std::vector<std::uint8_t>{0, 1});
  EXPECT_EQ(files.refusal(1, 2),
            "3 DIR/model.safetensors: tensor \"M.input_scale\" is not above 0, so it cannot scale "
            "activations");
  files.tensors_[1] = singles(".weight_scale", {1}, {kInfinity});
  EXPECT_THAT(files.refusal(1, 2), HasSubstr("tensor \"M.weight_scale\" holds an infinity"));
  files.tensors_[0] = tensor(".weight", "F8_E5M2", {1, 2}, std::vector<std::uint8_t>{0, 1});
  EXPECT_EQ(files.refusal(1, 2),
            "3 DIR/model.safetensors: tensor \"M.weight\" is F8_E5M2; expected F8_E4M3");
}

}  // namespace
}  // namespace assay_torch
