// What of this process a plugin has to leave as it found it: taken before its code runs, compared
// and put back afterwards. Which call it was, and what follows from it, is the callers' to say.
#pragma once

#include <csignal>
#include <cstdint>
#include <locale>
#include <string>
#include <vector>

namespace assay::host {

/// kCall: what can be looked at before and after every call, in about 10 us each: floating-point
/// mode, locale, environment, working directory, signal mask, handlers of the signals a host lives
/// by. kWhole: the handlers of all signals and the umask as well, about 60 us each.
enum class Depth { kCall, kWhole };

/// Threads  one: the floating-point mode and the signal mask are a thread's own
/// Source   Intel SDM vol. 1, 8.1.5 and 10.2.3 (x87 control word, MXCSR); Arm ARM, FPCR
class Guard {
 public:
  explicit Guard(Depth depth);
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard();  ///< puts the floating-point mode back

  /// What differs from when the guard was made: "the floating-point mode", "the environment
  /// (HOME)". All of it is put back.
  std::vector<std::string> put_back() const;

  /// Puts the floating-point mode back and says whether it differed; costs next to nothing.
  bool put_back_floating_point() const;

 private:
  struct Handler {
    int signal;
    struct sigaction action;
  };

  std::uint64_t floating_point_;
  std::string c_locale_;
  locale_t thread_locale_;
  std::locale cpp_locale_;
  std::vector<std::string> environment_;
  std::string folder_;
  sigset_t mask_;
  std::vector<Handler> handlers_;
  bool has_umask_;
};

/// "the locale, the umask".
std::string names_of(const std::vector<std::string>& changes);

}  // namespace assay::host
