// The plugin as a host meets it: through its one exported constant.
#include <assay/ext.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <string_view>

#include "support/fixtures.hpp"
#include "support/recorder.hpp"
#include "tests/plugins/plugin_host.hpp"

namespace {

using assay_torch_test::Recorder;
using assay_torch_test::Requests;
using plugin_test::Component;
using plugin_test::Json;
using plugin_test::Said;

assay_error no_error() {
  assay_error error{};
  error.struct_size = sizeof error;
  return error;
}

std::string text_of(assay_status status, const assay_error& error) {
  return status == ASSAY_OK ? "" : std::to_string(status) + " " + error.text;
}

class TorchPlugin : public ::testing::Test {
 protected:
  TorchPlugin() {
    assay_torch_test::write_tiny_llama(dir_.path(),
                                       R"(, "bos_token_id": 1, "eos_token_id": [2, 3])");
  }

  assay_job job() {
    model_dir_ = dir_.path().string();
    assay_job job{};
    job.struct_size = sizeof job;
    job.want = ASSAY_CAP_SCORE;
    job.model_dir = {model_dir_.data(), model_dir_.size()};
    return job;
  }
  std::string load(Component& component, assay_model_info& model) {
    model.struct_size = sizeof model;
    assay_error error = no_error();
    const assay_job wanted = job();
    return text_of(
        component.api<assay_backend_v1>().load(component.self(), &wanted, &model, &error), error);
  }
  static std::string refusal(const Json& options) {
    Component component("assay/torch");
    const Said said = component.create(options);
    return said.is_ok() ? "" : std::to_string(said.code) + " " + said.where + ": " + said.text;
  }
  double bits_per_weight(const Json& options) {
    Component component("assay/torch");
    EXPECT_TRUE(component.create(options).is_ok());
    assay_model_info model{};
    EXPECT_EQ(load(component, model), "");
    return model.bits_per_weight;
  }

  assay_torch_test::TempDir dir_;
  std::string model_dir_;
};

TEST_F(TorchPlugin, LoadsAModelAndScoresARequest) {
  Component component("assay/torch");
  ASSERT_TRUE(component.create(Json::object()).is_ok());
  assay_model_info model{};
  ASSERT_EQ(load(component, model), "");
  EXPECT_EQ(model.vocab, 6U);
  EXPECT_EQ(model.max_context, 8U);
  EXPECT_EQ(model.weight_bytes, 156U * 4);
  EXPECT_EQ(model.bits_per_weight, 32.0);
  EXPECT_EQ(model.bos, 1);
  EXPECT_EQ(model.eos, 2);

  Requests requests;
  requests.add({1, 2, 3, 4}, 1);
  Recorder recorder;
  const auto sink = recorder.sink();
  const assay_batch batch = requests.batch();
  assay_error error = no_error();
  ASSERT_EQ(component.api<assay_backend_v1>().run(component.self(), &batch, &sink, &error),
            ASSAY_OK)
      << error.text;
  ASSERT_EQ(recorder[1].logprobs.size(), 3U);
  for (float logprob : recorder[1].logprobs) EXPECT_LT(logprob, 0.0F);
  EXPECT_EQ(recorder[1].times_done, 1);
}

TEST_F(TorchPlugin, GeneratesAsItsCapabilitiesSay) {
  Component component("assay/torch");
  EXPECT_EQ(component.constants().caps & (ASSAY_CAP_GENERATE | ASSAY_CAP_STREAMS),
            std::uint64_t{ASSAY_CAP_GENERATE | ASSAY_CAP_STREAMS});
  ASSERT_TRUE(component.create({{"batch_sequences", 2}, {"cache_bytes", 2 * 5 * 16}}).is_ok());
  assay_model_info model{};
  ASSERT_EQ(load(component, model), "");
  Requests requests;
  for (int i = 0; i < 3; ++i) requests.add_prompt({1, 2}, {.max_new = 3}, ASSAY_WANT_LOGPROBS);
  requests.add_prompt({1, 2}, {.max_new = 4});
  requests.add({1, 2}, 1);
  Recorder recorder;
  const auto sink = recorder.sink();
  const assay_batch batch = requests.batch();
  assay_error error = no_error();
  ASSERT_EQ(component.api<assay_backend_v1>().run(component.self(), &batch, &sink, &error),
            ASSAY_OK)
      << error.text;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(recorder[id].tokens.size(), 3U);
    EXPECT_EQ(recorder[id].logprobs.size(), 3U);
  }
  EXPECT_EQ(recorder.token_order_,
            (std::vector<std::uint64_t>{1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 4}));
  EXPECT_EQ(recorder[5].logprobs.size(), 1U);
}

