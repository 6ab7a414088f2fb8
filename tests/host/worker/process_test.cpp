#include "host/worker/process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace assay::host {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr auto kLong = 30s;  // for what comes at once, unless the machine is busy

/// Until `is_so`, or for kLong.
template <class Condition>
bool wait_until(Condition&& is_so) {
  const auto deadline = std::chrono::steady_clock::now() + kLong;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// One that nobody waited for yet is gone as well.
bool is_gone(pid_t id) {
  std::ifstream status("/proc/" + std::to_string(id) + "/stat");
  std::string number, name, state;
  return !(status >> number >> name >> state) || state == "Z" || state == "X";
}

/// A child that does `deed`, with its line to us.
struct Child {
  std::unique_ptr<Channel> channel;
  std::unique_ptr<Process> process;

  explicit Child(const std::string& deed) : Child(ProcessSpec{ASSAY_WORKER_CHILD, deed}) {}
  explicit Child(const ProcessSpec& spec) {
    WorkerEnd end;
    auto made = Channel::create(end);
    EXPECT_TRUE(made) << made.error().text;
    channel = std::move(*made);
    auto spawned = Process::spawn(spec, end);
    EXPECT_TRUE(spawned) << spawned.error().text;
    process = std::move(*spawned);
    close(end.socket);
    close(end.memory);
  }

  /// The rest of the line that begins so; waits for it.
  std::string said(const std::string& start) const {
    std::string rest;
    const bool came = wait_until([&] {
      for (const std::string& line : process->last_lines()) {
        if (line.starts_with(start)) rest = line.substr(start.size());
      }
      return !rest.empty();
    });
    return came ? rest : "never said " + start;
  }
  pid_t said_process(const std::string& start) const { return std::stoi(said(start)); }
};

std::string ending_of(const std::string& deed) { return Child(deed).process->end(kLong).sentence; }

TEST(ProcessEnd, SaysHowItEnded) {
  EXPECT_EQ(ending_of("exit_0"), "exited with code 0 without an answer");
  EXPECT_EQ(ending_of("exit_3"), "exited with code 3");
  EXPECT_EQ(ending_of("die_of_segv"), "was killed by signal 11 (SIGSEGV)");
  EXPECT_EQ(ending_of("die_of_abort"), "was killed by signal 6 (SIGABRT)");
  EXPECT_EQ(ending_of("die_of_kill"), "was killed by signal 9 (SIGKILL)");
}

TEST(ProcessEnd, GivesTheSameAnswerTwice) {
  const Child child("exit_3");
  const Ending first = child.process->end(kLong);
  EXPECT_FALSE(first.is_signal);
  EXPECT_EQ(first.code, 3);
  const Ending second = child.process->end(0ms);
  EXPECT_EQ(second.code, 3);
  EXPECT_EQ(second.sentence, first.sentence);
  EXPECT_FALSE(child.process->is_running());
}

TEST(ProcessEnd, AsksBeforeItKills) {
  const Child child("exit_7_at_sigterm");
  child.said("wait");
  EXPECT_TRUE(child.process->is_running());
  const Ending ending = child.process->end(20ms);
  EXPECT_EQ(ending.code, 7);
  EXPECT_EQ(ending.sentence, "did not end within 20 ms and exited with code 7");
}

TEST(ProcessEnd, KillsWhatDoesNotListen) {
  const Child child("ignore_sigterm");
  child.said("dea");
  const Ending ending = child.process->end(20ms);
  EXPECT_TRUE(ending.is_signal);
  EXPECT_EQ(ending.code, SIGKILL);
  EXPECT_EQ(ending.sentence, "did not end within 20 ms and was killed by signal 9 (SIGKILL)");
}

TEST(ProcessEnd, KillsAStoppedProcess) {
  const Child child("sleep");
  kill(child.process->id(), SIGSTOP);
  EXPECT_EQ(child.process->end(1ms).code, SIGKILL);
}

TEST(ProcessEnd, LeavesNoChildOfItsBehind) {
  const Child child("leave_child");
  const pid_t left = child.said_process("child ");
  EXPECT_FALSE(is_gone(left));
  EXPECT_EQ(child.process->end(kLong).code, 0);
  EXPECT_TRUE(wait_until([&] { return is_gone(left); }));
}

TEST(ProcessEnd, DoesNotWaitForAChildThatLeftTheGroupAndHoldsTheOutput) {
  const Child child("leave_child_of_other_group");
  const pid_t escaped = child.said_process("escaped ");
  EXPECT_EQ(child.process->end(kLong).code, 0);
  EXPECT_FALSE(is_gone(escaped));
  kill(escaped, SIGKILL);
}

TEST(Process, IsKilledWithItsGroupWhenItsOwnerIsDestroyed) {
  pid_t id = -1, left = -1;
  {
    const Child child("bound_with_child");
    id = child.process->id();
    left = child.said_process("child ");
  }
  EXPECT_TRUE(is_gone(id));
  EXPECT_TRUE(wait_until([&] { return is_gone(left); }));
}

TEST(Process, StartsClean) {
  setenv("ASSAY_TEST_SECRET", "hidden", 1);
  setenv("LC_ALL", "C.UTF-8", 1);
  const int leaked = open("/dev/null", O_RDONLY);  // no close-on-exec
  ASSERT_GE(leaked, 0);
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto handler = signal(SIGPIPE, SIG_IGN);
  const Child child(ProcessSpec{ASSAY_WORKER_CHILD, "facts", 3});
  child.process->end(kLong);
  signal(SIGPIPE, handler);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(leaked);

  const auto lines = child.process->last_lines();
  EXPECT_THAT(lines, Contains("group is own: 1"));
  EXPECT_THAT(lines, Contains("directory: /"));
  EXPECT_THAT(lines, Contains("bytes on standard input: 0"));
  EXPECT_THAT(lines, Contains("open descriptors: 0 1 2 3 4"));
  EXPECT_THAT(lines, Contains("blocked: 0, ignored: 0"));
  EXPECT_THAT(lines, Contains("LC_ALL=C.UTF-8"));
  EXPECT_THAT(lines, Contains("OMP_NUM_THREADS=3"));
  EXPECT_THAT(lines, Contains("OMP_WAIT_POLICY=passive"));
  EXPECT_THAT(lines, Not(Contains(HasSubstr("SECRET"))));
}

TEST(Process, StartsWhereTheHostHasNoStandardInput) {
  // The line's descriptors are then among those the worker's are written to.
  const int kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
  close(STDIN_FILENO);
  {
    Child child("answer");
    ASSERT_TRUE(child.channel->send(1, 2, "still there"));
    const auto message = child.channel->receive(kLong);
    ASSERT_TRUE(message && message->has_value());
    EXPECT_EQ((*message)->payload, "still there");
  }
  if (kept >= 0) {
    dup2(kept, STDIN_FILENO);
    close(kept);
  }
}

TEST(Process, HasTheLineAtItsPlace) {
  Child child("answer");
  const std::string large(5u << 20, 'x');
  ASSERT_TRUE(child.channel->send(1, 7, large));
  const auto message = child.channel->receive(kLong);
  ASSERT_TRUE(message) << message.error().text;
  ASSERT_TRUE(message->has_value());
  EXPECT_EQ((*message)->type, 2u);
  EXPECT_EQ((*message)->call, 7u);
  EXPECT_TRUE((*message)->payload == large);
  child.channel.reset();
  EXPECT_EQ(child.process->end(kLong).code, 0) << "the closed line ends it";
}

TEST(Process, IsSeenOnTheLineWhenItDies) {
  Child child("answer");
  kill(child.process->id(), SIGKILL);
  const auto message = child.channel->receive(kLong);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, ASSAY_ABORTED);
}

