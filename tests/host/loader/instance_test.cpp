#include "host/loader/instance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cfenv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "host/log/log.hpp"
#include "tests/host/loader/in_memory_plugin.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

/// One of everything a graph can hand to a component.
Json options() {
  return Json{{"flag", true},
              {"size", std::int64_t{4} << 30},
              {"least", std::numeric_limits<std::int64_t>::min()},
              {"too_big", std::numeric_limits<std::uint64_t>::max()},
              {"timeout", 1.5},
              {"path", "/data/x.jsonl"},
              {"kv.bits", 3},
              {"skip", {"lm_head", "embed"}},
              {"bits", {2, 3, 4}},
              {"override", {{{"bits", 8}, {"name", "mlp"}}, {{"a.b", 1.0}}}},
              {"nothing", nullptr},
              {"empty", Json::array()}};
}

std::string text(assay_str value) { return {value.ptr, value.len}; }

class InstanceTest : public testing::Test {
 protected:
  InstanceTest() { registry_.add(fake_.plugin, "/fakes/metric.so"); }
  const Component& component() const { return registry_.components()[0]; }
  Result<Instance> create(const Json& with = Json::object()) {
    return Instance::create(component(), with, lease_);
  }
  /// Runs `look` inside create, where a plugin reads its options.
  template <class Look>
  void inside_create(Look&& look) {
    InMemoryPlugin::on_create = [&](const assay_host* host, const assay_config* config,
                                    const assay_resources* resources, void**, assay_error*) {
      look(*host, config, *resources);
      return ASSAY_OK;
    };
    const auto instance = create(options());
    EXPECT_TRUE(instance) << instance.error().text;
  }

  InMemoryPlugin fake_;
  Registry registry_;
  Lease lease_{.node = "task.faq"};
};

using Create = InstanceTest;
using Config = InstanceTest;
using Host = InstanceTest;
using FailureFrom = InstanceTest;

TEST_F(Create, KeepsTheInstanceUntilItsOwnEnd) {
  {
    const auto instance = create();
    ASSERT_TRUE(instance) << instance.error().text;
    EXPECT_EQ(instance->self(), &InMemoryPlugin::instance);
    EXPECT_EQ(instance->component().id(), "fake/metric");
    EXPECT_EQ(&instance->api<assay_metric_v1>(), &fake_.api);
    EXPECT_EQ(InMemoryPlugin::n_destroyed, 0);
  }
  EXPECT_EQ(InMemoryPlugin::n_destroyed, 1);
}

TEST_F(Create, DestroysAnInstanceOnceAlsoWhenItWasMoved) {
  {
    auto first = create();
    Instance moved = *std::move(first);
    auto second = create();
    moved = *std::move(second);
    EXPECT_EQ(InMemoryPlugin::n_destroyed, 1);
  }
  EXPECT_EQ(InMemoryPlugin::n_destroyed, 2);
}

TEST_F(Create, PassesOnWhatThePluginSays) {
  InMemoryPlugin::on_create = [](auto, auto, auto, void** self, assay_error* error) {
    *self = nullptr;
    std::strcpy(error->text, "3 bits are not enough");
    std::strcpy(error->where, "kv.bits");
    return ASSAY_INVALID_ARGUMENT;
  };
  const auto instance = create();
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(instance.error().text, "fake/metric: 3 bits are not enough (kv.bits)");
  EXPECT_EQ(instance.error().where, "kv.bits");
  EXPECT_EQ(InMemoryPlugin::n_destroyed, 0);
}

TEST_F(Create, ReportsMisbehaviourOfAFailureThatLeavesAnInstance) {
  InMemoryPlugin::on_create = [](auto, auto, auto, void**, assay_error*) {
    return ASSAY_UNAVAILABLE;
  };
  testing::internal::CaptureStderr();
  start_log(LogLevel::kInfo);
  const auto instance = create();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::EndsWith("warn  misbehaviour plugin=fake/metric rule=\"a failed create "
                                "leaves *self NULL\"\n"));
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().text, "fake/metric: failed with UNAVAILABLE and left no text");
  EXPECT_EQ(InMemoryPlugin::n_destroyed, 0);
}

TEST_F(Create, RefusesAnOkWithoutAnInstance) {
  InMemoryPlugin::on_create = [](auto, auto, auto, void** self, assay_error*) {
    *self = nullptr;
    return ASSAY_OK;
  };
  const auto instance = create();
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().text,
            "fake/metric: misbehaviour: create answered OK and made no instance");
}

