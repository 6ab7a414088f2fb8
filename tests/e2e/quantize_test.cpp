// Variants with `quantize`: made once, kept whole, gone on with after a kill; calibrations held
// against the tasks. With a backend that writes files of a few bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;

/// Sentences that share no 13 words with any other of `kind`.
std::string sentences(const std::string& kind, int n) {
  std::string text;
  for (int i = 0; i < n; ++i) {
    text += "The " + kind + " number " + std::to_string(i) + " was seen near " + kind + " " +
            std::to_string(i * 7) + " by " + kind + " folk who count " + std::to_string(i * i) +
            " of them each year in " + kind + " land.\n";
  }
  return text;
}

class Quantize : public testing::Test {
 protected:
  Quantize() {
    folder_.write("train.txt", sentences("fox", 400));
    folder_.write("more.txt", sentences("owl", 400));
    folder_.write("test.txt", sentences("bear", 40));
  }

  static std::string model(const std::string& name, const std::string& table,
                           const std::string& more = "") {
    return "[model." + name + "]\nbackend = \"fake/quantizing\"\npath = \"" +
           std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger/model\"\n" +
           (table.empty() ? "" : table + "\n") + more;
  }

  static std::string quantize(const std::string& keys = "") {
    return "quantize = { calibration = \"mixed\"" + (keys.empty() ? "" : ", " + keys) + " }";
  }

  std::string manifest(const std::string& models, const std::string& calibration = "",
                       const std::string& test = "test.txt") const {
    const std::string text =
        "assay = 1\n" + models +
        "[dataset.train]\nuse = \"assay/text\"\npath = \"train.txt\"\n"
        "[dataset.more]\nuse = \"assay/text\"\npath = \"more.txt\"\n"
        "[dataset.test]\nuse = \"assay/text\"\npath = \"" +
        test +
        "\"\n[calibration.mixed]\nsamples = 8\nlength = 32\n"
        "sources = [{ dataset = \"train\", share = 3 }, { dataset = \"more\", share = 1 }]\n" +
        calibration +
        "[task.text]\nprotocol = \"perplexity\"\ndataset = \"test\"\nwindow = 64\nstride = 32\n"
        "[compare]\nbaseline = \"base\"\n";
    return folder_.write("study.toml", text).string();
  }

  fs::path store() const { return folder_.path() / "store"; }

  std::vector<std::string> words(const std::string& manifest, const std::string& out) const {
    return {"run",     manifest,         "--out",        (folder_.path() / out).string(),
            "--store", store().string(), "--plugin-dir", trusted_fakes()};
  }
  Ran run(const std::string& manifest, const std::string& out = "out") const {
    return run_assay(words(manifest, out));
  }

  Json document(const std::string& out = "out") const { return run_document(folder_.path() / out); }
  static Json variant(const Json& document, const std::string& name) {
    for (const Json& entry : document.at("variants")) {
      if (entry.at("name") == name) return entry;
    }
    return nullptr;
  }
  static double perplexity(const Json& document, const std::string& name) {
    const Json* record = record_of(document, name, "text", "perplexity");
    return record == nullptr ? -1 : record->at("value").get<double>();
  }

  std::vector<fs::path> models() const {
    std::vector<fs::path> found;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(store() / "models", error)) {
      found.push_back(entry.path());
    }
    return found;
  }
  bool is_tmp_empty() const { return fs::is_empty(store() / "tmp"); }

  TempFolder folder_;
};

