#include "host/cli/conformance.hpp"

#include <unistd.h>

#include <assay/suite/suite.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <system_error>
#include <thread>

#include "host/cli/commands.hpp"
#include "host/cli/test_process.hpp"
#include "host/graph/options.hpp"
#include "host/loader/elf.hpp"
#include "host/loader/scan.hpp"
#include "host/manifest/toml.hpp"
#include "host/manifest/value.hpp"
#include "host/run/run.hpp"
#include "host/worker/workers.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr int kExitMustFailed = 1;

/// A folder that goes at the end, with a folder for each test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "assay-check-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), "cannot make a folder for the tests");
    }
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path below(std::size_t n) const {
    fs::create_directory(path_ / std::to_string(n));
    return path_ / std::to_string(n);
  }

 private:
  fs::path path_;
};

/// What is known of the file before any test.
struct Subject {
  fs::path file;
  Json scan, library;
  Plugin plugin;
};

Json library_json(const Json& scan, const ElfFacts& facts) {
  return {{"exports", facts.exports},
          {"unique_symbols", facts.unique_symbols},
          {"has_executable_stack", facts.has_executable_stack},
          {"has_text_relocations", facts.has_text_relocations},
          {"has_static_tls", facts.has_static_tls},
          {"changes", scan.at("changes")},
          {"load_seconds", scan.at("load_seconds")},
          {"note", scan.at("note")}};
}

Result<Subject> read_subject(const fs::path& file, Isolation& isolation) {
  std::error_code error;
  Subject subject;
  subject.file = fs::weakly_canonical(file, error);
  const auto facts = read_elf(subject.file);
  if (!facts) return facts.error();
  auto scan = isolation.scan(subject.file);
  if (!scan) return scan.error();
  subject.scan = *std::move(scan);
  const auto read = read_scan(subject.scan);
  if (!read) return read.error();
  subject.library = library_json(subject.scan, *facts);
  subject.plugin.path = subject.file;
  subject.plugin.constants = (*read).constants;
  return subject;
}

/// One test to run.
struct Planned {
  const suite::Test* test;
  std::string component, isolation;
  TestJob job;
};

