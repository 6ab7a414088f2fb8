#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
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
#include "quantize/options.hpp"
#include "quantize/pipeline.hpp"
#include "quantize/write.hpp"
#include "schedule/answer.hpp"
#include "schedule/generate.hpp"

namespace {

constexpr const char* kDtypes[] = {"float32", "bfloat16", "float16", "auto", nullptr};
constexpr const char* kModes[] = {"materialize", "packed", nullptr};
constexpr const char* kZeroWraps[] = {"mask", "carry", "none", nullptr};
constexpr const char* kMethods[] = {"rtn",  "gptq", "awq", "nf4",  "fp4",
                                    "int8", "w8a8", "fp8", nullptr};
constexpr const char* kScopes[] = {"tensor", "channel", "block", nullptr};

[[noreturn]] void refuse(const char* key, const std::string& text) {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, key, text);
}

/// What is made of the weights: rounded on load ("simulate"), written ("quantize"), or nothing.
std::optional<assay_torch::Recipe> read_recipe(const assay::Context& context) {
  auto simulated = assay_torch::read_recipe(context, "simulate");
  auto written = assay_torch::read_recipe(context, "quantize");
  if (simulated && written) {
    refuse("simulate.method",
           "stands beside quantize; a model is either rounded on load or written, so use one");
  }
  return simulated ? simulated : written;
}

std::optional<assay_torch::Calibration> calibration_of(const assay_job& job) {
  if (!ASSAY_HAS(assay_job, &job, calibration) || job.calibration == nullptr) return std::nullopt;
  assay_torch::Calibration out;
  for (const assay::Request& request : assay::Batch(*job.calibration)) {
    const auto tokens = assay::tokens_of(request);
    out.emplace_back(tokens.begin(), tokens.end());
  }
  return out;
}