TEST_F(Quantize, IsMadeOnceAndSaysHow) {
  const std::string path =
      manifest(model("base", "") + model("q4", quantize()) + model("q2", quantize("bits = 2")));
  const Ran first = run(path);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const Json once = document();
  EXPECT_EQ(variant(once, "base").count("quantization"), 0);
  const Json q4 = variant(once, "q4");
  EXPECT_EQ(q4.at("simulated"), nullptr);
  EXPECT_EQ(q4.at("quantized"), "bits 4, layers 4, slow_ms 0, ends well");
  const Json& how = q4.at("quantization");
  EXPECT_EQ(how.at("simulated"), false);
  const std::string digest = how.at("digest");
  EXPECT_EQ(digest.size(), 64);
  EXPECT_EQ(how.at("path"), (store() / "models" / digest).string());
  const Json& calibration = how.at("calibration");
  EXPECT_EQ(calibration.at("name"), "mixed");
  EXPECT_EQ(calibration.at("samples"), 8);
  EXPECT_EQ(calibration.at("length"), 32);
  EXPECT_EQ(calibration.at("tokens"), 256);
  EXPECT_EQ(calibration.at("sources")[0].at("dataset"), "train");
  EXPECT_EQ(calibration.at("sources")[0].at("samples"), 6);
  EXPECT_EQ(calibration.at("sources")[1].at("samples"), 2);
  ASSERT_EQ(how.at("layers").size(), 4);
  EXPECT_EQ(how.at("layers")[1].at("layer"), "layers.1");
  EXPECT_DOUBLE_EQ(how.at("layers")[1].at("values").at("weight_error").get<double>(), 1.1 / 16);
  EXPECT_EQ(how.at("layers")[0].at("values").at("damping"), nullptr);  // infinite
  EXPECT_GT(perplexity(once, "q4"), perplexity(once, "base"));
  EXPECT_GT(perplexity(once, "q2"), perplexity(once, "q4"));

  // Both forms use one calibration: it stands in the document once.
  ASSERT_EQ(once.at("calibrations").size(), 1);
  const Json& made = once.at("calibrations")[0];
  EXPECT_EQ(made.at("digest"), calibration.at("digest"));
  EXPECT_EQ(made.at("models"), Json({"q4", "q2"}));
  EXPECT_EQ(made.at("allowed"), false);
  EXPECT_EQ(made.at("overlap")[0].at("task"), "text");
  EXPECT_EQ(made.at("overlap")[0].at("overlapping"), 0);
  EXPECT_GT(made.at("overlap")[0].at("items").get<int>(), 0);
  EXPECT_EQ(once.at("warnings"), Json::array());

  // The directory has everything that loading it takes, and says where it comes from.
  EXPECT_EQ(models().size(), 2);
  EXPECT_TRUE(is_tmp_empty());
  EXPECT_TRUE(fs::exists(store() / "models" / digest / "tokenizer.json"));
  const Json assay = Json::parse(text_of(store() / "models" / digest / "assay.json"));
  EXPECT_EQ(assay.at("recipe").at("component"), "fake/quantizing");
  EXPECT_EQ(assay.at("recipe").at("options").at("quantize.bits"), 4);
  EXPECT_EQ(assay.at("recipe").at("calibration"), calibration.at("digest"));

  const Ran second = run(path, "again");
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr("model.q4: reuses " + (store() / "models" / digest).string()));
  EXPECT_THAT(second.err, Not(HasSubstr("writes layers")));
  const Json twice = document("again");
  EXPECT_EQ(variant(twice, "q4").at("quantization"), how);
  EXPECT_EQ(twice.at("records"), once.at("records"));
  EXPECT_EQ(models().size(), 2);
}

TEST_F(Quantize, WhatItIsMadeOfDecides) {
  const auto digest_of = [&](const std::string& models, const std::string& calibration = "") {
    const Ran ran = run(manifest(model("base", "") + models, calibration));
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return variant(document(), "q").at("quantization").at("digest").get<std::string>();
  };
  const std::string first = digest_of(model("q", quantize()));
  EXPECT_EQ(digest_of(model("q", quantize("bits = 4"))), first) << "a default written out";
  EXPECT_EQ(digest_of(model("q", quantize(), "threads = 1\n")), first);
  EXPECT_NE(digest_of(model("q", quantize("bits = 3"))), first);
  EXPECT_NE(digest_of(model("q", quantize()), "seed = 5\n"), first);
  EXPECT_NE(digest_of(model("q", "quantize = { bits = 4 }")), first);
}

