#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <assay/sdk.hpp>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/quantized.hpp"
#include "checkpoint/weights.hpp"
#include "decoder/architecture.hpp"
#include "decoder/head.hpp"
#include "decoder/load.hpp"
#include "quantize/nf4.hpp"
#include "quantize/simulation.hpp"
#include "schedule/answer.hpp"
#include "schedule/generate.hpp"

namespace {

constexpr const char* kDtypes[] = {"float32", "bfloat16", "float16", "auto", nullptr};
constexpr const char* kModes[] = {"materialize", "packed", nullptr};
constexpr const char* kZeroWraps[] = {"mask", "carry", "none", nullptr};
constexpr const char* kMethods[] = {"rtn", "nf4", nullptr};
constexpr const char* kSimulateKeys[] = {"simulate.bits", "simulate.group_size",
                                         "simulate.symmetric", "simulate.skip"};

[[noreturn]] void refuse(const char* key, const std::string& text) {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, key, text);
}

/// NF4 has one width, one block size and no sign choice; a table that asks for others means
/// something else.
void check_nf4(const assay::Context& context) {
  if (context.has("simulate.bits") && context.integer("simulate.bits") != 4) {
    refuse("simulate.bits", "nf4 has 4 bits, got " +
                                std::to_string(context.integer("simulate.bits")) +
                                "; leave bits out or use method = \"rtn\"");
  }
  if (context.has("simulate.group_size") &&
      context.integer("simulate.group_size") != std::int64_t{assay_torch::kNf4Block}) {
    refuse("simulate.group_size", "nf4 has blocks of 64, got " +
                                      std::to_string(context.integer("simulate.group_size")) +
                                      "; leave group_size out or use method = \"rtn\"");
  }
  if (context.has("simulate.symmetric")) {
    refuse("simulate.symmetric",
           "nf4 has a fixed table and no zero to choose; leave symmetric out");
  }
}

std::optional<assay_torch::Simulation> read_simulation(const assay::Context& context) {
  if (!context.has("simulate.method")) {
    for (const char* key : kSimulateKeys) {
      if (context.has(key))
        refuse("simulate.method",
               "is missing beside " + std::string(key) + "; expected rtn or nf4");
    }
    return std::nullopt;
  }
  assay_torch::Simulation simulation;
  simulation.skip = context.has("simulate.skip") ? context.texts("simulate.skip")
                                                 : std::vector<std::string>{"lm_head"};
  if (context.text("simulate.method") == "nf4") {
    check_nf4(context);
    simulation.method = assay_torch::Method::kNf4;
    return simulation;
  }
  if (context.has("simulate.bits"))
    simulation.rtn.bits = static_cast<int>(context.integer("simulate.bits"));
  if (context.has("simulate.group_size"))
    simulation.rtn.group_size = context.integer("simulate.group_size");
  if (context.has("simulate.symmetric"))
    simulation.rtn.symmetric = context.flag("simulate.symmetric");
  return simulation;
}

/// "auto" is what config.json says the weights are.
at::ScalarType dtype_of(const std::string& option, const std::string& stored) {
  const std::string& name = option == "auto" ? stored : option;
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16") return at::kHalf;
  refuse("dtype", name.empty() ? "config.json does not say which; use a dtype instead of \"auto\""
                               : "config.json says \"" + name +
                                     "\"; use \"float32\", \"bfloat16\" or \"float16\"");
}

assay_torch::ZeroWrap zero_wrap_of(const assay::Context& context) {
  const auto name = context.text("gptq.zero_wrap");
  if (name == "carry") return assay_torch::ZeroWrap::kCarry;
  return name == "none" ? assay_torch::ZeroWrap::kNone : assay_torch::ZeroWrap::kMask;
}

assay_torch::LinearSettings linear_settings(const assay::Context& context,
                                            const at::TensorOptions& options) {
  assay_torch::LinearSettings settings(options);
  settings.is_packed = context.text("mode") == "packed";
  settings.quantizes_activations = context.flag("quantize_activations");
  return settings;
}

at::Device device_of(const assay_device& device) {
  if (device.type == 1) return at::kCPU;
  if (device.type == 2 && at::hasCUDA())
    return {at::kCUDA, static_cast<at::DeviceIndex>(device.id)};
  throw assay::Error(
      ASSAY_UNAVAILABLE, "device",
      "this libtorch computes on the CPU only; leave device out or use device = \"cpu\"");
}