TEST_F(Create, SurvivesAnExceptionThatCrossesTheBoundary) {
  const Registry registry = Registry::scan({ASSAY_TEST_FAKES});
  const Component* thrower = registry.find("fake/throws-in-create");
  ASSERT_NE(thrower, nullptr);
  const auto instance = Instance::create(*thrower, Json::object(), lease_);
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().code, ASSAY_INTERNAL);
  EXPECT_EQ(instance.error().text,
            "fake/throws-in-create: misbehaviour: create let an exception out: thrown across the "
            "boundary");
}

TEST_F(Create, PassesOnWhatAPluginInAFileSays) {
  const Registry registry = Registry::scan({ASSAY_TEST_FAKES});
  const auto instance =
      Instance::create(*registry.find("fake/fails-in-create"), Json::object(), lease_);
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().code, ASSAY_FAILED_PRECONDITION);
  EXPECT_EQ(instance.error().text, "fake/fails-in-create: the licence server does not answer");
}

TEST_F(Create, LendsAPrivateEmptyScratchFolderUntilDestroy) {
  std::string folder;
  inside_create([&](const auto&, auto, const assay_resources& resources) {
    folder = text(resources.scratch_dir);
    EXPECT_TRUE(fs::is_empty(folder));
    EXPECT_EQ(fs::status(folder).permissions(), fs::perms::owner_all);
    fs::create_directories(folder + "/deep/er");
    std::ofstream(folder + "/deep/file") << "left behind";
  });
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(Create, RemovesTheScratchFolderOfAFailure) {
  std::string folder;
  InMemoryPlugin::on_create = [&](auto, auto, const assay_resources* resources, void** self,
                                  assay_error*) {
    folder = text(resources->scratch_dir);
    *self = nullptr;
    return ASSAY_INTERNAL;
  };
  EXPECT_FALSE(create());
  EXPECT_NE(folder, "");
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(Create, SaysWhereAScratchFolderCannotBeMade) {
  const char* old = std::getenv("TMPDIR");
  const std::string kept = old != nullptr ? old : "";
  setenv("TMPDIR", "/absent/tmp", 1);
  const auto instance = create();
  setenv("TMPDIR", "/proc", 1);
  const auto other = create();
  kept.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", kept.c_str(), 1);
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().text,
            "cannot make a scratch folder: TMPDIR does not name a folder; set it to one that can "
            "be written");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().text,
            "cannot make a scratch folder in /proc: No such file or directory; set TMPDIR to a "
            "folder that can be written");
}

TEST_F(Create, GrantsWhatTheLeaseSays) {
  lease_.threads = 3;
  lease_.host_bytes = 1 << 20;
  lease_.device = {2, 1};
  lease_.seed = 99;
  inside_create([](const auto&, auto, const assay_resources& resources) {
    EXPECT_EQ(resources.struct_size, sizeof(assay_resources));
    EXPECT_EQ(resources.threads, 3u);
    EXPECT_EQ(resources.host_bytes, 1u << 20);
    EXPECT_EQ(resources.device_bytes, 0u);
    EXPECT_EQ(resources.device.type, 2);
    EXPECT_EQ(resources.device.id, 1);
    EXPECT_EQ(resources.seed, 99u);
    ASSERT_EQ(resources.n_devices, 1u);
    EXPECT_EQ(resources.devices[0].id, 1);
  });
}

