#include "decoder/architecture.hpp"

#include <assay/abi.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

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
  const std::string supported =
      "supported: llama (LlamaForCausalLM), mistral (MistralForCausalLM), qwen2 "
      "(Qwen2ForCausalLM), qwen3 (Qwen3ForCausalLM), gemma (GemmaForCausalLM), gemma2 "
      "(Gemma2ForCausalLM), gemma3_text (Gemma3ForCausalLM), phi3 (Phi3ForCausalLM), gpt2 "
      "(GPT2LMHeadModel), gpt_neox (GPTNeoXForCausalLM), opt (OPTForCausalLM)";
  EXPECT_EQ(error(R"("model_type": "granite")"),
            "12 DIR/config.json: architecture \"granite\" is not supported; " + supported);
  EXPECT_EQ(
      error(R"("model_type": "llama", "architectures": ["LlamaForSequenceClassification"])"),
      "12 DIR/config.json: architecture \"LlamaForSequenceClassification\" is not supported; " +
          supported);
  EXPECT_EQ(error(""), "3 DIR/config.json: model_type: is missing; " + supported);
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
  EXPECT_EQ(error(R"("model_type": "gpt2", "vocab_size": 6, "n_embd": 8, "n_layer": 20000)"),
            "3 DIR/config.json: n_layer: expected at most 10000, got 20000");
  EXPECT_EQ(llama_error(R"(, "rms_norm_eps": 0)"),
            "3 DIR/config.json: rms_norm_eps: expected a number above 0, got 0");
  EXPECT_EQ(llama_error(R"(, "num_key_value_heads": 3)"),
            "3 DIR/config.json: num_key_value_heads: 3 does not divide num_attention_heads 4");
  EXPECT_EQ(llama_error(R"(, "head_dim": 3)"),
            "3 DIR/config.json: head_dim: expected an even number of dimensions that turn, got 3");
  EXPECT_EQ(llama_error(R"(, "tie_word_embeddings": 1)"),
            "3 DIR/config.json: tie_word_embeddings: expected true or false, got 1");
  EXPECT_EQ(llama_error(R"(, "eos_token_id": "x")"),
            "3 DIR/config.json: eos_token_id: expected a token id or a list of them, got \"x\"");
}

/// A config of the family with nothing but what it must have.
std::string least(const std::string& family) {
  if (family == "gpt2")
    return R"("model_type": "gpt2", "vocab_size": 6, "n_embd": 8, "n_layer": 2, "n_head": 4)";
  if (family == "opt") {
    return R"("model_type": "opt", "vocab_size": 6, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 16)";
  }
  const char* heads = family == "mistral" || family == "qwen2" || family == "qwen3" ||
                              family == "gemma" || family == "gemma2" || family == "gemma3_text"
                          ? R"(, "num_key_value_heads": 2)"
                          : "";
  return "\"model_type\": \"" + family + "\", " + kBase + heads;
}

class Families : public Architecture {
 protected:
  DecoderSpec spec(const std::string& family, const std::string& more = "") {
    return read(least(family) + more);
  }
  std::string refusal(const std::string& family, const std::string& more) {
    return error(least(family) + more);
  }
  static std::vector<std::int64_t> windows(const DecoderSpec& spec) {
    std::vector<std::int64_t> out;
    for (const AttentionSpec& layer : spec.attention) out.push_back(layer.window);
    return out;
  }
};

struct Silent {
  const char* family;
  std::int64_t head_dim, max_context;
  double eps;
  bool is_tied;
  Activation activation;
  std::vector<std::int64_t> windows;
};

