#include "host/loader/guard.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cfenv>
#include <chrono>
#include <clocale>
#include <cstdlib>
#include <filesystem>
#include <thread>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace assay::host {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Guard, NamesNothingWhereNothingChanged) {
  const Guard guard(Depth::kWhole);
  EXPECT_THAT(guard.put_back(), IsEmpty());
}

TEST(Guard, PutsTheRoundingModeBack) {
  const Guard guard(Depth::kCall);
  std::fesetround(FE_UPWARD);
  EXPECT_THAT(guard.put_back(), ElementsAre("the floating-point mode"));
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

TEST(Guard, PutsFlushToZeroBackSoThatSmallNumbersStay) {
#if defined(__x86_64__)
  volatile float small = 1e-40F;
  {
    const Guard guard(Depth::kCall);
    _mm_setcsr(_mm_getcsr() | 0x8040);
    EXPECT_EQ(small * 1.0F, 0.0F);
  }
  EXPECT_NE(small * 1.0F, 0.0F) << "the guard's end alone has to do";
#else
  GTEST_SKIP() << "MXCSR is x86's";
#endif
}

TEST(Guard, TakesRaisedExceptionsForNoChange) {
  const Guard guard(Depth::kCall);
  std::feraiseexcept(FE_INEXACT | FE_DIVBYZERO);
  EXPECT_THAT(guard.put_back(), IsEmpty());
  std::feclearexcept(FE_ALL_EXCEPT);
}

TEST(Guard, PutsTheLocaleBack) {
  const Guard guard(Depth::kCall);
  ASSERT_NE(std::setlocale(LC_ALL, "C.UTF-8"), nullptr);
  EXPECT_THAT(guard.put_back(), ElementsAre("the locale"));
  EXPECT_STREQ(std::setlocale(LC_ALL, nullptr), "C");
}

TEST(Guard, PutsTheLocaleOfStreamsBack) {
  struct Commas : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
  };
  const Guard guard(Depth::kCall);
  std::locale::global(std::locale(std::locale(), new Commas));
  EXPECT_THAT(guard.put_back(), ElementsAre("the locale"));
  EXPECT_EQ(std::locale(), std::locale::classic());
}

TEST(Guard, PutsTheThreadsLocaleBack) {
  const Guard guard(Depth::kCall);
  locale_t other = newlocale(LC_ALL_MASK, "C.UTF-8", nullptr);
  uselocale(other);
  EXPECT_THAT(guard.put_back(), ElementsAre("the locale"));
  EXPECT_EQ(uselocale(nullptr), LC_GLOBAL_LOCALE);
  freelocale(other);
}

TEST(Guard, PutsTheEnvironmentBackAndNamesVariables) {
  setenv("ASSAY_TEST_KEPT", "a=b", 1);
  setenv("ASSAY_TEST_GONE", "1", 1);
  const Guard guard(Depth::kCall);
  setenv("ASSAY_TEST_NEW", "1", 1);
  setenv("ASSAY_TEST_KEPT", "c", 1);
  unsetenv("ASSAY_TEST_GONE");
  const auto changes = guard.put_back();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_THAT(changes[0], testing::StartsWith("the environment (ASSAY_TEST_NEW, "));
  EXPECT_THAT(changes[0], testing::HasSubstr("ASSAY_TEST_KEPT"));
  EXPECT_THAT(changes[0], testing::HasSubstr("ASSAY_TEST_GONE"));
  EXPECT_EQ(std::getenv("ASSAY_TEST_NEW"), nullptr);
  EXPECT_STREQ(std::getenv("ASSAY_TEST_KEPT"), "a=b");
  EXPECT_STREQ(std::getenv("ASSAY_TEST_GONE"), "1");
}

TEST(Guard, PutsTheWorkingDirectoryBack) {
  const auto here = std::filesystem::current_path();
  const Guard guard(Depth::kCall);
  std::filesystem::current_path("/");
  EXPECT_THAT(guard.put_back(), ElementsAre("the working directory"));
  EXPECT_EQ(std::filesystem::current_path(), here);
}

TEST(Guard, PutsSignalHandlersBack) {
  const Guard guard(Depth::kCall);
  struct sigaction before {};
  sigaction(SIGTERM, nullptr, &before);
  std::signal(SIGTERM, SIG_IGN);
  std::signal(SIGSEGV, SIG_IGN);
  EXPECT_THAT(guard.put_back(), ElementsAre("the signal handlers (SIGSEGV, SIGTERM)"));
  struct sigaction after {};
  sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
}

TEST(Guard, LooksAtEverySignalWhenWhole) {
  const Guard guard(Depth::kWhole);
  std::signal(SIGURG, SIG_IGN);
  std::signal(SIGRTMIN + 3, SIG_IGN);
  const auto changes = guard.put_back();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_THAT(changes[0], testing::HasSubstr("SIGURG"));
}

TEST(Guard, PutsTheSignalMaskBack) {
  const Guard guard(Depth::kCall);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  EXPECT_THAT(guard.put_back(), ElementsAre("the signal mask"));
  pthread_sigmask(SIG_BLOCK, nullptr, &signals);
  EXPECT_EQ(sigismember(&signals, SIGUSR1), 0);
}

TEST(Guard, PutsTheUmaskBackWhenWhole) {
  const Guard guard(Depth::kWhole);
  const mode_t before = umask(0);
  EXPECT_THAT(guard.put_back(), ElementsAre("the umask"));
  EXPECT_EQ(umask(before), before);
}

TEST(Guard, NamesEverythingThatChanged) {
  const Guard guard(Depth::kCall);
  std::fesetround(FE_DOWNWARD);
  setenv("ASSAY_TEST_NEW", "1", 1);
  EXPECT_EQ(names_of(guard.put_back()),
            "the floating-point mode, the environment (ASSAY_TEST_NEW)");
}

// The share of a call that a guard may cost: calls take milliseconds. Sanitizers intercept the
// system calls, so the bound is ten times what a release build shows.
TEST(Guard, OfACallIsCheap) {
  constexpr int kRounds = 2000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    const Guard guard(Depth::kCall);
    ASSERT_TRUE(guard.put_back().empty());
  }
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  RecordProperty("microseconds", std::to_string(took.count() / kRounds));
  std::printf("%.1f us per call\n", took.count() / kRounds);
  EXPECT_LT(took.count() / kRounds, 400);
}

}  // namespace
}  // namespace assay::host
