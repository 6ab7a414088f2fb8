// From a quantized model directory to logits and perplexity, against what the tools' weights give.
#include "checkpoint/quantized.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
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

// The tool's own pass quantizes activations too. FP8 rounds to the same codes but for a few halves.
// W8A8: each token's largest entry is 127.5 scales, half a step, and goes either way by the last
// bit of what came before. LLM.int8: the tool's pass is float16, and takes outliers over a whole
// call. Both move perplexity by 0.0006, less than W8A8 does (0.0015); linear/int8_test has their
// codes.
TEST_P(QuantizedModel, QuantizesActivationsAsTheToolDoes) {
  const std::string name = GetParam();
  if (name != "bnb-int8" && name != "ct-fp8" && name != "ct-w8a8-int8")
    GTEST_SKIP() << name << " quantizes weights alone";
  const auto expected = reference_["evaluation"]["tool"]["perplexity"].get<double>();
  for (const bool is_packed : {false, true}) {
    EXPECT_NEAR(perplexity(load(true, is_packed).decoder) / expected, 1,
                name == "ct-fp8" ? 1e-4 : 1e-3)
        << (is_packed ? "packed" : "materialized");
  }
}

// Packed layers compute with the same values: sums in another order, and no other difference.
TEST_P(QuantizedModel, HasTheSamePerplexityPacked) {
  const auto expected = reference_["evaluation"]["dequant_fp32"]["perplexity"].get<double>();
  EXPECT_NEAR(perplexity(load(false, true).decoder) / expected, 1, 1e-5);
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

constexpr Slot kSlots[] = {Slot::kQueryKeyValue, Slot::kOutput, Slot::kGateUp, Slot::kDown};

/// Eight bits around 128, a scale for each row.
QuantizedMatrix rounded(const at::Tensor& weight) {
  QuantizedMatrix out;
  out.rows = weight.size(0);
  out.columns = out.group_size = weight.size(1);
  out.bits = 8;
  out.zeros.assign(static_cast<std::size_t>(out.rows), 128);
  out.codes.resize(static_cast<std::size_t>(out.rows * words_per_row(out.columns, 8) * 4));
  std::vector<std::uint16_t> codes(static_cast<std::size_t>(out.columns));
  const float* values = weight.const_data_ptr<float>();
  for (std::int64_t row = 0; row < out.rows; ++row) {
    float largest = 1e-9F;
    for (std::int64_t k = 0; k < out.columns; ++k)
      largest = std::max(largest, std::fabs(values[row * out.columns + k]));
    out.scales.push_back(largest / 127);
    for (std::int64_t k = 0; k < out.columns; ++k) {
      codes[static_cast<std::size_t>(k)] = static_cast<std::uint16_t>(
          128 + std::lround(values[row * out.columns + k] / out.scales.back()));
    }
    write_codes(out, row, codes);
  }
  return out;
}

/// A family's model with its layers in the GPTQ layout, and the same values held plainly.
class QuantizedFamily : public ::testing::Test {
 protected:
  using Change = std::function<void(std::vector<StoredTensor>&)>;

  void write(const std::string& family, const Change& change = {}) {
    const auto dir = assay_torch_test::fs::path(ASSAY_SOURCE_DIR) / "tests/data/families" / family;
    const Weights weights(dir.string());
    spec_ = read_spec(dir.string());
    ModelReader reader(spec_, weights, at::TensorOptions(at::kFloat));
    std::vector<StoredTensor> packed, plain;
    std::vector<WrittenModule> modules;
    std::vector<std::string> done;
    for (std::int64_t layer = 0; layer < spec_.layers; ++layer) {
      for (const Slot slot : kSlots) {
        for (const auto& module : reader.modules(layer, slot)) {
          if (module.name.ends_with(left_alone_)) {
            modules.push_back({.name = module.name});
            continue;
          }
          const auto matrix = rounded(reader.weight(slot, module));
          for (auto& tensor : to_tensors(FileLayout::kGptq, module.name, matrix))
            packed.push_back(std::move(tensor));
          modules.push_back({module.name, true, 8, 0, true, {}});
          done.push_back(module.name + ".weight");
          plain.push_back(held_plainly(matrix, done.back()));
        }
      }
    }
    for (const std::string& name : weights.names()) {
      if (std::find(done.begin(), done.end(), name) != done.end()) continue;
      StoredTensor tensor{name, weights.dtype(name), weights.shape(name),
                          std::vector<std::byte>(weights.bytes(name))};
      weights.read_bytes(name, 0, tensor.data);
      packed.push_back(tensor);
      plain.push_back(std::move(tensor));
    }
    if (change) change(packed);
    auto config = nlohmann::json::parse(assay_torch_test::read_bytes(dir / "config.json"));
    assay_torch_test::write_bytes(plain_.path() / "config.json", config.dump());
    config["quantization_config"] =
        nlohmann::json::parse(quantization_config(FileLayout::kGptq, modules, false, "{}"));
    assay_torch_test::write_bytes(packed_.path() / "config.json", config.dump());
    write_safetensors(plain_.path() / "model.safetensors", plain);
    write_safetensors(packed_.path() / "model.safetensors", packed);
  }

  StoredTensor held_plainly(const QuantizedMatrix& matrix, const std::string& name) const {
    auto values = at::empty({matrix.rows, matrix.columns}, at::kFloat);
    dequantize(matrix,
               {values.mutable_data_ptr<float>(), static_cast<std::size_t>(values.numel())});
    if (spec_.names.block.output.layout == Layout::kInputsFirst) values = values.t().contiguous();
    StoredTensor out{name, "F32", values.sizes().vec(), std::vector<std::byte>(values.nbytes())};
    std::memcpy(out.data.data(), values.const_data_ptr(), out.data.size());
    return out;
  }

  static LoadedModel load(const std::string& dir) {
    const auto quantized = QuantizedCheckpoint::open(dir, ZeroWrap::kMask);
    return load_model(read_spec(dir), Weights(dir), std::nullopt, at::TensorOptions(at::kFloat),
                      quantized ? &*quantized : nullptr);
  }

  static std::vector<float> logits(const LoadedModel& model) {
    Requests requests;
    requests.add({1, 5, 9, 2, 7, 3, 0}, 1, ASSAY_WANT_LOGITS);
    Recorder recorder;
    const auto sink = recorder.sink();
    score(model.decoder, requests.batch(), sink, {});
    EXPECT_EQ(recorder[1].failure, "");
    return recorder[1].logits;
  }

  c10::InferenceMode guard_;
  DecoderSpec spec_;
  std::string left_alone_ = "no such module";
  assay_torch_test::TempDir packed_, plain_;
};

// The same float32 values go through the same products, wherever they were held: every bit.
TEST_F(QuantizedFamily, IsTheModelOfItsValues) {
  for (const char* family : {"gpt-neox", "gpt2", "llama3", "opt", "phi3", "qwen2"}) {
    for (const char* left_alone : {"no such module", "k_proj", "mlp.c_fc"}) {
      left_alone_ = left_alone;
      write(family);
      const auto packed = load(packed_.path().string()), plain = load(plain_.path().string());
      EXPECT_EQ(logits(packed), logits(plain)) << family << " without " << left_alone;
      EXPECT_EQ(packed.parameters, plain.parameters) << family;
      EXPECT_LT(packed.stored_bits, plain.stored_bits) << family;
    }
  }
}

StoredTensor bias_of(const std::string& module, const std::vector<float>& values) {
  StoredTensor out{module + ".bias",
                   "F32",
                   {static_cast<std::int64_t>(values.size())},
                   std::vector<std::byte>(4 * values.size())};
  std::memcpy(out.data.data(), values.data(), out.data.size());
  return out;
}

TEST_F(QuantizedFamily, ABiasOfZerosMeansNothingAndAnotherIsAdded) {
  const std::string module = "model.layers.0.self_attn.k_proj";
  write("llama3");
  const auto base = load(packed_.path().string());
  const auto rows = static_cast<std::size_t>(spec_.kv_heads * spec_.head_dim);
  std::vector<float> values(rows, 0);
  const auto with_bias = [&] {
    write("llama3", [&](auto& tensors) { tensors.push_back(bias_of(module, values)); });
    return load(packed_.path().string());
  };
  const auto zeros = with_bias();
  EXPECT_EQ(zeros.parameters, base.parameters);
  EXPECT_EQ(zeros.stored_bits, base.stored_bits);
  EXPECT_EQ(logits(zeros), logits(base));
  values[1] = 0.5F;
  const auto other = with_bias();
  auto out = at::empty({1, spec_.heads * spec_.head_dim + 2 * static_cast<std::int64_t>(rows)},
                       at::kFloat);
  other.decoder.blocks[0].query_key_value->apply(at::zeros({1, spec_.hidden}), out, {});
  auto expected = at::zeros_like(out);
  expected[0][spec_.heads * spec_.head_dim + 1] = 0.5F;
  EXPECT_TRUE(out.equal(expected));
}

TEST_F(QuantizedFamily, TensorsNobodyReadAreFound) {
  write("llama3",
        [](auto& tensors) { tensors.push_back(bias_of("model.layers.0.mlp.up_proj.extra", {1})); });
  EXPECT_THAT(assay_torch_test::thrown([&] { load(packed_.path().string()); }),
              ::testing::HasSubstr("\"model.layers.0.mlp.up_proj.extra.bias\", which architecture "
                                   "llama"));
}

TEST_F(QuantizedFamily, MemoryIsThatOfItsValuesOrOfItsFile) {
  write("llama3");
  const std::string dir = packed_.path().string();
  const Weights weights(dir), plain(plain_.path().string());
  const auto quantized = QuantizedCheckpoint::open(dir, ZeroWrap::kMask);
  const auto transient =
      static_cast<std::uint64_t>(std::max(spec_.intermediate, spec_.heads * spec_.head_dim) *
                                 spec_.hidden) *
      5;
  LinearSettings settings{at::TensorOptions(at::kFloat)};
  EXPECT_EQ(estimated_bytes(spec_, weights, settings, &*quantized), 4 * plain.values() + transient);
  settings.is_packed = true;
  std::uint64_t bytes = 0;
  for (const std::string& name : weights.names()) {
    // What is not quantized becomes float32, whatever the file has.
    const bool is_plain = plain.holds(name);
    bytes += is_plain ? weights.bytes(name) * 32 / weights.stored_bits(name) : weights.bytes(name);
  }
  EXPECT_EQ(estimated_bytes(spec_, weights, settings, &*quantized), bytes + transient);
}

}  // namespace
}  // namespace assay_torch
