#include "decoder/architecture.hpp"

#include <assay/abi.h>
#include <gtest/gtest.h>

#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::thrown;
using assay_torch_test::write_bytes;

constexpr const char* kBase =
    R"("vocab_size": 6, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 16)";

class Architecture : public ::testing::Test {
 protected:
  DecoderSpec read(const std::string& keys) {
    write_bytes(dir_.path() / "config.json", "{" + keys + "}");
    return read_spec(dir_.path().string());
  }
  DecoderSpec llama(const std::string& more) {
    return read(R"("model_type": "llama", )" + std::string(kBase) + more);
  }
  std::string cut(std::string text) {
    for (std::size_t at; (at = text.find(dir_.path().string())) != std::string::npos;) {
      text.replace(at, dir_.path().string().size(), "DIR");
    }
    return text;
  }
  std::string error(const std::string& keys) {
    return cut(thrown([&] { read(keys); }));
  }
  std::string llama_error(const std::string& more) {
    return cut(thrown([&] { llama(more); }));
  }

  assay_torch_test::TempDir dir_;
};

TEST_F(Architecture, OfLlamaTakesTheDefaultsOfTransformers) {
  const DecoderSpec spec = llama("");
  EXPECT_EQ(spec.architecture, "llama");
  EXPECT_EQ(spec.kv_heads, 4);
  EXPECT_EQ(spec.head_dim, 2);
  EXPECT_EQ(spec.max_context, 2048);
  EXPECT_EQ(spec.norm.eps, 1e-6);
  EXPECT_EQ(spec.ropes.at(0).theta, 10000.0);
  EXPECT_FALSE(spec.is_tied);
  EXPECT_EQ(spec.bos, -1);
  EXPECT_EQ(spec.eos, -1);
}

TEST_F(Architecture, ReadsTheOldAndTheNewSpellingOfRope) {
  EXPECT_EQ(llama(R"(, "rope_theta": 5e5, "rope_scaling": null)").ropes.at(0).theta, 5e5);
  EXPECT_EQ(llama(R"(, "rope_parameters": {"rope_theta": 7000.0, "rope_type": "default"})")
                .ropes.at(0)
                .theta,
            7000.0);
  EXPECT_EQ(llama(R"(, "head_dim": 4, "num_key_value_heads": 2)").head_dim, 4);
}

TEST_F(Architecture, TakesTheFirstOfSeveralEndTokensAndFallsBackToGenerationConfig) {
  write_bytes(dir_.path() / "generation_config.json",
              R"({"bos_token_id": 5, "eos_token_id": [3, 4]})");
  EXPECT_EQ(llama("").bos, 5);
  EXPECT_EQ(llama("").eos, 3);
  EXPECT_EQ(llama(R"(, "eos_token_id": 2)").eos, 2);
}

TEST_F(Architecture, IsKnownByItsClassWhereTheModelTypeIsMissing) {
  EXPECT_EQ(read(R"("architectures": ["LlamaForCausalLM"], )" + std::string(kBase)).vocab, 6);
}

TEST_F(Architecture, ThatIsNotSupportedNamesTheSupportedOnes) {
  EXPECT_EQ(error(R"("model_type": "gpt2")"),
            "12 DIR/config.json: architecture \"gpt2\" is not supported; supported: llama "
            "(LlamaForCausalLM)");
  EXPECT_EQ(error(R"("model_type": "llama", "architectures": ["LlamaForSequenceClassification"])"),
            "12 DIR/config.json: architecture \"LlamaForSequenceClassification\" is not supported; "
            "supported: llama "
            "(LlamaForCausalLM)");
  EXPECT_EQ(error(""),
            "3 DIR/config.json: model_type: is missing; supported: llama (LlamaForCausalLM)");
}

