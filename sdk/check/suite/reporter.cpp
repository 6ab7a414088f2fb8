// Tests of reporters: where they write, what they make of empty and odd runs.
#include <unistd.h>

#include <algorithm>
#include <assay/suite/calls.hpp>
#include <assay/suite/probe.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace assay::suite {
namespace {

namespace fs = std::filesystem;

assay_status write(Made& made, const FakeReport& report, assay_error& error) {
  error = check::fresh_error();
  return made.api<assay_reporter_v1>().write(made.self(), &report.report(), &error);
}

void write_ok(Probe& probe, const FakeReport& report) {
  Made made(probe);
  assay_error error;
  const assay_status status = write(made, report, error);
  probe.require(status == ASSAY_OK, "write answered " + said(status, error) + "; expected OK");
}

/// Files below the test's folder with their contents; the scratch folders are gone by then.
std::map<std::string, std::string> files_of(const Probe& probe) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(probe.settings().folder)) {
    if (!entry.is_regular_file()) continue;
    std::ostringstream text;
    text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    files[entry.path().string()] = text.str();
  }
  return files;
}

std::vector<std::string> paths_told(const Probe& probe) {
  std::vector<std::string> told;
  const check::Options options = probe.options();
  for (std::uint64_t i = 0; i < probe.component().n_options; ++i) {
    const assay_option& option = *probe.component().options[i];
    const check::Value* value = options.find(option.name);
    if (option.type != ASSAY_PATH_OUT || value == nullptr) continue;
    if (const auto* path = std::get_if<std::string>(value)) told.push_back(*path);
  }
  return told;
}

void writes_where_told(Probe& probe) {
  // What is written under a relative name lands here and is seen.
  const std::string here = probe.folder("working");
  const std::string before = fs::current_path();
  fs::current_path(here);
  write_ok(probe, FakeReport());
  fs::current_path(before);
  const std::vector<std::string> told = paths_told(probe);
  for (const auto& [path, text] : files_of(probe)) {
    const bool is_told = std::any_of(told.begin(), told.end(), [&](const std::string& each) {
      return path == each || path.starts_with(each + "/");
    });
    probe.expect(is_told, "wrote " + suite::quoted(fs::path(path).filename().string()) +
                              ", which no option of type path-out names");
  }
  for (const std::string& path : told) {
    probe.expect(fs::exists(path), "wrote nothing to " +
                                       suite::quoted(fs::path(path).filename().string()) +
                                       ", which an option names");
  }
}

void takes_an_empty_run(Probe& probe) { write_ok(probe, FakeReport(false, true)); }

void takes_odd_characters(Probe& probe) { write_ok(probe, FakeReport(true)); }

void writes_the_same_again(Probe& probe) {
  if (paths_told(probe).empty()) probe.skip("it writes no file");
  write_ok(probe, FakeReport());
  const auto first = files_of(probe);
  write_ok(probe, FakeReport());
  probe.expect(files_of(probe) == first,
               "the same run written by two instances gave different files");
}

void writes_once(Probe& probe) {
  Made made(probe);
  const FakeReport report;
  assay_error error;
  assay_status status = write(made, report, error);
  probe.require(status == ASSAY_OK, "write answered " + said(status, error) + "; expected OK");
  status = write(made, report, error);
  probe.expect(
      status == ASSAY_FAILED_PRECONDITION,
      "write a second time answered " + said(status, error) + "; expected FAILED_PRECONDITION");
}

void says_when_it_cannot_write(Probe& probe) {
  check::Options options = probe.options();
  bool has_path = false;
  for (std::uint64_t i = 0; i < probe.component().n_options; ++i) {
    const assay_option& option = *probe.component().options[i];
    if (option.type != ASSAY_PATH_OUT || !options.has(option.name)) continue;
    // A file where a folder should be.
    const std::string file = probe.folder("blocked") + "/file";
    std::ofstream(file) << "in the way";
    options.set(option.name, file + "/below");
    has_path = true;
  }
  if (!has_path) probe.skip("no option is a path-out");
  Made made(probe, options);
  assay_error error;
  const assay_status status = write(made, FakeReport(), error);
  probe.expect(status == ASSAY_UNAVAILABLE, "write to a path that cannot be answered " +
                                                said(status, error) + "; expected UNAVAILABLE");
  if (status == ASSAY_OK) return;
  const std::string fault = error_fault(status, error);
  probe.expect(fault.empty(), "write failed, and of its error " + fault);
}

constexpr Test kTests[] = {
    {"reporter.writes-where-told", ASSAY_REPORTER, nullptr, Level::kMust, 0, true,
     "A reporter writes only where its options tell it to.", writes_where_told},
    {"reporter.takes-an-empty-run", ASSAY_REPORTER, nullptr, Level::kMust, 0, true,
     "A run without any result is reported.", takes_an_empty_run},
    {"reporter.takes-odd-characters", ASSAY_REPORTER, nullptr, Level::kMust, 0, true,
     "Names with quotes, markup, control characters and any script are reported.",
     takes_odd_characters},
    {"reporter.writes-the-same-again", ASSAY_REPORTER, nullptr, Level::kShould, 0, true,
     "The same run gives the same bytes.", writes_the_same_again},
    {"reporter.writes-once", ASSAY_REPORTER, nullptr, Level::kMust, 13, true,
     "write is called once per instance; a second call answers FAILED_PRECONDITION.", writes_once},
    {"reporter.says-when-it-cannot-write", ASSAY_REPORTER, nullptr, Level::kMust, 0, true,
     "What cannot be written is UNAVAILABLE, with a sentence.", says_when_it_cannot_write},
};

}  // namespace

std::span<const Test> reporter_tests() { return kTests; }

}  // namespace assay::suite
