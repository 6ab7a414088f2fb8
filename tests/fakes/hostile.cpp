// A backend that breaks one thing, by option: for tests of what the host does about it. Bare, so
// that no layer mends it. What breaks already when a library is loaded is in hostile/.
#include <assay/abi.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <clocale>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr const char* kFaults[] = {"none",
                                   "throws",
                                   "aborts",
                                   "null_write",
                                   "stack_overflow",
                                   "exits",
                                   "hangs",
                                   "leaks_thread",
                                   "done_twice",
                                   "no_done",
                                   "unknown_id",
                                   "nan_scores",
                                   "positive_scores",
                                   "wrong_struct_size",
                                   "set_locale",
                                   "closes_files",
                                   "floods_log",
                                   "floods_stderr",
                                   "writes_past_ring",
                                   "writes_over_ring",
                                   "allocates",
                                   "forks",
                                   "ignores_cancel",
                                   nullptr};
constexpr assay_option kFault = {sizeof(assay_option), ASSAY_CHOICE, 0, "fault", "What it breaks.",
                                 "\"none\"",           kFaults,      1, 0};
constexpr const char* kPlaces[] = {"create", "load", "run", nullptr};
constexpr assay_option kDuring = {sizeof(assay_option),
                                  ASSAY_CHOICE,
                                  0,
                                  "during",
                                  "The call that breaks it.",
                                  "\"run\"",
                                  kPlaces,
                                  1,
                                  0};
constexpr assay_option kAfter = {
    sizeof(assay_option), ASSAY_INT, 0, "after", "Requests answered before.", "2", nullptr, 0, 1e9};
constexpr const assay_option* kOptions[] = {&kFault, &kDuring, &kAfter};

struct Hostile {
  const assay_host* host;
  std::string fault, during;
  std::int64_t after = 0;
  std::int64_t n_seen = 0;
};

// Through volatile pointers, so that no compiler sees what happens.
int overflow_stack(volatile int* depth) {
  volatile char frame[4096];
  frame[0] = static_cast<char>(*depth);
  *depth = *depth + 1;
  if (*depth < 0) return 0;
  return overflow_stack(depth) + frame[0];
}

void write_over_maps(bool beyond) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("memfd:") == std::string::npos || line.find("rw") == std::string::npos) continue;
    std::uintptr_t begin = 0, end = 0;
    std::sscanf(line.c_str(), "%lx-%lx", &begin, &end);
    auto* bytes = reinterpret_cast<volatile unsigned char*>(begin);
    const std::size_t n = beyond ? std::numeric_limits<std::size_t>::max() : end - begin;
    for (std::size_t i = 0; i < n; ++i) bytes[i] = 0xff;
  }
}

