#include "host/worker/channel.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "host/worker/descriptor.hpp"

namespace assay::host {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint64_t kRing = Channel::kRingBytes;
constexpr std::uint64_t kInlineBytes = 32u << 10;  // far below the largest packet of any system
constexpr std::uint64_t kPieceBytes = 1u << 20;    // the sender fills one while another is read
constexpr std::uint64_t kAlignment = 64;           // of a piece in the ring: numbers are read there
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
// How long a receiver looks again and again before it sleeps: waking up takes longer than most
// answers.
constexpr std::chrono::microseconds kAwake{50};
// How long a wait may last before the other end's life is looked at: a dead one wakes nobody.
constexpr long kLookNanoseconds = 20'000'000;

/// What both processes see in front of the two rings. `freed` counts the bytes a reader is done
/// with, modulo 2^32, and is the word its writer waits on.
struct Shared {
  struct alignas(64) Freed {
    std::atomic<std::uint32_t> count;
  };
  alignas(64) std::atomic<std::uint32_t> cancelled;
  alignas(64) std::atomic<std::uint64_t> beats;
  Freed to_worker, to_host;
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
                  std::atomic<std::uint64_t>::is_always_lock_free,
              "both processes see the same atomics");

constexpr std::uint64_t kSharedBytes = 4096;
constexpr std::uint64_t kMappedBytes = kSharedBytes + 2 * kRing;
static_assert(sizeof(Shared) <= kSharedBytes && (1ull << 32) % kRing == 0);
// A piece and the rest of the ring it skips fit at once, so that a sender cannot wait for ever.
static_assert(2 * Channel::kMaxInPlace <= kRing && kPieceBytes <= Channel::kMaxInPlace);

/// What every packet is or begins with. All else follows from it: a message of up to kInlineBytes
/// is behind its packet, a larger one in the ring, in pieces whose sizes and places both ends
/// compute. So there is no place outside the ring to name, and no message without an end.
struct Packet {
  std::uint32_t type = 0;
  std::uint32_t reserved = 0;
  std::uint64_t call = 0;
  std::uint64_t message_bytes = 0;

  bool operator==(const Packet&) const = default;
};

std::uint64_t piece_bytes(std::uint64_t message_bytes, std::uint64_t from) {
  if (message_bytes <= Channel::kMaxInPlace) return message_bytes;
  return std::min(kPieceBytes, message_bytes - from);
}

std::string reason(int error_number) { return std::generic_category().message(error_number); }

Failure gone() { return {ASSAY_ABORTED, "the other end of the line is gone"}; }

Failure broken(const std::string& what) {
  return {ASSAY_INTERNAL, "the other end of the line broke its rules: " + what};
}

/// Where a piece begins that comes after `position`: whole, so the end of the ring may be skipped.
std::uint64_t place_after(std::uint64_t position, std::uint64_t size_bytes) {
  const std::uint64_t start = (position + kAlignment - 1) / kAlignment * kAlignment;
  const std::uint64_t in_ring = start % kRing;
  return in_ring + size_bytes <= kRing ? start : start + (kRing - in_ring);
}

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t seen) {
  const timespec look{0, kLookNanoseconds};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &look, nullptr, 0);
}

void futex_wake(std::atomic<std::uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

bool is_hung_up(int socket) {
  pollfd ready{socket, 0, 0};
  return ::poll(&ready, 1, 0) > 0 && (ready.revents & (POLLHUP | POLLERR)) != 0;
}

/// `bytes` from `from` on of `head` followed by `body`.
void copy_out(std::byte* to, std::string_view head, std::string_view body, std::uint64_t from,
              std::uint64_t bytes) {
  if (from < head.size()) {
    const std::uint64_t n = std::min<std::uint64_t>(bytes, head.size() - from);
    std::memcpy(to, head.data() + from, n);
    to += n;
    bytes -= n;
    from += n;
  }
  if (bytes > 0) std::memcpy(to, body.data() + (from - head.size()), bytes);
}

}  // namespace

