// From a quantized model directory to logits and perplexity, against what the tools' weights give.
#include "checkpoint/quantized.hpp"

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "checkpoint/weights.hpp"
#include "decoder/architecture.hpp"
#include "decoder/load.hpp"
#include "quantize/pipeline.hpp"
#include "schedule/score.hpp"
#include "support/fixtures.hpp"
#include "support/recorder.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::Recorder;
using assay_torch_test::Requests;

class QuantizedModel : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto dir = assay_torch_test::shared(std::string("data/checkpoints/") + GetParam());
    if (!dir) GTEST_SKIP() << "needs data/checkpoints/" << GetParam() << " in ASSAY_SHARED";
    dir_ = dir->string();
    reference_ = nlohmann::json::parse(assay_torch_test::read_bytes(*dir / "reference.json"));
    tensors_.emplace(assay_torch_test::shared(std::string("data/checkpoints/") + GetParam())
                         ->append("reference.safetensors")
                         .string());
  }

  LoadedModel load(bool quantizes_activations, bool is_packed = false) const {
    LinearSettings settings{at::TensorOptions(at::kFloat)};
    settings.quantizes_activations = quantizes_activations;
    settings.is_packed = is_packed;
    const auto quantized = QuantizedCheckpoint::open(dir_, ZeroWrap::kMask);
    return load_model(read_spec(dir_), Weights(dir_), std::nullopt, settings, &*quantized);
  }

  template <class T>
  std::vector<T> reference(const std::string& name) const {
    const TensorEntry& entry = tensors_->tensors().at(name);
    std::vector<T> out((entry.end - entry.begin) / sizeof(T));
    tensors_->read(entry, 0, std::as_writable_bytes(std::span(out)));
    return out;
  }

  static std::vector<float> logits(const Decoder& decoder, std::vector<std::int32_t> ids) {
    ids.push_back(0);
    Requests requests;
    requests.add(std::move(ids), 1, ASSAY_WANT_LOGITS);
    Recorder recorder;
    const auto sink = recorder.sink();
    score(decoder, requests.batch(), sink, {});
    EXPECT_EQ(recorder[1].failure, "");
    return recorder[1].logits;
  }

  /// 4 windows of 512 ids, 511 predictions in each.
  double perplexity(const Decoder& decoder) const {
    const auto ids = reference<std::int32_t>("eval.ids");
    Requests requests;
    for (std::size_t at = 0; at < ids.size(); at += 512)
      requests.add({ids.begin() + static_cast<std::ptrdiff_t>(at),
                    ids.begin() + static_cast<std::ptrdiff_t>(at + 512)},
                   1);
    Recorder recorder;
    const auto sink = recorder.sink();
    score(decoder, requests.batch(), sink, {});
    double nll = 0;
    std::size_t count = 0;
    for (std::uint64_t id = 1; id <= requests.requests_.size(); ++id) {
      for (const float logprob : recorder[id].logprobs) nll -= static_cast<double>(logprob);
      count += recorder[id].logprobs.size();
    }
    EXPECT_EQ(count, 2044U);
    return std::exp(nll / static_cast<double>(count));
  }

  c10::InferenceMode guard_;
  std::string dir_;
  nlohmann::json reference_;
  std::optional<SafetensorsFile> tensors_;
};

// Tolerance: matrix products of float32 in another order; the README of the checkpoints says 1e-4.
TEST_P(QuantizedModel, HasTheLogitsOfTheToolsWeights) {
  const LoadedModel model = load(false);
  for (const char* prompt : {"prompt0", "prompt1"}) {
    const auto expected = reference<float>(std::string(prompt) + ".logits_dequant_fp32");
    const auto found = logits(model.decoder, reference<std::int32_t>(std::string(prompt) + ".ids"));
    ASSERT_EQ(found.size(), expected.size());
    float largest = 0;
    for (std::size_t i = 0; i < found.size(); ++i)
      largest = std::max(largest, std::fabs(found[i] - expected[i]));
    EXPECT_LT(largest, 1e-4F) << prompt;
  }
}

TEST_P(QuantizedModel, HasThePerplexityOfTheToolsWeights) {
  const auto expected = reference_["evaluation"]["dequant_fp32"]["perplexity"].get<double>();
  EXPECT_NEAR(perplexity(load(false).decoder) / expected, 1, 1e-5);
}

TEST_P(QuantizedModel, CountsWhatItsFileTakes) {
  const LoadedModel model = load(false);
  const Weights weights(dir_);
  std::uint64_t bits = 0;
  for (const std::string& name : weights.names()) bits += 8 * weights.bytes(name);
  EXPECT_EQ(model.stored_bits, bits);
  EXPECT_EQ(model.parameters, 656'000U);
}

INSTANTIATE_TEST_SUITE_P(All, QuantizedModel,
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
