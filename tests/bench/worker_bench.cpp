// What a worker costs, beside the goals: start, round trip, logits through the ring.
//
//   worker_bench [REPEATS]
//
// One figure per line: name, median of the repeats, the best, goal. It starts itself as the worker.
// The two processes need a core each; on a busy machine the best says more than the median.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/worker/channel.hpp"
#include "host/worker/process.hpp"

namespace {

using assay::host::Channel;
using assay::host::Message;
using assay::host::Process;
using assay::host::Result;
using assay::host::WorkerEnd;
using Clock = std::chrono::steady_clock;

enum Type : std::uint32_t { kEcho, kLogits };

constexpr std::size_t kLogitsBytes = 4u << 20;
constexpr auto kLong = std::chrono::seconds(30);

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Message next(Channel& channel) {
  auto message = channel.receive(kLong);
  if (!message) throw std::runtime_error(message.error().text);
  if (!message->has_value()) throw std::runtime_error("nothing came in 30 s");
  return **message;
}

void check(const Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().text);
}

/// The worker: echoes, or sends as many rows of logits as the number it is given says.
int be_worker() {
  assay::host::bind_to_parent();
  auto channel = Channel::adopt({Process::kWorkerSocket, Process::kWorkerMemory});
  if (!channel) return 1;
  std::vector<float> logits(kLogitsBytes / sizeof(float));
  std::iota(logits.begin(), logits.end(), 0.0f);
  const std::string_view bytes(reinterpret_cast<const char*>(logits.data()), kLogitsBytes);
  while (true) {
    const auto message = (*channel)->receive(std::chrono::hours(1));
    if (!message || !message->has_value()) return 0;
    const auto& [type, call, payload] = **message;
    if (type == kEcho) {
      if (!(*channel)->send(kEcho, call, payload)) return 0;
      continue;
    }
    std::uint64_t n = 0;
    std::memcpy(&n, payload.data(), sizeof n);
    for (std::uint64_t i = 0; i < n; ++i) {
      if (!(*channel)->send(kLogits, call, bytes)) return 0;
    }
  }
}

struct Worker {
  std::unique_ptr<Channel> channel;
  std::unique_ptr<Process> process;

  Worker() {
    WorkerEnd end;
    auto made = Channel::create(end);
    if (!made) throw std::runtime_error(made.error().text);
    channel = std::move(*made);
    auto spawned = Process::spawn({"/proc/self/exe", "worker_bench"}, end);
    if (!spawned) throw std::runtime_error(spawned.error().text);
    process = std::move(*spawned);
    ::close(end.socket);
    ::close(end.memory);
  }
  void echo() const {
    check(channel->send(kEcho, 1, "ping"));
    next(*channel);
  }
};

double start_ms() {
  const auto start = Clock::now();
  const Worker worker;
  worker.echo();
  return 1e3 * seconds_since(start);
}

double round_trip_us(const Worker& worker) {
  constexpr int kTrips = 2000;
  const auto start = Clock::now();
  for (int i = 0; i < kTrips; ++i) worker.echo();
  return 1e6 * seconds_since(start) / kTrips;
}

/// The largest of all values: each is read, with nothing else to wait for.
float largest(std::string_view bytes) {
  constexpr std::size_t kLanes = 64;
  float lanes[kLanes] = {};
  const auto* values = reinterpret_cast<const float*>(bytes.data());
  for (std::size_t i = 0; i < bytes.size() / sizeof(float); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
    }
  }
  return *std::max_element(lanes, lanes + kLanes);
}

double logits_gb_per_s(const Worker& worker) {
  constexpr std::uint64_t kMessages = 128;
  const auto start = Clock::now();
  check(worker.channel->send(kLogits, 1,
                             {reinterpret_cast<const char*>(&kMessages), sizeof kMessages}));
  for (std::uint64_t i = 0; i < kMessages; ++i) {
    const Message message = next(*worker.channel);
    if (message.payload.size() != kLogitsBytes ||
        largest(message.payload) != static_cast<float>(kLogitsBytes / sizeof(float) - 1)) {
      throw std::runtime_error("the logits are not those that were sent");
    }
  }
  return static_cast<double>(kMessages * kLogitsBytes) / seconds_since(start) / 1e9;
}

void print(const char* name, int repeats, bool is_less_better, const char* goal,
           const std::function<double()>& measure) {
  std::vector<double> values;
  for (int i = 0; i < repeats; ++i) values.push_back(measure());
  std::sort(values.begin(), values.end());
  const double median = values[values.size() / 2];
  std::printf("%-24s median %8.2f  best %8.2f  goal %s\n", name, median,
              is_less_better ? values.front() : values.back(), goal);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && argv[1] == std::string("worker")) return be_worker();
  const int repeats = argc > 1 ? std::max(1, std::atoi(argv[1])) : 15;
  try {
    print("start_ms", repeats, true, "< 10", start_ms);
    const Worker worker;
    print("round_trip_us", repeats, true, "< 50", [&] { return round_trip_us(worker); });
    print("logits_gb_per_s", repeats, false, "> 4", [&] { return logits_gb_per_s(worker); });
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "worker_bench: %s\n", failure.what());
    return 1;
  }
}