TEST_F(Config, GivesEachTypeToItsGetter) {
  inside_create([](const assay_host& host, const assay_config* config, const auto&) {
    std::int32_t flag = 0;
    EXPECT_EQ(host.get_bool(config, "flag", &flag), ASSAY_OK);
    EXPECT_EQ(flag, 1);
    std::int64_t integer = 0;
    EXPECT_EQ(host.get_int(config, "size", &integer), ASSAY_OK);
    EXPECT_EQ(integer, std::int64_t{4} << 30);
    EXPECT_EQ(host.get_int(config, "least", &integer), ASSAY_OK);
    EXPECT_EQ(integer, std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(host.get_int(config, "kv.bits", &integer), ASSAY_OK);
    EXPECT_EQ(integer, 3);
    double number = 0;
    EXPECT_EQ(host.get_float(config, "timeout", &number), ASSAY_OK);
    EXPECT_EQ(number, 1.5);
    EXPECT_EQ(host.get_float(config, "kv.bits", &number), ASSAY_OK);  // 3 stands for 3.0
    EXPECT_EQ(number, 3.0);
    assay_str path{};
    EXPECT_EQ(host.get_text(config, "path", &path), ASSAY_OK);
    EXPECT_EQ(text(path), "/data/x.jsonl");
  });
}

TEST_F(Config, ReadsListsByCountAndIndex) {
  inside_create([](const assay_host& host, const assay_config* config, const auto&) {
    std::uint64_t count = 99;
    EXPECT_EQ(host.get_count(config, "skip", &count), ASSAY_OK);
    EXPECT_EQ(count, 2u);
    assay_str name{};
    EXPECT_EQ(host.get_text(config, "skip.1", &name), ASSAY_OK);
    EXPECT_EQ(text(name), "embed");
    EXPECT_EQ(host.get_text(config, "skip.2", &name), ASSAY_NOT_FOUND);
    EXPECT_EQ(host.get_text(config, "skip.-1", &name), ASSAY_NOT_FOUND);
    EXPECT_EQ(host.get_text(config, "skip.", &name), ASSAY_NOT_FOUND);
    EXPECT_EQ(host.get_text(config, "skip.1x", &name), ASSAY_NOT_FOUND);
    std::int64_t bits = 0;
    EXPECT_EQ(host.get_int(config, "bits.2", &bits), ASSAY_OK);
    EXPECT_EQ(bits, 4);
    EXPECT_EQ(host.get_count(config, "empty", &count), ASSAY_OK);
    EXPECT_EQ(count, 0u);
  });
}

TEST_F(Config, ReadsListsOfTables) {
  inside_create([](const assay_host& host, const assay_config* config, const auto&) {
    std::uint64_t count = 0;
    EXPECT_EQ(host.get_count(config, "override", &count), ASSAY_OK);
    EXPECT_EQ(count, 2u);
    std::int64_t bits = 0;
    EXPECT_EQ(host.get_int(config, "override.0.bits", &bits), ASSAY_OK);
    EXPECT_EQ(bits, 8);
    double number = 0;
    EXPECT_EQ(host.get_float(config, "override.1.a.b", &number), ASSAY_OK);
    EXPECT_EQ(number, 1.0);
    EXPECT_EQ(host.get_int(config, "override.1.bits", &bits), ASSAY_NOT_FOUND);
  });
}

TEST_F(Config, AnswersNotFoundForAnOptionThatWasNotGivenAndLeavesTheOutput) {
  inside_create([](const assay_host& host, const assay_config* config, const auto&) {
    std::int64_t integer = 7;
    for (const char* key : {"absent", "", "nothing", "kv", "flag.0", "path.0", ".", "kv.bits."}) {
      EXPECT_EQ(host.get_int(config, key, &integer), ASSAY_NOT_FOUND) << key;
    }
    EXPECT_EQ(integer, 7);
    std::uint64_t count = 7;
    EXPECT_EQ(host.get_count(config, "absent", &count), ASSAY_NOT_FOUND);
    EXPECT_EQ(count, 7u);
  });
}

TEST_F(Config, AnswersInvalidArgumentForAnotherTypeAndLeavesTheOutput) {
  inside_create([](const assay_host& host, const assay_config* config, const auto&) {
    std::int32_t flag = 7;
    EXPECT_EQ(host.get_bool(config, "size", &flag), ASSAY_INVALID_ARGUMENT);
    std::int64_t integer = 7;
    for (const char* key : {"flag", "timeout", "path", "skip", "too_big", "override.0"}) {
      EXPECT_EQ(host.get_int(config, key, &integer), ASSAY_INVALID_ARGUMENT) << key;
    }
    double number = 7;
    EXPECT_EQ(host.get_float(config, "path", &number), ASSAY_INVALID_ARGUMENT);
    assay_str name{nullptr, 7};
    EXPECT_EQ(host.get_text(config, "skip", &name), ASSAY_INVALID_ARGUMENT);
    std::uint64_t count = 7;
    EXPECT_EQ(host.get_count(config, "path", &count), ASSAY_INVALID_ARGUMENT);
    EXPECT_EQ(flag, 7);
    EXPECT_EQ(integer, 7);
    EXPECT_EQ(number, 7);
    EXPECT_EQ(name.len, 7u);
    EXPECT_EQ(count, 7u);
  });
}

TEST_F(Config, AnswersInvalidArgumentForNullPointers) {
  inside_create([](const assay_host& host, const assay_config* config, const auto&) {
    std::int64_t integer = 0;
    EXPECT_EQ(host.get_int(nullptr, "size", &integer), ASSAY_INVALID_ARGUMENT);
    EXPECT_EQ(host.get_int(config, nullptr, &integer), ASSAY_INVALID_ARGUMENT);
    EXPECT_EQ(host.get_int(config, "size", nullptr), ASSAY_INVALID_ARGUMENT);
  });
}

TEST_F(Config, GivesAnyValueAsJsonThatStaysUntilCreateReturns) {
  inside_create([](const assay_host& host, const assay_config* config, const auto&) {
    std::vector<assay_str> kept(3);
    EXPECT_EQ(host.get_json(config, "override", &kept[0]), ASSAY_OK);
    EXPECT_EQ(host.get_json(config, "flag", &kept[1]), ASSAY_OK);
    EXPECT_EQ(host.get_json(config, "skip.0", &kept[2]), ASSAY_OK);
    EXPECT_EQ(text(kept[0]), R"([{"bits":8,"name":"mlp"},{"a.b":1.0}])");
    EXPECT_EQ(text(kept[1]), "true");
    EXPECT_EQ(text(kept[2]), "\"lm_head\"");
  });
}

TEST_F(Host, SaysWhoItIs) {
  inside_create([](const assay_host& host, auto, const auto&) {
    EXPECT_EQ(host.struct_size, sizeof(assay_host));
    EXPECT_EQ(host.abi_minor, ASSAY_ABI_MINOR);
    EXPECT_STREQ(host.name, "assay");
    EXPECT_STRNE(host.version, "");
    EXPECT_EQ(host.extension(&host, "assay.host.thread-pool/1"), nullptr);
  });
}

TEST_F(Host, LogsWithTheNodeInFront) {
  start_log(LogLevel::kInfo);
  testing::internal::CaptureStderr();
  inside_create([](const assay_host& host, auto, const auto&) {
    host.log(&host, ASSAY_WARN, {"careful", 7});
    host.log(&host, ASSAY_INFO, {nullptr, 0});
  });
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr(" warn  task.faq: careful\n"));
}

