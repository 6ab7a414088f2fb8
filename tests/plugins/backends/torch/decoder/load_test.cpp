#include "decoder/load.hpp"
#include "quantize/pipeline.hpp"

#include <ATen/ops/equal.h>
#include <assay/abi.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "decoder/architecture.hpp"
#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::read_bytes;
using assay_torch_test::thrown;
using assay_torch_test::write_bytes;

// The tiny Llama: 24 embedding, 3 norms of 4, q 16, k 8, v 8, o 16, gate 24, up 24, down 24.
constexpr std::uint64_t kParameters = 24 + 12 + 48 + 72;

class Load : public ::testing::Test {
 protected:
  LoadedModel load(const std::optional<Recipe>& simulation = std::nullopt) {
    const c10::InferenceMode guard;
    const std::string dir = dir_.path().string();
    return load_model(read_spec(dir), Weights(dir), simulation, at::TensorOptions(at::kCPU));
  }
  void replace(const std::string& from, const std::string& to) {
    std::string bytes = read_bytes(dir_.path() / "model.safetensors");
    for (std::size_t at; (at = bytes.find(from)) != std::string::npos;)
      bytes.replace(at, from.size(), to);
    write_bytes(dir_.path() / "model.safetensors", bytes);
  }

  assay_torch_test::TempDir dir_;
};

TEST_F(Load, CountsParametersAndTheirBitsATiedMatrixOnce) {
  assay_torch_test::write_tiny_llama(dir_.path());
  const LoadedModel model = load();
  EXPECT_EQ(model.parameters, kParameters);
  EXPECT_EQ(model.stored_bits, 32 * kParameters);
  EXPECT_EQ(model.decoder.head->describe(), "dense float32 [6, 4]");
  EXPECT_EQ(model.decoder.head->bytes(), 96U);
  EXPECT_EQ(model.decoder.blocks.at(0).query_key_value->describe(), "dense float32 [8, 4]");
}

TEST_F(Load, TiesInBothDirections) {
  assay_torch_test::write_tiny_llama(dir_.path());
  const auto as_embedding = load().decoder;
  replace("\"model.embed_tokens.weight\"", "\"lm_head.weight\"           ");
  const auto as_head = load().decoder;
  EXPECT_TRUE(at::equal(as_embedding.embedding, as_head.embedding));
  EXPECT_TRUE(at::equal(as_head.head->dequantize(), as_head.embedding));
}

TEST_F(Load, KeepsAnUntiedHeadApart) {
  assay_torch_test::write_tiny_llama(dir_.path(), "", /*is_tied=*/false);
  const LoadedModel model = load();
  EXPECT_EQ(model.parameters, kParameters + 24);
  EXPECT_FALSE(at::equal(model.decoder.embedding, model.decoder.head->dequantize()));
}

TEST_F(Load, RoundsTheBlocksAndLeavesEmbeddingAndNormsAlone) {
  assay_torch_test::write_tiny_llama(dir_.path());
  const Recipe simulation{.grid = {.bits = 4, .group_size = 0}, .skip = {"lm_head"}};
  const LoadedModel plain = load(), rounded = load(simulation);
  EXPECT_TRUE(at::equal(plain.decoder.embedding, rounded.decoder.embedding));
  EXPECT_TRUE(at::equal(plain.decoder.final_norm.weight, rounded.decoder.final_norm.weight));
  EXPECT_FALSE(at::equal(plain.decoder.blocks[0].down->dequantize(),
                         rounded.decoder.blocks[0].down->dequantize()));
  // 120 weights of 4 bits in 28 rows, each with a 16-bit scale and a 4-bit zero; 36 of 32 bits.
  EXPECT_EQ(rounded.stored_bits, 120U * 4 + 28U * 20 + 36U * 32);
}

TEST_F(Load, RoundsAnUntiedHeadUnlessSkipped) {
  assay_torch_test::write_tiny_llama(dir_.path(), "", /*is_tied=*/false);
  const auto head_of = [&](std::vector<std::string> skip) {
    return load(Recipe{.grid = {.bits = 2, .group_size = 0}, .skip = std::move(skip)})
        .decoder.head->dequantize();
  };
  const auto plain = load().decoder.head->dequantize();
  EXPECT_TRUE(at::equal(head_of({"lm_head"}), plain));
  EXPECT_FALSE(at::equal(head_of({}), plain));
}

