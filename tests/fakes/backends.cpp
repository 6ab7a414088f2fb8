// Small deterministic backends on the bare C ABI, for host tests without a model. Faults are asked
// for by option; a backend that is wrong in itself belongs in broken/.
#include <assay/abi.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

constexpr double kNoBound = std::numeric_limits<double>::infinity();

// The options both components declare.
constexpr assay_option number_option(assay_type type, const char* name, const char* fallback,
                                     double lo, double hi, const char* help) {
  return {sizeof(assay_option), type, 0, name, help, fallback, nullptr, lo, hi};
}

constexpr assay_option kVocab =
    number_option(ASSAY_INT, "vocab", "256", 2, 1 << 20, "Vocabulary size.");
constexpr assay_option kMaxContext =
    number_option(ASSAY_INT, "max_context", "2048", 1, kNoBound, "Longest sequence, in tokens.");
constexpr assay_option kBits =
    number_option(ASSAY_FLOAT, "bits", "0.0", 0, 64, "Bits per weight it claims to have.");
constexpr assay_option kBos =
    number_option(ASSAY_INT, "bos", "-1", -1, 1 << 20, "Token that begins a sequence; -1: none.");
constexpr assay_option kEos =
    number_option(ASSAY_INT, "eos", "-1", -1, 1 << 20, "Token that ends a sequence; -1: none.");
constexpr assay_option kNoise = number_option(ASSAY_FLOAT, "noise", "0.0", 0, 100,
                                              "Size of a fixed disturbance of every logit.");
constexpr assay_option kChunk =
    number_option(ASSAY_INT, "chunk", "0", 0, kNoBound, "Scores pushed at once; 0: all.");
constexpr assay_option kFailAfter =
    number_option(ASSAY_INT, "fail_after", "-1", -1, kNoBound,
                  "Requests answered before run fails; -1: it does not fail.");
constexpr assay_option kRefuseEvery = number_option(ASSAY_INT, "refuse_every", "0", 0, kNoBound,
                                                    "Every n-th request is refused; 0: none.");
constexpr assay_option kSlowMs =
    number_option(ASSAY_INT, "slow_ms", "0", 0, kNoBound, "Milliseconds spent on each request.");

constexpr assay_option kAnswer = {sizeof(assay_option),
                                  ASSAY_INTS,
                                  0,
                                  "answer",
                                  "Tokens it says whatever is asked; empty: the likeliest ones.",
                                  "[]",
                                  nullptr,
                                  0,
                                  1 << 20};
constexpr const char* kFaults[] = {"none",     "done_twice",      "foreign_id", "no_done",
                                   "no_usage", "too_many_tokens", nullptr};
constexpr assay_option kFault = {
    sizeof(assay_option), ASSAY_CHOICE, 0, "fault", "The rule of the result sink that it breaks.",
    "\"none\"",           kFaults,      1, 0};

constexpr const assay_option* kOptions[] = {&kVocab,       &kMaxContext, &kBits,   &kBos,
                                            &kEos,         &kNoise,      &kChunk,  &kFailAfter,
                                            &kRefuseEvery, &kSlowMs,     &kAnswer, &kFault};

struct Fake {
  const assay_host* host = nullptr;
  bool is_uniform = false;
  bool is_loaded = false;
  std::int64_t vocab = 0, max_context = 0, bos = 0, eos = 0;
  std::int64_t chunk = 0, fail_after = 0, refuse_every = 0, slow_ms = 0;
  double bits = 0, noise = 0;
  std::int64_t n_seen = 0;
  std::vector<std::int32_t> answer;
  std::string fault;

  struct Next {
    double log_sum = 0;  ///< of the exponentials of all logits after this token
    std::int32_t best = 0;
  };
  std::unordered_map<std::int32_t, Next> after;
};

[[gnu::format(printf, 4, 5)]] assay_status put(assay_error* error, assay_status code,
                                               const char* where, const char* format, ...) {
  error->code = code;
  std::snprintf(error->where, sizeof error->where, "%s", where);
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(error->text, sizeof error->text, format, arguments);
  va_end(arguments);
  return code;
}

// splitmix64: the finalizer of Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators" (2014). Any fixed mixing would do.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// A number in [0, 1) that depends on nothing but its arguments.
double fraction(std::int32_t previous, std::int32_t token, std::uint64_t stream) {
  const auto pair = static_cast<std::uint64_t>(static_cast<std::uint32_t>(previous)) << 32 |
                    static_cast<std::uint32_t>(token);
  return static_cast<double>(mix(pair ^ mix(stream)) >> 11) * 0x1p-53;
}