TEST_F(Architecture, WithoutConfigSaysWhatAModelDirectoryNeeds) {
  EXPECT_EQ(cut(thrown([&] { read_spec(dir_.path().string()); })),
            "5 DIR: no config.json: a model directory needs config.json, tokenizer.json and "
            "model.safetensors (or its shards "
            "with model.safetensors.index.json)");
  EXPECT_EQ(cut(thrown([&] { read_spec((dir_.path() / "none").string()); })),
            "5 DIR/none: no such directory; path names the folder that holds config.json");
}

TEST_F(Architecture, OfABrokenConfigSaysWhere) {
  write_bytes(dir_.path() / "config.json", "{\"a\": }");
  EXPECT_EQ(cut(thrown([&] { read_spec(dir_.path().string()); })),
            "3 DIR/config.json: not valid JSON at byte 7");
  write_bytes(dir_.path() / "config.json", "[]");
  EXPECT_EQ(cut(thrown([&] { read_spec(dir_.path().string()); })),
            "3 DIR/config.json: not a JSON object");
}

TEST_F(Architecture, WithAWrongOrMissingFigureNamesTheKey) {
  EXPECT_EQ(error(R"("model_type": "llama", "vocab_size": "6")"),
            "3 DIR/config.json: vocab_size: expected a whole number from 1, got \"6\"");
  EXPECT_EQ(error(R"("model_type": "llama", "vocab_size": 0)"),
            "3 DIR/config.json: vocab_size: expected a whole number from 1, got 0");
  EXPECT_EQ(error(R"("model_type": "llama")"),
            "3 DIR/config.json: vocab_size: is missing; expected a whole number from 1");
  EXPECT_EQ(llama_error(R"(, "rms_norm_eps": 0)"),
            "3 DIR/config.json: rms_norm_eps: expected a number above 0, got 0");
  EXPECT_EQ(llama_error(R"(, "num_key_value_heads": 3)"),
            "3 DIR/config.json: num_key_value_heads: 3 does not divide num_attention_heads 4");
  EXPECT_EQ(llama_error(R"(, "head_dim": 3)"),
            "3 DIR/config.json: head_dim: expected an even number, got 3");
  EXPECT_EQ(llama_error(R"(, "tie_word_embeddings": 1)"),
            "3 DIR/config.json: tie_word_embeddings: expected true or false, got 1");
  EXPECT_EQ(llama_error(R"(, "eos_token_id": "x")"),
            "3 DIR/config.json: eos_token_id: expected a token id or a list of them, got \"x\"");
}

TEST_F(Architecture, WithASettingThatChangesTheNumbersIsRefusedByName) {
  EXPECT_EQ(llama_error(R"(, "attention_bias": true)"),
            "3 DIR/config.json: attention_bias: true is not supported; supported: false");
  EXPECT_EQ(llama_error(R"(, "mlp_bias": true)"),
            "3 DIR/config.json: mlp_bias: true is not supported; supported: false");
  EXPECT_EQ(llama_error(R"(, "hidden_act": "gelu")"),
            "3 DIR/config.json: hidden_act: \"gelu\" is not supported; supported: \"silu\"");
  EXPECT_EQ(llama_error(R"(, "rope_scaling": {"type": "linear", "factor": 2.0})"),
            "3 DIR/config.json: rope_scaling.type: rope scaling \"linear\" is not supported; "
            "supported: \"default\"");
  EXPECT_EQ(llama_error(R"(, "rope_parameters": {"rope_type": "llama3"})"),
            "3 DIR/config.json: rope_parameters.rope_type: rope scaling \"llama3\" is not "
            "supported; supported: \"default\"");
  EXPECT_EQ(llama_error(R"(, "partial_rotary_factor": 0.5)"),
            "3 DIR/config.json: partial_rotary_factor: is not supported; supported: 1");
  EXPECT_EQ(llama_error(R"(, "quantization_config": {"quant_method": "gptq"})"),
            "3 DIR/config.json: quantization_config: checkpoints quantized by \"gptq\" are not "
            "supported; give the unquantized "
            "model, with simulate to round it");
}

}  // namespace
}  // namespace assay_torch