const void* extension_of(const Component& component, std::string_view id) {
  const assay_component& constants = component.constants();
  for (std::uint64_t i = 0; i < constants.n_extensions; ++i) {
    if (constants.extensions[i].id == id) return constants.extensions[i].api;
  }
  return nullptr;
}

TEST_F(TorchPlugin, TellsTheMemoryOfWeightsAndCaches) {
  Component component("assay/torch");
  const auto* api =
      static_cast<const assay_backend_memory_v1*>(extension_of(component, ASSAY_BACKEND_MEMORY_1));
  ASSERT_NE(api, nullptr);
  ASSERT_TRUE(component.create({{"batch_sequences", 2}}).is_ok());
  assay_model_info model{};
  ASSERT_EQ(load(component, model), "");
  const auto read = [&] {
    assay_memory memory{};
    memory.struct_size = sizeof memory;
    EXPECT_EQ(api->read(component.self(), 0, &memory, nullptr), ASSAY_OK);
    return memory;
  };
  const assay_memory loaded = read();
  EXPECT_EQ(loaded.weights, 156U * 4);  // as many as bits_per_weight counts, in float32
  EXPECT_EQ(loaded.kv, 0U);
  EXPECT_EQ(loaded.kv_peak, 0U);
  EXPECT_EQ(loaded.kv_per_token, 16);
  EXPECT_EQ(loaded.allocated, ASSAY_UNKNOWN);

  Requests requests;
  for (int i = 0; i < 3; ++i) requests.add_prompt({1, 2}, {.max_new = 3});
  Recorder recorder;
  const auto sink = recorder.sink();
  const assay_batch batch = requests.batch();
  ASSERT_EQ(component.api<assay_backend_v1>().run(component.self(), &batch, &sink, nullptr),
            ASSAY_OK);
  const assay_memory after = read();
  EXPECT_EQ(after.kv, 0U) << "caches go with their batch";
  EXPECT_GT(after.kv_peak, 0U);
  // Two slots of whole tokens, at most what prompt and answer need.
  EXPECT_EQ(after.kv_peak % (2 * 16), 0U);
  EXPECT_LE(after.kv_peak, 2U * 5 * 16);
  ASSERT_EQ(api->reset_peaks(component.self(), nullptr), ASSAY_OK);
  EXPECT_EQ(read().kv_peak, 0U);

  assay_memory none{};
  none.struct_size = sizeof none;
  assay_error error = no_error();
  EXPECT_EQ(api->read(component.self(), 9, &none, &error), ASSAY_NOT_FOUND);
}

TEST_F(TorchPlugin, CountsTheBitsOfWhatItSimulates) {
  // 36 of 156 weights stay float32; 120 are in 28 rows (see load_test.cpp).
  EXPECT_DOUBLE_EQ(
      bits_per_weight(
          {{"simulate.method", "rtn"}, {"simulate.bits", 4}, {"simulate.group_size", 0}}),
      (120 * 4 + 28 * 20 + 36 * 32) / 156.0);
  EXPECT_DOUBLE_EQ(bits_per_weight({{"simulate.method", "rtn"},
                                    {"simulate.bits", 4},
                                    {"simulate.group_size", -1},
                                    {"simulate.symmetric", true}}),
                   (120 * 4 + 28 * 16 + 36 * 32) / 156.0);
  // NF4: 7 matrices of at most 64 weights, one block each.
  EXPECT_DOUBLE_EQ(bits_per_weight({{"simulate.method", "nf4"}}),
                   (120 * 4 + 7 * 32 + 36 * 32) / 156.0);
}

TEST_F(TorchPlugin, ComputesInTheDtypeAskedFor) {
  EXPECT_DOUBLE_EQ(bits_per_weight({{"dtype", "bfloat16"}}), 16);
  EXPECT_DOUBLE_EQ(bits_per_weight({{"dtype", "float16"}}), 16);
  assay_torch_test::write_tiny_llama(dir_.path(), R"(, "torch_dtype": "bfloat16")");
  EXPECT_DOUBLE_EQ(bits_per_weight({{"dtype", "auto"}}), 16);
  EXPECT_DOUBLE_EQ(bits_per_weight(Json::object()), 32);
}

