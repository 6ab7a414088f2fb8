#include "host/worker/channel.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace assay::host {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto kLong = 30s;  // for what comes at once, unless the machine is busy
constexpr std::uint64_t kMiB = 1u << 20;

/// Bytes that differ wherever a piece could be lost, doubled or moved.
std::string pattern(std::size_t bytes, std::uint64_t seed) {
  std::string text(bytes, '\0');
  std::mt19937_64 random(seed);
  for (std::size_t at = 0; at < bytes; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(text.data() + at, &word, std::min(sizeof word, bytes - at));
  }
  return text;
}

/// Both ends in one process.
struct Line {
  std::unique_ptr<Channel> host, worker;

  Line() {
    WorkerEnd end;
    auto made = Channel::create(end);
    EXPECT_TRUE(made) << made.error().text;
    host = std::move(*made);
    auto adopted = Channel::adopt(end);
    EXPECT_TRUE(adopted) << adopted.error().text;
    worker = std::move(*adopted);
  }
};

/// The payload of the next message, which must be `type` and `call`.
std::string receive_text(Channel& channel, std::uint32_t type, std::uint64_t call) {
  const auto message = channel.receive(kLong);
  if (!message) return "failure: " + message.error().text;
  if (!message->has_value()) return "nothing came";
  EXPECT_EQ((*message)->type, type);
  EXPECT_EQ((*message)->call, call);
  return std::string((*message)->payload);
}

TEST(Channel, CarriesHeadAndBodyAsOneMessageBothWays) {
  Line line;
  ASSERT_TRUE(line.host->send(7, 1, "what ", "is it"));
  EXPECT_EQ(receive_text(*line.worker, 7, 1), "what is it");
  ASSERT_TRUE(line.worker->send(8, 1, "this"));
  EXPECT_EQ(receive_text(*line.host, 8, 1), "this");
}

TEST(Channel, CarriesAMessageOfNoBytes) {
  Line line;
  ASSERT_TRUE(line.host->send(3, 0, ""));
  EXPECT_EQ(receive_text(*line.worker, 3, 0), "");
}

TEST(Channel, CarriesEverySizeWhereTheWayChanges) {
  Line line;
  std::uint64_t call = 0;
  for (const std::uint64_t border :
       {std::uint64_t{32 * 1024}, Channel::kMaxInPlace, Channel::kRingBytes}) {
    for (const std::uint64_t size : {border - 1, border, border + 1}) {
      const std::string sent = pattern(size, size);
      ++call;
      auto sending = std::async(std::launch::async, [&] {
        return line.worker->send(1, call, std::string_view(sent).substr(0, 5),
                                 std::string_view(sent).substr(5));
      });
      EXPECT_TRUE(receive_text(*line.host, 1, call) == sent) << size;
      EXPECT_TRUE(sending.get());
    }
  }
}

TEST(Channel, CarriesAMessageLargerThanTheRing) {
  Line line;
  const std::string sent = pattern(3 * Channel::kRingBytes + 12345, 1);
  auto sending = std::async(std::launch::async, [&] { return line.worker->send(1, 2, "", sent); });
  EXPECT_TRUE(receive_text(*line.host, 1, 2) == sent);
  EXPECT_TRUE(sending.get());
}

TEST(Channel, KeepsOrderAndBytesOverManyLapsOfTheRing) {
  Line line;
  constexpr std::uint64_t kMessages = 120;
  std::mt19937_64 random(4);
  std::vector<std::string> sent;
  for (std::uint64_t i = 0; i < kMessages; ++i) {
    // Most in the ring and of odd sizes, so that its end is skipped at many places.
    const std::uint64_t most = i % 3 == 0 ? 64 * 1024 : i % 3 == 1 ? 3 * kMiB : 6 * kMiB;
    sent.push_back(pattern(random() % most, i));
  }
  std::thread sending([&] {
    for (std::uint64_t i = 0; i < kMessages; ++i) {
      ASSERT_TRUE(line.worker->send(1, i, sent[i]));
    }
  });
  for (std::uint64_t i = 0; i < kMessages; ++i) {
    EXPECT_TRUE(receive_text(*line.host, 1, i) == sent[i]) << i;
  }
  sending.join();
}