double logit(const Fake& fake, std::int32_t previous, std::int32_t token) {
  const double clean = fake.is_uniform ? 0.0 : 6.0 * fraction(previous, token, 1);
  return clean + fake.noise * fraction(previous, token, 2);
}

const Fake::Next& next_of(Fake& fake, std::int32_t previous) {
  const auto [entry, is_new] = fake.after.try_emplace(previous);
  if (!is_new) return entry->second;
  double best = -kNoBound;
  double sum = 0;
  for (std::int32_t token = 0; token < fake.vocab; ++token) {
    const double value = logit(fake, previous, token);
    sum += std::exp(value);
    if (value > best) {
      best = value;
      entry->second.best = token;
    }
  }
  entry->second.log_sum = std::log(sum);
  return entry->second;
}

assay_status read_options(Fake& fake, const assay_config* config, assay_error* error) {
  const assay_host& host = *fake.host;
  const struct {
    const char* key;
    std::int64_t* out;
  } integers[] = {{"vocab", &fake.vocab},
                  {"max_context", &fake.max_context},
                  {"bos", &fake.bos},
                  {"eos", &fake.eos},
                  {"chunk", &fake.chunk},
                  {"fail_after", &fake.fail_after},
                  {"refuse_every", &fake.refuse_every},
                  {"slow_ms", &fake.slow_ms}};
  for (const auto& [key, out] : integers) {
    const assay_status status = host.get_int(config, key, out);
    if (status != ASSAY_OK) return put(error, status, key, "cannot be read as an integer");
  }
  const struct {
    const char* key;
    double* out;
  } numbers[] = {{"bits", &fake.bits}, {"noise", &fake.noise}};
  for (const auto& [key, out] : numbers) {
    const assay_status status = host.get_float(config, key, out);
    if (status != ASSAY_OK) return put(error, status, key, "cannot be read as a number");
  }
  assay_str fault{};
  assay_status status = host.get_text(config, "fault", &fault);
  if (status != ASSAY_OK) return put(error, status, "fault", "cannot be read as a text");
  fake.fault.assign(fault.ptr, fault.len);
  std::uint64_t n = 0;
  status = host.get_count(config, "answer", &n);
  for (std::uint64_t i = 0; status == ASSAY_OK && i < n; ++i) {
    std::int64_t token = 0;
    status = host.get_int(config, ("answer." + std::to_string(i)).c_str(), &token);
    fake.answer.push_back(static_cast<std::int32_t>(token));
  }
  if (status != ASSAY_OK) return put(error, status, "answer", "cannot be read as integers");
  return ASSAY_OK;
}

assay_status create(bool is_uniform, const assay_host* host, const assay_config* config,
                    void** self, assay_error* error) {
  auto* fake = new (std::nothrow) Fake;
  if (fake == nullptr) return put(error, ASSAY_RESOURCE_EXHAUSTED, "", "out of memory");
  fake->host = host;
  fake->is_uniform = is_uniform;
  const assay_status status = read_options(*fake, config, error);
  if (status != ASSAY_OK) {
    delete fake;
    return status;
  }
  *self = fake;
  return ASSAY_OK;
}

assay_status create_uniform(const assay_host* host, const assay_config* config,
                            const assay_resources*, void** self, assay_error* error) noexcept {
  return create(true, host, config, self, error);
}

assay_status create_hash(const assay_host* host, const assay_config* config, const assay_resources*,
                         void** self, assay_error* error) noexcept {
  return create(false, host, config, self, error);
}

void destroy(void* self) noexcept { delete static_cast<Fake*>(self); }

assay_status estimate(const assay_host* host, const assay_config* config, const assay_job*,
                      assay_resources* need, assay_error* error) noexcept {
  std::int64_t vocab = 0;
  const assay_status status = host->get_int(config, "vocab", &vocab);
  if (status != ASSAY_OK) return put(error, status, "vocab", "cannot be read as an integer");
  need->threads = 1;
  need->host_bytes = static_cast<std::uint64_t>(vocab) * 32;
  need->device_bytes = 0;
  need->n_devices = 1;
  return ASSAY_OK;
}

assay_status load(void* self, const assay_job* job, assay_model_info* info,
                  assay_error* error) noexcept {
  Fake& fake = *static_cast<Fake*>(self);
  if (fake.is_loaded) return put(error, ASSAY_FAILED_PRECONDITION, "", "is loaded already");
  if (job->context > static_cast<std::uint64_t>(fake.max_context)) {
    return put(error, ASSAY_INVALID_ARGUMENT, "max_context",
               "sequences of %llu tokens are over the longest, %lld",
               static_cast<unsigned long long>(job->context),
               static_cast<long long>(fake.max_context));
  }
  fake.is_loaded = true;
  info->vocab = static_cast<std::uint32_t>(fake.vocab);
  info->max_context = static_cast<std::uint64_t>(fake.max_context);
  info->weight_bytes = static_cast<std::uint64_t>(static_cast<double>(fake.vocab) * fake.bits / 8);
  info->bits_per_weight = fake.bits;
  info->bos = static_cast<std::int32_t>(fake.bos);
  info->eos = static_cast<std::int32_t>(fake.eos);
  return ASSAY_OK;
}