TEST_F(TorchPlugin, KnowsNoAutomaticDtypeWhereConfigNamesNone) {
  const auto refusal_of_auto = [&](const std::string& config) {
    assay_torch_test::write_tiny_llama(dir_.path(), config);
    Component component("assay/torch");
    EXPECT_TRUE(component.create({{"dtype", "auto"}}).is_ok());
    assay_model_info model{};
    return load(component, model);
  };
  EXPECT_EQ(refusal_of_auto(""),
            "3 config.json does not say which; use a dtype instead of \"auto\"");
  EXPECT_EQ(refusal_of_auto(R"(, "torch_dtype": "float8_e4m3fn")"),
            "3 config.json says \"float8_e4m3fn\"; use \"float32\", \"bfloat16\" or "
            "\"float16\"");
}

TEST_F(TorchPlugin, RefusesOptionsThatContradictEachOther) {
  EXPECT_EQ(refusal({{"simulate.method", "nf4"}, {"simulate.bits", 3}}),
            "3 simulate.bits: nf4 has 4 bits, got 3; leave bits out or use method = \"rtn\"");
  EXPECT_EQ(refusal({{"simulate.method", "nf4"}, {"simulate.group_size", 32}}),
            "3 simulate.group_size: nf4 has blocks of 64, got 32; leave group_size out or use "
            "method = \"rtn\"");
  EXPECT_EQ(
      refusal({{"simulate.method", "nf4"}, {"simulate.symmetric", false}}),
      "3 simulate.symmetric: nf4 has a fixed table and no zero to choose; leave symmetric out");
  EXPECT_EQ(
      refusal({{"simulate.bits", 4}}),
      "3 simulate.method: is missing beside simulate.bits; expected rtn, gptq, awq, nf4, fp4, "
      "int8, w8a8 or fp8");
  EXPECT_EQ(
      refusal({{"simulate.method", "nf4"}, {"simulate.bits", 4}, {"simulate.group_size", 64}}), "");
}

TEST_F(TorchPlugin, RefusesKeysOfOtherMethods) {
  EXPECT_EQ(refusal({{"simulate.method", "rtn"}, {"simulate.act_order", true}}),
            "3 simulate.act_order: method rtn has no act_order; leave it out or use method gptq");
  EXPECT_EQ(refusal({{"quantize.method", "fp8"}, {"quantize.bits", 8}}),
            "3 quantize.bits: method fp8 has no bits; leave it out or use method rtn, gptq or awq");
  EXPECT_EQ(refusal({{"quantize.method", "gptq"}, {"quantize.bits", 9}}),
            "3 quantize.bits: gptq takes 2 to 8 bits, got 9; rtn takes up to 16");
  EXPECT_EQ(refusal({{"quantize.method", "gptq"},
                     {"quantize.act_order", true},
                     {"quantize.group_aware", true}}),
            "3 quantize.group_aware: act_order sorts all columns and group_aware those of each "
            "group; use "
            "one of them");
  EXPECT_EQ(refusal({{"simulate.method", "rtn"}, {"quantize.method", "rtn"}}),
            "3 simulate.method: stands beside quantize; a model is either rounded on load or "
            "written, so use one");
}

// Like the host's own, options of a list of tables are read one by one.
TEST_F(TorchPlugin, RefusesOverridesThatSayNothing) {
  const auto override = [](Json keys) {
    Json options = {{"simulate.method", "nf4"}, {"simulate.overrides", Json::array({0})}};
    for (const auto& [key, value] : keys.items()) options["simulate.overrides.0." + key] = value;
    return refusal(options);
  };
  EXPECT_EQ(override({{"modules", Json::array({"up"})}, {"keep", true}}), "");
  EXPECT_EQ(override({{"modules", Json::array({"up"})}, {"bits", 8}}),
            "3 simulate.overrides.0.bits: method nf4 has one width for all; use keep = true, or "
            "method rtn, gptq or awq");
  EXPECT_EQ(override({{"modules", Json::array({"up"})}}),
            "3 simulate.overrides.0.modules: nothing is said of them; give bits, group_size or "
            "keep = true");
}