TEST(Channel, LendsNumbersWhereTheyCanBeRead) {
  Line line;
  for (const std::uint64_t size : {kMiB + 3, kMiB}) {
    ASSERT_TRUE(line.worker->send(1, 0, pattern(size, 1)));
    const auto message = line.host->receive(kLong);
    ASSERT_TRUE(message && message->has_value());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>((*message)->payload.data()) % 64, 0u);
  }
}

TEST(Channel, KeepsAMessageUntilTheNextReceive) {
  Line line;
  const std::string sent = pattern(Channel::kMaxInPlace, 1);
  ASSERT_TRUE(line.worker->send(1, 0, sent));
  const auto message = line.host->receive(kLong);
  ASSERT_TRUE(message && message->has_value());
  // More than the rest of the ring: it waits for the message that is being read.
  auto sending = std::async(std::launch::async, [&] {
    return line.worker->send(2, 0, pattern(4 * Channel::kRingBytes / 3, 2));
  });
  EXPECT_EQ(sending.wait_for(50ms), std::future_status::timeout);
  EXPECT_TRUE((*message)->payload == sent);
  EXPECT_TRUE(receive_text(*line.host, 2, 0) == pattern(4 * Channel::kRingBytes / 3, 2));
  EXPECT_TRUE(sending.get());
}

TEST(Channel, KeepsMessagesOfManyThreadsWhole) {
  Line line;
  constexpr std::uint64_t kThreads = 4, kEach = 12;
  const auto text_of = [](std::uint64_t thread, std::uint64_t i) {
    return pattern(i % 4 == 3 ? 5 * kMiB : i * 10'000, thread * 100 + i);
  };
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        ASSERT_TRUE(line.worker->send(static_cast<std::uint32_t>(thread), i, text_of(thread, i)));
      }
    });
  }
  std::array<std::uint64_t, kThreads> next{};
  for (std::uint64_t i = 0; i < kThreads * kEach; ++i) {
    const auto message = line.host->receive(kLong);
    ASSERT_TRUE(message && message->has_value());
    const std::uint64_t thread = (*message)->type;
    ASSERT_LT(thread, kThreads);
    EXPECT_EQ((*message)->call, next[thread]);
    EXPECT_TRUE((*message)->payload == text_of(thread, next[thread]));
    ++next[thread];
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Channel, SaysThatNothingCameInTime) {
  Line line;
  const auto message = line.host->receive(1ms);
  ASSERT_TRUE(message) << message.error().text;
  EXPECT_FALSE(message->has_value());
}

TEST(Channel, GathersOverReceivesThatRunOutOfTime) {
  Line line;
  const std::string sent = pattern(2 * Channel::kRingBytes, 9);
  auto sending = std::async(std::launch::async, [&] { return line.worker->send(1, 5, sent); });
  while (true) {
    const auto message = line.host->receive(0ms);
    ASSERT_TRUE(message) << message.error().text;
    if (!message->has_value()) continue;
    EXPECT_TRUE((*message)->payload == sent);
    break;
  }
  EXPECT_TRUE(sending.get());
}

TEST(Channel, RefusesAMessageBeyondTheLargestAndStaysUsable) {
  Line line;
  // Never read: only its size is looked at.
  const std::string_view huge("x", Channel::kMaxMessage);
  const auto sent = line.host->send(1, 0, "y", huge);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ASSAY_RESOURCE_EXHAUSTED);
  EXPECT_EQ(sent.error().text,
            "a message of 2147483649 bytes is larger than the 2147483648 that fit between a host "
            "and its worker");
  ASSERT_TRUE(line.host->send(1, 0, "small"));
  EXPECT_EQ(receive_text(*line.worker, 1, 0), "small");
}

