#include "host/cli/interrupt.hpp"

#include <unistd.h>

#include <csignal>
#include <cstring>

#include "host/run/run.hpp"

namespace assay::host {
namespace {

// A signal handler reaches nothing else.
std::atomic<bool> g_interrupted{false};    // NOLINT
std::atomic<const char*> g_told{nullptr};  // NOLINT

void on_signal(int) {
  if (g_interrupted.exchange(true)) ::_exit(kExitInterrupted);
  const char* told = g_told;
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, told, std::strlen(told));
}

}  // namespace

const std::atomic<bool>& interrupted() { return g_interrupted; }

void catch_interrupts(const char* told) {
  g_told = told;
  struct sigaction action {};
  action.sa_handler = &on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace assay::host