TEST_F(Load, LeavesSkippedLayersAlone) {
  assay_torch_test::write_tiny_llama(dir_.path());
  const LoadedModel plain = load();
  const LoadedModel rounded =
      load(Recipe{.grid = {.bits = 2, .group_size = 0}, .skip = {"mlp.down", "*.o_proj"}});
  EXPECT_TRUE(at::equal(plain.decoder.blocks[0].down->dequantize(),
                        rounded.decoder.blocks[0].down->dequantize()));
  EXPECT_TRUE(at::equal(plain.decoder.blocks[0].output->dequantize(),
                        rounded.decoder.blocks[0].output->dequantize()));
  EXPECT_FALSE(at::equal(plain.decoder.blocks[0].gate_up->dequantize(),
                         rounded.decoder.blocks[0].gate_up->dequantize()));
}

TEST_F(Load, RefusesASkipPatternThatMatchesNothing) {
  assay_torch_test::write_tiny_llama(dir_.path());
  EXPECT_EQ(thrown([&] { load(Recipe{.grid = {}, .skip = {"lm_haed"}}); }),
            "3 \"lm_haed\" matches no module; modules are named like lm_head, "
            "model.layers.0.self_attn.q_proj or "
            "model.layers.0.mlp.down_proj");
}

TEST_F(Load, RefusesATensorTheArchitectureDoesNotHave) {
  assay_torch_test::write_tiny_llama(dir_.path(), R"(, "unused": 1)", /*is_tied=*/false);
  replace("\"lm_head.weight\"", "\"model.xx.bias\" ");
  EXPECT_EQ(thrown([&] { load(); }),
            "3 " + dir_.path().string() +
                ": the weights hold no tensor \"lm_head.weight\", which config.json calls for");
  std::string config = read_bytes(dir_.path() / "config.json");
  config.replace(config.find("false"), 5, "true ");
  write_bytes(dir_.path() / "config.json", config);
  EXPECT_EQ(thrown([&] { load(); }),
            "3 the weights hold \"model.xx.bias\", which architecture llama with the settings of "
            "config.json does not have; "
            "check that both are of one model");
}

TEST_F(Load, NamesTensorFileExpectedAndFoundShape) {
  assay_torch_test::write_tiny_llama(dir_.path());
  std::string config = read_bytes(dir_.path() / "config.json");
  config.replace(config.find("\"vocab_size\": 6"), 15, "\"vocab_size\": 7");
  write_bytes(dir_.path() / "config.json", config);
  EXPECT_EQ(thrown([&] { load(); }),
            "3 " + dir_.path().string() +
                "/model.safetensors: tensor \"model.embed_tokens.weight\" has the shape [6, 4], "
                "config.json calls for [7, 4]");
}

class LoadFamily : public ::testing::Test {
 protected:
  static LoadedModel load(const assay_torch_test::fs::path& dir,
                          const std::optional<Recipe>& simulation = std::nullopt,
                          at::ScalarType dtype = at::kFloat) {
    return load_model(read_spec(dir.string()), Weights(dir.string()), simulation,
                      at::TensorOptions(at::kCPU).dtype(dtype));
  }
  static assay_torch_test::fs::path family(const std::string& name) {
    return assay_torch_test::fs::path(ASSAY_SOURCE_DIR) / "tests/data/families" / name;
  }
  /// The weights of one family under the config.json of another.
  std::string mixed(const std::string& config, const std::string& weights) {
    for (const char* file : {"config.json", "model.safetensors"}) {
      const auto from = family(file[0] == 'c' ? config : weights) / file;
      write_bytes(dir_.path() / file, read_bytes(from));
    }
    return thrown([&] { load(dir_.path()); });
  }
  static at::Tensor rounded(const Recipe& simulation, at::Tensor matrix) {
    auto out = matrix.clone();
    const std::span<float> values(out.mutable_data_ptr<float>(),
                                  static_cast<std::size_t>(out.numel()));
    dequantize(rtn_quantize(values, out.size(0), out.size(1), simulation.grid), values);
    return out;
  }

  c10::InferenceMode guard_;
  assay_torch_test::TempDir dir_;
};

// c_proj is square, so only its values tell whether it was turned before it was rounded.
TEST_F(LoadFamily, RoundsConv1dAlongItsInputs) {
  const Recipe simulation{.grid = {.bits = 3, .group_size = 8}, .skip = {}};
  const LoadedModel plain = load(family("gpt2")), got = load(family("gpt2"), simulation);
  const Weights file(family("gpt2").string());
  std::vector<float> stored(32 * 32);
  const std::int64_t shape[] = {32, 32};
  file.read("h.1.attn.c_proj.weight", shape, stored);
  const auto matrix = plain.decoder.blocks[1].output->dequantize();
  EXPECT_EQ(matrix[3][5].item<float>(), stored[5 * 32 + 3]);
  EXPECT_TRUE(at::equal(got.decoder.blocks[1].output->dequantize(), rounded(simulation, matrix)));
}

