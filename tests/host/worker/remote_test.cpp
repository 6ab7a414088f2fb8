// The same component here and in a worker: what goes in and what comes out is the same. Plugins
// that break something are in tests/e2e/hostile_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <assay/arrow.hpp>
#include <assay/check/spies.hpp>
#include <atomic>
#include <fstream>
#include <iterator>

#include "host/loader/dataset.hpp"
#include "host/loader/registry.hpp"
#include "host/worker/session.hpp"
#include "host/worker/workers.hpp"
#include "tests/support/chosen_plugins.hpp"

namespace assay::host {
namespace {

using testing::Contains;
using testing::HasSubstr;

/// The components of this build, each with processes of its own at hand.
class Remotes : public testing::Test {
 protected:
  static const Registry& registry() {
    static const ChosenPlugins chosen(ASSAY_TEST_PLUGINS, {"assay-jsonl", "assay-exact_match"});
    static const ChosenPlugins hostile(ASSAY_TEST_FAKES "/hostile", {"hostile-backend"});
    static const Registry found = Registry::scan({ASSAY_TEST_FAKES, hostile.path(), chosen.path()});
    return found;
  }

  Component component(const std::string& id) {
    const Component* found = registry().find(id);
    EXPECT_NE(found, nullptr) << id;
    plugins_.push_back(std::make_unique<Plugin>(*found->plugin));
    plugins_.back()->isolation = &workers_;
    return {found->constants, plugins_.back().get()};
  }

  Lease lease(bool in_worker) const {
    Lease lease;
    lease.node = "test";
    lease.seed = 3;
    lease.in_worker = in_worker;
    lease.on_log = log_;
    return lease;
  }

  Result<Instance> create(const Component& component, const Json& options, bool in_worker) {
    return Instance::create(component, options, lease(in_worker));
  }