std::uint64_t calibration_tokens(const assay_job& job) {
  if (!ASSAY_HAS(assay_job, &job, calibration) || job.calibration == nullptr) return 0;
  std::uint64_t out = 0;
  for (const assay::Request& request : assay::Batch(*job.calibration)) out += request.n_tokens;
  return out;
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
  const int count = at::detail::getCUDAHooks().getNumGPUs();
  if (device.type != 2 || device.id >= count) {
    throw assay::Error(
        ASSAY_UNAVAILABLE, "device",
        "cuda:" + std::to_string(device.id) + " cannot be used, assay/torch finds " +
            (count > 0 ? std::to_string(count) + " CUDA devices"
                       : "no CUDA device (it needs a driver and a build with ASSAY_CUDA=ON)") +
            "; leave device out or use device = \"cpu\"");
  }
  // Sums are float32 whatever the dtype, and cuDNN attends where decoder/cudnn_attention.hpp says
  // so and nowhere else.
  at::globalContext().setAllowFP16ReductionCuBLAS(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  at::globalContext().setSDPUseCuDNN(false);
  return {at::kCUDA, static_cast<at::DeviceIndex>(device.id)};
}

struct Torch : assay::Backend {
  static constexpr assay::Info info{
      "assay/torch", "1.0.0", "Decoder checkpoints in the Hugging Face form, on libtorch",
      ASSAY_CAP_SCORE | ASSAY_CAP_LOGITS | ASSAY_CAP_GENERATE | ASSAY_CAP_STREAMS |
          ASSAY_CAP_QUANTIZE | ASSAY_CAP_DETERMINISTIC};
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
#define ASSAY_RECIPE_OPTIONS(table, what)                                                          \
  assay::choice(table ".method", nullptr, kMethods,                                                \
                what                                                                               \
                ": rtn (round to nearest), gptq, awq, nf4, fp4, int8 (LLM.int8), w8a8 or fp8. "    \
                "Without the table: nothing is.")                                                  \
      .required(),                                                                                 \
      assay::integer(                                                                              \
          table ".bits", nullptr,                                                                  \
          "rtn, gptq, awq: bits per weight, 4 unless given; rtn up to 16, others to 8.")           \
          .in(2, 16)                                                                               \
          .optional(),                                                                             \
      assay::integer(                                                                              \
          table ".group_size", nullptr,                                                            \
          "rtn, gptq, awq: weights of a row that share a scale, 128 unless given; 0 or "           \
          "-1: the whole row.")                                                                    \
          .in(-1, 1 << 24)                                                                         \
          .optional(),                                                                             \
      assay::flag(table ".symmetric", nullptr,                                                     \
                  "rtn, gptq, awq: a range symmetric around zero, false unless given.")            \
          .optional(),                                                                             \
      assay::flag(table ".act_order", nullptr,                                                     \
                  "gptq: columns of the largest activations first, false unless given.")           \
          .optional(),                                                                             \
      assay::flag(table ".group_aware", nullptr,                                                   \
                  "gptq: the same within groups and of whole groups, which needs no g_idx; false " \
                  "unless given.")                                                                 \
          .optional(),                                                                             \
      assay::flag(table ".static_groups", nullptr,                                                 \
                  "gptq: scales from the weights as they were, false unless given.")               \
          .optional(),                                                                             \
      assay::flag(                                                                                 \
          table ".true_sequential", nullptr,                                                       \
          "gptq: later layers of a block see the earlier ones quantized, true unless given.")      \
          .optional(),                                                                             \
      assay::number(table ".damping", nullptr,                                                     \
                    "gptq: share of the mean of the Hessian's diagonal added to it, 0.01 unless "  \
                    "given.")                                                                      \
          .in(0, 1000)                                                                             \
          .optional(),                                                                             \
      assay::flag(table ".clip", nullptr,                                                          \
                  "awq: search for smaller ranges too, true unless given.")                        \
          .optional(),                                                                             \
      assay::flag(table ".duo_scaling", nullptr,                                                   \
                  "awq: weights take part in the scales, true unless given.")                      \
          .optional(),                                                                             \
      assay::flag(table ".double_quantization", nullptr,                                           \
                  "nf4, fp4: block scales are quantized too, false unless given.")                 \
          .optional(),                                                                             \
      assay::number(table ".threshold", nullptr,                                                   \
                    "int8: entries of activations this large stay in 16 bits, 6 unless given.")    \
          .in(0.001, 65504)                                                                        \
          .optional(),                                                                             \
      assay::number(table ".smoothing", nullptr,                                                   \
                    "w8a8: SmoothQuant's alpha; without it nothing is smoothed.")                  \
          .in(0, 1)                                                                                \
          .optional(),                                                                             \
      assay::choice(table ".scope", nullptr, kScopes,                                              \
                    "fp8: what shares a scale: the tensor, a channel (unless given), or a block "  \
                    "of 128 by 128.")                                                              \
          .optional(),                                                                             \
      assay::texts(table ".skip", nullptr,                                                         \
                   "Modules left alone: parts of names, or whole names with * and ?; "             \
                   "[\"lm_head\"] unless this or only is given.")                                  \
          .optional(),                                                                             \
      assay::texts(table ".only", nullptr, "Modules quantized, and no others; all unless given.")  \
          .optional(),                                                                             \
      assay::texts(table ".overrides[].modules", nullptr,                                          \
                   "Modules with settings of their own; the first entry that names one counts.")   \
          .required(),                                                                             \
      assay::integer(table ".overrides[].bits", nullptr, "rtn, gptq, awq: their bits per weight.") \
          .in(2, 16)                                                                               \
          .optional(),                                                                             \
      assay::integer(table ".overrides[].group_size", nullptr, "rtn, gptq, awq: their groups.")    \
          .in(-1, 1 << 24)                                                                         \
          .optional(),                                                                             \
      assay::flag(table ".overrides[].keep", nullptr, "They stay as they are.").optional()
      ASSAY_RECIPE_OPTIONS("simulate", "How the blocks' linear layers are rounded on load"),
      ASSAY_RECIPE_OPTIONS("quantize", "How the blocks' linear layers are quantized and written")};
#undef ASSAY_RECIPE_OPTIONS

  explicit Torch(assay::Context context)
      : context_(std::move(context)),
        schedule_{.pass_tokens = context_.integer("batch_tokens"),
                  .sequences = context_.integer("batch_sequences"),
                  .cache_bytes = static_cast<std::int64_t>(context_.size("cache_bytes")),
                  .cancelled = [this] { return context_.cancelled(); },
                  .cache_use = &cache_use_},
        dtype_(context_.text("dtype")),
        recipe_(read_recipe(context_)),
        zero_wrap_(zero_wrap_of(context_)),
        linear_(linear_settings(context_, {})),
        device_(device_of(context_.resources().device)) {}

  void load(const assay_job& job, assay_model_info& model) {
    const c10::InferenceMode guard;
    use_granted_threads();
    const std::string dir(assay::view_of(job.model_dir));
    const assay_torch::DecoderSpec spec = assay_torch::read_spec(dir);
    const auto dtype = dtype_of(dtype_, spec.dtype);
    assay_torch::LinearSettings linear = linear_;
    linear.options = at::TensorOptions(device_).dtype(dtype);
    const auto quantized = assay_torch::QuantizedCheckpoint::open(dir, zero_wrap_);
    const bool is_simulated = recipe_ && recipe_->table == "simulate";
    const auto calibration = is_simulated ? calibration_of(job) : std::nullopt;
    assay_torch::LoadedModel loaded = assay_torch::load_model(
        spec, assay_torch::Weights(dir, context_.resources().threads),
        is_simulated ? recipe_ : std::nullopt, linear, quantized ? &*quantized : nullptr,
        calibration ? &*calibration : nullptr, schedule_.pass_tokens, listener(job));
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

  void quantize(const assay_job& job) {
    const c10::InferenceMode guard;
    use_granted_threads();
    if (!recipe_ || recipe_->table != "quantize")
      refuse("quantize.method", "is missing, so there is nothing to write; give a quantize table");
    const std::string dir(assay::view_of(job.model_dir));
    const assay_torch::DecoderSpec spec = assay_torch::read_spec(dir);
    const auto calibration = calibration_of(job);
    const assay_torch::WriteJob written{
        .model_dir = dir,
        .out_dir = std::string(assay::view_of(job.out_dir)),
        .recipe = *recipe_,
        .settings = at::TensorOptions(device_).dtype(dtype_of(dtype_, spec.dtype)),
        .calibration = calibration ? &*calibration : nullptr,
        .pass_tokens = schedule_.pass_tokens,
        .threads = context_.resources().threads,
        .seed = context_.resources().seed,
        .quantizer = std::string(info.id) + ":" + info.version};
    assay_torch::write_quantized(spec, written, listener(job));
  }

  void run(const assay::Batch& batch, assay::Sink& sink) {
    const c10::InferenceMode guard;
    use_granted_threads();
    assay_torch::answer(*decoder_, batch.raw(), sink.raw(), schedule_);
  }

  static void check(const assay::Context& context, assay::Diagnostics& found) {
    try {
      read_recipe(context);
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
    const auto recipe = read_recipe(context);
    const std::uint64_t working =
        recipe ? assay_torch::working_bytes(spec, *recipe, size, calibration_tokens(job)) : 0;
    if ((job.want & ASSAY_CAP_QUANTIZE) != 0) {
      need.host_bytes = working;
      return;
    }
    const auto quantized = assay_torch::QuantizedCheckpoint::open(dir, zero_wrap_of(context));
    const auto embedding = static_cast<std::uint64_t>(spec.vocab * spec.embedding_width);
    need.host_bytes =
        assay_torch::estimated_bytes(spec, assay_torch::Weights(dir),
                                     linear_settings(context, at::TensorOptions().dtype(dtype)),
                                     quantized ? &*quantized : nullptr) +
        size * chunk + 4 * chunk;
    if (size < 4) need.host_bytes += 4 * (embedding + chunk);
    // What is rounded on load with a calibration holds its hidden states and Hessians besides.
    if (recipe && recipe->table == "simulate" && calibration_tokens(job) > 0)
      need.host_bytes += working;
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

  assay_torch::Listener listener(const assay_job& job) const {
    assay_torch::Listener out;
    out.progress = [this](double fraction, const std::string& what) {
      context_.progress(fraction, what);
    };
    out.checkpoint = [this] { context_.checkpoint(); };
    if (ASSAY_HAS(assay_job, &job, layers) && job.layers != nullptr) {
      out.value = [sink = job.layers](const std::string& layer, const char* name, double value) {
        sink->value(sink->ctx, assay::str_of(layer), name, value);
      };
    }
    return out;
  }

  // The count is the process's, so another instance may have changed it.
  void use_granted_threads() const {
    at::set_num_threads(static_cast<int>(std::max(context_.resources().threads, std::uint32_t{1})));
  }

  assay::Context context_;
  assay_torch::ScheduleSettings schedule_;
  std::string dtype_;
  std::optional<assay_torch::Recipe> recipe_;
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