TEST_F(Host, TellsWhetherTheRunIsCancelled) {
  std::atomic<bool> cancelled = false;
  lease_.cancelled = &cancelled;
  inside_create([&](const assay_host& host, auto, const auto&) {
    EXPECT_EQ(host.cancelled(&host), 0);
    cancelled = true;
    EXPECT_EQ(host.cancelled(&host), 1);
  });
}

TEST_F(Host, IsNeverCancelledWithoutAFlag) {
  inside_create(
      [](const assay_host& host, auto, const auto&) { EXPECT_EQ(host.cancelled(&host), 0); });
}

TEST_F(Host, ReportsProgressBetweenNoneAndAll) {
  std::vector<std::pair<double, std::string>> seen;
  lease_.on_progress = [&](double fraction, std::string_view what) {
    seen.emplace_back(fraction, what);
  };
  inside_create([](const assay_host& host, auto, const auto&) {
    host.progress(&host, std::numeric_limits<double>::quiet_NaN(), {"first", 5});
    host.progress(&host, 1.5, {"all", 3});
  });
  EXPECT_THAT(seen, testing::ElementsAre(testing::Pair(0.0, "first"), testing::Pair(1.0, "all")));
}

TEST_F(Host, LeavesOutProgressThatComesTooFast) {
  int n = 0;
  lease_.on_progress = [&](double, std::string_view) { ++n; };
  inside_create([](const assay_host& host, auto, const auto&) {
    for (int i = 0; i < 1000; ++i) host.progress(&host, i / 1000.0, {"step", 4});
    host.progress(&host, 1.0, {"done", 4});
  });
  EXPECT_GE(n, 2);
  EXPECT_LT(n, 100);
}

TEST_F(FailureFrom, ReadsATextThatFillsTheWholeArray) {
  assay_error error;
  std::memset(&error, 'x', sizeof error);
  std::memset(error.where, 'y', sizeof error.where);
  const Failure failure = failure_from(component(), ASSAY_INTERNAL, error);
  EXPECT_EQ(failure.text,
            "fake/metric: " + std::string(896, 'x') + " (" + std::string(120, 'y') + ")");
}

TEST_F(FailureFrom, MendsATextCutInsideACharacter) {
  assay_error error{};
  std::strcpy(error.text, "na\xC3");
  EXPECT_EQ(failure_from(component(), ASSAY_INTERNAL, error).text, "fake/metric: na\xEF\xBF\xBD");
}

TEST_F(FailureFrom, NamesAStatusItDoesNotKnow) {
  EXPECT_EQ(failure_from(component(), 77, assay_error{}).text,
            "fake/metric: failed with status 77 and left no text");
}