// Two heads of 16: rows 0-15 of the file are the first head's query, 16-31 its key, 32-47 its
// value.
TEST_F(LoadFamily, SortsTheRowsOfNeoxByQueryKeyAndValue) {
  const LoadedModel model = load(family("gpt-neox"));
  const Weights file(family("gpt-neox").string());
  std::vector<float> stored(96 * 32);
  const std::int64_t shape[] = {96, 32};
  file.read("gpt_neox.layers.0.attention.query_key_value.weight", shape, stored);
  const auto matrix = model.decoder.blocks[0].query_key_value->dequantize();
  const std::int64_t from[] = {0, 48, 16, 64, 32, 80}, to[] = {0, 16, 32, 48, 64, 80};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(matrix[to[i] + 2][7].item<float>(),
              stored[static_cast<std::size_t>((from[i] + 2) * 32 + 7)]);
  }
}

TEST_F(LoadFamily, LeavesTheHeadAloneUnderWhateverName) {
  const Recipe simulation{.grid = {.bits = 2, .group_size = 0}, .skip = {"lm_head"}};
  const auto plain = load(family("gpt-neox")).decoder.head->dequantize();
  EXPECT_TRUE(at::equal(load(family("gpt-neox"), simulation).decoder.head->dequantize(), plain));
  const Recipe all{.grid = {.bits = 2, .group_size = 0}, .skip = {}};
  EXPECT_FALSE(at::equal(load(family("gpt-neox"), all).decoder.head->dequantize(), plain));
}

// Parameters of llama2: 2 x 100 x 32 at the ends, 4 x 32 x 32 + 3 x 32 x 40 + 64 a block, 32.
TEST_F(LoadFamily, CountsNoMoreBitsThanFileOrDtypeHave) {
  const LoadedModel wide = load(family("llama2"));
  EXPECT_EQ(wide.parameters, 6400U + 2 * (4096 + 3840 + 64) + 32);
  EXPECT_EQ(wide.stored_bits, 16 * wide.parameters);
  const LoadedModel float32_file = load(family("gpt2"), std::nullopt, at::kBFloat16);
  EXPECT_EQ(float32_file.stored_bits, 16 * float32_file.parameters);
}

TEST_F(LoadFamily, TakesNoMemoryForAMatrixThatIsNotInTheFile) {
  for (const char* file : {"config.json", "model.safetensors"}) {
    write_bytes(dir_.path() / file, read_bytes(family("llama2") / file));
  }
  std::string config = read_bytes(dir_.path() / "config.json");
  config.replace(config.find("\"vocab_size\": 100"), 17, "\"vocab_size\": 2000000000");
  write_bytes(dir_.path() / "config.json", config);  // 256 GB of embedding
  EXPECT_EQ(thrown([&] { load(dir_.path()); }),
            "3 " + dir_.path().string() +
                "/model.safetensors: tensor \"model.embed_tokens.weight\" has the shape [100, 32], "
                "config.json calls for [2000000000, 32]");
}

TEST_F(LoadFamily, RefusesTheWeightsOfAnother) {
  EXPECT_EQ(mixed("llama2", "qwen2"),
            "3 " + dir_.path().string() +
                ": the weights hold no tensor \"lm_head.weight\", which config.json calls for");
  EXPECT_EQ(mixed("llama-dynamic", "llama-linear"),
            "3 " + dir_.path().string() +
                "/model.safetensors: tensor \"model.layers.0.self_attn.q_proj.weight\" has the "
                "shape [48, 32], config.json calls for [32, 32]");
  EXPECT_EQ(mixed("gpt-neox-sequential", "gpt-neox"),
            "3 the weights hold \"gpt_neox.layers.0.attention.dense.bias\", which architecture "
            "gpt_neox with the settings of config.json does not have; check that both are of one "
            "model");
  EXPECT_EQ(
      mixed("gpt-neox", "gpt-neox-sequential"),
      "3 " + dir_.path().string() +
          ": the weights hold no tensor "
          "\"gpt_neox.layers.0.attention.query_key_value.bias\", which config.json calls for");
}

TEST_F(LoadFamily, RefusesFloat16ForWeightsBeyondItsRange) {
  assay_torch_test::write_tiny_llama(dir_.path());
  std::string bytes = read_bytes(dir_.path() / "model.safetensors");
  bytes.replace(bytes.size() - 4, 4, assay_torch_test::floats({1e5F}));
  write_bytes(dir_.path() / "model.safetensors", bytes);
  EXPECT_EQ(thrown([&] { load(dir_.path(), std::nullopt, at::kHalf); }),
            "3 " + dir_.path().string() +
                "/model.safetensors: tensor \"model.norm.weight\" holds 1e+05 at index 3 of 4, "
                "and the largest float16 is 65504; use dtype = \"float32\"");
  load(dir_.path(), std::nullopt, at::kBFloat16);
}

}  // namespace
}  // namespace assay_torch
