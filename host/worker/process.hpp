// A child process for one plugin: started clean, watched, and gone at the end with everything it
// started. What is said to it is not known here.
#pragma once

#include <assay/abi.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/result.hpp"
#include "host/worker/channel.hpp"

namespace assay::host {

struct ProcessSpec {
  std::filesystem::path executable;  ///< assay itself
  std::string node;                  ///< "model.int4": prefix of its log lines
  std::uint32_t threads = 1;         ///< budget, in the environment before exec
  assay_device device{1, 0};         ///< a CUDA device: the only one it sees, there number 0
};

/// How a process ended.
struct Ending {
  bool is_signal = false;
  int code = 0;  ///< exit code or signal
  /// A predicate: "was killed by signal 11 (SIGSEGV)", "exited with code 0 without an answer".
  std::string sentence;
};

/// `assay worker`, started with posix_spawn from a thread that lives as long as this process: own
/// process group, environment of an allow-list plus the thread budget, working directory /,
/// standard input empty, standard output and error read line by line into the log at level warn.
/// The channel is descriptors kWorkerSocket and kWorkerMemory there; no other descriptor is open.
///
/// Threads  [any-thread]
class Process {
 public:
  static constexpr int kWorkerSocket = 3, kWorkerMemory = 4;
  static constexpr std::size_t kLastLines = 50;

  /// Fails    ASSAY_UNAVAILABLE the system has no process for us, saying why
  static Result<std::unique_ptr<Process>> spawn(const ProcessSpec& spec, WorkerEnd end);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();  ///< kills what is left of its group

  pid_t id() const;
  bool is_running() const;

  /// Resident memory of the process, 0 when it is gone.
  std::uint64_t resident_bytes() const;
  std::uint32_t n_threads() const;

  /// Waits for it to end by itself within `grace`, else SIGTERM, again `grace`, else SIGKILL; then
  /// kills its whole group. The second call gives the same answer. last_lines() is complete then.
  Ending end(std::chrono::milliseconds grace);

  /// What it wrote to standard output and error last, at most kLastLines.
  std::vector<std::string> last_lines() const;

 private:
  struct State;
  explicit Process(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// What a worker does first: die with its parent, end its whole group when the parent goes or sends
/// SIGTERM. Call before any thread is started.
void bind_to_parent();

/// What of the host's environment a worker gets, in the form of environ: an allow-list (PATH, HOME,
/// USER, TMPDIR, TZ, LANG, LC_*, LD_LIBRARY_PATH, CUDA_*, NVIDIA_*, *SAN_OPTIONS, XDG_*), then the
/// budget: OMP_NUM_THREADS and its like, OMP_WAIT_POLICY, CUDA_VISIBLE_DEVICES.
std::vector<std::string> worker_environment(const ProcessSpec& spec);

}  // namespace assay::host