// Source: the configuration_*.py of transformers 5.23. Qwen's window is off by default; mistral's
// 4096 holds for all layers, Gemma 2's and 3's for the first of two and of the first five.
TEST_F(Families, TakeTheDefaultsOfTransformers) {
  using enum Activation;
  const Silent all[] = {{"llama", 2, 2048, 1e-6, false, kSilu, {0, 0}},
                        {"mistral", 2, 131072, 1e-6, false, kSilu, {4096, 4096}},
                        {"qwen2", 2, 32768, 1e-6, false, kSilu, {0, 0}},
                        {"qwen3", 128, 32768, 1e-6, false, kSilu, {0, 0}},
                        {"gemma", 256, 8192, 1e-6, true, kGeluTanh, {0, 0}},
                        {"gemma2", 256, 8192, 1e-6, true, kGeluTanh, {4096, 0}},
                        {"gemma3_text", 256, 131072, 1e-6, true, kGeluTanh, {4096, 4096}},
                        {"phi3", 2, 4096, 1e-5, false, kSilu, {0, 0}},
                        {"gpt2", 2, 1024, 1e-5, true, kGeluTanh, {0, 0}},
                        {"opt", 2, 2048, 1e-5, true, kRelu, {0, 0}}};
  for (const Silent& each : all) {
    const DecoderSpec got = spec(each.family);
    EXPECT_EQ(got.architecture, each.family);
    EXPECT_EQ(got.head_dim, each.head_dim) << each.family;
    EXPECT_EQ(got.max_context, each.max_context) << each.family;
    EXPECT_EQ(got.norm.eps, each.eps) << each.family;
    EXPECT_EQ(got.is_tied, each.is_tied) << each.family;
    EXPECT_EQ(got.activation, each.activation) << each.family;
    EXPECT_EQ(windows(got), each.windows) << each.family;
  }
  const DecoderSpec neox = read(R"("model_type": "gpt_neox", "vocab_size": 6, "hidden_size": 32,
      "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 16)");
  EXPECT_EQ(neox.ropes.at(0).dim, 2);  // a quarter of 8
  EXPECT_EQ(neox.residual, Residual::kParallel);
  EXPECT_EQ(neox.activation, Activation::kGelu);
  EXPECT_TRUE(neox.names.block.query_key_value.has_bias);
  EXPECT_EQ(spec("gpt2").intermediate, 32);
  EXPECT_EQ(spec("gpt2").position_rows, 1024);
  EXPECT_EQ(spec("opt").position_rows, 2050);
  EXPECT_EQ(spec("gemma2").attention_softcap, 50);
  EXPECT_EQ(spec("gemma2").final_softcap, 30);
  EXPECT_EQ(spec("gemma2", R"(, "attn_logit_softcapping": null)").attention_softcap, 0);
  EXPECT_EQ(spec("gemma2", R"(, "final_logit_softcapping": null)").final_softcap, 0);
  EXPECT_EQ(spec("gemma2").attention.at(0).scale, 1.0 / 16);
  EXPECT_EQ(spec("gemma3_text").ropes.at(0).theta, 1e6);
  EXPECT_EQ(spec("gemma3_text").ropes.at(1).theta, 1e4);
  EXPECT_EQ(spec("mistral", R"(, "sliding_window": null)").attention.at(0).window, 0);
}

TEST_F(Families, ReadRopeInTheOldAndTheNewSpelling) {
  const auto rope = [](const DecoderSpec& spec, std::size_t i = 0) {
    const RopeSpec& r = spec.ropes.at(i);
    return std::vector<double>{static_cast<double>(r.scaling),
                               static_cast<double>(r.dim),
                               r.theta,
                               r.factor,
                               r.attention_factor,
                               static_cast<double>(r.original_context),
                               r.low_freq_factor,
                               r.high_freq_factor};
  };
  const std::string llama3 =
      R"("factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64)";
  const auto old_llama = rope(
      spec("llama", R"(, "rope_theta": 5e5, "rope_scaling": {"type": "llama3", )" + llama3 + "}"));
  EXPECT_EQ(old_llama[5], 64);
  EXPECT_EQ(
      rope(spec("llama", R"(, "rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3", )" +
                             llama3 + "}")),
      old_llama);

  const std::string factors = R"("short_factor": [1], "long_factor": [2])";
  const auto old_phi = rope(spec(
      "phi3",
      R"(, "original_max_position_embeddings": 1024, "rope_theta": 500, "rope_scaling": {"type": "su", )" +
          factors + "}"));
  EXPECT_DOUBLE_EQ(old_phi[4], std::sqrt(1.2));  // 1 + ln 4 / ln 1024
  EXPECT_EQ(rope(spec("phi3", R"(, "original_max_position_embeddings": 1024,
                "rope_parameters": {"rope_theta": 500, "rope_type": "longrope", )" +
                                  factors + "}")),
            old_phi);

  const DecoderSpec old_gemma = spec("gemma3_text", R"(, "rope_theta": 2e6,
      "rope_local_base_freq": 500, "rope_scaling": {"rope_type": "linear", "factor": 8})");
  const DecoderSpec new_gemma = spec("gemma3_text", R"(, "rope_parameters": {
      "full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 2e6},
      "sliding_attention": {"rope_type": "default", "rope_theta": 500}})");
  EXPECT_EQ(rope(old_gemma)[3], 8);
  EXPECT_EQ(rope(old_gemma, 1)[2], 500);
  EXPECT_EQ(rope(new_gemma), rope(old_gemma));
  EXPECT_EQ(rope(new_gemma, 1), rope(old_gemma, 1));
}

