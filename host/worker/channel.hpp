// One end of the line between the host and a worker: numbered messages over a SEQPACKET socket,
// large ones through a sealed ring of shared memory. What messages mean is not known here.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "host/core/result.hpp"

namespace assay::host {

/// A received message. `payload` is valid until the next receive(); it may lie in memory the other
/// side can still write, so what is decided from it is copied first.
struct Message {
  std::uint32_t type = 0;
  std::uint64_t call = 0;  ///< pairs an answer with its question; 0 where there is none
  std::string_view payload;
};

/// The descriptors a worker inherits.
struct WorkerEnd {
  int socket = -1;
  int memory = -1;
};

/// Back-pressure: send() waits while the ring is full, until the other end receives: two ends that
/// send much and do not receive meanwhile wait for each other. A message may be larger than the
/// ring; up to kMaxInPlace bytes arrive in one piece without a copy, aligned for numbers where they
/// came through the ring; larger ones are gathered.
///
/// Threads  send [any-thread]; receive one thread
/// Owns     its socket and its mapping
class Channel {
 public:
  static constexpr std::uint64_t kRingBytes = 16u << 20;  ///< each direction
  static constexpr std::uint64_t kMaxInPlace = 4u << 20;
  static constexpr std::uint64_t kMaxMessage = 2ull << 30;  ///< a larger one ends the line

  /// The host's end. The worker's descriptors are the caller's to hand over and to close.
  ///
  /// Fails    ASSAY_UNAVAILABLE no memory, no descriptors
  static Result<std::unique_ptr<Channel>> create(WorkerEnd& worker);
  /// The worker's end, from inherited descriptors, which it takes in any case. Refuses memory that
  /// is not sealed.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT they are no line
  static Result<std::unique_ptr<Channel>> adopt(WorkerEnd end);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  /// Sends `head` followed by `body` as one message.
  ///
  /// Fails    ASSAY_ABORTED the other end is gone; ASSAY_RESOURCE_EXHAUSTED beyond kMaxMessage;
  ///          ASSAY_INTERNAL it broke the rules of the line
  Result<void> send(std::uint32_t type, std::uint64_t call, std::string_view head,
                    std::string_view body = {});

  /// The next message, or nothing when none came in time.
  ///
  /// Fails    ASSAY_ABORTED the other end is gone, and all it sent was received; ASSAY_INTERNAL it
  ///          broke the rules of the line (a size that is not that of the bytes, a message beyond
  ///          kMaxMessage or within another); ASSAY_RESOURCE_EXHAUSTED no memory for its message.
  ///          The line is over then: this is the answer from now on
  Result<std::optional<Message>> receive(std::chrono::milliseconds timeout);

  /// Set by the host, read by the worker: wind up.
  void cancel();
  bool is_cancelled() const;
  /// Counted by the worker where it shows life without a message.
  void beat();
  std::uint64_t beats() const;

 private:
  struct State;
  explicit Channel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace assay::host
