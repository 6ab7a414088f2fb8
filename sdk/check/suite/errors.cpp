// Tests of what every call keeps: errors, out-parameters, standard output.
#include <fcntl.h>
#include <unistd.h>

#include <assay/suite/calls.hpp>
#include <assay/suite/probe.hpp>
#include <cstdio>
#include <cstring>

namespace assay::suite {
namespace {

void texts_are_sound(Probe& probe) {
  const std::vector<Provoked> provoked = provoke(probe);
  if (provoked.empty()) probe.skip("no call could be made to fail");
  for (const Provoked& each : provoked) {
    const std::string fault = error_fault(each.status, each.error);
    probe.expect(fault.empty(), each.call + " failed, and of its error " + fault);
  }
}

void texts_are_one_line(Probe& probe) {
  const std::vector<Provoked> provoked = provoke(probe);
  if (provoked.empty()) probe.skip("no call could be made to fail");
  for (const Provoked& each : provoked) {
    const std::string_view text(each.error.text, strnlen(each.error.text, sizeof each.error.text));
    probe.expect(text.find('\n') == std::string_view::npos,
                 each.call + " failed with a text of several lines; expected one sentence");
  }
}

void written_on_failure_only(Probe& probe) {
  check::FakeHost host;
  const std::string scratch = probe.folder("scratch");
  host.resources().scratch_dir = {scratch.data(), scratch.size()};
  assay_error error = patterned_error();
  void* self = nullptr;
  const assay_status status = probe.subject().create(host, probe.options(), &self, &error);
  probe.require(status == ASSAY_OK, "create answered " + said(status, error) + "; expected OK");
  probe.subject().destroy(self);
  probe.expect(is_patterned(error), "create answered OK and wrote into the error");
  Made made(probe);
  use(probe, made);
}

void failed_create_makes_nothing(Probe& probe) {
  int n_failed = 0;
  for (std::uint64_t i = 0; i < probe.component().n_options; ++i) {
    check::Options options = probe.options();
    const std::string name = probe.component().options[i]->name;
    const check::Value* value = options.find(name);
    if (value == nullptr) continue;
    const bool is_text = std::holds_alternative<std::string>(*value);
    options.set(name, is_text ? check::Value(true) : check::Value(std::string("x")));
    const Creation creation = try_create(probe, options);
    if (creation.status == ASSAY_OK) continue;
    ++n_failed;
    probe.expect(!creation.has_self, "a create that failed over " + quoted(name) +
                                         " left something in *self; expected NULL");
  }
  if (n_failed == 0) probe.skip("no create could be made to fail");
}

/// Standard output into a file of our own, as long as it lives.
class Caught {
 public:
  explicit Caught(const std::string& path) : kept_(dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    file_ = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(file_, STDOUT_FILENO);
  }
  Caught(const Caught&) = delete;
  Caught& operator=(const Caught&) = delete;
  ~Caught() {
    dup2(kept_, STDOUT_FILENO);
    close(kept_);
    close(file_);
  }
  std::string text() const {
    std::fflush(stdout);
    char buffer[4096];
    const ssize_t n = pread(file_, buffer, sizeof buffer, 0);
    return {buffer, static_cast<std::size_t>(n > 0 ? n : 0)};
  }

 private:
  int kept_, file_;
};

void nothing_on_standard_output(Probe& probe) {
  if (probe.component().kind == ASSAY_REPORTER) probe.skip("a reporter may write there");
  probe.skip_if_remote();
  const std::string path = probe.folder("output") + "/stdout";
  std::string text;
  {
    const Caught caught(path);
    {
      Made made(probe);
      use(probe, made);
    }
    text = caught.text();
  }
  probe.expect(text.empty(), "wrote " + std::to_string(text.size()) +
                                 " bytes to standard output, beginning with " +
                                 quoted(text.substr(0, 60)) +
                                 "; expected none: lines for people go to the host's log");
}

constexpr Test kTests[] = {
    {"errors.texts-are-sound", 0, nullptr, Level::kMust, 1, true,
     "A failure has its code and a text, NUL-terminated UTF-8, and leaves struct_size alone.",
     texts_are_sound},
    {"errors.texts-are-one-line", 0, nullptr, Level::kShould, 0, true,
     "The text of a failure is one sentence.", texts_are_one_line},
    {"errors.written-on-failure-only", 0, nullptr, Level::kMust, 1, true,
     "The callee writes the error only on failure.", written_on_failure_only},
    {"errors.failed-create-makes-nothing", 0, nullptr, Level::kMust, 1, true,
     "A failed create leaves *self NULL.", failed_create_makes_nothing},
    {"errors.nothing-on-standard-output", 0, nullptr, Level::kMust, 0, false,
     "A plugin writes nothing to standard output.", nothing_on_standard_output},
};

}  // namespace

std::span<const Test> error_tests() { return kTests; }

}  // namespace assay::suite