struct Channel::State {
  State(Descriptor taken, void* memory, bool is_host)
      : socket(std::move(taken)), shared(static_cast<Shared*>(memory)) {
    auto* rings = static_cast<std::byte*>(memory) + kSharedBytes;
    out.ring = is_host ? rings : rings + kRing;
    out.freed = is_host ? &shared->to_worker.count : &shared->to_host.count;
    in.ring = is_host ? rings + kRing : rings;
    in.freed = is_host ? &shared->to_host.count : &shared->to_worker.count;
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ::munmap(shared, kMappedBytes); }

  Result<void> send_packet(const Packet& packet, std::string_view head, std::string_view body);
  Result<void> send_in_ring(const Packet& packet, std::string_view head, std::string_view body);
  Result<void> wait_for_space(std::uint64_t end);

  Result<bool> wait_for_packet(Clock::time_point deadline);
  Result<std::optional<Message>> take_packet(const Packet& packet, std::uint64_t received);
  Result<std::optional<Message>> take_piece(const Packet& packet);
  Result<std::optional<Message>> next(Clock::time_point deadline);
  void free_read();

  Descriptor socket;
  Shared* shared;

  struct {
    std::mutex lock;  ///< held for a whole message: its pieces stay together
    std::byte* ring = nullptr;
    std::atomic<std::uint32_t>* freed = nullptr;
    std::uint64_t written = 0;  ///< where the last piece ended
  } out;

  struct {
    const std::byte* ring = nullptr;
    std::atomic<std::uint32_t>* freed = nullptr;
    std::uint64_t read = 0;     ///< where the last piece ended
    bool is_lent = false;       ///< that piece is the message given out: not free yet
    bool is_gathering = false;  ///< `gathered` is the beginning of the message `packet`
    Packet packet;
    std::string gathered;
    std::optional<Failure> over;  ///< why nothing can be received any more
    alignas(kAlignment) std::array<char, kInlineBytes> small;
  } in;
};

Result<void> Channel::State::send_packet(const Packet& packet, std::string_view head,
                                         std::string_view body) {
  Packet copy = packet;
  std::array<iovec, 3> parts{{{&copy, sizeof copy},
                              {const_cast<char*>(head.data()), head.size()},
                              {const_cast<char*>(body.data()), body.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  while (::sendmsg(socket.number, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      pollfd ready{socket.number, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno == ENOBUFS || errno == ENOMEM) {
      // The system is short of buffers, which poll() does not know of.
      if (is_hung_up(socket.number)) return gone();
      ::poll(nullptr, 0, 1);
    } else {
      return gone();
    }
  }
  return {};
}

Result<void> Channel::State::wait_for_space(std::uint64_t end) {
  while (true) {
    const std::uint32_t freed = out.freed->load(std::memory_order_acquire);
    const std::uint32_t unread = static_cast<std::uint32_t>(out.written) - freed;
    if (unread > kRing) {
      ::shutdown(socket.number, SHUT_RDWR);
      return broken("it freed bytes that it was never sent");
    }
    if (end - out.written + unread <= kRing) return {};
    futex_wait(*out.freed, freed);
    if (is_hung_up(socket.number)) return gone();
  }
}

Result<void> Channel::State::send_in_ring(const Packet& packet, std::string_view head,
                                          std::string_view body) {
  for (std::uint64_t from = 0, n = 0; from < packet.message_bytes; from += n) {
    n = piece_bytes(packet.message_bytes, from);
    const std::uint64_t start = place_after(out.written, n);
    if (auto space = wait_for_space(start + n); !space) return space;
    copy_out(out.ring + start % kRing, head, body, from, n);
    out.written = start + n;
    if (auto sent = send_packet(packet, {}, {}); !sent) return sent;
  }
  return {};
}

/// False: nothing came in time.
Result<bool> Channel::State::wait_for_packet(Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd ready{socket.number, POLLIN, 0};
    const int n = ::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(left, 1'000'000)));
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) {
      return Failure{ASSAY_UNAVAILABLE, "cannot wait for the other end: " + reason(errno)};
    }
  }
}