TEST_F(InstanceTest, EstimatesWhatABackendWouldNeed) {
  const Registry registry = Registry::scan({ASSAY_TEST_FAKES});
  assay_job job{};
  job.struct_size = sizeof job;
  const auto need =
      Instance::estimate(*registry.find("fake/hash"), Json{{"vocab", 100}}, lease_, job);
  ASSERT_TRUE(need) << need.error().text;
  EXPECT_EQ(need->host_bytes, 3200u);
  EXPECT_EQ(need->threads, 1u);
  const auto without = Instance::estimate(*registry.find("fake/hash"), Json::object(), lease_, job);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().text, "fake/hash: cannot be read as an integer (vocab)");
}

TEST_F(InstanceTest, EstimatesNothingForABackendThatCannotTell) {
  const Registry registry = Registry::scan({ASSAY_TEST_FAKES});
  const auto need = Instance::estimate(*registry.find("fake/fails-in-create"), Json::object(),
                                       lease_, assay_job{});
  ASSERT_FALSE(need);
  EXPECT_EQ(need.error().code, ASSAY_UNIMPLEMENTED);
  EXPECT_EQ(need.error().text, "fake/fails-in-create: does not tell what it would need");
}

class Call : public testing::Test {
 protected:
  Instance create() {
    registry_.add(fake_.plugin, "/fakes/metric.so");
    return *Instance::create(*registry_.find("fake/metric"), Json::object(), {});
  }

  InMemoryPlugin fake_;
  Registry registry_;
};

TEST_F(Call, GivesWhatTheFunctionReports) {
  const Instance instance = create();
  EXPECT_TRUE(instance.call("update", [](assay_error*) { return ASSAY_OK; }));
  const auto failed = instance.call("update", [](assay_error* error) {
    std::snprintf(error->text, sizeof error->text, "no such row");
    return ASSAY_NOT_FOUND;
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ASSAY_NOT_FOUND);
  EXPECT_EQ(failed.error().text, "fake/metric: no such row");
}

TEST_F(Call, NamesComponentFunctionAndWhatChangedAndPutsItBack) {
  const Instance instance = create();
  const auto changed = instance.call("update", [](assay_error*) {
    std::fesetround(FE_UPWARD);
    setenv("ASSAY_TEST_CHANGED", "1", 1);
    return ASSAY_OK;
  });
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, ASSAY_INTERNAL);
  EXPECT_EQ(changed.error().text,
            "fake/metric: misbehaviour: update changed the floating-point mode, the environment "
            "(ASSAY_TEST_CHANGED) of the host's process; it was put back, and its result is not "
            "used");
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
  EXPECT_EQ(std::getenv("ASSAY_TEST_CHANGED"), nullptr);
}

TEST_F(Call, MakesAFailureOfAnExceptionAndPutsBackWhatChangedBefore) {
  const Instance instance = create();
  const auto thrown = instance.watch("get_next", [] {
    std::fesetround(FE_UPWARD);
    throw 3;
  });
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().text, "fake/metric: misbehaviour: get_next let an exception out");
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

TEST_F(Call, OfCreateIsWatchedAsWell) {
  InMemoryPlugin::on_create = [](auto*, auto*, auto*, void**, auto*) {
    umask(0);
    return ASSAY_OK;
  };
  registry_.add(fake_.plugin, "/fakes/metric.so");
  const auto instance = Instance::create(*registry_.find("fake/metric"), Json::object(), {});
  ASSERT_FALSE(instance);
  EXPECT_THAT(instance.error().text,
              testing::HasSubstr("create changed the umask of the host's process"));
  EXPECT_EQ(InMemoryPlugin::n_destroyed, 1);
}

TEST_F(Call, InAPluginsOwnProcessLooksAtTheArithmeticAlone) {
  Plugin plugin;
  plugin.constants = &fake_.plugin;
  plugin.into = Into::kWorker;
  const Json options = Json::object();
  const auto instance = Instance::create({&fake_.component, &plugin}, options, {});
  ASSERT_TRUE(instance) << instance.error().text;
  EXPECT_TRUE(instance->call("update", [](assay_error*) {
    std::fesetround(FE_UPWARD);
    setenv("ASSAY_TEST_CHANGED", "1", 1);
    return ASSAY_OK;
  }));
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
  EXPECT_STREQ(std::getenv("ASSAY_TEST_CHANGED"), "1");
  unsetenv("ASSAY_TEST_CHANGED");
}

}  // namespace
}  // namespace assay::host