std::string shell_quoted(const std::string& word) {
  const bool is_plain = !word.empty() && word.find_first_not_of(
                                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "0123456789_-./:=,+@%") == std::string::npos;
  if (is_plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string reproduction(const ConformanceArguments& arguments, const Planned& planned,
                         std::uint64_t seed) {
  std::string command = "assay plugins check " + shell_quoted(arguments.file.string()) +
                        " --component " + planned.component + " --isolation " + planned.isolation +
                        " --reproduce " + planned.test->id + ":" + std::to_string(seed);
  for (const std::string& option : arguments.options) {
    command += " --option " + shell_quoted(option);
  }
  if (!arguments.model_dir.empty()) {
    command += " --model-dir " + shell_quoted(arguments.model_dir.string());
  }
  if (!arguments.split.empty()) command += " --dataset-split " + shell_quoted(arguments.split);
  return command;
}

ConformanceResult result_of(const ConformanceArguments& arguments, const Planned& planned,
                            TestAnswer answer, std::uint64_t seed) {
  ConformanceResult result;
  result.component = planned.component;
  result.test = planned.test->id;
  result.level = suite::to_string(planned.test->level);
  result.rule = planned.test->rule;
  result.ruling = planned.test->ruling;
  result.isolation = planned.isolation;
  result.seconds = answer.seconds;
  const Json json = Json::parse(answer.answer, nullptr, false);
  if (json.is_object()) {
    const auto verdict = static_cast<suite::Verdict>(json.at("verdict").get<int>());
    result.verdict = verdict == suite::Verdict::kPassed   ? "passed"
                     : verdict == suite::Verdict::kFailed ? "failed"
                                                          : "not applicable";
    result.findings = json.at("findings").get<std::vector<std::string>>();
  }
  const bool is_broken = !json.is_object() || !answer.ending.empty();
  if (is_broken) {
    result.verdict = "failed";
    const std::string when = json.is_object() ? ", after the test was over" : "";
    result.findings.push_back(
        "the process of the test " +
        (answer.ending.empty() ? "exited with code 0 before the test was over" : answer.ending) +
        when);
  }
  if (result.verdict == "failed") {
    result.last_lines = std::move(answer.last_lines);
    result.reproduce = reproduction(arguments, planned, seed);
  }
  return result;
}

/// "TEST:SEED" into --only and --seed. False where it is neither.
bool apply_reproduce(ConformanceArguments& arguments) {
  if (arguments.reproduce.empty()) return true;
  const std::size_t colon = arguments.reproduce.rfind(':');
  if (colon == std::string::npos) return false;
  const std::string seed = arguments.reproduce.substr(colon + 1);
  if (seed.empty() || seed.size() > 19 ||
      seed.find_first_not_of("0123456789") != std::string::npos) {
    return false;
  }
  arguments.only = arguments.reproduce.substr(0, colon);
  arguments.seed = std::stoull(seed);
  return suite::find_test(arguments.only) != nullptr;
}

bool is_wanted(const ConformanceArguments& arguments, const suite::Test& test,
               const std::string& isolation) {
  if (!arguments.only.empty() && !fits_pattern(arguments.only, test.id)) return false;
  if (arguments.isolation != "both" && arguments.isolation != isolation) return false;
  return isolation == "none" || test.is_of_worker;
}

/// Fails    what of the options is wrong
Result<void> plan(const ConformanceArguments& arguments, const Subject& subject,
                  const Component& component, const Folder& folder, std::vector<Planned>& planned) {
  std::vector<std::string> faults;
  const auto options = conformance_options(component, arguments.options, faults);
  if (!options) return options.error();
  std::error_code error;
  const fs::path model_dir =
      arguments.model_dir.empty() ? fs::path() : fs::weakly_canonical(arguments.model_dir, error);
  for (const suite::Test& test : suite::tests()) {
    if (!suite::is_for(test, *component.constants)) continue;
    for (const std::string isolation : {"none", "worker"}) {
      if (!is_wanted(arguments, test, isolation)) continue;
      const Json job{{"file", subject.file.string()},
                     {"scan", subject.scan},
                     {"library", subject.library},
                     {"component", component.id()},
                     {"test", test.id},
                     {"isolation", isolation},
                     {"options", *options},
                     {"option_faults", faults},
                     {"model_dir", model_dir.string()},
                     {"split", arguments.split},
                     {"folder", folder.below(planned.size()).string()},
                     {"seed", arguments.seed},
                     {"timeout", arguments.timeout_seconds}};
      planned.push_back(
          {&test,
           std::string(component.id()),
           isolation,
           {job.dump(-1, ' ', false, Json::error_handler_t::replace), arguments.timeout_seconds}});
    }
  }
  return {};
}

void list_tests(std::ostream& out) {
  for (const suite::Test& test : suite::tests()) {
    char line[64];
    std::snprintf(line, sizeof line, "%-44s %-7s", test.id, suite::to_string(test.level).data());
    out << line << test.rule;
    if (test.ruling > 0) out << " (ruling " << test.ruling << ')';
    out << '\n';
  }
}

int say(const std::string& text) {
  std::cerr << text << '\n';
  return kExitUsage;
}

bool has_failed(const ConformanceReport& report, std::string_view level) {
  for (const ConformanceResult& result : report.results) {
    if (result.verdict == "failed" && result.level == level) return true;
  }
  return false;
}

int write_report(const ConformanceArguments& arguments, const ConformanceReport& report) {
  std::string text;
  if (arguments.format == "json") {
    text = conformance_json(report).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  } else if (arguments.format == "junit") {
    text = conformance_junit(report);
  } else {
    text = conformance_text(report);
  }
  if (arguments.output.empty()) {
    std::cout << text << std::flush;
  } else {
    std::ofstream out(arguments.output, std::ios::binary);
    out << text;
    out.close();
    if (!out) return say(arguments.output.string() + ": cannot be written");
  }
  const bool is_bad =
      has_failed(report, "must") || (arguments.is_strict && has_failed(report, "should"));
  return is_bad ? kExitMustFailed : kExitPass;
}

}  // namespace

bool fits_pattern(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') {
    return fits_pattern(pattern.substr(1), name) ||
           (!name.empty() && fits_pattern(pattern, name.substr(1)));
  }
  return !name.empty() && (pattern[0] == '?' || pattern[0] == name[0]) &&
         fits_pattern(pattern.substr(1), name.substr(1));
}

