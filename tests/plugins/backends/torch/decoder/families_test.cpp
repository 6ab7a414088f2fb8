// Every family against transformers: the checkpoints of tests/data/families and what
// make_families.py got from them.
#include <ATen/Context.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "checkpoint/weights.hpp"
#include "decoder/architecture.hpp"
#include "decoder/load.hpp"
#include "quantize/pipeline.hpp"
#include "schedule/generate.hpp"
#include "schedule/score.hpp"
#include "support/fixtures.hpp"
#include "support/recorder.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::Recorder;
using assay_torch_test::Requests;
using assay_torch_test::fs::path;
using Tokens = std::vector<std::int32_t>;

constexpr const char* kFamilies[] = {
    "llama2",  "llama3",     "llama-linear", "llama-dynamic", "llama-yarn",
    "mistral", "qwen2",      "qwen3",        "gemma",         "gemma2",
    "gemma3",  "phi3",       "gpt2",         "gpt-neox",      "gpt-neox-sequential",
    "opt",     "opt-prenorm"};

constexpr std::int64_t kVocab = 100;

/// Float32 sums of at most 48 terms here and there, in another order; logits reach 10.
constexpr double kFloat32 = 1e-4;

std::vector<float> floats_of(const path& file) {
  const std::string bytes = assay_torch_test::read_bytes(file);
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return largest;
}

Decoder load(const path& dir, at::ScalarType dtype = at::kFloat,
             const std::optional<Recipe>& simulation = std::nullopt) {
  return load_model(read_spec(dir.string()), Weights(dir.string()), simulation,
                    at::TensorOptions(at::kCPU).dtype(dtype))
      .decoder;
}

/// Logits of every position, all sequences in one batch.
std::vector<float> logits(const Decoder& decoder, const std::vector<Tokens>& sequences) {
  Requests requests;
  for (Tokens tokens : sequences) {
    tokens.push_back(0);  // predicted, never fed
    requests.add(std::move(tokens), 1, ASSAY_WANT_LOGITS);
  }
  Recorder recorder;
  const auto sink = recorder.sink();
  score(decoder, requests.batch(), sink, {});
  std::vector<float> out;
  for (std::uint64_t id = 1; id <= sequences.size(); ++id) {
    EXPECT_EQ(recorder[id].failure, "");
    out.insert(out.end(), recorder[id].logits.begin(), recorder[id].logits.end());
  }
  return out;
}

class Family : public ::testing::TestWithParam<const char*> {
 protected:
  Family()
      : dir_(path(ASSAY_SOURCE_DIR) / "tests/data/families" / GetParam()),
        expected_(nlohmann::json::parse(assay_torch_test::read_bytes(dir_ / "expected.json"))),
        sequences_(expected_["sequences"].get<std::vector<Tokens>>()) {}

  c10::InferenceMode guard_;
  path dir_;
  nlohmann::json expected_;
  std::vector<Tokens> sequences_;
};

TEST_P(Family, LogitsAreThoseOfTransformers) {
  const auto expected = floats_of(dir_ / "logits.f32");
  const Decoder decoder = load(dir_);
  EXPECT_LT(largest_difference(logits(decoder, sequences_), expected), kFloat32);
  EXPECT_EQ(decoder.spec.max_context, 64);
}

// Rows of a matrix product do not depend on the other rows but for the order of sums, which the
// kernel chooses by their number.
TEST_P(Family, SequencesPackedTogetherGetTheLogitsTheyGetAlone) {
  const Decoder decoder = load(dir_);
  const std::vector<Tokens> sequences = {sequences_[1],
                                         sequences_[0],
                                         {1, 50, 7},
                                         {sequences_[0].begin(), sequences_[0].begin() + 20},
                                         {sequences_[0].begin(), sequences_[0].begin() + 20}};
  std::vector<float> alone;
  for (const Tokens& tokens : sequences) {
    const auto rows = logits(decoder, {tokens});
    alone.insert(alone.end(), rows.begin(), rows.end());
  }
  EXPECT_LT(largest_difference(logits(decoder, sequences), alone), 2e-5);
}

// make_families.py chose weights whose best logit is ahead by 5e-3 at every step.
TEST_P(Family, GreedyTokensByWholePassesAreThoseOfTransformers) {
  const Decoder decoder = load(dir_);
  for (const auto& each : expected_["greedy"]) {
    ASSERT_GT(each["smallest_gap"].get<double>(), 10 * kFloat32);
    const auto* key = each.contains("tokens_without_cache") ? "tokens_without_cache" : "tokens";
    const auto expected = each[key].get<Tokens>();
    Tokens tokens = each["prompt"].get<Tokens>();
    Tokens got;
    while (got.size() < expected.size()) {
      const auto rows = logits(decoder, {tokens});
      const auto last = rows.end() - kVocab;
      got.push_back(static_cast<std::int32_t>(std::max_element(last, rows.end()) - last));
      tokens.push_back(got.back());
    }
    EXPECT_EQ(got, expected);
  }
}

struct Generated {
  std::map<std::uint64_t, Tokens> tokens;
  std::string failure;
};

