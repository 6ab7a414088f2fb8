#include "host/worker/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "host/core/utf8.hpp"
#include "host/log/log.hpp"
#include "host/worker/descriptor.hpp"

namespace assay::host {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kLineBytes = 4096;
// A process that was sent SIGKILL ends at once, unless the system itself holds it.
constexpr milliseconds kKilledWithin{10'000};
// How long output may still come when the group is gone: what left the group may hold the pipe.
constexpr milliseconds kLastOutputWithin{200};

std::string reason(int error_number) { return std::generic_category().message(error_number); }

/// The thread all workers are started from. PR_SET_PDEATHSIG means the thread that started a
/// process, so that one must not end before this process does.
class Starter {
 public:
  Starter() {
    // Where a parent of ours ignored SIGCHLD, how a child ended could not be asked for.
    struct sigaction child {};
    if (::sigaction(SIGCHLD, nullptr, &child) == 0 && child.sa_handler == SIG_IGN) {
      child.sa_handler = SIG_DFL;
      ::sigaction(SIGCHLD, &child, nullptr);
    }
    std::thread([this] { work(); }).detach();
  }

  int run(std::function<int()> job) {
    std::packaged_task<int()> task(std::move(job));
    auto done = task.get_future();
    {
      const std::scoped_lock hold(lock_);
      tasks_.push_back(std::move(task));
    }
    came_.notify_one();
    return done.get();
  }

 private:
  [[noreturn]] void work() {
    while (true) {
      std::unique_lock hold(lock_);
      came_.wait(hold, [this] { return !tasks_.empty(); });
      std::packaged_task<int()> task = std::move(tasks_.front());
      tasks_.pop_front();
      hold.unlock();
      task();
    }
  }

  std::mutex lock_;
  std::condition_variable came_;
  std::deque<std::packaged_task<int()>> tasks_;
};

Starter& the_starter() {
  static Starter& starter = *new Starter;  // never destroyed: its thread does not end
  return starter;
}

/// What posix_spawn() is told, and its release.
struct SpawnSettings {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;

  SpawnSettings() {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }
};

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// 0 and the process, or an error number. All descriptors are above those of the worker.
int spawn_worker(const ProcessSpec& spec, int socket, int memory, int output, pid_t& id) {
  SpawnSettings settings;
  int error = 0;
  const auto check = [&error](int result) {
    if (error == 0) error = result;
  };
  auto* files = &settings.files;
  check(::posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
  check(::posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO));
  check(::posix_spawn_file_actions_adddup2(files, output, STDERR_FILENO));
  check(::posix_spawn_file_actions_adddup2(files, socket, Process::kWorkerSocket));
  check(::posix_spawn_file_actions_adddup2(files, memory, Process::kWorkerMemory));
  check(::posix_spawn_file_actions_addclosefrom_np(files, Process::kWorkerMemory + 1));
  check(::posix_spawn_file_actions_addchdir_np(files, "/"));

  auto* attributes = &settings.attributes;
  sigset_t signals;
  ::sigfillset(&signals);
  check(::posix_spawnattr_setsigdefault(attributes, &signals));
  ::sigemptyset(&signals);
  check(::posix_spawnattr_setsigmask(attributes, &signals));
  check(::posix_spawnattr_setpgroup(attributes, 0));
  check(::posix_spawnattr_setflags(
      attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
  if (error != 0) return error;

  // The working directory changes before the program is looked for.
  const std::string executable = std::filesystem::absolute(spec.executable).string();
  std::vector<std::string> words = {executable, "worker", spec.node};
  std::vector<std::string> environment = worker_environment(spec);
  return ::posix_spawn(&id, executable.c_str(), files, attributes, pointers_to(words).data(),
                       pointers_to(environment).data());
}

/// A copy above the descriptors of the worker, which are written one after the other.
Descriptor copy_above(int number) {
  return Descriptor(::fcntl(number, F_DUPFD_CLOEXEC, Process::kWorkerMemory + 1));
}

Failure cannot_start(const ProcessSpec& spec, int error_number) {
  const bool is_short = error_number == EAGAIN || error_number == ENOMEM ||
                        error_number == EMFILE || error_number == ENFILE;
  return {ASSAY_UNAVAILABLE,
          "cannot start a process for " + spec.node + " from " + spec.executable.string() + ": " +
              reason(error_number) +
              (is_short ? "; end other programs or raise the limit of the system"
                        : "; it must stay where it is, executable, while it runs"),
          spec.node};
}

/// Has it ended, and not been waited for?
bool has_ended(pid_t id) {
  siginfo_t how{};
  if (::waitid(P_PID, static_cast<id_t>(id), &how, WEXITED | WNOHANG | WNOWAIT) != 0) {
    return errno == ECHILD;
  }
  return how.si_pid == id;
}

bool ends_within(pid_t id, milliseconds time) {
  const auto deadline = Clock::now() + time;
  std::chrono::microseconds nap{200};
  while (!has_ended(id)) {
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) return false;
    std::this_thread::sleep_for(std::min<Clock::duration>(nap, left));
    nap = std::min<std::chrono::microseconds>(2 * nap, milliseconds(5));
  }
  return true;
}

std::string name_of(int signal) {
  const char* name = ::sigabbrev_np(signal);
  std::string text = "signal " + std::to_string(signal);
  return name == nullptr ? text : text + " (SIG" + name + ")";
}

Ending ending_of(const siginfo_t& how, bool is_by_itself, milliseconds grace) {
  Ending ending;
  ending.is_signal = how.si_pid != 0 && how.si_code != CLD_EXITED;
  ending.code = how.si_status;
  const std::string late =
      is_by_itself ? "" : "did not end within " + std::to_string(grace.count()) + " ms and ";
  if (how.si_pid == 0) {
    ending.sentence = late + "could not be waited for";
  } else if (ending.is_signal) {
    ending.sentence = late + "was killed by " + name_of(ending.code);
  } else if (ending.code == 0 && is_by_itself) {
    ending.sentence = "exited with code 0 without an answer";
  } else {
    ending.sentence = late + "exited with code " + std::to_string(ending.code);
  }
  return ending;
}

/// Cuts what comes in pieces into lines; a line without an end is none until finish().
class LineCutter {
 public:
  explicit LineCutter(std::function<void(const std::string&)> sink) : sink_(std::move(sink)) {}

  void take(std::string_view bytes) {
    for (const char byte : bytes) {
      // A progress bar writes its line over and over behind '\r'.
      if (byte == '\n' || byte == '\r') {
        finish();
      } else if (line_.size() < kLineBytes) {
        line_ += byte;
      } else {
        ++left_out_bytes_;
      }
    }
  }

  void finish() {
    if (line_.empty()) return;
    if (left_out_bytes_ > 0) {
      // Not in the middle of a character.
      const auto fault = utf8_fault(line_);
      if (fault && *fault + 4 > line_.size()) {
        left_out_bytes_ += line_.size() - *fault;
        line_.resize(*fault);
      }
      line_ += " ... " + std::to_string(left_out_bytes_) + " more bytes";
    }
    sink_(mended_utf8(line_));
    line_.clear();
    left_out_bytes_ = 0;
  }

 private:
  std::function<void(const std::string&)> sink_;
  std::string line_;
  std::uint64_t left_out_bytes_ = 0;
};

bool is_allowed(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames = {"PATH", "HOME", "USER",           "TMPDIR",
                                                      "TZ",   "LANG", "LD_LIBRARY_PATH"};
  constexpr std::array<std::string_view, 4> kBeginnings = {"LC_", "CUDA_", "NVIDIA_", "XDG_"};
  if (name == "CUDA_VISIBLE_DEVICES") return false;
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [&](std::string_view start) { return name.starts_with(start); }) ||
         name.ends_with("SAN_OPTIONS");
}

/// The device of that index among those this process sees itself.
std::string visible_device(std::int32_t index) {
  const char* mine = std::getenv("CUDA_VISIBLE_DEVICES");
  if (mine == nullptr) return std::to_string(index);
  std::istringstream names(mine);
  std::string name;
  for (std::int32_t i = 0; i <= index; ++i) {
    if (!std::getline(names, name, ',')) return "";
  }
  return name;
}

void kill_own_group(int) { ::kill(0, SIGKILL); }

}  // namespace

struct Process::State {
  explicit State(std::string its_node) : node(std::move(its_node)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void keep(const std::string& line);
  void read_output();
  siginfo_t reap();

  const std::string node;
  pid_t id = -1;
  Descriptor output;  ///< what it writes
  Descriptor stop;    ///< says to the reader that the group is gone
  std::thread reader;

  std::mutex ending;  ///< held through all of end()
  std::optional<Ending> ended;

  mutable std::mutex alive;  ///< while held and not reaped, `id` is nobody else's
  bool is_reaped = false;

  mutable std::mutex lines_lock;
  std::deque<std::string> lines;
};

void Process::State::keep(const std::string& line) {
  {
    const std::scoped_lock hold(lines_lock);
    lines.push_back(line);
    if (lines.size() > kLastLines) lines.pop_front();
  }
  log_from_plugin(node, ASSAY_WARN, line);
}

void Process::State::read_output() {
  LineCutter cutter([this](const std::string& line) { keep(line); });
  std::array<char, 65536> bytes;
  std::optional<Clock::time_point> deadline;
  while (true) {
    std::array<pollfd, 2> ready{{{output.number, POLLIN, 0}, {stop.number, POLLIN, 0}}};
    const auto left =
        deadline ? std::chrono::ceil<milliseconds>(*deadline - Clock::now()) : milliseconds(-1);
    if (deadline && left.count() <= 0) break;
    const int n = ::poll(ready.data(), deadline ? 1 : 2, static_cast<int>(left.count()));
    if (n < 0 && errno != EINTR) break;
    if (n <= 0) continue;
    if (!deadline && ready[1].revents != 0) deadline = Clock::now() + kLastOutputWithin;
    if (ready[0].revents == 0) continue;
    const ssize_t got = ::read(output.number, bytes.data(), bytes.size());
    if (got == 0 || (got < 0 && errno != EINTR)) break;
    if (got > 0) cutter.take({bytes.data(), static_cast<std::size_t>(got)});
  }
  cutter.finish();
}

/// Kills the group while the ended process still holds its number, then lets that go.
siginfo_t Process::State::reap() {
  const std::scoped_lock hold(alive);
  siginfo_t how{};
  const auto number = static_cast<id_t>(id);
  // Where somebody else waited for it, the number may mean another group by now.
  if (::waitid(P_PID, number, &how, WEXITED | WNOHANG | WNOWAIT) == 0) ::kill(-id, SIGKILL);
  how = {};
  ::waitid(P_PID, number, &how, WEXITED | WNOHANG);
  is_reaped = true;
  return how;
}

Process::Process(std::unique_ptr<State> state) : state_(std::move(state)) {}

Process::~Process() { end(milliseconds(0)); }

Result<std::unique_ptr<Process>> Process::spawn(const ProcessSpec& spec, WorkerEnd end) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return cannot_start(spec, errno);
  auto state = std::make_unique<State>(spec.node);
  state->output = Descriptor(pipe[0]);
  const Descriptor low_output(pipe[1]);
  state->stop = Descriptor(::eventfd(0, EFD_CLOEXEC));
  const Descriptor output = copy_above(low_output.number);
  const Descriptor socket = copy_above(end.socket);
  const Descriptor memory = copy_above(end.memory);
  if (!state->stop.is_open() || !output.is_open() || !socket.is_open() || !memory.is_open()) {
    return cannot_start(spec, errno);
  }
  try {
    // Started first: a process whose reader cannot be would have to be ended again.
    State* reads = state.get();
    const int error = the_starter().run(
        [&] { return spawn_worker(spec, socket.number, memory.number, output.number, reads->id); });
    if (error != 0) return cannot_start(spec, error);
  } catch (const std::system_error& error) {
    return cannot_start(spec, error.code().value());
  }
  auto process = std::unique_ptr<Process>(new Process(std::move(state)));
  try {
    State* reads = process->state_.get();
    reads->reader = std::thread([reads] { reads->read_output(); });
  } catch (const std::system_error& error) {
    return cannot_start(spec, error.code().value());
  }
  return process;
}

pid_t Process::id() const { return state_->id; }

bool Process::is_running() const {
  const std::scoped_lock hold(state_->alive);
  return !state_->is_reaped && !has_ended(state_->id);
}

std::uint64_t Process::resident_bytes() const {
  const std::scoped_lock hold(state_->alive);
  if (state_->is_reaped) return 0;
  std::ifstream sizes("/proc/" + std::to_string(state_->id) + "/statm");
  std::uint64_t all_pages = 0, resident_pages = 0;
  if (!(sizes >> all_pages >> resident_pages)) return 0;
  return resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint32_t Process::n_threads() const {
  const std::scoped_lock hold(state_->alive);
  if (state_->is_reaped || has_ended(state_->id)) return 0;
  std::ifstream status("/proc/" + std::to_string(state_->id) + "/status");
  for (std::string word; status >> word;) {
    std::uint32_t threads = 0;
    if (word == "Threads:" && status >> threads) return threads;
  }
  return 0;
}

Ending Process::end(std::chrono::milliseconds grace) {
  State& state = *state_;
  const std::scoped_lock hold(state.ending);
  if (state.ended) return *state.ended;
  const bool is_by_itself = ends_within(state.id, grace);
  if (!is_by_itself) {
    ::kill(state.id, SIGTERM);
    if (!ends_within(state.id, grace)) {
      ::kill(state.id, SIGKILL);
      ends_within(state.id, kKilledWithin);
    }
  }
  const siginfo_t how = state.reap();
  state.ended = ending_of(how, is_by_itself, grace);
  if (state.reader.joinable()) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t said = ::write(state.stop.number, &one, sizeof one);
    state.reader.join();
  }
  return *state.ended;
}

std::vector<std::string> Process::last_lines() const {
  const std::scoped_lock hold(state_->lines_lock);
  return {state_->lines.begin(), state_->lines.end()};
}

void bind_to_parent() {
  if (::getpgrp() != ::getpid()) ::setpgid(0, 0);  // never a group that others are in
  struct sigaction action {};
  action.sa_handler = kill_own_group;
  ::sigaction(SIGTERM, &action, nullptr);
  const pid_t parent = ::getppid();
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // It may have gone before this was asked for; then its end of the line is closed.
  pollfd line{Process::kWorkerSocket, 0, 0};
  const bool is_alone =
      ::getppid() != parent || (::poll(&line, 1, 0) > 0 && (line.revents & POLLHUP) != 0);
  if (is_alone) kill_own_group(SIGTERM);
}

std::vector<std::string> worker_environment(const ProcessSpec& spec) {
  std::vector<std::string> environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (is_allowed(text.substr(0, text.find('=')))) environment.emplace_back(text);
  }
  const std::string threads = "=" + std::to_string(std::max(1u, spec.threads));
  for (const char* name :
       {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"}) {
    environment.push_back(name + threads);
  }
  environment.push_back("OMP_WAIT_POLICY=passive");
  constexpr std::int32_t kCuda = 2;
  environment.push_back("CUDA_VISIBLE_DEVICES=" +
                        (spec.device.type == kCuda ? visible_device(spec.device.id) : ""));
  return environment;
}

}  // namespace assay::host
