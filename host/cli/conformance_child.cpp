// The process of one test: the component here, or behind a worker of its own.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <assay/suite/suite.hpp>
#include <charconv>
#include <cstring>
#include <iostream>
#include <iterator>
#include <map>
#include <mutex>

#include "host/cli/commands.hpp"
#include "host/loader/instance.hpp"
#include "host/loader/scan.hpp"
#include "host/log/log.hpp"
#include "host/worker/workers.hpp"

namespace assay::host {
namespace {

constexpr int kAnswer = 3;
constexpr int kBadJob = 70;

check::Value value_of(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  return value.get<std::string>();
}

void flatten(const std::string& key, const Json& value, check::Options& to) {
  if (value.is_null()) return;
  if (value.is_object()) {
    for (const auto& [name, below] : value.items()) flatten(key + "." + name, below, to);
  } else if (value.is_array()) {
    if (value.empty()) to.set(key, check::NoElements{});
    for (std::size_t i = 0; i < value.size(); ++i) {
      flatten(key + "." + std::to_string(i), value[i], to);
    }
  } else {
    to.set(key, value_of(value));
  }
}

Json json_of(const check::Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return *whole;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return Json::array();
}

/// Puts "skip.0" into an array and "override.1.bits" into an object of one, as the host has them.
void put(Json& to, const std::string& key, const check::Value& value) {
  for (std::size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', dot + 1)) {
    const std::size_t after = key.find('.', dot + 1);
    const std::string place = key.substr(dot + 1, after - dot - 1);
    std::size_t index = 0;
    const auto [stop, error] = std::from_chars(place.data(), place.data() + place.size(), index);
    if (error != std::errc() || stop != place.data() + place.size()) continue;
    Json& list = to[key.substr(0, dot)];
    while (list.size() <= index) list.push_back(nullptr);
    if (after == std::string::npos) {
      list[index] = json_of(value);
    } else {
      if (!list[index].is_object()) list[index] = Json::object();
      put(list[index], key.substr(after + 1), value);
    }
    return;
  }
  to[key] = json_of(value);
}

Json flat_json(const check::Options& options) {
  Json json = Json::object();
  for (const auto& [key, value] : options.values()) put(json, key, value);
  return json;
}

assay_status fail(assay_error* error, const Failure& failure) {
  return assay::put(error, failure.code, failure.where, failure.text);
}

/// A component in workers of its own, one for each instance.
class RemoteSubject final : public check::Subject {
 public:
  RemoteSubject(Component component, Isolation& isolation, double timeout_seconds)
      : component_(component), isolation_(isolation), timeout_seconds_(timeout_seconds) {}

  bool is_remote() const override { return true; }
  const assay_component& constants() const override { return *component_.constants; }

  assay_status create(check::FakeHost& host, const check::Options& options, void** self,
                      assay_error* error) override {
    auto remote = isolation_.create(component_, flat_json(options), lease_of(host));
    if (!remote) return fail(error, remote.error());
    *self = (*remote)->self();
    const std::scoped_lock hold(lock_);
    made_[*self] = *std::move(remote);
    return ASSAY_OK;
  }
  void destroy(void* self) override {
    std::unique_ptr<Remote> gone;
    const std::scoped_lock hold(lock_);
    const auto found = made_.find(self);
    if (found == made_.end()) return;
    gone = std::move(found->second);
    made_.erase(found);
  }
  const void* api(void* self) const override {
    if (self == nullptr) return component_.constants->api;
    const std::scoped_lock hold(lock_);
    return made_.at(self)->api();
  }
  const void* extension(void* self, std::string_view id) const override {
    if (self == nullptr) return nullptr;
    const std::scoped_lock hold(lock_);
    return made_.at(self)->extension(id);
  }
  assay_status estimate(check::FakeHost& host, const check::Options& options, const assay_job& job,
                        assay_resources* need, assay_error* error) override {
    const auto estimated = isolation_.estimate(component_, flat_json(options), lease_of(host), job);
    if (!estimated) {
      if (estimated.error().code == ASSAY_UNIMPLEMENTED) return ASSAY_UNIMPLEMENTED;
      return fail(error, estimated.error());
    }
    need->threads = (*estimated).threads;
    need->host_bytes = (*estimated).host_bytes;
    need->device_bytes = (*estimated).device_bytes;
    need->n_devices = (*estimated).n_devices;
    return ASSAY_OK;
  }
  assay_status check(check::FakeHost& host, const check::Options& options,
                     const assay_diagnostic_sink& sink, assay_error* error) override {
    const auto complaints = isolation_.check(component_, flat_json(options), lease_of(host));
    if (!complaints) return fail(error, complaints.error());
    for (const ConfigComplaint& complaint : *complaints) {
      sink.add(sink.ctx, complaint.is_error ? ASSAY_ERROR : ASSAY_WARN, str_of(complaint.key),
               str_of(complaint.text));
    }
    return ASSAY_OK;
  }

 private:
  Lease lease_of(check::FakeHost& host) const {
    Lease lease;
    lease.node = std::string(component_.id());
    lease.threads = host.resources().threads;
    lease.seed = host.resources().seed;
    lease.cancelled = &host.cancel_flag();
    lease.in_worker = true;
    lease.timeout_seconds = timeout_seconds_;
    check::FakeHost* of = &host;
    lease.on_poll = [of] { of->take_sign_of_life(); };
    lease.on_progress = [of](double fraction, std::string_view what) {
      of->table()->progress(of->table(), fraction, str_of(what));
    };
    lease.on_log = [of](assay_level level, std::string_view line) {
      of->table()->log(of->table(), level, str_of(line));
    };
    return lease;
  }