void break_it(Hostile& self) {
  const std::string& fault = self.fault;
  if (fault == "throws") throw 7;
  if (fault == "aborts") std::abort();
  if (fault == "null_write") {
    int* volatile nowhere = nullptr;
    *nowhere = 1;
  }
  if (fault == "stack_overflow") {
    volatile int depth = 0;
    overflow_stack(&depth);
  }
  if (fault == "exits") std::exit(0);
  if (fault == "hangs") {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  if (fault == "ignores_cancel") {
    for (;;) {
      self.host->progress(self.host, 0.5, {"busy", 4});
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  if (fault == "leaks_thread") {
    std::thread([] {
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }).detach();
  }
  if (fault == "set_locale") {
    setlocale(LC_ALL, "C.UTF-8");
    setenv("ASSAY_TEST_LEFT_BEHIND", "1", 1);
  }
  if (fault == "closes_files") {
    for (int file = 0; file < 64; ++file) close(file);
  }
  if (fault == "floods_log") {
    for (int i = 0; i < 20000; ++i) self.host->log(self.host, ASSAY_WARN, {"line upon line", 14});
  }
  if (fault == "floods_stderr") {
    for (int i = 0; i < 20000; ++i) std::fputs("line upon line\n", stderr);
  }
  if (fault == "writes_past_ring") write_over_maps(true);
  if (fault == "writes_over_ring") write_over_maps(false);
  if (fault == "allocates") {
    for (;;) {
      constexpr std::size_t kPiece = 64u << 20;
      auto* piece = static_cast<char*>(
          mmap(nullptr, kPiece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      if (piece != MAP_FAILED) std::memset(piece, 1, kPiece);
      self.host->cancelled(self.host);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  if (fault == "forks" && fork() == 0) {
    // With a name of its own, so that a test can look for it.
    execl("/bin/sleep", "sleep", "987654", nullptr);
    _exit(1);
  }
}

void maybe_break(Hostile& self, const char* call) {
  if (self.during == call) break_it(self);
}

assay_status create(const assay_host* host, const assay_config* config, const assay_resources*,
                    void** out, assay_error*) noexcept(false) {
  auto* self = new Hostile{host, {}, {}, 0, 0};
  assay_str text;
  if (host->get_text(config, "fault", &text) == ASSAY_OK) self->fault.assign(text.ptr, text.len);
  if (host->get_text(config, "during", &text) == ASSAY_OK) self->during.assign(text.ptr, text.len);
  host->get_int(config, "after", &self->after);
  maybe_break(*self, "create");
  *out = self;
  return ASSAY_OK;
}

assay_status load(void* at, const assay_job*, assay_model_info* out, assay_error*) noexcept(false) {
  auto& self = *static_cast<Hostile*>(at);
  maybe_break(self, "load");
  if (self.fault == "wrong_struct_size") {
    *out = {0xffffffffu, 512, 64, 0, 0, -1, -1};
    return ASSAY_OK;
  }
  out->vocab = 512;
  out->max_context = 2048;
  out->bos = out->eos = -1;
  return ASSAY_OK;
}

void answer(Hostile& self, const assay_request& request, const assay_result_sink& sink) {
  const bool is_now = self.during == std::string("run") && self.n_seen++ >= self.after;
  if (is_now) break_it(self);
  const std::uint64_t n = request.n_tokens - request.first;
  float value = -1.0F;
  if (is_now && self.fault == "nan_scores") value = std::numeric_limits<float>::quiet_NaN();
  if (is_now && self.fault == "positive_scores") value = 0.25F;
  const std::vector<float> scores(n, value);
  const std::vector<std::uint8_t> greedy(n, 0);
  if (is_now && self.fault == "unknown_id") {
    sink.scores(sink.ctx, request.id + 1000003, request.first, scores.data(), greedy.data(), n);
  }
  sink.scores(sink.ctx, request.id, request.first, scores.data(), greedy.data(), n);
  assay_usage usage{};
  usage.struct_size = is_now && self.fault == "wrong_struct_size" ? 0xffffffffu : sizeof usage;
  if (is_now && self.fault == "no_done") return;
  sink.done(sink.ctx, request.id, nullptr, &usage);
  if (is_now && self.fault == "done_twice") sink.done(sink.ctx, request.id, nullptr, &usage);
}

assay_status run(void* at, const assay_batch* batch, const assay_result_sink* sink,
                 assay_error*) noexcept(false) {
  auto& self = *static_cast<Hostile*>(at);
  for (std::uint64_t i = 0; i < batch->n; ++i) answer(self, *ASSAY_REQUEST(batch, i), *sink);
  return ASSAY_OK;
}

// The tables ask for functions that do not throw; one of these does.
template <class Promised, class Function>
Promised as_promised(Function* function) {
  return reinterpret_cast<Promised>(function);
}

const assay_backend_v1 kApi = {sizeof(assay_backend_v1),
                               0,
                               nullptr,
                               as_promised<decltype(assay_backend_v1::load)>(&load),
                               nullptr,
                               as_promised<decltype(assay_backend_v1::run)>(&run)};

const assay_component kBackend = {sizeof(assay_component),
                                  ASSAY_BACKEND,
                                  "hostile/backend",
                                  "1.0.0",
                                  "Breaks one thing",
                                  ASSAY_CAP_SCORE,
                                  kOptions,
                                  3,
                                  nullptr,
                                  0,
                                  nullptr,
                                  0,
                                  as_promised<decltype(assay_component::create)>(&create),
                                  [](void* self) noexcept { delete static_cast<Hostile*>(self); },
                                  &kApi,
                                  nullptr,
                                  0};
const assay_component* const kComponents[] = {&kBackend};

}  // namespace

ASSAY_NOTE("hostile/backend");
extern "C" ASSAY_EXPORT const assay_plugin assay_plugin_v1 = {sizeof(assay_plugin),
                                                              ASSAY_ABI_MAJOR,
                                                              ASSAY_ABI_MINOR,
                                                              "hostile/backend",
                                                              "1.0.0",
                                                              "",
                                                              "",
                                                              "",
                                                              kComponents,
                                                              1};
