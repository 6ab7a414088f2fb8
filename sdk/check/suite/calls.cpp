#include <assay/arrow.hpp>
#include <assay/suite/calls.hpp>
#include <assay/suite/requests.hpp>
#include <assay/suite/rows.hpp>
#include <cstring>
#include <filesystem>

namespace assay::suite {
namespace {

// Quotes, markup, tabs, line ends, control and direction characters, letters of several bytes. As
// JSON, and as it reads.
constexpr const char* kOddJson =
    R"(a \"b\" | <c> `d` *e* \t f \n g \u0001 & \\ \u202e z\u00fcrich \ud83d\ude00)";
constexpr const char* kOddText =
    "a \"b\" | <c> `d` *e* \t f \n g \x01 & \\ \xE2\x80\xAE z\xC3\xBCrich \xF0\x9F\x98\x80";

/// As small as a run can be and have everything: two variants, a task, records, a verdict.
constexpr const char* kRun = R"({
  "schema": "assay.run/1", "name": "NAME", "status": "complete", "verdict": "PASS",
  "exit_code": 0, "started": "2026-01-02T03:04:05Z", "finished": "2026-01-02T03:04:46Z",
  "seconds": 41.5, "versions": {"assay": "0.1.0", "abi": "1.0"},
  "host": {"cpu": "NAME", "memory_bytes": 8589934592},
  "manifest": {"assay": 1, "name": "NAME", "seed": 1234},
  "components": [{"id": "acme/even", "kind": "backend", "version": "1.0.0",
                  "plugin": "acme-even.so", "sha256": "00"}],
  "variants": [
    {"name": "NAME", "backend": "acme/even", "path": "NAME", "simulated": null,
     "status": "complete", "is_baseline": true, "bits_per_weight": 32, "weight_bytes": 1024,
     "vocab": 256, "max_context": 512, "load_seconds": 0.02, "score_seconds": 5.1},
    {"name": "small", "backend": "acme/even", "path": "NAME", "simulated": "rtn",
     "status": "complete", "is_baseline": false, "bits_per_weight": 4.5, "weight_bytes": 144,
     "vocab": 256, "max_context": 512, "load_seconds": 0.03, "score_seconds": 5.2}],
  "tasks": [{"name": "NAME", "dataset": "acme/numbers", "items": 10}],
  "records": [
    {"variant": "NAME", "task": "NAME", "metric": "acc", "group": null, "value": 0.5,
     "std_error": 0.1, "n": 10, "unit": "1"},
    {"variant": "small", "task": "NAME", "metric": "acc", "group": "NAME", "value": null,
     "std_error": null, "n": 0, "unit": null}],
  "verdicts": [{"gate": "NAME", "task": "NAME", "variant": "small", "metric": "acc",
                "verdict": "PASS"}],
  "something_of_a_later_minor": {"that": ["no reporter", "knows"]}
})";

/// Interrupted before anything was measured.
constexpr const char* kEmptyRun = R"({
  "schema": "assay.run/1", "name": "nothing", "status": "partial", "verdict": "NONE",
  "exit_code": 130, "started": "2026-01-02T03:04:05Z", "seconds": 0.5,
  "versions": {"assay": "0.1.0", "abi": "1.0"}, "variants": [], "tasks": [], "records": []
})";

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

assay_status open_table(bool is_odd, bool is_empty, assay_str name, ArrowArrayStream* out,
                        assay_error* error) noexcept {
  return wall(error, [&] {
    const std::string_view table = view_of(name);
    const bool is_known = table == "totals" || table == "verdicts" || table == "samples" ||
                          table.starts_with("rows/");
    if (!is_known) throw Error(ASSAY_NOT_FOUND, std::string(table), "there is no such table");
    const std::vector<Field> columns = {
        {"variant", Type::kText, {}, false}, {"task", Type::kText, {}, false},
        {"item", Type::kInt64, {}, false},   {"metric", Type::kText, {}, false},
        {"name", Type::kText, {}, false},    {"value", Type::kFloat64, {}, true}};
    *out = make_stream(columns, [=, n = is_empty ? 0 : 2](ArrowArray* batch) mutable {
      if (n == 0) return false;
      Builder builder(table_of(columns));
      for (; n > 0; --n) {
        const std::string_view text = is_odd ? kOddText : "base";
        builder.child(0).append_text(text);
        builder.child(1).append_text(text);
        builder.child(2).append_int(n);
        builder.child(3).append_text("acc");
        builder.child(4).append_text(text);
        n == 1 ? builder.child(5).append_null() : builder.child(5).append_float(0.5);
        builder.end_struct();
      }
      *batch = builder.finish();
      return true;
    });
  });
}

