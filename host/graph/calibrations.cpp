#include <assay/ext.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "host/graph/build.hpp"
#include "host/manifest/value.hpp"
#include "host/text/text.hpp"

namespace assay::host {
namespace {

/// Each model of a chat calibration speaks in its own template.
void check_chat(Building& b, const CalibrationNode& node, std::size_t calibration) {
  for (std::size_t i = 0; i < b.graph.models.size(); ++i) {
    const ModelSpec& model = b.graph.models[i];
    std::error_code error;
    if (model.calibration != calibration) continue;
    if (!std::filesystem::is_directory(model.path, error)) continue;  // said of the model itself
    const auto chat = ChatTemplate::open(model.path);
    if (chat) continue;
    b.error(
        node.chat.place,
        "calibration." + node.name + ": chat of model." + b.models[i] + ": " + chat.error().text,
        "leave chat out, or give models that cannot chat another calibration");
  }
}

CalibrationSpec calibration_of(Building& b, const CalibrationNode& node) {
  CalibrationSpec spec;
  spec.name = node.name;
  spec.samples = node.samples.value;
  spec.length = node.length.value;
  spec.seed = node.seed.given() ? node.seed.value : b.manifest.seed;
  spec.is_shuffled = node.shuffle.value;
  spec.is_chat = node.chat.value;
  spec.max_overlap = node.max_overlap.value;
  spec.allows_overlap = node.allow_overlap.value;
  double shares = 0;
  for (const CalibrationSourceNode& source : node.sources) shares += source.share.value;
  for (const CalibrationSourceNode& source : node.sources) {
    if (source.dataset.value.empty()) continue;  // said by the parser
    const auto dataset = position(b, b.datasets, "dataset", source.dataset);
    if (!dataset) continue;
    check_text(b, "calibration." + node.name, "template", source.text, source.place, *dataset);
    spec.sources.push_back({*dataset, source.share.value / shares, source.text.value});
  }
  return spec;
}

void find_calibration(Building& b, const ModelNode& node, ModelSpec& spec) {
  if (node.calibration.value.empty()) return;
  spec.calibration = position(b, b.calibrations, "calibration", node.calibration);
  const Component* backend = spec.backend.component;
  if (backend == nullptr) return;
  const std::string id(backend->id());
  if (is_text_only(*backend) || offers(*backend, ASSAY_BACKEND_TOKENIZER_1)) {
    b.error(node.calibration.place,
            "model." + node.name + ": a calibration is made with the tokenizer of a model " +
                "directory; " + id + " tokenizes by itself",
            "leave calibration out, or use another backend");
  } else if (node.is_simulated.value && (backend->constants->caps & ASSAY_CAP_QUANTIZE) == 0) {
    b.error(node.calibration.place,
            "model." + node.name + ": " + id + " makes no use of a calibration",
            "leave calibration out, or use another backend");
  }
}

}  // namespace

void wire_quantization(Building& b, const ModelNode& node, ModelSpec& spec) {
  spec.is_quantized = node.is_quantized.value;
  spec.is_simulated = node.is_simulated.value;
  const Component* backend = spec.backend.component;
  if (spec.is_quantized && backend != nullptr &&
      (backend->constants->caps & ASSAY_CAP_QUANTIZE) == 0) {
    b.error(node.is_quantized.place, std::string(backend->id()) + " cannot quantize",
            "use simulate, or load a directory that is already quantized");
  } else if (spec.is_quantized && !node.path.given() && backend != nullptr) {
    b.error(node.is_quantized.place,
            "model." + node.name + " has quantize and no path: there is nothing to quantize",
            "path: the directory of the original model");
  }
  find_calibration(b, node, spec);
}

void wire_calibrations(Building& b) {
  for (std::size_t i = 0; i < b.manifest.calibrations.size(); ++i) {
    const CalibrationNode& node = b.manifest.calibrations[i];
    b.graph.calibrations.push_back(calibration_of(b, node));
    if (node.chat.value) check_chat(b, node, i);
  }
}

}  // namespace assay::host
