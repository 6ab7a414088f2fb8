#include "host/loader/guard.hpp"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace assay::host {
namespace {

/// Rounding, precision, exception masks, flush to zero; not which exceptions were raised.
std::uint64_t floating_point() {
#if defined(__x86_64__)
  constexpr std::uint32_t kRaised = 0x3f;
  std::uint16_t x87 = 0;
  asm volatile("fnstcw %0" : "=m"(x87));
  return (std::uint64_t{x87} << 32) | (_mm_getcsr() & ~kRaised);
#else
  std::uint64_t fpcr = 0;
  asm volatile("mrs %0, fpcr" : "=r"(fpcr));
  return fpcr;
#endif
}

void set_floating_point(std::uint64_t mode) {
#if defined(__x86_64__)
  const auto x87 = static_cast<std::uint16_t>(mode >> 32);
  asm volatile("fldcw %0" : : "m"(x87));
  _mm_setcsr(static_cast<std::uint32_t>(mode));
#else
  asm volatile("msr fpcr, %0" : : "r"(mode));
#endif
}

/// The umask, without the moment in which another thread's files would have a wrong mode.
std::optional<mode_t> read_umask() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Umask:")) {
      return static_cast<mode_t>(std::strtoul(line.c_str() + 6, nullptr, 8));
    }
  }
  return std::nullopt;
}

/// The host never changes it, so that what it was at first is what it has to be.
mode_t first_umask() {
  static const mode_t first = read_umask().value_or(022);
  return first;
}

std::vector<std::string> environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    entries.emplace_back(*entry);
  }
  return entries;
}

std::string name_in(const std::string& entry) { return entry.substr(0, entry.find('=')); }

const std::string* find_entry(const std::vector<std::string>& entries, const std::string& name) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const std::string& entry) {
    return entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=';
  });
  return found != entries.end() ? &*found : nullptr;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Sets the environment back and names the variables that differed.
std::vector<std::string> put_back_environment(const std::vector<std::string>& before) {
  const std::vector<std::string> now = environment();
  std::vector<std::string> changed;
  for (const std::string& entry : now) {
    const std::string name = name_in(entry);
    if (find_entry(before, name) != nullptr) continue;
    changed.push_back(name);
    unsetenv(name.c_str());
  }
  for (const std::string& entry : before) {
    const std::string name = name_in(entry);
    const std::string* there = find_entry(now, name);
    if (there != nullptr && *there == entry) continue;
    if (name.size() == entry.size()) continue;  // no "=": nothing setenv could make
    changed.push_back(name);
    setenv(name.c_str(), entry.c_str() + name.size() + 1, 1);
  }
  return changed;
}

std::string working_directory() {
  char path[PATH_MAX];
  return getcwd(path, sizeof path) != nullptr ? path : "";
}

std::vector<int> signals_of(Depth depth) {
  if (depth == Depth::kCall) {
    return {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS, SIGFPE,
            SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGCHLD};
  }
  std::vector<int> signals;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) signals.push_back(signal);
  return signals;
}

bool are_equal(const sigset_t& a, const sigset_t& b) {
  // Only these bytes are the kernel's; nobody fills the rest.
  return std::memcmp(&a, &b, _NSIG / 8) == 0;
}

bool are_equal(const struct sigaction& a, const struct sigaction& b) {
  return a.sa_flags == b.sa_flags && a.sa_sigaction == b.sa_sigaction &&
         are_equal(a.sa_mask, b.sa_mask);
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal);
}

}  // namespace

Guard::Guard(Depth depth)
    : floating_point_(floating_point()),
      c_locale_(setlocale(LC_ALL, nullptr)),
      thread_locale_(uselocale(nullptr)),
      environment_(environment()),
      folder_(working_directory()),
      has_umask_(depth == Depth::kWhole) {
  pthread_sigmask(SIG_SETMASK, nullptr, &mask_);
  for (const int signal : signals_of(depth)) {
    Handler handler{signal, {}};
    if (sigaction(signal, nullptr, &handler.action) == 0) handlers_.push_back(handler);
  }
  if (has_umask_) first_umask();
}

Guard::~Guard() { put_back_floating_point(); }

bool Guard::put_back_floating_point() const {
  if (floating_point() == floating_point_) return false;
  set_floating_point(floating_point_);
  return true;
}

std::vector<std::string> Guard::put_back() const {
  std::vector<std::string> changes;
  if (put_back_floating_point()) changes.emplace_back("the floating-point mode");

  const bool is_locale_same = uselocale(nullptr) == thread_locale_ &&
                              std::locale() == cpp_locale_ &&
                              setlocale(LC_ALL, nullptr) == c_locale_;
  if (!is_locale_same) {
    changes.emplace_back("the locale");
    uselocale(thread_locale_);
    std::locale::global(cpp_locale_);
    setlocale(LC_ALL, c_locale_.c_str());
  }

  if (environment() != environment_) {
    const auto names = put_back_environment(environment_);
    if (!names.empty()) changes.push_back("the environment (" + joined(names) + ")");
  }

  if (!folder_.empty() && working_directory() != folder_) {
    changes.emplace_back("the working directory");
    // A folder that is gone cannot be gone back to; the next guard takes what there is.
    [[maybe_unused]] const int done = chdir(folder_.c_str());
  }

  std::vector<std::string> signals;
  for (const Handler& handler : handlers_) {
    struct sigaction now {};
    if (sigaction(handler.signal, nullptr, &now) != 0 || are_equal(now, handler.action)) continue;
    signals.push_back(signal_name(handler.signal));
    sigaction(handler.signal, &handler.action, nullptr);
  }
  if (!signals.empty()) changes.push_back("the signal handlers (" + joined(signals) + ")");

  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  if (!are_equal(mask, mask_)) {
    changes.emplace_back("the signal mask");
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }

  if (has_umask_) {
    const auto now = read_umask();
    if (now && *now != first_umask()) {
      changes.emplace_back("the umask");
      umask(first_umask());
    }
  }
  return changes;
}

std::string names_of(const std::vector<std::string>& changes) { return joined(changes); }

}  // namespace assay::host