/// The other end may write all there is free from here on.
void Channel::State::free_read() {
  in.freed->store(static_cast<std::uint32_t>(in.read), std::memory_order_release);
  futex_wake(*in.freed);
}

/// Nothing: the message goes on in the next packet.
Result<std::optional<Message>> Channel::State::take_piece(const Packet& packet) {
  const std::uint64_t n = piece_bytes(packet.message_bytes, in.gathered.size());
  const std::uint64_t start = place_after(in.read, n);
  const std::string_view piece(reinterpret_cast<const char*>(in.ring + start % kRing), n);
  in.read = start + n;
  if (n == packet.message_bytes) {
    in.is_lent = true;
    return std::optional(Message{packet.type, packet.call, piece});
  }
  if (!std::exchange(in.is_gathering, true)) {
    in.packet = packet;
    try {
      in.gathered.reserve(packet.message_bytes);
    } catch (const std::bad_alloc&) {
      return Failure{ASSAY_RESOURCE_EXHAUSTED, "no memory for a message of " +
                                                   std::to_string(packet.message_bytes) +
                                                   " bytes from the other end of the line"};
    }
  }
  in.gathered.append(piece);
  free_read();
  if (in.gathered.size() < packet.message_bytes) return std::optional<Message>{};
  in.is_gathering = false;
  return std::optional(Message{packet.type, packet.call, in.gathered});
}

Result<std::optional<Message>> Channel::State::take_packet(const Packet& packet,
                                                           std::uint64_t received) {
  if (received < sizeof packet) {
    return broken("a packet of " + std::to_string(received) + " bytes, shorter than its head");
  }
  if (packet.message_bytes > kMaxMessage) {
    return broken("a message of " + std::to_string(packet.message_bytes) + " bytes, more than " +
                  std::to_string(kMaxMessage));
  }
  const bool is_inline = packet.message_bytes <= kInlineBytes;
  const std::uint64_t carried = received - sizeof packet;
  const std::uint64_t announced = is_inline ? packet.message_bytes : 0;
  if (carried != announced) {
    return broken("a packet with " + std::to_string(carried) + " bytes where its head says " +
                  std::to_string(announced));
  }
  if (in.is_gathering && packet != in.packet) return broken("a message in the middle of another");
  if (!is_inline) return take_piece(packet);
  return std::optional(
      Message{packet.type, packet.call, std::string_view(in.small.data(), carried)});
}

