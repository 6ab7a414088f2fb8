// How long linear layers take, packed against dense, side by side:
//
//   linear_bench layers [ROWS COLUMNS [THREADS]]    one layer under 1 to 1024 tokens
//   linear_bench model MODEL_DIR [THREADS]          a whole model: one token at a time, and 512
//
// Codes are random; times do not depend on them. Each figure is the best of several rounds in which
// the layers take turns, so that all meet the same machine. `ratio` is to dense bfloat16.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "decoder/architecture.hpp"
#include "decoder/load.hpp"
#include "linear/make.hpp"
#include "tests/plugins/backends/torch/support/random_matrix.hpp"

namespace {

using namespace assay_torch;
using assay_torch_test::MatrixShape;
using assay_torch_test::random_matrix;
using Clock = std::chrono::steady_clock;

struct Kind {
  const char* name;
  at::ScalarType type = at::kBFloat16;
  bool is_quantized = true, is_packed = true;
  Form form = Form::kInteger;
  int bits = 4;
  std::int64_t group_size = 128;
  ActivationRule::Kind rule = ActivationRule::Kind::kNone;
};

const Kind kKinds[] = {
    {.name = "dense bfloat16", .is_quantized = false},
    {.name = "dense float32", .type = at::kFloat, .is_quantized = false},
    {.name = "int4, groups of 128"},
    {.name = "int4, groups of 32", .group_size = 32},
    {.name = "int4 in float32", .type = at::kFloat},
    {.name = "int3, groups of 128", .bits = 3},
    {.name = "int8, groups of 128", .bits = 8},
    {.name = "nf4", .form = Form::kTable, .group_size = 64},
    {.name = "fp8", .form = Form::kFp8},
    {.name = "w8a8", .form = Form::kInt8, .rule = ActivationRule::Kind::kInt8PerToken},
    {.name = "llm.int8", .form = Form::kInt8, .rule = ActivationRule::Kind::kInt8Outliers},
};

ModuleWeight module_of(const Kind& kind, std::int64_t rows, std::int64_t columns) {
  if (!kind.is_quantized) return {.dense = at::randn({rows, columns}).mul_(0.02).to(kind.type)};
  ModuleWeight module{.quantized =
                          random_matrix({kind.form, rows, columns, kind.group_size, kind.bits}, 1)};
  // Scales of 16 bits that leave activations in range.
  module.quantized->scale_type = FloatType::kBfloat16;
  std::ranges::fill(module.quantized->scales, 0x1p-10F);
  module.quantized->activations.kind = kind.rule;
  return module;
}

LinearSettings settings_of(const Kind& kind) {
  LinearSettings settings{at::TensorOptions(kind.type)};
  settings.is_packed = kind.is_packed;
  return settings;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The best time of each, in rounds over all of them.
std::vector<double> best_seconds(const std::vector<std::function<void()>>& works) {
  std::vector<double> best(works.size(), 1e9);
  constexpr int kMostRounds = 60;
  const auto start = Clock::now();
  for (int round = 0; round < kMostRounds; ++round) {
    for (std::size_t i = 0; i < works.size(); ++i)
      best[i] = std::min(best[i], seconds_of(works[i]));
    if (round >= 3 && std::chrono::duration<double>(Clock::now() - start).count() > 4) break;
  }
  return best;
}

void measure_layers(std::int64_t rows, std::int64_t columns) {
  std::vector<std::unique_ptr<Linear>> layers;
  for (const Kind& kind : kKinds) {
    std::vector<ModuleWeight> modules;
    modules.push_back(module_of(kind, rows, columns));
    layers.push_back(make_linear(std::move(modules), {}, settings_of(kind)));
    std::printf("%-22s %9.3f MB  %s\n", kind.name,
                static_cast<double>(layers.back()->bytes()) / 1e6,
                layers.back()->describe().c_str());
  }
  for (const std::int64_t tokens : {1, 2, 4, 8, 9, 16, 64, 256, 1024}) {
    std::vector<std::function<void()>> works;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const auto x = at::randn({tokens, columns}, kKinds[i].type);
      auto out = at::empty({tokens, rows}, kKinds[i].type);
      works.emplace_back([&layer = *layers[i], x, out]() mutable { layer.apply(x, out, {}); });
    }
    const auto seconds = best_seconds(works);
    std::printf("%lld tokens\n", static_cast<long long>(tokens));
    for (std::size_t i = 0; i < seconds.size(); ++i)
      std::printf("  %-22s %9.1f us  ratio %.2f\n", kKinds[i].name, seconds[i] * 1e6,
                  seconds[i] / seconds[0]);
  }
}

/// The model with its linear layers and head made anew.
Decoder decoder_of(const DecoderSpec& spec, const Weights& weights, const Kind& kind) {
  const LinearSettings settings = settings_of(kind);
  ModelReader reader(spec, weights, settings);
  Decoder decoder = reader.ends();
  for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
    Block block = reader.norms(layer);
    for (const Slot slot : {Slot::kQueryKeyValue, Slot::kOutput, Slot::kGateUp, Slot::kDown}) {
      std::vector<ModuleWeight> modules;
      for (const auto& part : reader.modules(layer, slot))
        modules.push_back(module_of(kind, part.rows, part.columns));
      linear_of(block, slot) = reader.assemble(layer, slot, std::move(modules));
    }
    decoder.blocks.push_back(std::move(block));
  }
  return decoder;
}