TEST_F(Families, WeighYarnAsItsPaperAndDeepSeekDo) {
  const auto weight = [&](const std::string& more) {
    return spec("llama", R"(, "rope_scaling": {"type": "yarn", "factor": 4)" + more + "}")
        .ropes.at(0)
        .attention_factor;
  };
  EXPECT_DOUBLE_EQ(weight(""), 0.1 * std::log(4) + 1);
  EXPECT_DOUBLE_EQ(weight(R"(, "mscale": 2, "mscale_all_dim": 1)"),
                   (0.2 * std::log(4) + 1) / (0.1 * std::log(4) + 1));
  EXPECT_DOUBLE_EQ(weight(R"(, "attention_factor": 0.5)"), 0.5);
}

// max_position_embeddings is where a dynamic scaling begins, not where it ends.
TEST_F(Families, ReachAsFarAsTheirScalingTakesThem) {
  const std::string length = R"(, "head_dim": 8, "max_position_embeddings": 100, "rope_scaling": )";
  EXPECT_EQ(spec("llama", length + R"({"type": "dynamic", "factor": 2.5})").max_context, 250);
  EXPECT_EQ(spec("llama", length + R"({"type": "linear", "factor": 2.5})").max_context, 100);
}

TEST_F(Families, SlideInTheLayersThatConfigNames) {
  const std::string layers = R"(, "layer_types": ["full_attention", "sliding_attention"])";
  const std::string on = R"(, "use_sliding_window": true, "sliding_window": 5)";
  EXPECT_EQ(windows(spec("qwen3", on + layers)), (std::vector<std::int64_t>{0, 5}));
  EXPECT_EQ(windows(spec("qwen2", on + R"(, "max_window_layers": 0)")),
            (std::vector<std::int64_t>{5, 5}));
  EXPECT_EQ(windows(spec("qwen2", R"(, "sliding_window": 5, "max_window_layers": 0)")),
            (std::vector<std::int64_t>{0, 0}));
  EXPECT_EQ(windows(spec("gemma2", R"(, "sliding_window": 5)" + layers)),
            (std::vector<std::int64_t>{0, 5}));
  EXPECT_EQ(windows(spec("gemma3_text", R"(, "sliding_window": 5, "sliding_window_pattern": 2)")),
            (std::vector<std::int64_t>{5, 0}));
  EXPECT_EQ(windows(spec("phi3", R"(, "sliding_window": 5)")), (std::vector<std::int64_t>{5, 5}));
  EXPECT_EQ(windows(spec("phi3", R"(, "sliding_window": 4096)")), (std::vector<std::int64_t>{0, 0}))
      << "a window that holds the context is none";
  EXPECT_EQ(
      refusal("qwen3", layers),
      "3 DIR/config.json: layer_types: asks for \"sliding_attention\" without a sliding window");
  EXPECT_EQ(refusal("qwen3", R"(, "layer_types": ["full_attention"])"),
            "3 DIR/config.json: layer_types: expected one for each of the 2 layers, got 1");
  EXPECT_EQ(refusal("qwen3", R"(, "layer_types": ["full_attention", "chunked_attention"])"),
            "3 DIR/config.json: layer_types: \"chunked_attention\" is not supported; supported: "
            "\"full_attention\", \"sliding_attention\"");
  EXPECT_EQ(
      refusal("mistral", layers),
      "3 DIR/config.json: layer_types: contradicts sliding_window, which holds for all layers "
      "of a mistral model");
}

struct Refused {
  const char *family, *more, *text;
};