Result<Json> conformance_options(const Component& component, const std::vector<std::string>& given,
                                 std::vector<std::string>& faults) {
  std::string toml;
  for (const std::string& each : given) {
    const std::size_t equals = each.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Failure{ASSAY_INVALID_ARGUMENT, "--option " + each + " is not of the form key=value",
                     each};
    }
    const std::string key = each.substr(0, equals), value = each.substr(equals + 1);
    toml += key + " = " + (parse_value(value) ? value : in_quotes(value)) + "\n";
  }
  ParsedToml parsed = parse_toml(toml, 0);
  if (!parsed.errors.empty()) {
    return Failure{ASSAY_INVALID_ARGUMENT, "--option: " + parsed.errors[0].text, ""};
  }
  const std::vector<Source> sources{{fs::current_path() / "--option", toml}};
  const OptionOwner owner{"the command line", {}, {}, sources, {}};
  // Without anything given only the defaults can be at fault; what is required is given below.
  std::vector<Diagnostic> of_defaults, of_given;
  check_options(component, {}, owner, of_defaults);
  Json options = check_options(component, parsed.table, owner, of_given);
  for (const Diagnostic& each : of_defaults) {
    if (each.text.find(" has a default that does not fit") != std::string::npos) {
      faults.push_back(each.text);
    }
  }
  for (const Diagnostic& each : of_given) {
    if (each.text.find(" has a default that does not fit") != std::string::npos) continue;
    return Failure{ASSAY_INVALID_ARGUMENT,
                   each.text + (each.help.empty() ? "" : "; " + each.help) +
                       " (give options with --option key=value)",
                   ""};
  }
  return options;
}

int plugins_check(const ConformanceArguments& given) {
  ConformanceArguments arguments = given;
  if (arguments.is_list) {
    list_tests(std::cout);
    return kExitPass;
  }
  if (arguments.file.empty()) return say("plugins check needs a plugin file (or --list)");
  if (!apply_reproduce(arguments)) {
    return say("--reproduce " + arguments.reproduce +
               " is not of the form TEST:SEED with a test of `assay plugins check --list`");
  }
  const fs::path executable = fs::read_symlink("/proc/self/exe");
  Workers workers(executable);
  const auto subject = read_subject(arguments.file, workers);
  if (!subject) return say(arguments.file.string() + " " + subject.error().text);

  const Folder folder;
  std::vector<Planned> planned;
  const assay_plugin& plugin = *(*subject).plugin.constants;
  bool is_any = false;
  for (std::uint64_t i = 0; i < plugin.n_components; ++i) {
    const Component component{plugin.components[i], &(*subject).plugin};
    if (!arguments.component.empty() && arguments.component != component.id()) continue;
    is_any = true;
    const auto made = plan(arguments, *subject, component, folder, planned);
    if (!made) return say(std::string(component.id()) + ": " + made.error().text);
  }
  if (!is_any) {
    return say(arguments.file.string() + " holds no component " + arguments.component);
  }
  if (planned.empty()) return say("no test is called " + arguments.only + "; see --list");

  ConformanceReport report{arguments.file.string(), plugin.id, plugin.version, arguments.seed, {}};
  report.results.resize(planned.size());
  std::vector<TestJob> jobs;
  for (const Planned& each : planned) jobs.push_back(each.job);
  const bool is_terminal = isatty(STDERR_FILENO) != 0;
  std::size_t n_done = 0;
  // Two: what waits for a deadline keeps no one else from running, and timing tests have room.
  run_test_processes(
      executable, {"plugins", "check-one"}, jobs, 2, [&](std::size_t job, TestAnswer answer) {
        report.results[job] = result_of(arguments, planned[job], std::move(answer), arguments.seed);
        if (!is_terminal) return;
        std::fprintf(stderr, "\r\033[K%zu/%zu %s", ++n_done, planned.size(), planned[job].test->id);
      });
  if (is_terminal) std::fputs("\r\033[K", stderr);
  return write_report(arguments, report);
}

int plugins_check_command(const Arguments& arguments) {
  return plugins_check(arguments.conformance);
}

}  // namespace assay::host
