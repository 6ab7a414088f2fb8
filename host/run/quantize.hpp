// A variant with `quantize`: its model directory from the store, made there first where it is not
// there yet. What a method does with the weights is the backend's.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/run/calibrations.hpp"
#include "host/run/progress.hpp"

namespace assay::host {

/// What a backend tells of layers, as the run document has it: layers in the order they are first
/// told of.
class LayerTable {
 public:
  void add(std::string_view layer, std::string_view name, double value);
  /// [{"layer": name, "values": {name: number}}]
  Json take();

 private:
  Json layers_ = Json::array();
  std::map<std::string, std::size_t, std::less<>> positions_;
};

/// How a variant's weights came to differ from those of its path.
struct QuantizedForm {
  bool is_simulated = false;
  std::string digest;               ///< "": simulated, nothing was written
  std::filesystem::path path = {};  ///< the directory in the store
  Json calibration = nullptr;       ///< as calibration_json() gives it
  Json layers = Json::array();      ///< as LayerTable gives it
};

struct QuantizeOptions {
  std::filesystem::path store;
  ProgressStyle progress = ProgressStyle::kPlain;
  const std::atomic<bool>* cancelled = nullptr;  ///< never null
};

/// The quantized form of a model. A directory that is there is taken as it is; one that a killed
/// process began is handed to the backend to go on with. The same is made once, however many
/// processes want it.
///
/// Fails    what the backend reports; ASSAY_UNAVAILABLE, ASSAY_RESOURCE_EXHAUSTED the store cannot
///          be written; ASSAY_CANCELLED
Result<QuantizedForm> quantize(const Graph& graph, std::size_t model,
                               const MadeCalibration* calibration, const QuantizeOptions& options);

/// The model that is loaded in place of one that is quantized.
ModelSpec model_of(const ModelSpec& asked, const QuantizedForm& form);

}  // namespace assay::host
