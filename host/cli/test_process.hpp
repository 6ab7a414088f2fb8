// One test of a plugin in a process of its own: started, watched, ended at its deadline. What the
// test is, and what its answer means, is not known here.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace assay::host {

struct TestJob {
  std::string input;  ///< on its standard input
  double timeout_seconds = 60;
};

struct TestAnswer {
  std::string answer;  ///< what it wrote to descriptor 3; empty: nothing
  /// A predicate, where it did not end by itself with code 0: "was killed by signal 11
  /// (Segmentation fault)", "did not end within 60 s". Empty: it did.
  std::string ending;
  std::vector<std::string> last_lines;  ///< of standard error
  double seconds = 0;
};

/// Runs the jobs, `at_once` of them side by side, each as `executable arguments...` in a process
/// group of its own that is gone at the end. `done` is called in the order in which they end.
void run_test_processes(const std::filesystem::path& executable,
                        const std::vector<std::string>& arguments, const std::vector<TestJob>& jobs,
                        std::size_t at_once,
                        const std::function<void(std::size_t job, TestAnswer answer)>& done);

}  // namespace assay::host