void pass(const Decoder& decoder, std::int64_t tokens, std::int64_t past, KvCache* cache) {
  const auto ids = at::randint(0, decoder.spec.vocab, {tokens}, at::kLong);
  const Segment segments[] = {{.length = tokens, .past = past, .slot = cache ? 0 : -1}};
  const auto hidden = forward(decoder, ids, segments, cache);
  const auto last = hidden.narrow(0, tokens - 1, 1);
  auto logits = at::empty({1, decoder.spec.vocab}, hidden.options());
  decoder.head->apply(last, logits, {});
}

void measure_model(const std::string& model_dir) {
  const DecoderSpec spec = read_spec(model_dir);
  const Weights weights(model_dir);
  std::vector<Decoder> decoders;
  std::vector<KvCache> caches;
  std::vector<std::function<void()>> decodes, scores;
  constexpr std::int64_t kPast = 64, kSteps = 16, kScored = 512;
  for (const Kind& kind : kKinds) {
    decoders.push_back(decoder_of(spec, weights, kind));
    caches.push_back(make_cache(spec, 1, kPast + kSteps, decoders.back().embedding.options()));
    pass(decoders.back(), kPast, 0, &caches.back());
  }
  for (std::size_t i = 0; i < decoders.size(); ++i) {
    decodes.emplace_back([&decoder = decoders[i], &cache = caches[i]] {
      for (std::int64_t step = 0; step < kSteps; ++step) pass(decoder, 1, kPast + step, &cache);
    });
    scores.emplace_back([&decoder = decoders[i]] { pass(decoder, kScored, 0, nullptr); });
  }
  const auto decode_seconds = best_seconds(decodes), score_seconds = best_seconds(scores);
  for (std::size_t i = 0; i < decoders.size(); ++i) {
    std::printf("%-22s %8.1f MB  %7.2f ms a token  ratio %.2f   %8.1f ms for %lld  ratio %.2f\n",
                kKinds[i].name, static_cast<double>(weight_bytes(decoders[i])) / 1e6,
                decode_seconds[i] / kSteps * 1e3, decode_seconds[i] / decode_seconds[0],
                score_seconds[i] * 1e3, static_cast<long long>(kScored),
                score_seconds[i] / score_seconds[0]);
  }
}

int run(const std::vector<std::string>& words) {
  const c10::InferenceMode guard;
  const auto number = [&words](std::size_t at, std::int64_t otherwise) {
    return words.size() > at ? std::stoll(words[at]) : otherwise;
  };
  if (!words.empty() && words[0] == "layers") {
    at::set_num_threads(static_cast<int>(number(3, at::get_num_threads())));
    measure_layers(number(1, 4096), number(2, 4096));
    return 0;
  }
  if (words.size() >= 2 && words[0] == "model") {
    at::set_num_threads(static_cast<int>(number(2, at::get_num_threads())));
    measure_model(words[1]);
    return 0;
  }
  std::fputs("usage: linear_bench layers [ROWS COLUMNS [THREADS]] | model MODEL_DIR [THREADS]\n",
             stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "linear_bench: %s\n", failure.what());
    return 1;
  }
}