TEST_F(Quantize, GoesOnWhereAKilledProcessStopped) {
  const std::string path =
      manifest(model("base", "") + model("q4", quantize("ends = \"killed_once\"")));
  const Ran killed = run(path);
  EXPECT_EQ(killed.exit_code, 4);
  EXPECT_THAT(killed.err,
              HasSubstr("its process was killed by signal 9 (SIGKILL) during quantize"));
  EXPECT_GT(perplexity(document(), "base"), 0) << "the other variant goes on";
  EXPECT_EQ(variant(document(), "q4").at("status"), "failed");
  EXPECT_TRUE(models().empty()) << "half a model was taken for one";

  const Ran again = run(path, "again");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("keeps layers.1"));
  EXPECT_THAT(again.err, HasSubstr("writes layers.2"));
  ASSERT_EQ(models().size(), 1);
  EXPECT_TRUE(is_tmp_empty());
  EXPECT_EQ(fs::file_size(models()[0] / "layers.2.bin"), 4096);
  EXPECT_EQ(variant(document("again"), "q4").at("quantization").at("layers").size(), 4);
}

/// Starts assay and does not wait for it.
pid_t start(const std::vector<std::string>& words, const fs::path& err) {
  const pid_t child = fork();
  if (child != 0) return child;
  std::vector<char*> argv{const_cast<char*>("assay")};
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  if (std::freopen(err.c_str(), "w", stderr) == nullptr) _exit(126);
  execv(ASSAY_BINARY, argv.data());
  _exit(127);
}

bool comes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 1200; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

int exit_code_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(Quantize, AKilledRunLeavesNothingThatIsTakenForAModel) {
  const std::string path =
      manifest(model("base", "") + model("q4", quantize("slow_ms = 400, layers = 8")));
  const pid_t child = start(words(path, "out"), folder_.path() / "err");
  const auto has_begun = [&] {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(store() / "tmp", error)) {
      if (fs::exists(entry.path() / "layers.1.bin")) return true;
    }
    return false;
  };
  ASSERT_TRUE(comes_true(has_begun)) << text_of(folder_.path() / "err");
  kill(child, SIGKILL);
  EXPECT_EQ(exit_code_of(child), 128 + SIGKILL);
  EXPECT_TRUE(models().empty());

  const Ran again = run(path, "again");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("keeps layers.0"));
  EXPECT_THAT(again.err, HasSubstr("writes layers.7"));
  EXPECT_EQ(models().size(), 1);
}

TEST_F(Quantize, TwoRunsAtOnceMakeItOnce) {
  const std::string path =
      manifest(model("base", "") + model("q4", quantize("slow_ms = 300, layers = 6")));
  const fs::path err[] = {folder_.path() / "err-a", folder_.path() / "err-b"};
  const pid_t a = start(words(path, "a"), err[0]);
  const pid_t b = start(words(path, "b"), err[1]);
  EXPECT_EQ(exit_code_of(a), 0) << text_of(err[0]);
  EXPECT_EQ(exit_code_of(b), 0) << text_of(err[1]);
  const std::string said = text_of(err[0]) + text_of(err[1]);
  EXPECT_THAT(said, HasSubstr("reuses"));
  std::size_t written = 0;
  for (std::size_t at = said.find("writes layers.3"); at != std::string::npos;
       at = said.find("writes layers.3", at + 1)) {
    ++written;
  }
  EXPECT_EQ(written, 1);
  EXPECT_EQ(document("a").at("records"), document("b").at("records"));
}

TEST_F(Quantize, AFailureIsASentenceAndTheOthersGoOn) {
  const Ran ran =
      run(manifest(model("base", "") + model("bad", quantize("ends = \"refused\"")) +
                   model("full", quantize("ends = \"no_room\"")) +
                   model("none", quantize("ends = \"nothing\"")) + model("good", quantize())));
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_THAT(ran.err,
              HasSubstr("bad: fake/quantizing: the Hessian is not positive definite (layers.2)"));
  EXPECT_THAT(ran.err, HasSubstr("full: fake/quantizing: cannot write layers.2: the disk is full"));
  EXPECT_THAT(
      ran.err,
      HasSubstr("none: fake/quantizing: misbehaviour: quantize answered OK and wrote nothing "
                "into " +
                (store() / "tmp").string()));
  EXPECT_THAT(ran.err, HasSubstr("quantizing good  100 % in "));
  EXPECT_GT(perplexity(document(), "good"), 0);
  EXPECT_EQ(models().size(), 1);
}

TEST_F(Quantize, ADamagedModelIsMadeAgain) {
  const std::string path = manifest(model("base", "") + model("q4", quantize()));
  ASSERT_EQ(run(path).exit_code, 0);
  fs::resize_file(models().at(0) / "layers.1.bin", 100);
  const Ran again = run(path, "again");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("writes layers.1"));
  EXPECT_EQ(fs::file_size(models().at(0) / "layers.1.bin"), 4096);
}