bool is_cancelled(const Fake& fake) { return fake.host->cancelled(fake.host) != 0; }

/// Sleeps in short steps, so that a cancelled run ends soon.
void be_slow(const Fake& fake) {
  using std::chrono::milliseconds;
  for (std::int64_t left_ms = fake.slow_ms; left_ms > 0 && !is_cancelled(fake); left_ms -= 5) {
    std::this_thread::sleep_for(milliseconds(std::min<std::int64_t>(left_ms, 5)));
  }
}

assay_status check_request(const Fake& fake, const assay_request& request, assay_error* error) {
  const bool generates = request.kind == ASSAY_REQ_GENERATE && !fake.is_uniform;
  if (request.kind != ASSAY_REQ_SCORE && !generates) {
    return put(error, ASSAY_UNIMPLEMENTED, "kind", "requests of kind %d are not answered",
               request.kind);
  }
  if (request.first == 0 || request.first > request.n_tokens) {
    return put(error, ASSAY_INVALID_ARGUMENT, "first", "%llu is not in 1 to %llu",
               static_cast<unsigned long long>(request.first),
               static_cast<unsigned long long>(request.n_tokens));
  }
  if (request.n_tokens > static_cast<std::uint64_t>(fake.max_context)) {
    return put(error, ASSAY_INVALID_ARGUMENT, "n_tokens", "%llu tokens are over max_context, %lld",
               static_cast<unsigned long long>(request.n_tokens),
               static_cast<long long>(fake.max_context));
  }
  for (std::uint64_t i = 0; i < request.n_tokens; ++i) {
    if (request.tokens[i] < 0 || request.tokens[i] >= fake.vocab) {
      return put(error, ASSAY_INVALID_ARGUMENT, "tokens",
                 "token %d at position %llu is outside the vocabulary of %lld", request.tokens[i],
                 static_cast<unsigned long long>(i), static_cast<long long>(fake.vocab));
    }
  }
  return ASSAY_OK;
}

void push_scores(Fake& fake, const assay_request& request, const assay_result_sink& sink) {
  const std::uint64_t n = request.n_tokens - request.first;
  std::vector<float> logprobs(n);
  std::vector<std::uint8_t> greedy(n);
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::int32_t previous = request.tokens[request.first + i - 1];
    const std::int32_t token = request.tokens[request.first + i];
    const Fake::Next& next = next_of(fake, previous);
    logprobs[i] = static_cast<float>(logit(fake, previous, token) - next.log_sum);
    greedy[i] = token == next.best ? 1 : 0;
  }
  const std::uint64_t step = fake.chunk > 0 ? static_cast<std::uint64_t>(fake.chunk) : n;
  for (std::uint64_t i = 0; i < n; i += step) {
    const std::uint64_t length = std::min(step, n - i);
    const float* scores = request.want & ASSAY_WANT_LOGPROBS ? logprobs.data() + i : nullptr;
    const std::uint8_t* flags = request.want & ASSAY_WANT_GREEDY ? greedy.data() + i : nullptr;
    if (sink.scores(sink.ctx, request.id, request.first + i, scores, flags, length) != 0) return;
  }
}

/// Drawn by the seed alone where the temperature is not 0: any token, each as likely.
std::int32_t next_token(Fake& fake, const assay_request& request, std::int32_t previous,
                        std::uint64_t step) {
  if (step < fake.answer.size()) return fake.answer[step];
  if (request.sampling->temperature == 0) return next_of(fake, previous).best;
  return static_cast<std::int32_t>(mix(request.sampling->seed + step) %
                                   static_cast<std::uint64_t>(fake.vocab));
}

/// Only stops of one token are looked for.
bool is_stop(const assay_sampling& sampling, std::int32_t token) {
  for (const std::int32_t* const* stop = sampling.stops; *stop != nullptr; ++stop) {
    if ((*stop)[0] == token && (*stop)[1] == -1) return true;
  }
  return false;
}