TEST(Process, IsStartedFromManyThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int start = 0; start < 3; ++start) EXPECT_EQ(ending_of("exit_3"), "exited with code 3");
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Process, SaysWhyItCannotBeStarted) {
  WorkerEnd end;
  auto channel = Channel::create(end);
  ASSERT_TRUE(channel);
  const auto spawned = Process::spawn({"/no/such/assay", "model.a"}, end);
  ASSERT_FALSE(spawned);
  EXPECT_EQ(spawned.error().code, ASSAY_UNAVAILABLE);
  EXPECT_EQ(spawned.error().where, "model.a");
  EXPECT_EQ(spawned.error().text,
            "cannot start a process for model.a from /no/such/assay: No such file or directory; "
            "it must stay where it is, executable, while it runs");
  close(end.socket);
  close(end.memory);
}

TEST(Process, ReadsBothOutputsUpToTheEnd) {
  const Child child("write_to_both");
  child.process->end(kLong);
  EXPECT_THAT(child.process->last_lines(), ElementsAre("to output", "to error"));
}

TEST(Process, LogsItsOutputUnderItsNode) {
  testing::internal::CaptureStderr();
  Child("write_to_both").process->end(kLong);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr(" warn  write_to_both: to output\n"));
}

TEST(Process, TakesLinesThatAreNone) {
  const Child child("write_without_end");
  child.process->end(kLong);
  EXPECT_THAT(child.process->last_lines(), ElementsAre("bar 1", "bar 2", "f\xEF\xBF\xBD g"));
}

TEST(Process, CutsALongLineBetweenCharactersAndSaysSo) {
  const Child child("write_a_long_line");
  child.process->end(kLong);
  EXPECT_THAT(child.process->last_lines(),
              ElementsAre(std::string(4095, 'a') + " ... 9000 more bytes"));
}