TEST(Channel, GivesWhatWasSentBeforeTheOtherEndWent) {
  Line line;
  ASSERT_TRUE(line.host->send(9, 9, "never read"));  // the system says ECONNRESET of it
  const std::string large = pattern(kMiB, 1);
  ASSERT_TRUE(line.worker->send(1, 1, "small"));
  ASSERT_TRUE(line.worker->send(1, 2, large));
  line.worker.reset();
  EXPECT_EQ(receive_text(*line.host, 1, 1), "small");
  EXPECT_TRUE(receive_text(*line.host, 1, 2) == large);
  for (int i = 0; i < 2; ++i) {
    const auto message = line.host->receive(kLong);
    ASSERT_FALSE(message);
    EXPECT_EQ(message.error().code, ASSAY_ABORTED);
    EXPECT_EQ(message.error().text, "the other end of the line is gone");
  }
}

TEST(Channel, IsEndedFromHereWhileTheOtherEndIsHeld) {
  Line line;
  ASSERT_TRUE(line.worker->send(1, 1, "came before"));
  auto sending = std::async(std::launch::async, [&] {
    const std::string text = pattern(3 * kMiB, 1);
    while (true) {
      auto sent = line.host->send(1, 0, text);
      if (!sent) return sent.error();
    }
  });
  line.host->hang_up();
  EXPECT_EQ(receive_text(*line.host, 1, 1), "came before");
  const auto message = line.host->receive(kLong);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, ASSAY_ABORTED);
  ASSERT_EQ(sending.wait_for(kLong), std::future_status::ready);
  EXPECT_EQ(sending.get().code, ASSAY_ABORTED);
  EXPECT_FALSE(line.worker->send(1, 1, "after"));
}

TEST(Channel, WakesAReceiveThatIsEndedFromHere) {
  Line line;
  auto receiving = std::async(std::launch::async, [&] { return line.host->receive(kLong); });
  EXPECT_EQ(receiving.wait_for(20ms), std::future_status::timeout);
  line.host->hang_up();
  ASSERT_EQ(receiving.wait_for(kLong / 2), std::future_status::ready);
  EXPECT_FALSE(receiving.get());
}

TEST(Channel, FailsToSendToAnEndThatIsGone) {
  Line line;
  line.worker.reset();
  for (const std::size_t size : {std::size_t{1}, std::size_t{kMiB}}) {
    const auto sent = line.host->send(1, 0, pattern(size, 1));
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, ASSAY_ABORTED);
  }
}

