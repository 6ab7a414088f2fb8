// The calibrations of a graph: made for each tokenizer they are used with, and held against every
// task before any weight is touched.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/protocol/calibration.hpp"
#include "host/run/progress.hpp"
#include "host/run/source.hpp"
#include "host/worker/session.hpp"

namespace assay::host {

/// One calibration as one tokenizer, and one chat template, make it.
struct MadeCalibration {
  std::size_t spec = 0;  ///< index into Graph::calibrations
  std::string tokenizer_fingerprint;
  std::string chat_fingerprint;     ///< "" where it does not chat
  std::vector<std::size_t> models;  ///< that use it
  std::string digest;
  std::vector<CalibrationShare> sources;
  std::uint64_t tokens = 0;
  std::vector<ScoreRequest> requests;
  std::vector<TaskOverlap> overlaps;  ///< by index into Graph::tasks
};

/// Threads  one call at a time
class Calibrations {
 public:
  /// Keeps references to all but the style.
  Calibrations(const Graph& graph, Sources& sources, ProgressStyle progress,
               const std::atomic<bool>& cancelled)
      : graph_(graph), sources_(sources), progress_(progress), cancelled_(cancelled) {}

  /// Makes those that the models use, and looks for their texts in every task.
  void prepare(const std::vector<std::size_t>& models);

  /// What a model is calibrated with; NULL: it has no calibration.
  ///
  /// Fails    what kept it from being made
  Result<const MadeCalibration*> of(std::size_t model) const;

  /// Tasks that hold more of a calibration's text than they may, one sentence each, with the places
  /// of both. Errors where the calibration does not allow it, else warnings.
  struct Leak {
    std::size_t calibration = 0, task = 0;
    bool is_allowed = false;
    std::string text;
  };
  std::vector<Leak> leaks() const;

  /// The entries of the run document.
  Json entries() const;

 private:
  Result<std::size_t> make(std::size_t model);
  Result<void> look_into_tasks(const CalibrationSpec& spec, const WordGrams& grams,
                               const Tokenizer& tokenizer, MadeCalibration& made);

  const Graph& graph_;
  Sources& sources_;
  ProgressStyle progress_;
  const std::atomic<bool>& cancelled_;
  std::vector<MadeCalibration> made_;
  std::map<std::size_t, Result<std::size_t>> of_models_;  // an index into made_
};

/// Draws `samples` of a calibration's own settings for a model directory's tokenizer.
///
/// Fails    what make_calibration() and the sources fail with; ASSAY_CANCELLED
Result<Calibration> drawn(const Graph& graph, Sources& sources, const CalibrationSpec& spec,
                          std::uint64_t samples, const Tokenizer& tokenizer,
                          const ChatTemplate* chat, const std::atomic<bool>& cancelled);

/// The chat template of a model directory where the calibration chats.
Result<std::optional<ChatTemplate>> chat_of(const CalibrationSpec& spec, const ModelSpec& model);

/// Sequences of which nothing is wanted but that the model reads them.
std::vector<ScoreRequest> calibration_requests(std::vector<CalibrationSample> samples);

/// What a run document says of the calibration of one variant, or null.
Json calibration_json(const Graph& graph, const MadeCalibration* made);

}  // namespace assay::host
