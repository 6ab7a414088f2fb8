// The host's side of one worker: questions, answers, and a watch over its life. What a question
// means is not known here.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "host/core/result.hpp"
#include "host/loader/instance.hpp"
#include "host/worker/channel.hpp"
#include "host/worker/messages.hpp"
#include "host/worker/process.hpp"

namespace assay::host {

/// A running worker. It is ended when it gives no sign of life (a message, a question whether it is
/// cancelled) for the lease's timeout while it is asked something, when it holds more than the
/// lease's host_bytes, and when it is cancelled and does not wind up.
///
/// Threads  [any-thread]
class Worker {
 public:
  /// What a cancelled worker has to wind up, and a destroyed one to go.
  static constexpr std::chrono::seconds kGrace{10};

  /// Events of one question, in order, on the listening thread until ask() returns. The payload is
  /// valid during the call.
  using OnEvent = std::function<void(Word word, std::string_view payload)>;

  /// Starts `assay worker`. Failures of it are predicates, "its process was killed by ...".
  static Result<std::unique_ptr<Worker>> start(const std::filesystem::path& executable,
                                               const Lease& lease);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  /// Asks and waits. Gives what the worker answered: a status, and after it what the question
  /// gives.
  ///
  /// Fails    ASSAY_ABORTED the worker is gone, saying how; ASSAY_DEADLINE_EXCEEDED,
  ///          ASSAY_RESOURCE_EXHAUSTED it was ended; ASSAY_INTERNAL it broke the rules of the line
  Result<std::string> ask(Word word, std::string_view head, std::string_view body = {},
                          const OnEvent& on_event = {});

  /// Tells it something that needs no answer. A worker that is gone is found out elsewhere.
  void tell(Word word, std::uint64_t call, std::string_view payload);

  /// Whom its messages go to from now on; for a worker that was started before its instance.
  void lend(const Lease& lease);

  /// What it wrote last, once it is gone.
  std::vector<std::string> last_lines() const;
  std::uint64_t resident_bytes() const { return process_->resident_bytes(); }

 private:
  using Clock = std::chrono::steady_clock;

  struct Pending {
    const OnEvent* on_event;
    const char* doing;
    std::optional<std::string> answer;
  };

  Worker(std::unique_ptr<Channel> channel, std::unique_ptr<Process> process, const Lease& lease);
  void listen();
  void take(const Message& message);
  std::optional<Failure> reason_to_end();
  void count_threads(Clock::time_point now);
  void bury(Failure why);
  Failure obituary(const Failure& line);

  std::unique_ptr<Channel> channel_;
  std::unique_ptr<Process> process_;

  mutable std::mutex mutex_;
  std::condition_variable answered_;
  Lease lease_;
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t next_call_ = 1;
  std::optional<Failure> death_;

  // The listening thread's own.
  Clock::time_point last_sign_ = Clock::now(), last_look_ = Clock::now();
  std::uint64_t last_beats_ = 0;
  std::optional<Clock::time_point> cancelled_at_;
  Clock::time_point last_count_ = Clock::now();
  bool has_told_threads_ = false;
  std::thread listener_;
};

/// The word for what a question makes the plugin do: "run", "load".
const char* doing(Word word);

}  // namespace assay::host