struct Torch : assay::Backend {
  static constexpr assay::Info info{"assay/torch", "1.0.0",
                                    "Decoder checkpoints in the Hugging Face form, on libtorch",
                                    ASSAY_CAP_SCORE | ASSAY_CAP_LOGITS | ASSAY_CAP_GENERATE |
                                        ASSAY_CAP_STREAMS | ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::choice("dtype", "\"float32\"", kDtypes,
                    "What weights are rounded to and computed with; auto: what config.json says. "
                    "Log-probabilities are summed in float32 whatever it is."),
      assay::integer("batch_tokens", "4096",
                     "The most tokens of one forward pass; a longer request is a pass of its own.")
          .in(1, 1 << 24),
      assay::integer("batch_sequences", "32", "The most sequences that generate together.")
          .in(1, 1 << 16),
      assay::size("cache_bytes", "\"1GiB\"",
                  "The most memory for keys and values of generated sequences; where it is short "
                  "fewer generate together, and a request that alone exceeds it fails.")
          .in(1, 0x1p50),
      assay::choice("mode", "\"materialize\"", kModes,
                    "What becomes of quantized weights: values of the dtype, once, or codes that "
                    "are computed with as they are."),
      assay::flag("quantize_activations", "true",
                  "Whether layers that are made for quantized activations (W8A8, FP8, LLM.int8) "
                  "quantize them."),
      assay::choice("gptq.zero_wrap", "\"mask\"", kZeroWraps,
                    "GPTQ v1 files hold zero points less one. The largest field then means: mask: "
                    "0; carry: 0, and one more in the next field; none: 2^bits."),
      assay::choice("simulate.method", nullptr, kMethods,
                    "Round the blocks' linear layers on load: rtn (round to nearest) or nf4. "
                    "Without a simulate table: no rounding.")
          .required(),
      assay::integer("simulate.bits", nullptr, "rtn: bits per weight, 4 unless given.")
          .in(2, 8)
          .optional(),
      assay::integer(
          "simulate.group_size", nullptr,
          "rtn: weights of a row that share a scale, 128 unless given; 0 or -1: the whole row.")
          .in(-1, 1 << 24)
          .optional(),
      assay::flag("simulate.symmetric", nullptr,
                  "rtn: a range symmetric around zero, false unless given.")
          .optional(),
      assay::texts("simulate.skip", nullptr,
                   "Modules left alone: parts of names, or whole names with * and ?; [\"lm_head\"] "
                   "unless given.")
          .optional()};

  explicit Torch(assay::Context context)
      : context_(std::move(context)),
        schedule_{.pass_tokens = context_.integer("batch_tokens"),
                  .sequences = context_.integer("batch_sequences"),
                  .cache_bytes = static_cast<std::int64_t>(context_.size("cache_bytes")),
                  .cancelled = [this] { return context_.cancelled(); },
                  .cache_use = &cache_use_},
        dtype_(context_.text("dtype")),
        simulation_(read_simulation(context_)),
        zero_wrap_(zero_wrap_of(context_)),
        linear_(linear_settings(context_, {})),
        device_(device_of(context_.resources().device)) {}

  void load(const assay_job& job, assay_model_info& model) {
    const c10::InferenceMode guard;
    use_granted_threads();
    const std::string dir(assay::view_of(job.model_dir));
    const assay_torch::DecoderSpec spec = assay_torch::read_spec(dir);
    const auto dtype = dtype_of(dtype_, spec.dtype);
    const auto quantized = assay_torch::QuantizedCheckpoint::open(dir, zero_wrap_);
    assay_torch::LinearSettings linear = linear_;
    linear.options = at::TensorOptions(device_).dtype(dtype);
    assay_torch::LoadedModel loaded =
        assay_torch::load_model(spec, assay_torch::Weights(dir, context_.resources().threads),
                                simulation_, linear, quantized ? &*quantized : nullptr);
    if (quantized) context_.log(ASSAY_INFO, "weights are " + quantized->describe());
    model.vocab = static_cast<std::uint32_t>(spec.vocab);
    model.max_context = static_cast<std::uint64_t>(spec.max_context);
    model.weight_bytes = (loaded.stored_bits + 7) / 8;
    model.bits_per_weight =
        static_cast<double>(loaded.stored_bits) / static_cast<double>(loaded.parameters);
    model.bos = spec.bos;
    model.eos = spec.eos;
    weight_bytes_ = assay_torch::weight_bytes(loaded.decoder);
    cache_token_bytes_ = assay_torch::cache_bytes_per_token(
        spec, static_cast<std::int64_t>(c10::elementSize(dtype)));
    decoder_ = std::move(loaded.decoder);
  }

