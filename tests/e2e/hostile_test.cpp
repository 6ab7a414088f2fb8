// Plugins that break one thing each: the variant fails with its sentence, the others are whole,
// nothing is left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct Fault {
  std::string name;
  std::string sentence;  ///< of the failure of the variant, or of its item
  std::string during = "run";
  std::string also = "";  ///< further keys of the variant
};

void PrintTo(const Fault& fault, std::ostream* out) {
  *out << fault.name << " in " << fault.during;
}

/// Processes whose command line holds the word.
int n_processes(const std::string& word) {
  int n = 0;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream in(entry.path() / "cmdline", std::ios::binary);
    std::string line((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    std::replace(line.begin(), line.end(), '\0', ' ');
    n += line.find(word) != std::string::npos;
  }
  return n;
}

/// Gives the system a moment to bury what was killed.
bool is_gone(const std::string& word) {
  for (int i = 0; i < 50; ++i) {
    if (n_processes(word) == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

class HostileRun : public testing::TestWithParam<Fault> {
 protected:
  void SetUp() override {
    std::string items;
    for (int i = 0; i < 12; ++i) {
      items +=
          Json{{"q", "item " + std::to_string(i)}, {"choices", {"yes", "no"}}, {"answer", i % 2}}
              .dump() +
          "\n";
    }
    folder_.write("items.jsonl", items);
    // Trusted places are not written by others; a build folder may be.
    const mode_t before = umask(022);
    fs::create_directory(folder_.path() / "plugins");
    for (const char* name : {"fake-backends.so", "hostile/hostile-backend.so"}) {
      const fs::path from = fs::path(ASSAY_TEST_FAKES) / name;
      fs::copy_file(from, folder_.path() / "plugins" / from.filename());
    }
    umask(before);
  }

  std::string model(const std::string& name, const std::string& rest) const {
    return "[model." + name + "]\npath = \"" + ASSAY_SOURCE_DIR + "/share/data/stories260k\"\n" +
           rest;
  }

  std::string manifest(const Fault& fault) const {
    return "assay = 1\n" + model("good", "backend = \"fake/hash\"\nvocab = 512\n") +
           model(node(), "backend = \"hostile/backend\"\nfault = \"" + fault.name +
                             "\"\nduring = \"" + fault.during + "\"\n" + fault.also) +
           model("after", "backend = \"fake/hash\"\nvocab = 512\nnoise = 0.1\n") +
           "[dataset.items]\nuse = \"assay/jsonl\"\npath = \"items.jsonl\"\n"
           "[task.choice]\nprotocol = \"multiple_choice\"\ndataset = \"items\"\n"
           "prompt = \"{{ q }}\"\nchoices = \"choices\"\ntarget = \"answer\"\n"
           "[compare]\nbaseline = \"good\"\n";
  }

  /// In the command line of its worker, so that it can be found.
  std::string node() const { return "hostile-" + std::to_string(::getpid()); }

  Ran run(const Fault& fault) {
    const std::string path = folder_.write("m.toml", manifest(fault)).string();
    // A sanitizer would catch the signals and exit in a way of its own.
    return run_assay({"run", "-q", path, "--out", (folder_.path() / "out").string(), "--plugin-dir",
                      (folder_.path() / "plugins").string()},
                     "ASAN_OPTIONS=handle_segv=0:handle_abort=0:use_sigaltstack=0 ");
  }

  TempFolder folder_;
};

TEST_P(HostileRun, FailsAloneAndIsNamed) {
  const Fault& fault = GetParam();
  const Ran ran = run(fault);
  EXPECT_EQ(ran.exit_code, 4) << ran.err;
  const Json document = run_document(folder_.path() / "out");
  ASSERT_TRUE(document.is_object()) << ran.err;
  EXPECT_EQ(document.at("variants")[0].at("status"), "complete");
  EXPECT_EQ(document.at("variants")[2].at("status"), "complete");
  EXPECT_NE(record_of(document, "good", "choice", "acc"), nullptr);
  EXPECT_NE(record_of(document, "after", "choice", "acc"), nullptr);
  ASSERT_FALSE(document.at("failures").empty()) << ran.err;
  const Json& failure = document.at("failures")[0];
  EXPECT_EQ(failure.at("variant"), node());
  EXPECT_THAT(failure.at("text").get<std::string>(), HasSubstr(fault.sentence));
  if (fault.sentence.starts_with("its process was killed")) {
    EXPECT_EQ(failure.at("items_in_flight").empty(), fault.during != "run");
  }
  if (fault.name == "throws" && fault.during == "run") {
    EXPECT_FALSE(failure.at("log").empty());
  }
  for (const char* name : {"good", "after"}) {
    EXPECT_EQ(rows_in(folder_.path() / "out/rows" / name / "choice.jsonl.zst").size(), 12u);
  }
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path() / "out")) {
    if (entry.is_directory()) continue;
    const std::string file = entry.path().filename();
    EXPECT_TRUE(file == "run.json" || file == "choice.jsonl.zst") << "left behind: " << file;
  }
  EXPECT_TRUE(is_gone(node())) << "a process of the worker is left";
  EXPECT_LT(ran.err.size(), 200'000u);
}

const std::string kQuick = "timeout = \"2s\"\n";

INSTANTIATE_TEST_SUITE_P(
    Faults, HostileRun,
    testing::Values(
        Fault{"throws",
              "its process was killed by signal 6 (SIGABRT) during run; it last wrote: terminate "
              "called after throwing an instance of 'int'"},
        Fault{"throws", "misbehaviour: create let an exception out", "create"},
        Fault{"aborts", "its process was killed by signal 6 (SIGABRT) during run"},
        Fault{"aborts", "its process was killed by signal 6 (SIGABRT) during load", "load"},
        Fault{"null_write", "its process was killed by signal 11 (SIGSEGV) during run"},
        Fault{"null_write", "its process was killed by signal 11 (SIGSEGV) during create",
              "create"},
        Fault{"stack_overflow", "its process was killed by signal 11 (SIGSEGV) during run"},
        Fault{"exits", "its process exited with code 0 without an answer during run"},
        Fault{"hangs", "gave no sign of life for 2 s during run, so its process was ended", "run",
              kQuick},
        Fault{"hangs", "gave no sign of life for 2 s during load, so its process was ended", "load",
              kQuick},
        Fault{"done_twice", "finished a request that is not in flight"},
        Fault{"no_done", "returned without answering this request"},
        Fault{"unknown_id", "gave results for a request that is not in flight"},
        Fault{"nan_scores", "log-probability that is not finite"},
        Fault{"positive_scores", "gave a log-probability above 0"},
        Fault{"closes_files", "its process closed the line to assay"},
        Fault{"writes_past_ring", "its process was killed by signal 11 (SIGSEGV) during run"},
        Fault{"allocates", "more than the memory_budget of 0.50 GiB", "run",
              "memory_budget = \"512MiB\"\n"}),
    [](const auto& param) { return param.param.name + "_" + param.param.during; });

class HarmlessRun : public HostileRun {};

/// What a process of its own makes harmless: the figures are whole, and nothing is left.
TEST_P(HarmlessRun, IsKeptFromTheOthers) {
  const Fault& fault = GetParam();
  const Ran ran = run(fault);
  const Json document = run_document(folder_.path() / "out");
  ASSERT_TRUE(document.is_object()) << ran.err;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(document.at("variants")[i].at("status"), "complete") << ran.err;
  }
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_TRUE(ran.err.find(fault.sentence) != std::string::npos) << ran.err.substr(0, 2000);
  EXPECT_LT(ran.err.size(), 200'000u);
  EXPECT_TRUE(is_gone(node())) << "a process of the worker is left";
  EXPECT_TRUE(is_gone("sleep 987654")) << "a child of the plugin is left";
}

INSTANTIATE_TEST_SUITE_P(Faults, HarmlessRun,
                         testing::Values(Fault{"leaks_thread", ""}, Fault{"forks", "", "load"},
                                         Fault{"wrong_struct_size", ""},
                                         Fault{"set_locale", "", "load"},
                                         Fault{"floods_log", "left out", "load"},
                                         Fault{"floods_stderr", "left out", "load"}),
                         [](const auto& param) {
                           return param.param.name + "_" + param.param.during;
                         });

/// Starts a run that goes on for ever, and waits until its worker is there.
class EndlessRun : public HostileRun {
 protected:
  pid_t start(const Fault& fault) {
    const std::string path = folder_.write("m.toml", manifest(fault)).string();
    const std::string out = (folder_.path() / "out").string();
    const std::string plugins = (folder_.path() / "plugins").string();
    const pid_t child = fork();
    if (child == 0) {
      execl(ASSAY_BINARY, "assay", "run", "-q", path.c_str(), "--out", out.c_str(), "--plugin-dir",
            plugins.c_str(), nullptr);
      _exit(99);
    }
    for (int i = 0; i < 300 && n_processes("model." + node()) == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    EXPECT_GT(n_processes("model." + node()), 0) << "no worker was started";
    std::this_thread::sleep_for(std::chrono::seconds(1));
    return child;
  }
};

/// The rings and their counters are the plugin's to spoil: what it says is worth nothing, and the
/// host goes on.
TEST_F(EndlessRun, RingThatIsOverwrittenHurtsNobodyElse) {
  const Ran ran = run({"writes_over_ring", ""});
  EXPECT_TRUE(ran.exit_code == 0 || ran.exit_code == 4) << ran.exit_code << ran.err;
  const Json document = run_document(folder_.path() / "out");
  ASSERT_TRUE(document.is_object()) << ran.err;
  EXPECT_EQ(document.at("variants")[0].at("status"), "complete");
  EXPECT_EQ(document.at("variants")[2].at("status"), "complete");
  EXPECT_TRUE(is_gone(node()));
}

TEST_F(EndlessRun, LeavesNothingWhenTheHostIsKilled) {
  const pid_t child = start({"ignores_cancel", ""});
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(is_gone("model." + node()));
}

TEST_F(EndlessRun, LeavesNoChildOfThePluginWhenTheHostIsKilled) {
  const pid_t child = start({"forks", "", "load", ""});
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(is_gone("model." + node()));
  EXPECT_TRUE(is_gone("sleep 987654"));
}

TEST_F(EndlessRun, IsEndedWhenItDoesNotWindUp) {
  const pid_t child = start({"ignores_cancel", ""});
  ::kill(child, SIGINT);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_TRUE(is_gone("model." + node()));
  EXPECT_EQ(run_document(folder_.path() / "out").at("status"), "partial");
}

}  // namespace
}  // namespace assay::host
