#include "host/worker/worker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <string>

namespace assay::host {
namespace {

using testing::StartsWith;

TEST(Worker, IsFoundGoneWhileWhatItStartedHoldsItsEndOfTheLine) {
  const auto start = std::chrono::steady_clock::now();
  std::string line;
  {
    Lease lease;
    lease.node = "leave_child_of_other_group";
    lease.timeout_seconds = 600;
    auto worker = Worker::start(ASSAY_WORKER_CHILD, lease);
    ASSERT_TRUE(worker) << worker.error().text;
    // More than fits: it is the sender that must be woken.
    const auto answer = (*worker)->ask(Word::kCreate, std::string(40u << 20, 'x'));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ASSAY_ABORTED);
    EXPECT_THAT(answer.error().text,
                StartsWith("its process exited with code 0 without an answer during create"));
    ASSERT_FALSE((*worker)->last_lines().empty());
    line = (*worker)->last_lines().back();
  }
  // Long before the timeout; the rest is for a busy machine.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
  ASSERT_THAT(line, StartsWith("escaped "));
  kill(std::stoi(line.substr(8)), SIGKILL);
}

}  // namespace
}  // namespace assay::host
