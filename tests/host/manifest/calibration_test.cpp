#include <gtest/gtest.h>

#include "host/manifest/value.hpp"
#include "tests/host/manifest/workspace.hpp"

namespace assay::host {
namespace {

class ReadCalibration : public Workspace {};

TEST_F(ReadCalibration, WithEveryKey) {
  const ParsedManifest parsed = read(R"(assay = 1
[model.gptq4]
backend = "assay/torch"
path = "m"
quantize = { method = "gptq", bits = 4, calibration = "mixed" }
[calibration.mixed]
samples = 128
length = 512
seed = 7
shuffle = false
chat = true
max_overlap = "5%"
allow_overlap = true
sources = [{ dataset = "wiki", share = 0.7 }, { dataset = "faq", template = "{{ q }}" }]
)");
  EXPECT_TRUE(parsed.errors.empty());
  const ModelNode& model = parsed.manifest.models.at(0);
  EXPECT_TRUE(model.is_quantized.value);
  EXPECT_FALSE(model.is_simulated.value);
  EXPECT_EQ(model.calibration.value, "mixed");
  // The host's key is gone from what the component sees.
  const auto& options = std::get<Table>(find(model.options, "quantize")->data);
  ASSERT_EQ(options.size(), 2);
  EXPECT_EQ(options[0].key, "method");
  EXPECT_EQ(options[1].key, "bits");

  const CalibrationNode& mixed = parsed.manifest.calibrations.at(0);
  EXPECT_EQ(mixed.name, "mixed");
  EXPECT_EQ(mixed.samples.value, 128);
  EXPECT_EQ(mixed.length.value, 512);
  EXPECT_EQ(mixed.seed.value, 7);
  EXPECT_FALSE(mixed.shuffle.value);
  EXPECT_TRUE(mixed.chat.value);
  EXPECT_DOUBLE_EQ(mixed.max_overlap.value, 0.05);
  EXPECT_TRUE(mixed.allow_overlap.value);
  ASSERT_EQ(mixed.sources.size(), 2);
  EXPECT_EQ(mixed.sources[0].dataset.value, "wiki");
  EXPECT_DOUBLE_EQ(mixed.sources[0].share.value, 0.7);
  EXPECT_EQ(mixed.sources[0].text.value, "{{ text }}");
  EXPECT_DOUBLE_EQ(mixed.sources[1].share.value, 1);
  EXPECT_EQ(mixed.sources[1].text.value, "{{ q }}");
}

TEST_F(ReadCalibration, SaysEverythingWrongAtItsPlace) {
  EXPECT_EQ(errors_of(R"(assay = 1
[calibration.a]
samples = 0
lenght = 512
max_overlap = "100%"
sources = [{ share = -1, dateset = "wiki" }, "wiki"]
[calibration.b]
samples = 1
length = 8
sources = []
shuffle = "true"
)"),
            R"(run.toml:2:1: calibration.a lacks "length"
  2 | [calibration.a]
    | ^^^^^^^^^^^^^^^
help: length: tokens of each, such as 512
run.toml:3:11: samples must be between 1 and 1048576, got 0
  3 | samples = 0
    |           ^
run.toml:4:1: unknown key "lenght" in calibration.a
  4 | lenght = 512
    | ^^^^^^
help: did you mean "length"?
run.toml:5:15: max_overlap must be a share from "0%" to below "100%", got the text "100%"
  5 | max_overlap = "100%"
    |               ^^^^^^
help: it is the share of an item's 13-grams that the calibration may hold
run.toml:6:12: calibration.a.sources lacks "dataset"
  6 | sources = [{ share = -1, dateset = "wiki" }, "wiki"]
    |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
help: dataset: the name of a [dataset.x]
run.toml:6:22: share must be above 0, got -1
  6 | sources = [{ share = -1, dateset = "wiki" }, "wiki"]
    |                      ^^
run.toml:6:26: unknown key "dateset" in calibration.a.sources
  6 | sources = [{ share = -1, dateset = "wiki" }, "wiki"]
    |                          ^^^^^^^
help: did you mean "dataset"?
run.toml:6:46: each of sources must be a table, got the text "wiki"
  6 | sources = [{ share = -1, dateset = "wiki" }, "wiki"]
    |                                              ^^^^^^
help: write sources = [{ dataset = "...", share = 1 }]
run.toml:10:11: sources is an empty list
  10 | sources = []
     |           ^^
help: write sources = [{ dataset = "...", share = 1 }]
run.toml:11:11: shuffle must be true or false, got the text "true"
  11 | shuffle = "true"
     |           ^^^^^^
help: write it without quotes: shuffle = true
)");
}

TEST_F(ReadCalibration, AModelIsChangedOnceAndByATable) {
  EXPECT_EQ(errors_of(R"(assay = 1
[model.a]
backend = "assay/torch"
path = "m"
quantize = { method = "gptq" }
simulate = { method = "rtn", calibration = 4 }
[model.b]
backend = "assay/torch"
path = "m"
quantize = "gptq"
)"),
            R"(run.toml:5:1: model.a has quantize and simulate: weights are changed once
  5 | quantize = { method = "gptq" }
    | ^^^^^^^^
help: make two models of it
run.toml:6:44: calibration must be a text, got the whole number 4
  6 | simulate = { method = "rtn", calibration = 4 }
    |                                            ^
help: write it in quotes: "4"
run.toml:10:12: quantize must be a table, got the text "gptq"
  10 | quantize = "gptq"
     |            ^^^^^^
help: write quantize = { method = "gptq", bits = 4, calibration = "x" }
)");
}

}  // namespace
}  // namespace assay::host