TEST(Channel, StopsWaitingForSpaceWhenTheOtherEndGoes) {
  for (const std::size_t size : {std::size_t{3 * kMiB}, std::size_t{30'000}}) {
    Line line;
    auto sending = std::async(std::launch::async, [&] {
      const std::string text = pattern(size, 1);
      while (true) {
        auto sent = line.host->send(1, 0, text);
        if (!sent) return sent.error();
      }
    });
    EXPECT_EQ(sending.wait_for(50ms), std::future_status::timeout);  // full by now
    line.worker.reset();
    ASSERT_EQ(sending.wait_for(kLong), std::future_status::ready);
    EXPECT_EQ(sending.get().code, ASSAY_ABORTED);
  }
}

TEST(Channel, ShowsCancelAndBeatsWithoutAMessage) {
  Line line;
  EXPECT_FALSE(line.worker->is_cancelled());
  line.host->cancel();
  EXPECT_TRUE(line.worker->is_cancelled());
  EXPECT_EQ(line.host->beats(), 0u);
  line.worker->beat();
  line.worker->beat();
  EXPECT_EQ(line.host->beats(), 2u);
}

TEST(Channel, LeavesNoDescriptorToAProgramStartedMeanwhile) {
  WorkerEnd end;
  auto host = Channel::create(end);
  ASSERT_TRUE(host);
  EXPECT_EQ(fcntl(end.socket, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(fcntl(end.memory, F_GETFD), FD_CLOEXEC);
  fcntl(end.socket, F_SETFD, 0);  // as it is inherited
  auto worker = Channel::adopt(end);
  ASSERT_TRUE(worker);
  EXPECT_EQ(fcntl(end.socket, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(fcntl(end.memory, F_GETFD), -1) << "mapped, so not needed any more";
}

std::string why_not_adopted(WorkerEnd end) {
  const auto worker = Channel::adopt(end);
  if (worker) return "adopted";
  EXPECT_EQ(worker.error().code, ASSAY_INVALID_ARGUMENT);
  return worker.error().text;
}

TEST(ChannelAdopt, RefusesWhatIsNoLine) {
  const std::string suffix = "; assay starts its workers itself";
  WorkerEnd end;
  auto host = Channel::create(end);
  ASSERT_TRUE(host);
  EXPECT_EQ(why_not_adopted({-1, -1}),
            "this is no line to a host: descriptor -1 is no packet socket" + suffix);
  std::array<int, 2> stream{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream.data()), 0);
  EXPECT_THAT(why_not_adopted({stream[0], -1}), HasSubstr("is no packet socket"));
  close(stream[1]);
  EXPECT_THAT(why_not_adopted({end.socket, end.memory + 1000}), HasSubstr("is no memory"));
  close(end.memory);
}

TEST(ChannelAdopt, RefusesMemoryThatCouldShrinkUnderIt) {
  WorkerEnd end;
  auto host = Channel::create(end);
  ASSERT_TRUE(host);
  struct stat status {};
  ASSERT_EQ(fstat(end.memory, &status), 0);
  close(end.memory);
  const int open = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(open, status.st_size), 0);
  EXPECT_EQ(why_not_adopted({end.socket, open}),
            "this is no line to a host: the memory of "
            "descriptor " +
                std::to_string(open) +
                " is not sealed; assay starts its workers "
                "itself");
}

TEST(Channel, GivesMemoryThatNobodyCanResize) {
  WorkerEnd end;
  auto host = Channel::create(end);
  ASSERT_TRUE(host);
  EXPECT_NE(ftruncate(end.memory, 1), 0);
  EXPECT_NE(ftruncate(end.memory, 1 << 30), 0);
  EXPECT_NE(fcntl(end.memory, F_ADD_SEALS, F_SEAL_WRITE), 0);
  close(end.socket);
  close(end.memory);
}

/// A worker that does not keep to the rules: it writes packets and memory by hand.
class Liar : public testing::Test {
 protected:
  /// As in channel.cpp.
  struct Packet {
    std::uint32_t type = 1, reserved = 0;
    std::uint64_t call = 1, message_bytes = 0;
  };
  static constexpr std::size_t kMapped = 4096 + 2 * Channel::kRingBytes;

  void SetUp() override {
    auto made = Channel::create(end_);
    ASSERT_TRUE(made);
    host_ = std::move(*made);
    void* mapped = mmap(nullptr, kMapped, PROT_READ | PROT_WRITE, MAP_SHARED, end_.memory, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    memory_ = static_cast<char*>(mapped);
  }
  void TearDown() override {
    munmap(memory_, kMapped);
    close(end_.memory);
    close(end_.socket);
  }

  void send_bytes(std::string_view bytes) const {
    ASSERT_EQ(::send(end_.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void send_packet(const Packet& packet, std::string_view behind = {}) const {
    std::string bytes(reinterpret_cast<const char*>(&packet), sizeof packet);
    send_bytes(bytes.append(behind));
  }
  char* ring_to_host() const { return memory_ + 4096 + Channel::kRingBytes; }

  /// Why the host gave up, twice the same.
  std::string fault() const {
    const auto message = host_->receive(kLong);
    if (message) return message->has_value() ? "a message" : "nothing";
    EXPECT_EQ(message.error().code, ASSAY_INTERNAL);
    const auto again = host_->receive(kLong);
    EXPECT_EQ(again ? "another message" : again.error().text, message.error().text);
    EXPECT_FALSE(host_->send(1, 1, "anything")) << "the line is over";
    return message.error().text;
  }

  std::unique_ptr<Channel> host_;
  WorkerEnd end_;
  char* memory_ = nullptr;
};

constexpr char kBroke[] = "the other end of the line broke its rules: ";

TEST_F(Liar, SendsAPacketShorterThanItsHead) {
  send_bytes("short");
  EXPECT_EQ(fault(), std::string(kBroke) + "a packet of 5 bytes, shorter than its head");
}

TEST_F(Liar, SendsAnEmptyPacket) {
  send_bytes("");
  EXPECT_EQ(fault(), std::string(kBroke) + "an empty packet");
}

TEST_F(Liar, SendsAPacketLargerThanAny) {
  send_packet({1, 0, 1, 40'000}, std::string(40'000, 'x'));
  EXPECT_EQ(fault(), std::string(kBroke) + "a packet of more than 32768 bytes");
}

TEST_F(Liar, SaysAnotherSizeThanItSends) {
  send_packet({1, 0, 1, 100}, "ten bytes.");
  EXPECT_EQ(fault(), std::string(kBroke) + "a packet with 10 bytes where its head says 100");
}

TEST_F(Liar, PutsBytesBehindAPacketOfTheRing) {
  send_packet({1, 0, 1, kMiB}, "ten bytes.");
  EXPECT_EQ(fault(), std::string(kBroke) + "a packet with 10 bytes where its head says 0");
}

TEST_F(Liar, AnnouncesMoreThanTheLargestMessage) {
  send_packet({1, 0, 1, Channel::kMaxMessage + 1});
  EXPECT_EQ(fault(), std::string(kBroke) + "a message of 2147483649 bytes, more than 2147483648");
}

TEST_F(Liar, AnnouncesASizeThatOverflows) {
  send_packet({1, 0, 1, ~std::uint64_t{0}});
  EXPECT_EQ(fault(),
            std::string(kBroke) + "a message of 18446744073709551615 bytes, more than 2147483648");
}

TEST_F(Liar, BeginsAMessageInTheMiddleOfAnother) {
  send_packet({1, 0, 1, 8 * kMiB});
  send_packet({1, 0, 2, 8 * kMiB});
  EXPECT_EQ(fault(), std::string(kBroke) + "a message in the middle of another");
}

TEST_F(Liar, NeverEndsAMessage) {
  send_packet({1, 0, 1, 64 * kMiB});
  const auto message = host_->receive(20ms);
  ASSERT_TRUE(message) << message.error().text;
  EXPECT_FALSE(message->has_value());
}

TEST_F(Liar, SaysLargePiecesAreInARingItNeverWaitedFor) {
  // 100 laps of pieces without looking at what was freed: its own bytes, torn, and nothing else.
  for (int i = 0; i < 400; ++i) {
    send_packet({1, 0, 1, Channel::kMaxInPlace});
    const auto message = host_->receive(kLong);
    ASSERT_TRUE(message && message->has_value());
    ASSERT_EQ((*message)->payload.size(), Channel::kMaxInPlace);
    EXPECT_EQ((*message)->payload.front() + (*message)->payload.back(), 0);
  }
}

TEST_F(Liar, ChangesTheRingAfterSending) {
  std::fill_n(ring_to_host(), kMiB, 'a');
  send_packet({5, 0, 6, kMiB});
  const auto message = host_->receive(kLong);
  ASSERT_TRUE(message && message->has_value());
  std::memset(memory_, 0xff, kMapped);  // head page and rings
  EXPECT_EQ((*message)->type, 5u);
  EXPECT_EQ((*message)->call, 6u);
  EXPECT_EQ((*message)->payload.size(), kMiB);
  EXPECT_EQ(static_cast<unsigned char>((*message)->payload.back()), 0xff);
  send_packet({5, 0, 7, 3}, "abc");
  EXPECT_EQ(receive_text(*host_, 5, 7), "abc") << "what the host reads next is its own count";
}

TEST_F(Liar, FreesWhatWasNeverSent) {
  std::memset(memory_, 0x40, 4096);
  const auto sent = host_->send(1, 1, pattern(kMiB, 1));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ASSAY_INTERNAL);
  EXPECT_EQ(sent.error().text, std::string(kBroke) + "it freed bytes that it was never sent");
  EXPECT_FALSE(host_->send(1, 1, "anything"));
}

TEST_F(Liar, HandsOverADescriptorThatNobodyTakes) {
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  Packet packet{5, 0, 6, 0};
  iovec part{&packet, sizeof packet};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &pipe_ends[1], sizeof(int));
  ASSERT_GT(sendmsg(end_.socket, &message, 0), 0);
  close(pipe_ends[1]);
  EXPECT_EQ(receive_text(*host_, 5, 6), "");
  char byte = 0;
  EXPECT_EQ(read(pipe_ends[0], &byte, 1), 0) << "nobody holds the other end";
  close(pipe_ends[0]);
}

}  // namespace
}  // namespace assay::host
