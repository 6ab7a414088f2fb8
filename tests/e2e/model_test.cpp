// Model directories that cannot be used: one sentence each, and the other variants still run.
#include <gtest/gtest.h>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

class ModelDirectory : public testing::Test {
 protected:
  ModelDirectory() {
    std::filesystem::copy(std::string(ASSAY_SOURCE_DIR) + "/share/data/stories260k", dir_);
    std::filesystem::permissions(dir_, std::filesystem::perms::owner_all,
                                 std::filesystem::perm_options::add);
    for (const auto& file : std::filesystem::directory_iterator(dir_)) {
      std::filesystem::permissions(file, std::filesystem::perms::owner_write,
                                   std::filesystem::perm_options::add);
    }
    folder_.write("text.txt", "Once upon a time there was a fox.");
  }

  /// Runs the directory beside a sound model and gives what was said of it.
  std::string sentence(const std::string& window = "128") {
    const std::string manifest =
        "assay = 1\n[model.sound]\nbackend = \"assay/torch\"\npath = \"" +
        std::string(ASSAY_SOURCE_DIR) +
        "/share/data/stories260k\"\n[model.broken]\nbackend = \"assay/torch\"\npath = \"model\"\n"
        "[dataset.text]\nuse = \"assay/text\"\npath = \"text.txt\"\n[task.text]\nprotocol = "
        "\"perplexity\"\ndataset = \"text\"\nwindow = " +
        window + "\nstride = 64\n";
    const auto out = folder_.path() / "out";
    const Ran ran =
        run_assay({"run", folder_.write("m.toml", manifest).string(), "--out", out.string()});
    EXPECT_EQ(ran.exit_code, 4) << ran.err;
    const Json document = run_document(out);
    EXPECT_NE(record_of(document, "sound", "text", "perplexity"), nullptr);
    for (const Json& failure : document.at("failures")) {
      if (failure.at("variant") == "broken") return failure.at("text");
    }
    return "";
  }

  TempFolder folder_;
  std::filesystem::path dir_ = folder_.path() / "model";
};

TEST_F(ModelDirectory, WithoutConfig) {
  std::filesystem::remove(dir_ / "config.json");
  EXPECT_EQ(sentence(), "assay/torch: " + dir_.string() +
                            ": no config.json: a model directory needs config.json, tokenizer.json "
                            "and model.safetensors (or its shards with "
                            "model.safetensors.index.json)");
}

TEST_F(ModelDirectory, WithoutTokenizer) {
  std::filesystem::remove(dir_ / "tokenizer.json");
  EXPECT_EQ(sentence(), dir_.string() +
                            ": has no tokenizer.json; copy the one of the model there, or make it "
                            "with transformers: "
                            "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
}

TEST_F(ModelDirectory, WithoutWeights) {
  std::filesystem::remove(dir_ / "model.safetensors");
  EXPECT_EQ(sentence(), "assay/torch: " + dir_.string() +
                            ": no weights: a model directory needs model.safetensors, or "
                            "model.safetensors.index.json and the files it names");
}

TEST_F(ModelDirectory, OfAnotherArchitectureNamesTheSupportedOnes) {
  Json config = Json::parse(text_of(dir_ / "config.json"));
  config["model_type"] = "mamba";
  config["architectures"] = {"MambaForCausalLM"};
  std::ofstream(dir_ / "config.json") << config.dump();
  EXPECT_EQ(sentence(),
            "assay/torch: " + (dir_ / "config.json").string() +
                ": architecture \"mamba\" is not supported; supported: llama (LlamaForCausalLM), "
                "mistral (MistralForCausalLM), qwen2 (Qwen2ForCausalLM), qwen3 (Qwen3ForCausalLM), "
                "gemma (GemmaForCausalLM), gemma2 (Gemma2ForCausalLM), gemma3_text "
                "(Gemma3ForCausalLM), phi3 (Phi3ForCausalLM), gpt2 (GPT2LMHeadModel), gpt_neox "
                "(GPTNeoXForCausalLM), opt (OPTForCausalLM)");
}

TEST_F(ModelDirectory, WithTruncatedWeightsNamesTheTensor) {
  std::filesystem::resize_file(dir_ / "model.safetensors", 500'000);
  EXPECT_EQ(sentence(),
            "assay/torch: " + (dir_ / "model.safetensors").string() +
                ": is truncated: tensor \"model.layers.2.mlp.down_proj.weight\" lies at [494848, "
                "538880), but only 495136 bytes of data follow the header; copy the file again");
}

TEST_F(ModelDirectory, WithAShorterContextThanTheWindow) {
  Json config = Json::parse(text_of(dir_ / "config.json"));
  config["max_position_embeddings"] = 64;
  std::ofstream(dir_ / "config.json") << config.dump();
  EXPECT_EQ(
      sentence(),
      "window = 128 is longer than the context of model.broken, 64 tokens; use a window of at "
      "most that");
}

}  // namespace
}  // namespace assay::host