Result<std::optional<Message>> Channel::State::next(Clock::time_point deadline) {
  const Clock::time_point awake_until = std::min(Clock::now() + kAwake, deadline);
  while (true) {
    Packet packet;
    std::array<iovec, 2> parts{{{&packet, sizeof packet}, {in.small.data(), in.small.size()}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t n = ::recvmsg(socket.number, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n > 0) {
      if ((message.msg_flags & MSG_TRUNC) != 0) {
        return broken("a packet of more than " + std::to_string(kInlineBytes) + " bytes");
      }
      auto taken = take_packet(packet, static_cast<std::uint64_t>(n));
      if (!taken || taken->has_value()) return taken;
      if (Clock::now() >= deadline) return std::optional<Message>{};
    } else if (n == 0) {
      // The end of the line and an empty packet look alike.
      return is_hung_up(socket.number) ? gone() : broken("an empty packet");
    } else if (errno == EAGAIN) {
      if (Clock::now() < awake_until) continue;
      auto came = wait_for_packet(deadline);
      if (!came) return std::move(came).error();
      if (!*came) return std::optional<Message>{};
    } else if (errno != EINTR && errno != ECONNRESET) {
      // ECONNRESET is said once, in front of what the other end sent before it went.
      return Failure{ASSAY_UNAVAILABLE, "cannot read from the other end: " + reason(errno)};
    }
  }
}

Channel::Channel(std::unique_ptr<State> state) : state_(std::move(state)) {}
Channel::~Channel() = default;

Result<std::unique_ptr<Channel>> Channel::create(WorkerEnd& worker) {
  const auto cannot = [](const char* what) {
    return Failure{ASSAY_UNAVAILABLE, std::string("cannot make the line to a worker: ") + what +
                                          ": " + reason(errno) +
                                          "; close other programs or raise the limit"};
  };
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return cannot("no socket");
  }
  Descriptor socket(pair[0]);
  Descriptor worker_socket(pair[1]);
  Descriptor memory(::memfd_create("assay-line", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.is_open() || ::ftruncate(memory.number, static_cast<off_t>(kMappedBytes)) != 0 ||
      ::fcntl(memory.number, F_ADD_SEALS, kSeals) != 0) {
    return cannot("no shared memory");
  }
  void* mapped =
      ::mmap(nullptr, kMappedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.number, 0);
  if (mapped == MAP_FAILED) return cannot("no shared memory");
  new (mapped) Shared{};
  auto state = std::make_unique<State>(std::move(socket), mapped, /*is_host=*/true);
  worker = {worker_socket.release(), memory.release()};
  return std::unique_ptr<Channel>(new Channel(std::move(state)));
}

Result<std::unique_ptr<Channel>> Channel::adopt(WorkerEnd end) {
  Descriptor socket(end.socket);
  const Descriptor memory(end.memory);
  const auto refused = [](const std::string& why) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "this is no line to a host: " + why + "; assay starts its workers itself"};
  };
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(socket.number, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      type != SOCK_SEQPACKET) {
    return refused("descriptor " + std::to_string(end.socket) + " is no packet socket");
  }
  struct stat status {};
  if (::fstat(memory.number, &status) != 0 ||
      static_cast<std::uint64_t>(status.st_size) != kMappedBytes) {
    return refused("descriptor " + std::to_string(end.memory) + " is no memory of its size");
  }
  const int seals = ::fcntl(memory.number, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return refused("the memory of descriptor " + std::to_string(end.memory) + " is not sealed");
  }
  ::fcntl(socket.number, F_SETFD, FD_CLOEXEC);
  void* mapped =
      ::mmap(nullptr, kMappedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.number, 0);
  if (mapped == MAP_FAILED) return refused("its memory cannot be mapped: " + reason(errno));
  return std::unique_ptr<Channel>(
      new Channel(std::make_unique<State>(std::move(socket), mapped, /*is_host=*/false)));
}

Result<void> Channel::send(std::uint32_t type, std::uint64_t call, std::string_view head,
                           std::string_view body) {
  const std::uint64_t size = head.size() + body.size();
  if (size > kMaxMessage) {
    return Failure{ASSAY_RESOURCE_EXHAUSTED,
                   "a message of " + std::to_string(size) + " bytes is larger than the " +
                       std::to_string(kMaxMessage) + " that fit between a host and its worker"};
  }
  const std::scoped_lock hold(state_->out.lock);
  const Packet packet{type, 0, call, size};
  return size <= kInlineBytes ? state_->send_packet(packet, head, body)
                              : state_->send_in_ring(packet, head, body);
}

Result<std::optional<Message>> Channel::receive(std::chrono::milliseconds timeout) {
  auto& in = state_->in;
  if (in.over) return *in.over;
  if (std::exchange(in.is_lent, false)) state_->free_read();
  if (!in.is_gathering) in.gathered = {};
  constexpr milliseconds kLongest = std::chrono::hours(24);
  auto message = state_->next(Clock::now() + std::clamp(timeout, milliseconds(0), kLongest));
  if (!message) {
    in.over = message.error();
    hang_up();
  }
  return message;
}

void Channel::hang_up() { ::shutdown(state_->socket.number, SHUT_RDWR); }

void Channel::cancel() { state_->shared->cancelled.store(1, std::memory_order_release); }

bool Channel::is_cancelled() const {
  return state_->shared->cancelled.load(std::memory_order_acquire) != 0;
}

void Channel::beat() { state_->shared->beats.fetch_add(1, std::memory_order_relaxed); }

std::uint64_t Channel::beats() const {
  return state_->shared->beats.load(std::memory_order_relaxed);
}

}  // namespace assay::host