void push_tokens(Fake& fake, const assay_request& request, const assay_result_sink& sink,
                 assay_usage& usage) {
  const assay_sampling& sampling = *request.sampling;
  const std::uint32_t most = sampling.max_new + (fake.fault == "too_many_tokens" ? 1 : 0);
  std::int32_t token = request.tokens[request.n_tokens - 1];
  usage.finish = 2;
  while (usage.new_tokens < most) {
    token = next_token(fake, request, token, usage.new_tokens++);
    const bool goes_on = sink.tokens(sink.ctx, request.id, &token, nullptr, 1) == 0;
    const bool stops = usage.new_tokens >= sampling.min_new && is_stop(sampling, token);
    if (!goes_on || stops) {
      usage.finish = stops ? 1 : 3;
      return;
    }
  }
}

/// Everything that can refuse one request, in the order in which it is tried.
assay_status answer(Fake& fake, const assay_request& request, const assay_result_sink& sink,
                    assay_usage& usage, assay_error* error) {
  ++fake.n_seen;
  be_slow(fake);
  if (is_cancelled(fake)) return put(error, ASSAY_CANCELLED, "", "cancelled");
  if (fake.refuse_every > 0 && fake.n_seen % fake.refuse_every == 0) {
    return put(error, ASSAY_RESOURCE_EXHAUSTED, "refuse_every", "refuses every %lld. request",
               static_cast<long long>(fake.refuse_every));
  }
  const assay_status status = check_request(fake, request, error);
  if (status != ASSAY_OK) return status;
  if (request.kind == ASSAY_REQ_GENERATE) {
    push_tokens(fake, request, sink, usage);
  } else {
    push_scores(fake, request, sink);
  }
  return ASSAY_OK;
}

assay_status run(void* self, const assay_batch* batch, const assay_result_sink* sink,
                 assay_error* error) noexcept {
  Fake& fake = *static_cast<Fake*>(self);
  if (!fake.is_loaded) return put(error, ASSAY_FAILED_PRECONDITION, "", "run before load");
  for (std::uint64_t i = 0; i < batch->n; ++i) {
    if (fake.fail_after >= 0 && fake.n_seen >= fake.fail_after) {
      return put(error, ASSAY_INTERNAL, "fail_after", "fails after %lld requests, as asked",
                 static_cast<long long>(fake.fail_after));
    }
    const assay_request& request = *ASSAY_REQUEST(batch, i);
    assay_error failure{};
    failure.struct_size = sizeof failure;
    assay_usage usage{};
    usage.struct_size = sizeof usage;
    usage.prompt_tokens = request.n_tokens;
    const bool is_ok = answer(fake, request, *sink, usage, &failure) == ASSAY_OK;
    if (fake.fault == "no_done") continue;
    const std::uint64_t id = request.id + (fake.fault == "foreign_id" ? 1'000'000 : 0);
    const bool has_usage = is_ok && fake.fault != "no_usage";
    const int times = fake.fault == "done_twice" ? 2 : 1;
    for (int done = 0; done < times; ++done) {
      sink->done(sink->ctx, id, is_ok ? nullptr : &failure, has_usage ? &usage : nullptr);
    }
  }
  return ASSAY_OK;
}

constexpr assay_backend_v1 kApi = {sizeof(assay_backend_v1), 0, estimate, load, nullptr, run};

constexpr assay_component component(const char* id, const char* summary, std::uint64_t caps,
                                    decltype(assay_component::create) create_function) {
  return {sizeof(assay_component),
          ASSAY_BACKEND,
          id,
          "1.0.0",
          summary,
          ASSAY_CAP_DETERMINISTIC | ASSAY_CAP_SCORE | caps,
          kOptions,
          sizeof kOptions / sizeof kOptions[0],
          nullptr,
          0,
          nullptr,
          0,
          create_function,
          destroy,
          &kApi,
          nullptr,
          0};
}

constexpr assay_component kUniform =
    component("fake/uniform", "Every token equally likely", 0, create_uniform);
constexpr assay_component kHash = component("fake/hash", "A fixed distribution after each token",
                                            ASSAY_CAP_GENERATE | ASSAY_CAP_STREAMS, create_hash);
constexpr const assay_component* kComponents[] = {&kUniform, &kHash};

}  // namespace

ASSAY_NOTE("fake/backends");

extern "C" {
ASSAY_EXPORT extern const assay_plugin assay_plugin_v1;
const assay_plugin assay_plugin_v1 = {sizeof(assay_plugin),
                                      ASSAY_ABI_MAJOR,
                                      ASSAY_ABI_MINOR,
                                      "fake/backends",
                                      "1.0.0",
                                      "fake",
                                      "Apache-2.0",
                                      __VERSION__,
                                      kComponents,
                                      sizeof kComponents / sizeof kComponents[0]};
}