TEST_F(Quantize, ACalibrationThatHoldsATaskEndsTheRun) {
  const std::string leaky = sentences("fox", 400).substr(0, 4000);
  folder_.write("leaky.txt", leaky + sentences("bear", 20));
  const std::string models = model("base", "") + model("q4", quantize());
  const Ran refused = run(manifest(models, "", "leaky.txt"));
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_THAT(refused.err, HasSubstr("calibration.mixed holds text of 1 of 1 items of task.text: "
                                     "item 0 (\""));
  EXPECT_THAT(refused.err, HasSubstr("allow_overlap = true"));
  EXPECT_FALSE(fs::exists(store() / "models")) << "something was quantized";
  const Json document = this->document();
  EXPECT_EQ(document.at("exit_code"), 5);
  EXPECT_EQ(document.at("calibrations")[0].at("overlap")[0].at("overlapping"), 1);
  EXPECT_EQ(document.at("calibrations")[0].at("overlap")[0].at("examples")[0].at("item"), 0);
  EXPECT_EQ(variant(document, "base").at("status"), "pending");

  const Ran allowed = run(manifest(models, "allow_overlap = true\n", "leaky.txt"), "allowed");
  EXPECT_EQ(allowed.exit_code, 0) << allowed.err;
  EXPECT_THAT(allowed.err, HasSubstr("calibration.mixed holds text of 1 of 1 items"));
  const Json told = this->document("allowed");
  ASSERT_EQ(told.at("warnings").size(), 1);
  EXPECT_EQ(told.at("warnings")[0].at("task"), "text");
  EXPECT_EQ(told.at("calibrations")[0].at("allowed"), true);
  EXPECT_GT(perplexity(told, "q4"), 0);
}

TEST_F(Quantize, TooLittleTextFailsTheVariantsThatNeedIt) {
  folder_.write("more.txt", "Too short.");
  const Ran ran = run(manifest(model("base", "") + model("q4", quantize())));
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_THAT(ran.err, HasSubstr("q4: calibration.mixed: "));
  EXPECT_GT(perplexity(document(), "base"), 0);
}

TEST_F(Quantize, ASimulatedModelIsCalibratedOnLoad) {
  const std::string path =
      manifest(model("base", "") + model("plain", "simulate = { bits = 3 }") +
               model("looks", "simulate = { bits = 3, calibration = \"mixed\" }"));
  const Ran ran = run(path);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const Json plain = variant(document(), "plain").at("quantization");
  EXPECT_EQ(plain.at("simulated"), true);
  EXPECT_EQ(plain.at("digest"), nullptr);
  EXPECT_EQ(plain.at("path"), nullptr);
  EXPECT_EQ(plain.at("calibration"), nullptr);
  EXPECT_EQ(plain.at("layers")[0].at("values").count("output_error"), 0);
  const Json looks = variant(document(), "looks").at("quantization");
  EXPECT_EQ(looks.at("calibration").at("name"), "mixed");
  EXPECT_EQ(looks.at("layers")[0].at("values").count("output_error"), 1);
  EXPECT_NE(perplexity(document(), "plain"), perplexity(document(), "looks"));
  EXPECT_TRUE(models().empty());
}

