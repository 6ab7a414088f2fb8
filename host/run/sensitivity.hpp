// Which layers a quantized form owes its loss to: measured on text that calibrated nothing, with
// one layer quantized at a time. How bytes should be spent on them is propose.hpp's.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/protocol/calibration.hpp"
#include "host/run/progress.hpp"
#include "host/run/source.hpp"
#include "host/worker/session.hpp"

namespace assay::host {

/// Of one form against another, paired by sequence. Units  nats per token
struct DeltaNll {
  double delta = 0, std_error = 0;
};

/// The mean difference per token of sequences of equal length, and its standard error over them.
///
/// Shapes   nll, baseline: nats of each sequence, as many
/// Source   measurement.md a: paired differences by item; one sequence is one item
DeltaNll delta_nll(const std::vector<double>& nll, const std::vector<double>& baseline,
                   std::uint64_t tokens_per_sequence);

/// Spearman's rank correlation, tied values sharing their mean rank. Nothing for fewer than three
/// pairs or where one side is constant.
std::optional<double> rank_correlation(const std::vector<double>& a, const std::vector<double>& b);

struct LayerDamage {
  std::string layer;
  DeltaNll nll;  ///< with this layer quantized alone
  /// As the backend told them with all layers quantized; NaN: not told.
  double output_error = std::numeric_limits<double>::quiet_NaN();
  double bits = std::numeric_limits<double>::quiet_NaN();  ///< per weight
  double bytes = std::numeric_limits<double>::quiet_NaN();
};

struct Sensitivity {
  std::string variant, text;  ///< text: the name of the calibration whose sources were read
  std::uint64_t sequences = 0, length = 0;
  double baseline_nll = 0;  ///< nats per token of the model as it is stored
  DeltaNll whole;           ///< with all layers quantized
  std::uint64_t weight_bytes = 0, stored_weight_bytes = 0;  ///< quantized, as it is stored
  double stored_bits = 0;                                   ///< per weight, as it is stored
  std::vector<LayerDamage> layers;                          ///< the most damage first
  std::optional<double> proxy_correlation;                  ///< by rank, of damage and output error
};

struct SensitivitySettings {
  std::uint64_t samples = 32;  ///< sequences to measure on
  std::uint64_t verify = 0;    ///< more sequences, for verification alone
  /// Whose sources are read; nothing: the variant's own, or the manifest's only one.
  std::optional<std::string> text;
  ProgressStyle progress = ProgressStyle::kNone;
  const std::atomic<bool>* cancelled = nullptr;
};

/// What a form scored.
struct FormScores {
  std::vector<double> nll;  ///< nats of each sequence
  ModelInfo info;
  std::map<std::string, std::map<std::string, double>> layers;  ///< told by the backend
};

/// A variant, the text to calibrate it on and the text to measure it on. Memory: the sequences.
///
/// Threads  one call at a time
class LayerBench {
 public:
  /// Draws the text. Of a calibration of n samples n + samples + verify are drawn, spread evenly
  /// over the three uses.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT the variant is not quantized, its backend cannot quantize
  ///          layers one by one, no text is named; too little text
  static Result<std::unique_ptr<LayerBench>> open(const Graph& graph, std::size_t model,
                                                  const SensitivitySettings& settings);
  ~LayerBench();

  /// The variant's options as of a simulation ("simulate.bits", ...); none: as it is stored.
  const Json& options() const;

  enum class Text { kMeasure, kVerify };

  /// Loads the model with these options (nothing: as it is stored) and scores the text.
  Result<FormScores> score(const std::optional<Json>& options, Text text);

  /// Measures the model as stored, quantized whole, and with each layer alone.
  Result<Sensitivity> measure();

  const ModelSpec& model() const;
  std::string calibration() const;  ///< the name of the variant's; "": none
  std::uint64_t length() const;

 private:
  struct State;
  explicit LayerBench(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace assay::host