/// To the end token, or as far as transformers went.
Generated generate_all(const Decoder& decoder, const std::vector<Tokens>& prompts,
                       std::uint32_t max_new) {
  const std::int32_t end[] = {decoder.spec.eos, -1};
  const std::int32_t* const stops[] = {end, nullptr};
  assay_sampling sampling{};
  sampling.struct_size = sizeof sampling;
  sampling.max_new = max_new;
  sampling.stops = stops;
  Requests requests;
  for (const Tokens& prompt : prompts) requests.add(prompt, 1);
  for (assay_request& request : requests.requests_) {
    request.kind = ASSAY_REQ_GENERATE;
    request.want = 0;
    request.sampling = &sampling;
  }
  Generated got;
  assay_result_sink sink{};
  sink.struct_size = sizeof sink;
  sink.ctx = &got;
  sink.tokens = [](void* ctx, std::uint64_t id, const std::int32_t* tokens, const float*,
                   std::uint64_t n) noexcept -> std::int32_t {
    Tokens& out = static_cast<Generated*>(ctx)->tokens[id];
    out.insert(out.end(), tokens, tokens + n);
    return 0;
  };
  sink.done = [](void* ctx, std::uint64_t, const assay_error* failure,
                 const assay_usage*) noexcept {
    if (failure != nullptr) static_cast<Generated*>(ctx)->failure = failure->text;
  };
  generate(decoder, requests.batch(), sink, {});
  return got;
}

// With the cache: windows that have slid, keys turned for an earlier length, LongRoPE's switch.
TEST_P(Family, GeneratesTheTokensOfTransformers) {
  const Decoder decoder = load(dir_);
  std::vector<Tokens> prompts, expected;
  for (const auto& each : expected_["greedy"]) {
    prompts.push_back(each["prompt"].get<Tokens>());
    expected.push_back(each["tokens"].get<Tokens>());
  }
  std::size_t longest = 0;
  for (const Tokens& tokens : expected) longest = std::max(longest, tokens.size());
  const Generated got = generate_all(decoder, prompts, static_cast<std::uint32_t>(longest));
  EXPECT_EQ(got.failure, "");
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(got.tokens.at(i + 1), expected[i]);
}

// 16 bits: a step is 1/65535 of a row's range, so the logits move, but by little. A module is
// rounded as the file names it.
TEST_P(Family, RoundedTo16BitsMovesTheLogitsByLittle) {
  const auto plain = logits(load(dir_), sequences_);
  const Recipe simulation{.grid = {.bits = 16, .group_size = 0}, .skip = {"lm_head"}};
  const auto rounded = logits(load(dir_, at::kFloat, simulation), sequences_);
  EXPECT_LT(largest_difference(plain, rounded), 5e-3);
  EXPECT_GT(largest_difference(plain, rounded), 0);
}

TEST_P(Family, SkippedModulesAreNamedAsInTheFile) {
  const DecoderSpec spec = read_spec(dir_.string());
  const auto& names = spec.names.block;
  const LinearNames* linears[] = {&names.query_key_value, &names.output, &names.gate_up,
                                  &names.down};
  Recipe simulation{.grid = {.bits = 2, .group_size = 0}, .skip = {"lm_head"}};
  for (const LinearNames* linear : linears) {
    for (const Projection& part : linear->parts)
      simulation.skip.push_back("*" + spec.names.blocks + "*" + part.module);
  }
  EXPECT_EQ(largest_difference(logits(load(dir_), sequences_),
                               logits(load(dir_, at::kFloat, simulation), sequences_)),
            0);
}

INSTANTIATE_TEST_SUITE_P(, Family, ::testing::ValuesIn(kFamilies), [](const auto& test) {
  std::string name = test.param;
  std::erase(name, '-');
  return name;
});

double rms_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

struct Narrow {
  const char *family, *name;
  at::ScalarType dtype;
};

void PrintTo(const Narrow& narrow, std::ostream* out) {
  *out << narrow.family << " in " << narrow.name;
}

// transformers in the same dtype is the measure: two blocks round some twenty times, to 2^-9 of the
// value in bfloat16 and 2^-12 in float16. We round at other places (attention is one operator), so
// our distance to float32 varies around its; the distance between the two is that of independent
// errors, sqrt(2) of it.
class FamilyDtype : public ::testing::TestWithParam<Narrow> {
 protected:
  static void expect_close() {
    const path dir = path(ASSAY_SOURCE_DIR) / "tests/data/families" / GetParam().family;
    const auto expected =
        nlohmann::json::parse(assay_torch_test::read_bytes(dir / "expected.json"));
    const auto float32 = floats_of(dir / "logits.f32");
    const auto theirs = floats_of(dir / ("logits_" + std::string(GetParam().name) + ".f32"));
    const auto ours =
        logits(load(dir, GetParam().dtype), expected["sequences"].get<std::vector<Tokens>>());
    const double lost = rms_difference(theirs, float32);
    EXPECT_LT(rms_difference(ours, float32), 1.3 * lost);
    EXPECT_GT(rms_difference(ours, float32), 0.5 * lost) << "computed in a wider dtype";
    EXPECT_LT(rms_difference(ours, theirs), 1.8 * lost);
    EXPECT_LT(largest_difference(ours, float32), 2 * largest_difference(theirs, float32));
  }

  c10::InferenceMode guard_;
};

TEST_P(FamilyDtype, LosesNoMoreThanTransformersDoes) { expect_close(); }

// What a CPU without bfloat16 or float16 arithmetic runs.
TEST_P(FamilyDtype, LosesNoMoreWithoutOneDnn) {
  at::globalContext().setUserEnabledMkldnn(false);
  expect_close();
  at::globalContext().setUserEnabledMkldnn(true);
}

INSTANTIATE_TEST_SUITE_P(, FamilyDtype,
                         ::testing::Values(Narrow{"llama3", "bfloat16", at::kBFloat16},
                                           Narrow{"llama3", "float16", at::kHalf},
                                           Narrow{"gemma", "bfloat16", at::kBFloat16},
                                           Narrow{"gemma2", "bfloat16", at::kBFloat16},
                                           Narrow{"gpt-neox", "float16", at::kHalf}));

}  // namespace
}  // namespace assay_torch