TEST_F(Families, RefuseByNameWhatChangesTheNumbers) {
  const Refused all[] = {
      {"llama", R"(, "hidden_act": "relu2")",
       "hidden_act: \"relu2\" is not supported; supported: \"silu\", \"gelu\", "
       "\"gelu_pytorch_tanh\", \"gelu_new\", \"gelu_fast\", \"relu\""},
      {"llama", R"(, "partial_rotary_factor": 0.5)",
       "partial_rotary_factor: is not supported for llama; supported: 1"},
      {"llama", R"(, "logit_scale": 0.5)",
       "logit_scale: is no setting of architecture llama, and it may change the numbers; remove it "
       "if it means nothing"},
      {"llama", R"(, "sliding_window": 8)",
       "sliding_window: is no setting of architecture llama, and it may change the numbers; remove "
       "it if it means nothing"},
      {"qwen2", R"(, "attention_bias": true)",
       "attention_bias: is no setting of architecture qwen2, and it may change the numbers; remove "
       "it if it means nothing"},
      {"gemma3_text", R"(, "attn_logit_softcapping": 50)",
       "attn_logit_softcapping: is no setting of architecture gemma3_text, and it may change the "
       "numbers; remove it if it means nothing"},
      {"gemma", R"(, "use_bidirectional_attention": true)",
       "use_bidirectional_attention: true is not supported; supported: false"},
      {"gemma", R"(, "hidden_act": "silu", "hidden_activation": "gelu")",
       "hidden_activation: contradicts hidden_act"},
      {"gpt2", R"(, "add_cross_attention": true)",
       "add_cross_attention: true is not supported; supported: false"},
      {"gpt2", R"(, "rope_scaling": {"type": "linear", "factor": 2})",
       "rope_scaling: is no setting of architecture gpt2, and it may change the numbers; remove it "
       "if it means nothing"},
      {"opt", R"(, "layer_norm_elementwise_affine": false)",
       "layer_norm_elementwise_affine: false is not supported; supported: true"},
      {"llama", R"(, "rope_scaling": {"type": "mrope", "mrope_section": [1]})",
       "rope_scaling.mrope_section: is not known, and it may change the numbers"},
      {"llama", R"(, "rope_scaling": {"rope_type": "proportional", "factor": 2})",
       "rope_scaling.rope_type: rope scaling \"proportional\" is not supported; supported: "
       "\"default\", \"linear\", \"dynamic\", \"yarn\", \"longrope\", \"llama3\""},
      {"llama", R"(, "rope_scaling": {"factor": 2})",
       "rope_scaling.factor: means nothing without a rope_type; give one"},
      {"llama", R"(, "rope_scaling": {"type": "linear"})",
       "rope_scaling.factor: is missing; rope scaling \"linear\" needs it"},
      {"llama", R"(, "rope_scaling": {"type": "dynamic", "factor": 2})",
       "head_dim: dynamic rope scaling needs at least 4"},
      {"llama", R"(, "rope_scaling": {"type": "llama3", "factor": 2, "low_freq_factor": 1})",
       "rope_scaling.high_freq_factor: is missing; rope scaling \"llama3\" needs it"},
      {"llama",
       R"(, "rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "default"})",
       "rope_scaling: stands beside rope_parameters; leave one of them out"},
      {"llama", R"(, "rope_scaling": [2])", "rope_scaling: expected a table, got [2]"},
      {"llama", R"(, "head_dim": 2000000000)",
       "head_dim: 4 heads of 2000000000 are more than any model has"},
      {"phi3", R"(, "rope_scaling": {"type": "linear", "factor": 2})",
       "rope_scaling: phi3 knows no rope scaling but \"longrope\""},
      {"phi3",
       R"(, "rope_scaling": {"type": "longrope", "short_factor": [1, 1], "long_factor": [1]})",
       "rope_scaling.short_factor: expected 1 numbers, one for every pair of dimensions that "
       "turns, "
       "got 2"},
      {"phi3",
       R"(, "rope_scaling": {"type": "longrope", "short_factor": ["a"], "long_factor": [1]})",
       "rope_scaling.short_factor: expected a list of numbers above 0, got [\"a\"]"},
      {"phi3", R"(, "partial_rotary_factor": 0.5)",
       "partial_rotary_factor: expected an even number of dimensions that turn, got 1"},
      {"gpt_neox", R"(, "rotary_pct": 1, "rope_theta": 500)",
       "rope_theta: contradicts rotary_emb_base"},
      {"gpt_neox", R"(, "rotary_pct": 1, "partial_rotary_factor": 0.5)",
       "partial_rotary_factor: contradicts rotary_pct"},
      {"gemma3_text", R"(, "rope_parameters": {"rope_theta": 500})",
       "rope_parameters.rope_theta: is not known; expected a table per layer type"}};
  for (const Refused& each : all) {
    EXPECT_EQ(refusal(each.family, each.more), "3 DIR/config.json: " + std::string(each.text))
        << each.family << each.more;
  }
}

TEST_F(Families, TakeSettingsThatLeaveTheNumbersAlone) {
  spec("llama", R"(, "logit_scale": 1.0, "sliding_window": null, "use_sliding_window": false,
      "pruned_heads": {}, "rope_scaling": {"type": "linear", "factor": 1, "rope_theta": 500},
      "attention_dropout": 0.1, "pretraining_tp": 2, "custom": "x")");
  spec("gpt2", R"(, "n_inner": null, "reorder_and_upcast_attn": true)");
  EXPECT_EQ(spec("llama", R"(, "torch_dtype": "float16")").dtype, "float16");
  EXPECT_EQ(spec("llama", R"(, "dtype": "bfloat16")").dtype, "bfloat16");
}

TEST_F(Families, OfGpt2ScaleTheirScoresByLayer) {
  const DecoderSpec by_layer = spec("gpt2", R"(, "scale_attn_by_inverse_layer_idx": true)");
  EXPECT_DOUBLE_EQ(by_layer.attention.at(1).scale, 1 / std::sqrt(2.0) / 2);
  EXPECT_EQ(spec("gpt2", R"(, "scale_attn_weights": false)").attention.at(1).scale, 1);
}

}  // namespace
}  // namespace assay_torch