void use_backend(Probe& probe, Made& made) {
  const std::uint64_t want =
      probe.component().caps & (ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE | ASSAY_CAP_LOGITS);
  const assay_job job = job_of(probe, want);
  assay_model_info info{};
  info.struct_size = sizeof info;
  assay_error error = patterned_error();
  const auto& backend = made.api<assay_backend_v1>();
  if (backend.load == nullptr) return;
  const assay_status status = backend.load(made.self(), &job, &info, &error);
  probe.require(status == ASSAY_OK, "load answered " + said(status, error) + "; expected OK");
  probe.expect(is_patterned(error), "load answered OK and wrote into the error");
}

void use_dataset(Probe& probe, Made& made) {
  Stream stream = open_split(probe, made, probe.settings().split);
  read_split(probe, stream, 100);
}

void use_metric(Probe& probe, Made& made) {
  Given given;
  if (probe.component().n_columns > 0) {
    const check::Table rows = made_rows(probe, {.n = 5});
    check::SpyValues values;
    assay_error error = check::fresh_error();
    made.api<assay_metric_v1>().update(made.self(), rows.schema(), rows.array(), &values.sink,
                                       &error);
  }
  finish(probe, made, given);
}

void use_reporter(Probe& probe, Made& made) {
  const FakeReport report;
  assay_error error = patterned_error();
  const assay_status status =
      made.api<assay_reporter_v1>().write(made.self(), &report.report(), &error);
  probe.require(status == ASSAY_OK, "write answered " + said(status, error) + "; expected OK");
  probe.expect(is_patterned(error), "write answered OK and wrote into the error");
}

}  // namespace

FakeReport::FakeReport(bool is_odd, bool is_empty)
    : json_(is_empty ? kEmptyRun : replaced(kRun, "NAME", is_odd ? kOddJson : "base")),
      is_odd_(is_odd),
      is_empty_(is_empty) {
  report_.struct_size = sizeof report_;
  report_.ctx = this;
  report_.run_json = {json_.data(), json_.size()};
  report_.table = [](void* ctx, assay_str name, ArrowArrayStream* out,
                     assay_error* error) noexcept {
    const auto& self = *static_cast<const FakeReport*>(ctx);
    return open_table(self.is_odd_, self.is_empty_, name, out, error);
  };
}

void use(Probe& probe, Made& made) {
  switch (probe.component().kind) {
    case ASSAY_BACKEND:
      return use_backend(probe, made);
    case ASSAY_DATASET:
      return use_dataset(probe, made);
    case ASSAY_METRIC:
      return use_metric(probe, made);
    case ASSAY_REPORTER:
      return use_reporter(probe, made);
    default:
      probe.skip("a kind of a later minor");
  }
}

std::vector<Provoked> provoke(Probe& probe) {
  std::vector<Provoked> provoked;
  const auto add = [&](std::string call, assay_status status, const assay_error& error) {
    if (status != ASSAY_OK) provoked.push_back({std::move(call), status, error});
  };
  for (std::uint64_t i = 0; i < probe.component().n_options; ++i) {
    const assay_option& option = *probe.component().options[i];
    check::Options options = probe.options();
    const check::Value* value = options.find(option.name);
    if (value == nullptr) continue;
    const bool is_text = std::holds_alternative<std::string>(*value);
    options.set(option.name, is_text ? check::Value(true) : check::Value(std::string("x")));
    const Creation creation = try_create(probe, options);
    add("create with another type for " + quoted(option.name), creation.status, creation.error);
  }
  Made made(probe);
  assay_error error = check::fresh_error();
  switch (probe.component().kind) {
    case ASSAY_BACKEND: {
      const auto& backend = made.api<assay_backend_v1>();
      if (backend.run != nullptr) {
        const assay_batch batch{sizeof batch, 0, 0, sizeof(assay_request), nullptr};
        const assay_result_sink sink{sizeof sink, 0, nullptr, nullptr, nullptr, nullptr, nullptr};
        add("run before load", backend.run(made.self(), &batch, &sink, &error), error);
      }
      error = check::fresh_error();
      const std::string nowhere = probe.settings().folder + "/there-is-no-such-model";
      assay_job job = job_of(probe, ASSAY_CAP_SCORE);
      job.model_dir = {nowhere.data(), nowhere.size()};
      assay_model_info info{};
      info.struct_size = sizeof info;
      if (backend.load != nullptr) {
        add("load of a folder that is not there", backend.load(made.self(), &job, &info, &error),
            error);
      }
      break;
    }
    case ASSAY_DATASET: {
      constexpr std::string_view kNowhere = "there is no such split";
      Stream stream;
      add("open of a split that does not exist",
          made.api<assay_dataset_v1>().open(made.self(), {kNowhere.data(), kNowhere.size()},
                                            stream.out(), &error),
          error);
      break;
    }
    case ASSAY_METRIC: {
      Given given;
      finish(probe, made, given);
      check::SpyValues values;
      add("finish a second time",
          made.api<assay_metric_v1>().finish(made.self(), &values.sink, &error), error);
      break;
    }
    default:
      break;
  }
  return provoked;
}

}  // namespace assay::suite
