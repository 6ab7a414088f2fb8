// A backend that writes "quantized" models and notices everything about it: what it is given, what
// an attempt before it left, and, by option, how an attempt ends. For host tests without a model.
#include <algorithm>
#include <assay/sdk.hpp>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLayerBytes = 4096;

std::string layer_name(std::int64_t layer) { return "layers." + std::to_string(layer); }

/// The sum of all tokens: another calibration has another.
std::int64_t sum_of(const assay_batch* calibration) {
  std::int64_t sum = 0;
  if (calibration == nullptr) return sum;
  for (std::uint64_t i = 0; i < calibration->n; ++i) {
    const assay_request& request = *ASSAY_REQUEST(calibration, i);
    if (request.kind != ASSAY_REQ_SCORE) throw assay::Error(ASSAY_INVALID_ARGUMENT, "not SCORE");
    for (const std::int32_t token : assay::tokens_of(request)) sum += token;
  }
  return sum;
}

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  if (!(file << text).flush()) {
    throw assay::Error(ASSAY_UNAVAILABLE, path.string(), "cannot write " + path.string());
  }
}

struct Quantizing : assay::Backend {
  static constexpr assay::Info info{"fake/quantizing", "1.0.0", "Writes models of a few bytes",
                                    ASSAY_CAP_SCORE | ASSAY_CAP_QUANTIZE | ASSAY_CAP_DETERMINISTIC};
  static constexpr const char* kEnds[] = {"well",    "killed_once", "refused",
                                          "no_room", "nothing",     nullptr};
  static constexpr assay::Option options[] = {
      assay::integer("quantize.bits", "4", "Bits of a weight.").in(1, 16),
      assay::integer("quantize.layers", "4", "Layers it claims to have.").in(1, 1000),
      assay::integer("quantize.slow_ms", "0", "Milliseconds spent on each layer."),
      assay::choice("quantize.ends", "\"well\"", kEnds, "How the third layer's work ends."),
      assay::integer("simulate.bits", "4", "Bits of a weight.").in(1, 16),
      assay::integer("vocab", "1280", "Tokens it knows.").in(2, 1 << 20)};

  explicit Quantizing(assay::Context given)
      : context(given), vocab(static_cast<std::uint32_t>(given.integer("vocab"))) {
    if (context.has("quantize.bits")) {
      bits = context.integer("quantize.bits");
      layers = context.integer("quantize.layers");
      slow_ms = context.integer("quantize.slow_ms");
      ends = context.text("quantize.ends");
    } else if (context.has("simulate.bits")) {
      bits = context.integer("simulate.bits");
      is_simulated = true;
    }
  }

  void load(const assay_job& job, assay_model_info& model) {
    if (is_simulated) {
      calibration_sum = sum_of(job.calibration);
      for (std::int64_t i = 0; i < layers; ++i) tell(job, i);
    } else if (std::ifstream form(fs::path(assay::view_of(job.model_dir)) / "form.txt"); form) {
      form >> bits >> calibration_sum;
    }
    model.vocab = vocab;
    model.max_context = 2048;
    model.bits_per_weight = static_cast<double>(bits);
  }

  void quantize(const assay_job& job) {
    if (job.want != ASSAY_CAP_QUANTIZE) throw assay::Error(ASSAY_INVALID_ARGUMENT, "wants more");
    calibration_sum = sum_of(job.calibration);
    const fs::path out(assay::view_of(job.out_dir));
    for (std::int64_t i = 0; i < layers; ++i) {
      context.progress(static_cast<double>(i) / static_cast<double>(layers), layer_name(i));
      write_layer(out, i);
      tell(job, i);
    }
    fs::remove(out / "was-killed");
    if (ends == "nothing") return fs::remove_all(out), void();
    write_file(out / "form.txt", std::to_string(bits) + " " + std::to_string(calibration_sum));
  }

  /// A whole one of an attempt before is kept; half a one is written anew.
  void write_layer(const fs::path& out, std::int64_t layer) {
    const fs::path path = out / (layer_name(layer) + ".bin");
    std::error_code error;
    if (fs::file_size(path, error) == kLayerBytes && !error) {
      return context.log(ASSAY_INFO, "keeps " + layer_name(layer));
    }
    if (layer == 2) end_early(out, path);
    for (std::int64_t left = slow_ms; left > 0; left -= 5) {
      context.checkpoint();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    context.log(ASSAY_INFO, "writes " + layer_name(layer));
    write_file(path, std::string(kLayerBytes, static_cast<char>('a' + layer % 26)));
  }

  void end_early(const fs::path& out, const fs::path& layer) {
    if (ends == "refused") {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "layers.2",
                         "the Hessian is not positive definite");
    }
    if (ends == "no_room") {
      throw assay::Error(ASSAY_RESOURCE_EXHAUSTED, "layers.2",
                         "cannot write layers.2: the disk is full");
    }
    if (ends == "killed_once" && !fs::exists(out / "was-killed")) {
      write_file(out / "was-killed", "");
      write_file(layer, std::string(kLayerBytes / 2, '?'));
      std::raise(SIGKILL);
    }
  }

  void tell(const assay_job& job, std::int64_t layer) const {
    if (job.layers == nullptr) return;
    const std::string name = layer_name(layer);
    const auto value = [&](const char* what, double number) {
      job.layers->value(job.layers->ctx, assay::str_of(name), what, number);
    };
    const double error =
        std::ldexp(1.0 + 0.1 * static_cast<double>(layer), -static_cast<int>(bits));
    value("weight_error", error);
    if (job.calibration != nullptr) value("output_error", error * error);
    value("bits", static_cast<double>(bits));
    value("bytes", static_cast<double>(kLayerBytes));
    if (layer == 0) value("damping", std::numeric_limits<double>::infinity());
  }

  /// What was quantized, and with what, shows in every score.
  void score(const assay::Request& request, assay::Results results) {
    context.checkpoint();
    std::vector<float> logprobs;
    std::vector<std::uint8_t> greedy;
    const double rounding = std::ldexp(1.0, -static_cast<int>(bits)) +
                            1e-6 * static_cast<double>(calibration_sum % 1000);
    for (std::uint64_t i = request.first; i < request.n_tokens; ++i) {
      logprobs.push_back(static_cast<float>(-2 - 0.01 * (request.tokens[i] % 7) - rounding));
      greedy.push_back(0);
    }
    results.scores(request.first, logprobs, greedy);
  }

  assay::Context context;
  std::uint32_t vocab;
  std::int64_t bits = 32, layers = 4, slow_ms = 0, calibration_sum = 0;
  bool is_simulated = false;
  std::string ends = "well";
};

}  // namespace

ASSAY_PLUGIN("fake/quantizing", "1.0.0", "assay", "Apache-2.0", Quantizing)