  Component component_;
  Isolation& isolation_;
  double timeout_seconds_;
  mutable std::mutex lock_;
  std::map<void*, std::unique_ptr<Remote>> made_;
};

suite::LibraryFacts facts_of(const Json& json) {
  suite::LibraryFacts facts;
  facts.exports = json.at("exports").get<std::vector<std::string>>();
  facts.unique_symbols = json.at("unique_symbols").get<std::vector<std::string>>();
  facts.has_executable_stack = json.at("has_executable_stack").get<bool>();
  facts.has_text_relocations = json.at("has_text_relocations").get<bool>();
  facts.has_static_tls = json.at("has_static_tls").get<bool>();
  facts.changed_by_load = json.at("changes").get<std::vector<std::string>>();
  facts.load_seconds = json.at("load_seconds").get<double>();
  if (const Json& note = json.at("note"); note.is_object()) {
    facts.note = {note.at("abi_major").get<std::uint32_t>(),
                  note.at("abi_minor_needed").get<std::uint32_t>(),
                  note.at("plugin_id").get<std::string>()};
  }
  return facts;
}

suite::Settings settings_of(const Json& job) {
  suite::Settings settings;
  settings.library = facts_of(job.at("library"));
  for (const auto& [key, value] : job.at("options").items()) flatten(key, value, settings.options);
  settings.option_faults = job.at("option_faults").get<std::vector<std::string>>();
  settings.model_dir = job.at("model_dir").get<std::string>();
  settings.split = job.at("split").get<std::string>();
  settings.folder = job.at("folder").get<std::string>();
  settings.seed = job.at("seed").get<std::uint64_t>();
  return settings;
}

const assay_component* find_component(const assay_plugin& plugin, const std::string& id) {
  for (std::uint64_t i = 0; i < plugin.n_components; ++i) {
    if (plugin.components[i]->id == id) return plugin.components[i];
  }
  return nullptr;
}

suite::Outcome broken(std::string why) { return {suite::Verdict::kFailed, {std::move(why)}}; }

suite::Outcome run_here(const Json& job, const suite::Test& test, suite::Settings settings) {
  const auto plugin = open_plugin(job.at("file").get<std::string>(), Into::kWorker);
  if (!plugin) return broken("the file " + plugin.error().text);
  settings.plugin = (*plugin).constants;
  const auto* component = find_component(*settings.plugin, job.at("component"));
  if (component == nullptr) return broken("the component is gone from the file");
  check::LocalSubject subject(*component);
  return suite::run_test(test, subject, settings);
}

suite::Outcome run_in_worker(const Json& job, const suite::Test& test, suite::Settings settings) {
  const auto scanned = read_scan(job.at("scan"));
  if (!scanned) return broken(scanned.error().text);
  settings.plugin = (*scanned).constants;
  Workers workers(std::filesystem::read_symlink("/proc/self/exe"));
  Plugin plugin;
  plugin.path = job.at("file").get<std::string>();
  plugin.constants = settings.plugin;
  plugin.is_scanned = true;
  plugin.isolation = &workers;
  plugin.into = Into::kWorker;
  const auto* component = find_component(*settings.plugin, job.at("component"));
  if (component == nullptr) return broken("the component is gone from the file");
  RemoteSubject subject({component, &plugin}, workers, job.at("timeout").get<double>());
  return suite::run_test(test, subject, settings);
}

}  // namespace

int plugins_check_one() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const Json job = Json::parse(text, nullptr, false);
  const bool is_started_by_us = job.is_object() && fcntl(kAnswer, F_GETFD) >= 0;
  const suite::Test* test =
      is_started_by_us ? suite::find_test(job.at("test").get<std::string>()) : nullptr;
  if (test == nullptr) {
    std::fputs("assay plugins check-one is started by `assay plugins check`\n", stderr);
    return kBadJob;
  }
  // The plugin has nothing to read and must not write into our answer's place by accident.
  const int answer = fcntl(kAnswer, F_DUPFD_CLOEXEC, 20);
  close(kAnswer);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(nothing, STDIN_FILENO);
  close(nothing);
  const bool is_in_worker = job.at("isolation") == "worker";
  const suite::Outcome outcome = is_in_worker ? run_in_worker(job, *test, settings_of(job))
                                              : run_here(job, *test, settings_of(job));
  Json findings = Json::array();
  for (const std::string& finding : outcome.findings) findings.push_back(finding);
  const Json json{{"verdict", static_cast<int>(outcome.verdict)}, {"findings", findings}};
  const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t n = write(answer, line.data() + at, line.size() - at);
    if (n <= 0) return kBadJob;
    at += static_cast<std::size_t>(n);
  }
  return 0;
}

int plugins_check_one_command() {
  setenv("OMP_WAIT_POLICY", "passive", 0);
  start_log(LogLevel::kWarn);
  try {
    return plugins_check_one();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "a test could not be run: %s\n", error.what());
    return kBadJob;
  }
}

}  // namespace assay::host
