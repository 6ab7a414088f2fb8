#include "host/cli/test_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

#include "host/worker/descriptor.hpp"

namespace assay::host {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLastLines = 20;
constexpr std::size_t kMostBytes = 1u << 20;  // of what a test writes
constexpr int kAnswer = 3;

struct Pipe {
  Descriptor read, write;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

/// A file in memory with the job, to be read from its start.
Descriptor memory_file(const std::string& text) {
  Descriptor file(memfd_create("assay-check", MFD_CLOEXEC));
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = write(file.number, text.data() + at, text.size() - at);
    if (n < 0) throw std::system_error(errno, std::generic_category(), "a job");
    at += static_cast<std::size_t>(n);
  }
  lseek(file.number, 0, SEEK_SET);
  return file;
}

/// A test that is running.
struct Running {
  std::size_t job = 0;
  pid_t id = 0;
  Descriptor answer, errors;
  std::string answer_text, error_text;
  bool is_answer_open = true, is_error_open = true, is_late = false;
  Clock::time_point start, deadline;
};

std::unique_ptr<Running> start(const std::filesystem::path& executable,
                               const std::vector<std::string>& arguments, const TestJob& job,
                               std::size_t number) {
  auto running = std::make_unique<Running>();
  const Descriptor input = memory_file(job.input);
  Pipe answer = make_pipe(), errors = make_pipe();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Above the descriptors that are placed, so that none is overwritten before it is used.
  const Descriptor high_answer(fcntl(answer.write.number, F_DUPFD_CLOEXEC, 10));
  const Descriptor high_errors(fcntl(errors.write.number, F_DUPFD_CLOEXEC, 10));
  const Descriptor high_input(fcntl(input.number, F_DUPFD_CLOEXEC, 10));
  posix_spawn_file_actions_adddup2(&actions, high_input.number, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, high_errors.number, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, high_answer.number, kAnswer);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  std::vector<std::string> words{executable.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const int fault = posix_spawn(&running->id, executable.c_str(), &actions, &attributes,
                                pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (fault != 0) throw std::system_error(fault, std::generic_category(), "posix_spawn");
  running->job = number;
  running->answer = std::move(answer.read);
  running->errors = std::move(errors.read);
  running->start = Clock::now();
  running->deadline = running->start + std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(job.timeout_seconds));
  return running;
}

/// Reads what is there; false at the end.
bool drain(int fd, std::string& to) {
  char buffer[65536];
  const ssize_t n = read(fd, buffer, sizeof buffer);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  if (n == 0) return false;
  to.append(buffer, static_cast<std::size_t>(n));
  if (to.size() > 2 * kMostBytes) to.erase(0, to.size() - kMostBytes);
  return true;
}

std::vector<std::string> last_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t end = text.size();
  while (end > 0 && lines.size() < kLastLines) {
    if (text[end - 1] == '\n') {
      --end;
      continue;
    }
    const std::size_t before = text.rfind('\n', end - 1);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    lines.push_back(text.substr(begin, end - begin));
    end = begin;
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

std::string ending_of(int status, bool is_late, double timeout_seconds) {
  char text[120];
  if (is_late) {
    std::snprintf(text, sizeof text, "did not end within %.15g s", timeout_seconds);
  } else if (WIFSIGNALED(status)) {
    std::snprintf(text, sizeof text, "was killed by signal %d (%s)", WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
  } else if (WEXITSTATUS(status) != 0) {
    std::snprintf(text, sizeof text, "exited with code %d", WEXITSTATUS(status));
  } else {
    return "";
  }
  return text;
}

TestAnswer end(Running& running, double timeout_seconds) {
  int status = 0;
  while (waitpid(running.id, &status, 0) < 0 && errno == EINTR) {
  }
  kill(-running.id, SIGKILL);  // what it started and left
  TestAnswer answer;
  answer.answer = std::move(running.answer_text);
  answer.ending = ending_of(status, running.is_late, timeout_seconds);
  answer.last_lines = last_lines(running.error_text);
  answer.seconds = std::chrono::duration<double>(Clock::now() - running.start).count();
  return answer;
}

/// Has the process itself ended? Its children may hold the pipes open.
bool has_ended(pid_t id) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(id), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == id;
}

}  // namespace

void run_test_processes(const std::filesystem::path& executable,
                        const std::vector<std::string>& arguments, const std::vector<TestJob>& jobs,
                        std::size_t at_once,
                        const std::function<void(std::size_t, TestAnswer)>& done) {
  std::vector<std::unique_ptr<Running>> running;
  std::size_t next = 0;
  while (next < jobs.size() || !running.empty()) {
    while (next < jobs.size() && running.size() < at_once) {
      running.push_back(start(executable, arguments, jobs[next], next));
      ++next;
    }
    std::vector<pollfd> waiting;
    for (const auto& each : running) {
      waiting.push_back({each->is_answer_open ? each->answer.number : -1, POLLIN, 0});
      waiting.push_back({each->is_error_open ? each->errors.number : -1, POLLIN, 0});
    }
    poll(waiting.data(), waiting.size(), 50);
    for (std::size_t i = 0; i < running.size(); ++i) {
      Running& each = *running[i];
      if (waiting[2 * i].revents != 0) {
        each.is_answer_open = drain(each.answer.number, each.answer_text);
      }
      if (waiting[2 * i + 1].revents != 0) {
        each.is_error_open = drain(each.errors.number, each.error_text);
      }
      if (!each.is_late && Clock::now() > each.deadline) {
        each.is_late = true;
        kill(-each.id, SIGKILL);
      }
    }
    for (std::size_t i = 0; i < running.size();) {
      Running& each = *running[i];
      if (!has_ended(each.id)) {
        ++i;
        continue;
      }
      // What is in the pipes already; a child that was left may never close them.
      for (auto [descriptor, text] : {std::pair(each.answer.number, &each.answer_text),
                                      std::pair(each.errors.number, &each.error_text)}) {
        fcntl(descriptor, F_SETFL, O_NONBLOCK);
        for (pollfd more{descriptor, POLLIN, 0};
             poll(&more, 1, 0) > 0 && drain(descriptor, *text);) {
        }
      }
      const std::size_t job = each.job;
      TestAnswer answer = end(each, jobs[job].timeout_seconds);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      done(job, std::move(answer));
    }
  }
}

}  // namespace assay::host