  Workers workers_{ASSAY_BINARY};
  std::vector<std::unique_ptr<Plugin>> plugins_;
  std::function<void(assay_level, std::string_view)> log_;
};

Json hash_options() {
  return {{"vocab", 512},
          {"max_context", 512},
          {"bits", 0.0},
          {"bos", 0},
          {"eos", 1},
          {"noise", 0.0},
          {"chunk", 0},
          {"fail_after", -1},
          {"refuse_every", 0},
          {"slow_ms", 0},
          {"answer", Json::array()},
          {"fault", "none"}};
}

std::vector<Json> records_of(Instance& instance) {
  std::vector<Json> records;
  auto reader = DatasetReader::open(instance, "");
  EXPECT_TRUE(reader) << reader.error().text;
  for (auto record = reader->next(); record && *record; record = reader->next()) {
    records.push_back(**record);
  }
  return records;
}

TEST_F(Remotes, DatasetGivesTheSameRows) {
  const Component jsonl = component("assay/jsonl");
  const Json options{{"path", ASSAY_SOURCE_DIR "/share/data/ledger/test.jsonl"}};
  std::vector<std::vector<Json>> rows;
  for (const bool in_worker : {false, true}) {
    auto instance = create(jsonl, options, in_worker);
    ASSERT_TRUE(instance) << instance.error().text;
    EXPECT_EQ(instance->remote() != nullptr, in_worker);
    rows.push_back(records_of(*instance));
    EXPECT_EQ(records_of(*instance), rows.back()) << "opened a second time";
  }
  EXPECT_GT(rows[0].size(), 10u);
  EXPECT_EQ(rows[0], rows[1]);
}

TEST_F(Remotes, DatasetsRefusalComesBackWithItsOption) {
  const Component jsonl = component("assay/jsonl");
  std::vector<Failure> failures;
  for (const bool in_worker : {false, true}) {
    auto instance = create(jsonl, {{"path", "/nowhere/at/all.jsonl"}}, in_worker);
    if (!instance) {
      failures.push_back(instance.error());
      continue;
    }
    auto reader = DatasetReader::open(*instance, "");
    ASSERT_FALSE(reader);
    failures.push_back(reader.error());
  }
  EXPECT_EQ(failures[0].code, failures[1].code);
  EXPECT_EQ(failures[0].text, failures[1].text);
  EXPECT_EQ(failures[0].where, failures[1].where);
}

TEST_F(Remotes, MetricGivesTheSameSamplesAndTotals) {
  const Component metric = component("assay/exact_match");
  const check::Table rows({{"output"}, {"targets", Type::kList, {{"item"}}}}, [](Builder& table) {
    const char* const answers[][2] = {{"a", "a"}, {"b", "c"}, {"\u00e9", "\u00e9"}};
    for (const auto& pair : answers) {
      table.child(0).append_text(pair[0]);
      table.child(1).child(0).append_text(pair[1]);
      table.child(1).end_list();
      table.end_struct();
    }
  });
  check::SpyValues values[2];
  for (const bool in_worker : {false, true}) {
    auto instance =
        create(metric, {{"ignore_case", false}, {"ignore_punctuation", false}, {"strip", true}},
               in_worker);
    ASSERT_TRUE(instance) << instance.error().text;
    const auto& api = instance->api<assay_metric_v1>();
    check::SpyValues& spy = values[in_worker ? 1 : 0];
    assay_error error{};
    error.struct_size = sizeof error;
    ASSERT_EQ(api.update(instance->self(), rows.schema(), rows.array(), &spy.sink, &error),
              ASSAY_OK)
        << error.text;
    ASSERT_EQ(api.finish(instance->self(), &spy.sink, &error), ASSAY_OK) << error.text;
    EXPECT_EQ(api.finish(instance->self(), &spy.sink, &error), ASSAY_FAILED_PRECONDITION);
  }
  ASSERT_EQ(values[0].samples.size(), 3u);
  ASSERT_EQ(values[1].samples.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(values[0].samples[i].value, values[1].samples[i].value);
  ASSERT_EQ(values[0].totals.size(), values[1].totals.size());
  EXPECT_EQ(values[0].totals[0].value, values[1].totals[0].value);
  EXPECT_EQ(values[0].totals[0].n, values[1].totals[0].n);
}

/// A session of fake/hash, here or in a worker.
class RemoteSession : public Remotes {
 protected:
  std::unique_ptr<Session> open(const Json& options, Isolated isolation,
                                const char* id = "fake/hash") {
    component_ = component(id);
    ModelSpec model;
    model.name = "m";
    model.path = std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger/model";
    model.backend.component = &component_;
    model.backend.options = options;
    model.isolation = isolation;
    model.timeout_seconds = timeout_seconds_;
    auto session = open_session(model, 1, cancelled_);
    EXPECT_TRUE(session) << session.error().text;
    if (!session) return nullptr;
    auto info = (*session)->load(0);
    EXPECT_TRUE(info) << info.error().text;
    return std::move(*session);
  }

  Component component_;
  std::atomic<bool> cancelled_ = false;
  double timeout_seconds_ = 60;
};

TEST_F(RemoteSession, ScoresAreTheSameBits) {
  std::vector<ScoreRequest> requests;
  for (int i = 0; i < 50; ++i) {
    ScoreRequest request;
    request.id = static_cast<std::uint64_t>(i) * 7919;
    for (int k = 0; k <= 20 + i; ++k) request.tokens.push_back((i * 31 + k * 17) % 512);
    request.first = 1 + static_cast<std::uint64_t>(i) % 5;
    requests.push_back(std::move(request));
  }
  std::map<std::uint64_t, Score> scores[2];
  for (const Isolated isolation : {Isolated::kNone, Isolated::kWorker}) {
    auto session = open(hash_options(), isolation);
    ASSERT_NE(session, nullptr);
    auto& into = scores[isolation == Isolated::kWorker ? 1 : 0];
    const auto done = session->score(requests, [&](std::uint64_t id, Result<Score> score) {
      ASSERT_TRUE(score) << score.error().text;
      into[id] = std::move(*score);
    });
    ASSERT_TRUE(done) << done.error().text;
  }
  ASSERT_EQ(scores[0].size(), 50u);
  ASSERT_EQ(scores[1].size(), 50u);
  for (const auto& [id, score] : scores[0]) {
    EXPECT_EQ(score.logprobs, scores[1][id].logprobs);
    EXPECT_EQ(score.greedy, scores[1][id].greedy);
  }
}

TEST_F(RemoteSession, AnswersAndStopsAreTheSame) {
  Decoding decoding;
  decoding.max_new = 12;
  decoding.end_tokens = {1};
  decoding.stop = {"zzz"};
  std::vector<GenerateRequest> requests;
  for (std::uint64_t i = 0; i < 9; ++i) {
    requests.push_back({i, {static_cast<std::int32_t>(i) + 5, 9}, i});
  }
  std::map<std::uint64_t, Generation> said[2];
  for (const Isolated isolation : {Isolated::kNone, Isolated::kWorker}) {
    auto session = open(hash_options(), isolation);
    ASSERT_NE(session, nullptr);
    auto& into = said[isolation == Isolated::kWorker ? 1 : 0];
    const auto done =
        session->generate(requests, decoding, [&](std::uint64_t id, Result<Generation> one) {
          ASSERT_TRUE(one) << one.error().text;
          into[id] = std::move(*one);
        });
    ASSERT_TRUE(done) << done.error().text;
  }
  ASSERT_EQ(said[1].size(), 9u);
  for (const auto& [id, one] : said[0]) {
    EXPECT_EQ(one.tokens, said[1][id].tokens);
    EXPECT_EQ(one.text, said[1][id].text);
    EXPECT_EQ(one.finish, said[1][id].finish);
    EXPECT_EQ(one.first_token_seconds.has_value(), said[1][id].first_token_seconds.has_value());
  }
}

TEST_F(RemoteSession, CancelReachesTheWorker) {
  Json options = hash_options();
  options["slow_ms"] = 50;
  auto session = open(options, Isolated::kWorker);
  ASSERT_NE(session, nullptr);
  std::vector<ScoreRequest> requests;
  for (std::uint64_t i = 0; i < 400; ++i) requests.push_back({i, {1, 2, 3}, 1, 0, 0});
  int n_scored = 0, n_cancelled = 0;
  (void)session
      ->score(requests,
              [&](std::uint64_t, Result<Score> score) {
                n_scored += score.has_value();
                if (n_scored == 3) cancelled_ = true;
                n_cancelled += !score && score.error().code == ASSAY_CANCELLED;
              })
      .has_value();
  EXPECT_GE(n_scored, 3);
  EXPECT_GT(n_cancelled, 100);
}

TEST_F(RemoteSession, WorkerThatDiesAnswersEveryOpenRequest) {
  auto session = open({{"fault", "aborts"}, {"during", "run"}, {"after", 3}}, Isolated::kWorker,
                      "hostile/backend");
  ASSERT_NE(session, nullptr);
  std::vector<ScoreRequest> requests;
  for (std::uint64_t i = 0; i < 10; ++i) requests.push_back({i, {1, 2, 3}, 1, 0, 0});
  int n_scored = 0;
  std::vector<Failure> failures;
  const auto done = session->score(requests, [&](std::uint64_t, Result<Score> score) {
    if (score) {
      ++n_scored;
    } else {
      failures.push_back(score.error());
    }
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().text,
            "hostile/backend: its process was killed by signal 6 (SIGABRT) during run");
  EXPECT_EQ(done.error().code, ASSAY_ABORTED);
  EXPECT_EQ(n_scored, 3);
  EXPECT_EQ(failures.size(), 7u);
  const auto again = session->score(requests, [](std::uint64_t, Result<Score>) {});
  EXPECT_FALSE(again);
}

/// Values of layers, in the order in which they are told.
struct Told {
  std::vector<std::string> lines;
  LayerSink sink = [this](std::string_view layer, std::string_view name, double value) {
    lines.push_back(std::string(layer) + " " + std::string(name) + " " + std::to_string(value));
  };
};

TEST_F(RemoteSession, QuantizesTheSameAndTellsOfLayers) {
  const std::vector<ScoreRequest> calibration{{1, {1, 2, 3}, 1, 0, 0}, {2, {4, 5}, 1, 0, 0}};
  component_ = component("fake/quantizing");
  ModelSpec model;
  model.path = std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger/model";
  model.backend.component = &component_;
  model.backend.options = {{"quantize.bits", 3},
                           {"quantize.layers", 2},
                           {"quantize.slow_ms", 0},
                           {"quantize.ends", "well"},
                           {"vocab", 1280}};
  model.is_quantized = true;
  std::vector<std::string> told[2], forms[2];
  for (const bool in_worker : {false, true}) {
    model.isolation = in_worker ? Isolated::kWorker : Isolated::kNone;
    std::string out = (std::filesystem::temp_directory_path() / "assay-form-XXXXXX").string();
    ASSERT_NE(mkdtemp(out.data()), nullptr);
    double reached = -1;
    auto session = open_session(model, 1, cancelled_,
                                [&](double fraction, std::string_view) { reached = fraction; });
    ASSERT_TRUE(session) << session.error().text;
    Told layers;
    const auto done = (*session)->quantize(out, {calibration, layers.sink});
    ASSERT_TRUE(done) << done.error().text;
    EXPECT_GE(reached, 0);
    told[in_worker] = layers.lines;
    std::ifstream form(out + "/form.txt");
    forms[in_worker].emplace_back(std::istreambuf_iterator<char>(form),
                                  std::istreambuf_iterator<char>());
    std::filesystem::remove_all(out);
  }
  EXPECT_EQ(told[0], told[1]);
  EXPECT_THAT(told[0], Contains("layers.1 output_error " + std::to_string(0.1375 * 0.1375)));
  EXPECT_EQ(forms[0], forms[1]);
  EXPECT_EQ(forms[0].front(), "3 15");  // the sum of the calibration's tokens
}

TEST_F(RemoteSession, ASimulatedLoadIsCalibratedAndTellsOfLayers) {
  const std::vector<ScoreRequest> calibration{{1, {1, 2, 3}, 1, 0, 0}};
  component_ = component("fake/quantizing");
  ModelSpec model;
  model.path = std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger/model";
  model.backend.component = &component_;
  model.backend.options = {{"simulate.bits", 3}, {"vocab", 1280}};
  model.is_simulated = true;
  for (const bool in_worker : {false, true}) {
    model.isolation = in_worker ? Isolated::kWorker : Isolated::kNone;
    auto session = open_session(model, 1, cancelled_);
    ASSERT_TRUE(session) << session.error().text;
    Told layers;
    const auto info = (*session)->load(0, {calibration, layers.sink});
    ASSERT_TRUE(info) << info.error().text;
    EXPECT_EQ(info->bits_per_weight, 3);
    EXPECT_THAT(layers.lines, Contains("layers.0 output_error " + std::to_string(0.015625)));
  }
}

TEST_F(RemoteSession, SilenceEndsIt) {
  timeout_seconds_ = 1;
  auto session = open({{"fault", "hangs"}, {"during", "run"}, {"after", 0}}, Isolated::kWorker,
                      "hostile/backend");
  ASSERT_NE(session, nullptr);
  const std::vector<ScoreRequest> requests{{1, {1, 2, 3}, 1, 0, 0}};
  const auto done = session->score(requests, [](std::uint64_t, Result<Score>) {});
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().text, HasSubstr("gave no sign of life for 1 s during run"));
  EXPECT_EQ(done.error().code, ASSAY_DEADLINE_EXCEEDED);
}

TEST_F(RemoteSession, SlowWorkIsNoSilence) {
  timeout_seconds_ = 1;
  Json options = hash_options();
  options["slow_ms"] = 300;
  auto session = open(options, Isolated::kWorker);
  ASSERT_NE(session, nullptr);
  std::vector<ScoreRequest> requests;
  for (std::uint64_t i = 0; i < 8; ++i) requests.push_back({i, {1, 2, 3}, 1, 0, 0});
  const auto done = session->score(requests, [](std::uint64_t, Result<Score>) {});
  EXPECT_TRUE(done) << done.error().text;
}

TEST_F(Remotes, LogLinesAndLastWordsArrive) {
  std::vector<std::string> lines;
  log_ = [&lines](assay_level, std::string_view line) { lines.emplace_back(line); };
  const Component hostile = component("hostile/backend");
  Lease leased = lease(true);
  auto instance = Instance::create(
      hostile, {{"fault", "floods_log"}, {"during", "load"}, {"after", 0}}, leased);
  ASSERT_TRUE(instance) << instance.error().text;
  assay_job job{};
  job.struct_size = sizeof job;
  job.want = ASSAY_CAP_SCORE;
  assay_model_info info{};
  info.struct_size = sizeof info;
  assay_error error{};
  error.struct_size = sizeof error;
  EXPECT_EQ(instance->api<assay_backend_v1>().load(instance->self(), &job, &info, &error),
            ASSAY_OK);
  EXPECT_EQ(info.vocab, 512u);
  EXPECT_THAT(lines, Contains("line upon line"));
}

TEST_F(Remotes, PluginThatIsGoneIsToldInASentence) {
  Component metric = component("assay/exact_match");
  plugins_.back()->path = "/nowhere/plugin.so";
  const auto instance = create(metric, Json::object(), true);
  ASSERT_FALSE(instance);
  EXPECT_THAT(instance.error().text, HasSubstr("/nowhere/plugin.so"));
}

}  // namespace
}  // namespace assay::host