  void run(const assay::Batch& batch, assay::Sink& sink) {
    const c10::InferenceMode guard;
    use_granted_threads();
    assay_torch::answer(*decoder_, batch.raw(), sink.raw(), schedule_);
  }

  static void check(const assay::Context& context, assay::Diagnostics& found) {
    try {
      read_simulation(context);
    } catch (const assay::Error& failure) {
      found.error(failure);
    }
  }

  /// Weights and caches as they are counted here; what libtorch's allocator takes besides is not
  /// known.
  assay::Memory memory(std::uint64_t nth) const {
    const assay_resources& granted = context_.resources();
    if (nth > granted.n_devices)
      throw assay::Error(ASSAY_NOT_FOUND, "nth", "there is no device " + std::to_string(nth));
    const bool is_own = nth == 0;
    assay::Memory memory(nth < granted.n_devices ? granted.devices[nth] : assay_device{1, 0});
    // On the CPU the one device is the host itself, which tells nothing a second time.
    memory.weights = is_own ? weight_bytes_.load() : 0;
    memory.kv = is_own ? cache_use_.bytes.load() : 0;
    memory.kv_peak = is_own ? cache_use_.peak_bytes.load() : 0;
    if (is_own && cache_token_bytes_ > 0)
      memory.kv_per_token = static_cast<double>(cache_token_bytes_);
    return memory;
  }
  void reset_memory_peaks() { cache_use_.peak_bytes = cache_use_.bytes.load(); }

  /// Weights in the dtype, the chunks of the output layer (logits and log-probabilities), and what
  /// is generated behind. Below float32 the largest matrix and a chunk of logits exist widened too.
  static void estimate(const assay::Context& context, const assay_job& job, assay_resources& need) {
    const std::string dir(assay::view_of(job.model_dir));
    const assay_torch::DecoderSpec spec = assay_torch::read_spec(dir);
    const auto chunk =
        static_cast<std::uint64_t>(assay_torch::rows_per_chunk(spec.vocab) * spec.vocab);
    const auto dtype = dtype_of(context.text("dtype"), spec.dtype);
    const std::uint64_t size = c10::elementSize(dtype);
    const auto quantized = assay_torch::QuantizedCheckpoint::open(dir, zero_wrap_of(context));
    const auto embedding = static_cast<std::uint64_t>(spec.vocab * spec.embedding_width);
    need.host_bytes =
        assay_torch::estimated_bytes(spec, assay_torch::Weights(dir),
                                     linear_settings(context, at::TensorOptions().dtype(dtype)),
                                     quantized ? &*quantized : nullptr) +
        size * chunk + 4 * chunk;
    if (size < 4) need.host_bytes += 4 * (embedding + chunk);
    if ((job.want & ASSAY_CAP_GENERATE) != 0)
      need.host_bytes += cache_need(context, job, spec, size);
  }

 private:
  static std::uint64_t cache_need(const assay::Context& context, const assay_job& job,
                                  const assay_torch::DecoderSpec& spec,
                                  std::uint64_t element_bytes) {
    const auto sequences = static_cast<std::uint64_t>(context.integer("batch_sequences"));
    const auto longest = static_cast<std::uint64_t>(spec.max_context);
    const std::uint64_t tokens = job.context == 0 ? longest : std::min(job.context, longest);
    const auto token_bytes = static_cast<std::uint64_t>(
        assay_torch::cache_bytes_per_token(spec, static_cast<std::int64_t>(element_bytes)));
    return std::min(context.size("cache_bytes"), sequences * tokens * token_bytes);
  }

  // The count is the process's, so another instance may have changed it.
  void use_granted_threads() const {
    at::set_num_threads(static_cast<int>(std::max(context_.resources().threads, std::uint32_t{1})));
  }

  assay::Context context_;
  assay_torch::ScheduleSettings schedule_;
  std::string dtype_;
  std::optional<assay_torch::Simulation> simulation_;
  assay_torch::ZeroWrap zero_wrap_;
  assay_torch::LinearSettings linear_;  ///< without dtype and device
  at::Device device_;
  std::optional<assay_torch::Decoder> decoder_;
  std::atomic<std::uint64_t> weight_bytes_ = 0;  // 0 before load
  std::atomic<std::int64_t> cache_token_bytes_ = 0;
  assay_torch::CacheUse cache_use_;
};

}  // namespace

ASSAY_PLUGIN("assay/torch", "1.0.0", "assay", "Apache-2.0", Torch)