TEST_F(TorchPlugin, WritesACheckpointThatItLoads) {
  const assay_torch_test::TempDir out;
  const std::string out_dir = (out.path() / "int8").string();
  std::vector<std::string> told;
  const assay_layer_sink layers{sizeof(assay_layer_sink), 0, &told,
                                [](void* ctx, assay_str layer, const char* name, double) noexcept {
                                  static_cast<std::vector<std::string>*>(ctx)->push_back(
                                      std::string(layer.ptr, layer.len) + " " + name);
                                }};
  {
    Component component("assay/torch");
    ASSERT_TRUE(component.create({{"quantize.method", "int8"}}).is_ok());
    assay_job wanted = job();
    wanted.want = ASSAY_CAP_QUANTIZE;
    wanted.out_dir = {out_dir.data(), out_dir.size()};
    wanted.layers = &layers;
    assay_error error = no_error();
    ASSERT_EQ(component.api<assay_backend_v1>().quantize(component.self(), &wanted, &error),
              ASSAY_OK)
        << error.text;
  }
  EXPECT_EQ(told.size(), 7U * 5);
  EXPECT_EQ(told.front(), "model.layers.0.self_attn.q_proj weight_error");

  const auto loaded = [&](const Json& options, const std::filesystem::path& dir) {
    Component component("assay/torch");
    EXPECT_TRUE(component.create(options).is_ok());
    assay_job wanted = job();
    const std::string name = dir.string();
    wanted.model_dir = {name.data(), name.size()};
    assay_model_info model{};
    model.struct_size = sizeof model;
    assay_error error = no_error();
    EXPECT_EQ(component.api<assay_backend_v1>().load(component.self(), &wanted, &model, &error),
              ASSAY_OK)
        << error.text;
    Requests requests;
    requests.add({1, 2, 3, 4}, 1);
    Recorder recorder;
    const auto sink = recorder.sink();
    const assay_batch batch = requests.batch();
    EXPECT_EQ(component.api<assay_backend_v1>().run(component.self(), &batch, &sink, &error),
              ASSAY_OK);
    return recorder[1].logprobs;
  };
  EXPECT_EQ(loaded(Json::object(), out_dir), loaded({{"simulate.method", "int8"}}, dir_.path()));
  EXPECT_NE(loaded(Json::object(), out_dir), loaded(Json::object(), dir_.path()));
}

TEST_F(TorchPlugin, SaysWhyAModelDirectoryDoesNotLoad) {
  std::filesystem::remove(dir_.path() / "model.safetensors");
  Component component("assay/torch");
  ASSERT_TRUE(component.create(Json::object()).is_ok());
  assay_model_info model{};
  EXPECT_EQ(load(component, model),
            "5 " + dir_.path().string() +
                ": no weights: a model directory needs model.safetensors, or "
                "model.safetensors.index.json and the files it names");
}

TEST_F(TorchPlugin, EstimatesMemoryWithoutLoading) {
  Component component("assay/torch");
  assay_job wanted = job();
  assay_resources need{};
  EXPECT_EQ(component.estimate(Json::object(), wanted, need).text, "");
  const std::uint64_t scoring = 4 * (156U + 2 * 1024 * 6);
  EXPECT_EQ(need.host_bytes, scoring);

  // 16 bytes for a token's keys and values, 8 tokens of context, 32 sequences.
  wanted.want |= ASSAY_CAP_GENERATE;
  EXPECT_EQ(component.estimate(Json::object(), wanted, need).text, "");
  EXPECT_EQ(need.host_bytes, scoring + 16 * 8 * 32);
  wanted.context = 3;
  EXPECT_EQ(component.estimate({{"batch_sequences", 2}}, wanted, need).text, "");
  EXPECT_EQ(need.host_bytes, scoring + 16 * 3 * 2);
  EXPECT_EQ(component.estimate({{"cache_bytes", 90}}, wanted, need).text, "");
  EXPECT_EQ(need.host_bytes, scoring + 90);

  // bfloat16: half of everything, but log-probabilities, a chunk of logits and the embedding are
  // there as float32 too.
  wanted.context = 0;
  EXPECT_EQ(component.estimate({{"dtype", "bfloat16"}}, wanted, need).text, "");
  EXPECT_EQ(need.host_bytes,
            2 * (156U + 1024 * 6) + 4 * 1024 * 6 + 4 * (24 + 1024 * 6) + 8 * 8 * 32);
}

}  // namespace
