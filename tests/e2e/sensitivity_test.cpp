// assay sensitivity on a small trained model.
#include <gtest/gtest.h>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

const std::string kModel = std::string(ASSAY_SOURCE_DIR) + "/share/data/stories260k";
const std::string kLedger = std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger";

std::string manifest(const std::string& form) {
  return "assay = 1\n"
         "[model.float32]\nbackend = \"assay/torch\"\npath = \"" +
         kModel +
         "\"\n"
         "[model.form]\nbackend = \"assay/torch\"\npath = \"" +
         kModel + "\"\n" + form + "[dataset.train]\nuse = \"assay/text\"\npath = \"" + kLedger +
         "/stories_train.txt\"\n"
         "documents = \"separator\"\nseparator = \"<|endoftext|>\"\nstrip = true\n"
         "[calibration.stories]\nsamples = 8\nlength = 128\n"
         "sources = [{ dataset = \"train\", share = 1.0 }]\n"
         "[dataset.held_out]\nuse = \"assay/text\"\npath = \"" +
         kLedger +
         "/stories_heldout.txt\"\n"
         "documents = \"separator\"\nseparator = \"<|endoftext|>\"\nstrip = true\nlimit = 2\n"
         "[task.stories]\nprotocol = \"perplexity\"\ndataset = \"held_out\"\n"
         "window = 256\nstride = 256\n";
}

const std::string kRtn2 =
    "simulate = { method = \"rtn\", bits = 2, group_size = 32, "
    "only = [\"layers.0.\", \"layers.4.mlp.down_proj\"] }\n";

TEST(Sensitivity, RanksLayersProposesAndVerifies) {
  const TempFolder folder;
  const auto path = folder.write("study.toml", manifest(kRtn2));
  const auto mixed = folder.path() / "mixed.toml";
  const Ran ran =
      run_assay({"sensitivity", path.string(), "form", "--samples", "6", "--propose", "--bytes",
                 "1MiB", "--out", mixed.string(), "--verify", "--json", "-q"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const Json found = Json::parse(ran.out, nullptr, false);
  ASSERT_FALSE(found.is_discarded()) << ran.out;
  ASSERT_EQ(found.at("layers").size(), 8U) << "seven of block 0 and one of block 4";
  double previous = found.at("layers")[0].at("delta_nll");
  for (const Json& layer : found.at("layers")) {
    EXPECT_LE(layer.at("delta_nll").get<double>(), previous);
    previous = layer.at("delta_nll");
    EXPECT_GT(layer.at("std_error").get<double>(), 0);
  }
  EXPECT_GT(found.at("whole").at("delta_nll").get<double>(), 0) << "two bits cost something";
  // With a budget for all of them, what is left is 8 bits: nearly all of the loss comes back.
  const Json& verified = found.at("verification");
  EXPECT_EQ(verified.at("sequences"), 6);
  EXPECT_LT(verified.at("change").at("delta_nll").get<double>(),
            -0.5 * verified.at("before").at("delta_nll").get<double>());
  EXPECT_EQ(verified.at("bytes_after"), found.at("proposal").at("weight_bytes"))
      << "the bytes proposed are those the model takes";
  const Ran checked = run_assay({"check", mixed.string()});
  EXPECT_EQ(checked.exit_code, 0) << checked.err << text_of(mixed);
}

TEST(Sensitivity, SaysWhatItPrintsInWords) {
  const TempFolder folder;
  const auto path = folder.write("study.toml", manifest(kRtn2));
  const Ran ran = run_assay({"sensitivity", path.string(), "form", "--samples", "4", "-q"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.out.find("form, 4 sequences of 128 tokens of stories that calibrated nothing"),
            std::string::npos)
      << ran.out;
  EXPECT_NE(ran.out.find("model.layers.4.mlp.down_proj"), std::string::npos) << ran.out;
}

TEST(Sensitivity, RefusesInASentence) {
  const TempFolder folder;
  const auto path = folder.write("study.toml", manifest(kRtn2)).string();
  const auto said = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "sensitivity");
    const Ran ran = run_assay(words);
    EXPECT_EQ(ran.exit_code, 2) << ran.err;
    return ran.err;
  };
  EXPECT_NE(said({path, "from"}).find("there is no [model.from]; did you mean \"form\"?"),
            std::string::npos);
  EXPECT_NE(said({path, "float32"})
                .find("model.float32 is not quantized here: it has neither a "
                      "quantize nor a simulate table"),
            std::string::npos);
  EXPECT_NE(said({path, "form", "--text", "none"})
                .find("no calibration is named \"none\"; there are: stories"),
            std::string::npos);
  EXPECT_NE(said({path, "form", "--propose"}).find("--propose needs --bytes"), std::string::npos);
  EXPECT_NE(said({path, "form", "--samples", "2", "--propose", "--bytes", "1KiB", "-q"})
                .find("--bytes 1024 is less than the"),
            std::string::npos);
  EXPECT_NE(said({path, "form", "--samples", "100000", "-q"}).find("samples"), std::string::npos);
}

}  // namespace
}  // namespace assay::host
