#include <assay/suite/probe.hpp>
#include <assay/text.hpp>
#include <cstring>
#include <filesystem>
#include <variant>

namespace assay::suite {
namespace {

constexpr std::size_t kMaxFindings = 8;
constexpr unsigned char kPattern = 0x5A;

}  // namespace

std::string to_string(assay_status status) {
  switch (status) {
    case ASSAY_OK:
      return "OK";
    case ASSAY_CANCELLED:
      return "CANCELLED";
    case ASSAY_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case ASSAY_DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    case ASSAY_NOT_FOUND:
      return "NOT_FOUND";
    case ASSAY_RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case ASSAY_FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case ASSAY_ABORTED:
      return "ABORTED";
    case ASSAY_UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case ASSAY_INTERNAL:
      return "INTERNAL";
    case ASSAY_UNAVAILABLE:
      return "UNAVAILABLE";
    default:
      return "status " + std::to_string(status);
  }
}

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

std::string said(assay_status status, const assay_error& error) {
  if (status == ASSAY_OK) return "OK";
  const std::string_view text(error.text, strnlen(error.text, sizeof error.text));
  return to_string(status) + " (" + quoted(text) + ")";
}

std::string error_fault(assay_status status, const assay_error& error) {
  const std::size_t n_text = strnlen(error.text, sizeof error.text);
  const std::size_t n_where = strnlen(error.where, sizeof error.where);
  if (error.struct_size != sizeof error) return "struct_size was overwritten";
  if (n_text == sizeof error.text) return "text does not end with NUL";
  if (n_where == sizeof error.where) return "where does not end with NUL";
  if (!is_utf8({error.text, n_text})) return "text is not UTF-8";
  if (!is_utf8({error.where, n_where})) return "where is not UTF-8";
  if (n_text == 0) return "text is empty";
  if (error.code != status) {
    return "code is " + to_string(error.code) + ", the function returned " + to_string(status);
  }
  return "";
}

const assay_option* Probe::find_option(std::string_view name) const {
  for (std::uint64_t i = 0; i < component().n_options; ++i) {
    if (name == component().options[i]->name) return component().options[i];
  }
  return nullptr;
}

void Probe::expect(bool is_so, const std::string& sentence) {
  if (is_so) return;
  const std::scoped_lock hold(lock_);
  outcome_.verdict = Verdict::kFailed;
  if (outcome_.findings.size() < kMaxFindings) outcome_.findings.push_back(sentence);
}

void Probe::fail(const std::string& sentence) {
  expect(false, sentence);
  throw EndOfTest{};
}

void Probe::skip(std::string why) {
  const std::scoped_lock hold(lock_);
  if (outcome_.verdict != Verdict::kFailed) {
    outcome_ = {Verdict::kNotApplicable, {std::move(why)}};
  }
  throw EndOfTest{};
}

void Probe::skip_if_remote() {
  if (subject_->is_remote()) skip("in a worker the tables are lent by the worker");
}

check::Options Probe::options() const {
  check::Options options = settings_->options;
  for (std::uint64_t i = 0; i < component().n_options; ++i) {
    const assay_option& option = *component().options[i];
    const check::Value* value = options.find(option.name);
    if (option.type != ASSAY_PATH_OUT || value == nullptr) continue;
    if (const auto* path = std::get_if<std::string>(value)) {
      const std::filesystem::path out = std::filesystem::path(settings_->folder) / "out" / *path;
      std::filesystem::create_directories(out.parent_path());
      options.set(option.name, out.string());
    }
  }
  return options;
}

std::string Probe::folder(std::string_view name) {
  const auto path = std::filesystem::path(settings_->folder) /
                    (std::string(name) + "-" + std::to_string(n_folders_++));
  std::filesystem::create_directories(path);
  return path.string();
}

Made::Made(Probe& probe, const check::Options& options)
    : subject_(&probe.subject()), scratch_(probe.folder("scratch")) {
  host_.resources().scratch_dir = {scratch_.data(), scratch_.size()};
  assay_error error = check::fresh_error();
  // The configuration ends with create: a copy that is gone then.
  const auto given = std::make_unique<check::Options>(options);
  const assay_status status = subject_->create(host_, *given, &self_, &error);
  probe.require(status == ASSAY_OK, "create answered " + said(status, error) + "; expected OK");
  probe.require(self_ != nullptr, "create answered OK and made no instance");
}

void Made::destroy() {
  if (self_ == nullptr) return;
  subject_->destroy(self_);
  self_ = nullptr;
  std::error_code ignored;
  std::filesystem::remove_all(scratch_, ignored);
}

Creation try_create(Probe& probe, const check::Options& options) {
  check::FakeHost host;
  const std::string scratch = probe.folder("scratch");
  host.resources().scratch_dir = {scratch.data(), scratch.size()};
  Creation creation;
  creation.error = check::fresh_error();
  void* self = nullptr;
  creation.status = probe.subject().create(host, options, &self, &creation.error);
  creation.has_self = self != nullptr;
  if (creation.status == ASSAY_OK && self != nullptr) probe.subject().destroy(self);
  return creation;
}

assay_error patterned_error() {
  assay_error error;
  std::memset(&error, kPattern, sizeof error);
  error.struct_size = sizeof error;
  return error;
}

bool is_patterned(const assay_error& error) {
  return error.struct_size == sizeof error && is_untouched(error, kPattern);
}

}  // namespace assay::suite