/// A real model: made twice, in two stores, it scores the same.
TEST(TorchQuantize, RtnAndGptqScoreTheSameTwice) {
  const TempFolder folder;
  const std::string data = std::string(ASSAY_SOURCE_DIR) + "/share/data/";
  const std::string head = "backend = \"assay/torch\"\npath = \"" + data + "stories260k\"\n";
  const std::string path =
      folder
          .write("study.toml",
                 "assay = 1\n[model.base]\n" + head + "[model.rtn4]\n" + head +
                     "quantize = { method = \"rtn\", bits = 4, group_size = 32 }\n[model.gptq3]\n" +
                     head +
                     "quantize = { method = \"gptq\", bits = 3, group_size = 32, calibration = "
                     "\"words\" }\n[calibration.words]\nsamples = 4\nlength = 128\nsources = [{ "
                     "dataset = \"words\" }]\n[dataset.words]\nuse = \"assay/text\"\npath = \"" +
                     data +
                     "ledger/README.md\"\n[dataset.stories]\nuse = \"assay/text\"\npath = \"" +
                     data +
                     "ledger/stories_heldout.txt\"\ndocuments = \"separator\"\nseparator = "
                     "\"<|endoftext|>\"\nstrip = true\nlimit = 5\n[task.stories]\nprotocol = "
                     "\"perplexity\"\ndataset = \"stories\"\nwindow = 128\nstride = 64\n")
          .string();
  const Ran checked = run_assay({"check", path});
  if (checked.err.find("assay/torch cannot quantize") != std::string::npos) {
    GTEST_SKIP() << "assay/torch of this build cannot quantize";
  }
  ASSERT_EQ(checked.exit_code, 0) << checked.err;
  Json documents[2];
  for (const int i : {0, 1}) {
    const fs::path out = folder.path() / ("out" + std::to_string(i));
    const fs::path store = folder.path() / ("store" + std::to_string(i));
    const Ran ran = run_assay({"run", path, "--out", out.string(), "--store", store.string()});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    documents[i] = run_document(out);
  }
  EXPECT_EQ(documents[0].at("records"), documents[1].at("records"));
  const auto ppl = [&](const char* variant) {
    const Json* record = record_of(documents[0], variant, "stories", "perplexity");
    return record == nullptr ? -1 : record->at("value").get<double>();
  };
  EXPECT_GT(ppl("base"), 1);
  EXPECT_NE(ppl("rtn4"), ppl("base"));
  EXPECT_NE(ppl("gptq3"), ppl("base"));
}

class QuantizeCommand : public Quantize {
 protected:
  Ran write(const std::string& manifest, const std::string& variant, const std::string& out) {
    return run_assay({"quantize", manifest, variant, "--out", (folder_.path() / out).string(),
                      "--store", store().string(), "--plugin-dir", trusted_fakes()});
  }
};

TEST_F(QuantizeCommand, WritesACopyAndShowsTheWorstLayers) {
  const std::string path = manifest(model("base", "") + model("q4", quantize()));
  const Ran ran = write(path, "q4", "new/form");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const fs::path out = folder_.path() / "new" / "form";
  EXPECT_EQ(ran.out, out.string() + R"(
4.00 bits per weight in 4 quantized layers

layers by output_error, the 4 worst of 4
  layer     output_error  weight_error    bits
  layers.3     6.602e-03     8.125e-02    4.00
  layers.2     5.625e-03     7.500e-02    4.00
  layers.1     4.727e-03     6.875e-02    4.00
  layers.0     3.906e-03     6.250e-02    4.00
)");
  EXPECT_TRUE(fs::exists(out / "form.txt"));
  EXPECT_TRUE(fs::exists(out / "assay.json"));
  EXPECT_EQ(models().size(), 1);

  // A run afterwards has it ready.
  EXPECT_THAT(run(path).err, HasSubstr("model.q4: reuses"));
}

TEST_F(QuantizeCommand, RefusesBeforeItWorks) {
  const std::string path = manifest(model("base", "") + model("q4", quantize()));
  const Ran unknown = write(path, "q5", "a");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("there is no [model.q5]; did you mean \"q4\"?"));
  const Ran plain = write(path, "base", "a");
  EXPECT_EQ(plain.exit_code, 2);
  EXPECT_THAT(plain.err, HasSubstr("model.base has no quantize table: there is nothing to write"));
  fs::create_directories(folder_.path() / "full" / "of");
  const Ran full = write(path, "q4", "full");
  EXPECT_EQ(full.exit_code, 2);
  EXPECT_THAT(full.err, HasSubstr("full is there and not empty; name another folder with --out"));
  EXPECT_FALSE(fs::exists(store()));
  folder_.write("train.txt", sentences("bear", 400));
  const Ran leaky = write(path, "q4", "a");
  EXPECT_EQ(leaky.exit_code, 5);
  EXPECT_THAT(leaky.err, HasSubstr("calibration.mixed holds text of 1 of 1 items of task.text"));
  EXPECT_FALSE(fs::exists(folder_.path() / "a"));
}

}  // namespace
}  // namespace assay::host