TEST(Process, KeepsTheLastLines) {
  const Child child("write_many_lines");
  child.process->end(kLong);
  const auto lines = child.process->last_lines();
  ASSERT_EQ(lines.size(), Process::kLastLines);
  EXPECT_EQ(lines.front(), "line 950");
  EXPECT_EQ(lines.back(), "line 999");
}

TEST(Process, CountsMemoryAndThreads) {
  const Child child("take_memory");
  child.said("has ");
  EXPECT_GE(child.process->resident_bytes(), 64u << 20);
  EXPECT_GE(child.process->n_threads(), 2u);
  child.process->end(0ms);
  EXPECT_EQ(child.process->resident_bytes(), 0u);
  EXPECT_EQ(child.process->n_threads(), 0u);
}

TEST(BindToParent, EndsTheWholeGroupAtSigterm) {
  const Child child("bound_with_child");
  const pid_t left = child.said_process("child ");
  kill(child.process->id(), SIGTERM);
  EXPECT_TRUE(wait_until([&] { return is_gone(left); }));
  EXPECT_EQ(child.process->end(kLong).sentence, "was killed by signal 9 (SIGKILL)");
}

TEST(BindToParent, LeavesNothingWhenTheHostIsKilled) {
  const Child host("be_host");
  const pid_t worker = host.said_process("worker ");
  const pid_t left = host.said_process("child ");
  EXPECT_FALSE(is_gone(worker));
  EXPECT_FALSE(is_gone(left));
  kill(host.process->id(), SIGKILL);
  EXPECT_TRUE(wait_until([&] { return is_gone(worker); }));
  EXPECT_TRUE(wait_until([&] { return is_gone(left); }));
}

TEST(BindToParent, EndsWhatHasNoHostAnyMore) {
  WorkerEnd end;
  auto channel = Channel::create(end);
  ASSERT_TRUE(channel);
  channel->reset();
  const auto orphan = Process::spawn({ASSAY_WORKER_CHILD, "bound"}, end);
  close(end.socket);
  close(end.memory);
  ASSERT_TRUE(orphan) << orphan.error().text;
  EXPECT_EQ((*orphan)->end(kLong).sentence, "was killed by signal 9 (SIGKILL)");
  EXPECT_THAT((*orphan)->last_lines(), IsEmpty());
}

/// With exactly this environment while it lives.
class Environment {
 public:
  explicit Environment(std::vector<std::string> entries)
      : entries_(std::move(entries)), kept_(environ) {
    for (std::string& entry : entries_) pointers_.push_back(entry.data());
    pointers_.push_back(nullptr);
    environ = pointers_.data();
  }
  ~Environment() { environ = kept_; }

 private:
  std::vector<std::string> entries_;
  std::vector<char*> pointers_;
  char** kept_;
};

TEST(WorkerEnvironment, IsAnAllowListAndTheBudget) {
  const Environment mine({"PATH=/bin", "HOME=/h", "PATHS=no", "LD_PRELOAD=no", "LC_CTYPE=C",
                          "UBSAN_OPTIONS=a=b", "OMP_NUM_THREADS=64", "AWS_SECRET=no", "XDG_X=x",
                          "CUDA_HOME=/c", "NVIDIA_Y=y", "odd", "ASSAY_PLUGIN_PATH=no"});
  EXPECT_THAT(worker_environment({"assay", "model.a", 4}),
              ElementsAre("PATH=/bin", "HOME=/h", "LC_CTYPE=C", "UBSAN_OPTIONS=a=b", "XDG_X=x",
                          "CUDA_HOME=/c", "NVIDIA_Y=y", "OMP_NUM_THREADS=4", "MKL_NUM_THREADS=4",
                          "OPENBLAS_NUM_THREADS=4", "RAYON_NUM_THREADS=4",
                          "OMP_WAIT_POLICY=passive", "CUDA_VISIBLE_DEVICES="));
}

std::string device_seen(std::vector<std::string> environment, assay_device device) {
  const Environment mine(std::move(environment));
  return worker_environment({"assay", "model.a", 1, device}).back();
}

TEST(WorkerEnvironment, ShowsTheOneDeviceOfTheHostsOwn) {
  EXPECT_EQ(device_seen({}, {2, 1}), "CUDA_VISIBLE_DEVICES=1");
  EXPECT_EQ(device_seen({"CUDA_VISIBLE_DEVICES=3,GPU-8d,5"}, {2, 1}),
            "CUDA_VISIBLE_DEVICES=GPU-8d");
  EXPECT_EQ(device_seen({"CUDA_VISIBLE_DEVICES=3"}, {2, 1}), "CUDA_VISIBLE_DEVICES=");
  EXPECT_EQ(device_seen({"CUDA_VISIBLE_DEVICES=3"}, {1, 0}), "CUDA_VISIBLE_DEVICES=");
}

}  // namespace
}  // namespace assay::host
