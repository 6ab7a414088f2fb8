#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/host/graph/graph_fixture.hpp"

namespace assay::host {
namespace {

using testing::HasSubstr;

class Calibrations : public GraphTest {
 protected:
  void SetUp() override {
    GraphTest::SetUp();
    registry_.add(acme_too(), "acme-too.so");
  }

  /// Two metrics of this registry measure "acc", so the task says which is meant.
  static std::string right() {
    std::string text(kRight);
    const std::string_view task = "[task.faq]\n";
    return text.insert(text.find(task) + task.size(), "metrics = [\"acme/accuracy\"]\n");
  }

  static constexpr std::string_view kMixed = R"([dataset.more]
use = "acme/pairs"
[calibration.mixed]
samples = 128
length = 512
sources = [{ dataset = "more", share = 7, template = "{{ question }}" }, { dataset = "faq", share = 3, template = "{{ answer }}" }]
)";
};

TEST_F(Calibrations, AreWiredToDatasetsAndModels) {
  const BuiltGraph built = build(right() + std::string(kMixed) + R"([model.gptq4]
backend = "acme/presses"
path = "tiny"
quantize = { method = "gptq", calibration = "mixed", overrides = [{ modules = "*.down" }] }
[model.later]
backend = "acme/presses"
path = "tiny"
simulate = { method = "gptq", calibration = "mixed" }
)");
  ASSERT_TRUE(built.errors.empty());
  const Graph& graph = built.graph;
  ASSERT_EQ(graph.calibrations.size(), 1);
  const CalibrationSpec& mixed = graph.calibrations[0];
  EXPECT_EQ(mixed.samples, 128);
  EXPECT_EQ(mixed.seed, 1234);
  ASSERT_EQ(mixed.sources.size(), 2);
  EXPECT_EQ(graph.datasets[mixed.sources[0].dataset].name, "more");
  EXPECT_DOUBLE_EQ(mixed.sources[0].share, 0.7);

  const ModelSpec& gptq = graph.models[2];
  EXPECT_TRUE(gptq.is_quantized);
  EXPECT_FALSE(gptq.is_simulated);
  EXPECT_EQ(gptq.calibration, 0);
  // What belongs to the table that is not there does not count.
  EXPECT_EQ(gptq.backend.options.dump(),
            R"({"quantize.method":"gptq","quantize.bits":4,"quantize.overrides":)"
            R"([{"modules":"*.down","bits":8}]})");
  EXPECT_EQ(graph.models[3].backend.options.dump(), R"({"simulate.method":"gptq"})");
  EXPECT_FALSE(graph.models[0].calibration);

  EXPECT_EQ(graph.effective["model"]["gptq4"]["quantize.calibration"], "mixed");
  EXPECT_EQ(graph.effective["model"]["later"]["simulate.calibration"], "mixed");
  EXPECT_EQ(graph.effective["calibration"]["mixed"]["max_overlap"], "0%");
  EXPECT_EQ(graph.effective["calibration"]["mixed"]["sources"][1]["template"], "{{ answer }}");

  const std::string text = graph_text(graph);
  EXPECT_THAT(text, HasSubstr("\ncalibrations\n  mixed  128 x 512 tokens  from more 70 %, faq 30 % "
                              " seed=1234  max_overlap=0 %\n"));
  EXPECT_THAT(text, HasSubstr("dataset.more       ->  calibration.mixed  70 %\n"));
  EXPECT_THAT(text, HasSubstr("calibration.mixed  ->  model.gptq4        quantize\n"));
  EXPECT_THAT(text, HasSubstr("calibration.mixed  ->  model.later        simulate\n"));
  EXPECT_THAT(text, HasSubstr("quantized"));
  const std::string dot = graph_dot(graph);
  EXPECT_THAT(dot, HasSubstr(R"("calibration.mixed" [label="mixed\n128 x 512 tokens")"));
  EXPECT_THAT(dot, HasSubstr(R"("calibration.mixed" -> "model.gptq4" [label="quantize"])"));
}

TEST_F(Calibrations, SayWhatDoesNotFit) {
  const std::string said = mistakes(right() + R"([calibration.mixed]
samples = 128
length = 512
sources = [{ dataset = "fac" }, { dataset = "faq" }]
[calibration.plain]
samples = 1
length = 2
chat = true
sources = [{ dataset = "faq", template = "question" }]
[model.c]
backend = "acme/presses"
path = "tiny"
quantize = { method = "gptq", calibration = "mixd", callibration = "mixed" }
[model.d]
backend = "acme/rounds"
path = "tiny"
quantize = { bits = 4 }
[model.e]
backend = "acme/squeezes"
path = "tiny"
quantize = { calibration = "plain" }
[model.f]
backend = "acme/rounds"
path = "tiny"
simulate = { method = "rtn", calibration = "mixed" }
)");
  EXPECT_THAT(said, HasSubstr(":24: there is no [dataset.fac]\n"));
  EXPECT_THAT(said, HasSubstr("calibration.mixed: template reads \"text\", but dataset faq has no "
                              "such column (columns: question, answer, category, options)\n"));
  EXPECT_THAT(said, HasSubstr("calibration.plain: template = \"question\" reads no column"));
  EXPECT_THAT(said, HasSubstr("help: write template = \"{{ question }}\"\n"));
  EXPECT_THAT(said, HasSubstr("there is no [calibration.mixd]\n"));
  EXPECT_THAT(said, HasSubstr("help: did you mean \"mixed\"?\n"));
  EXPECT_THAT(said, HasSubstr("acme/presses has no option \"quantize.callibration\"\n"));
  EXPECT_THAT(said, HasSubstr("help: did you mean \"calibration\"?\n"));
  EXPECT_THAT(said, HasSubstr("acme/rounds cannot quantize\n"));
  EXPECT_THAT(said, HasSubstr("calibration.plain: chat of model.e: "));
  EXPECT_THAT(said, HasSubstr("model.f: acme/rounds makes no use of a calibration\n"));
}

TEST_F(Calibrations, ATableThatHoldsTheHostsKeyAloneIsEnough) {
  const BuiltGraph built = build(right() + std::string(kMixed) + R"([model.squeezed]
backend = "acme/squeezes"
path = "tiny"
quantize = { calibration = "mixed" }
)");
  EXPECT_TRUE(built.errors.empty());
  EXPECT_TRUE(built.graph.models.back().is_quantized);
}

}  // namespace
}  // namespace assay::host
