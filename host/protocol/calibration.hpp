// The sequences of tokens a model is quantized with: made from weighted texts, the same every time.
// What a backend does with them is its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/core/result.hpp"
#include "host/protocol/overlap.hpp"
#include "host/protocol/protocol.hpp"
#include "host/text/text.hpp"

namespace assay::host {

/// One source of a calibration.
struct CalibrationText {
  std::string name;  ///< of its dataset, for failures
  Records records;
  double share = 1;                 ///< of all samples, in proportion to the other sources' shares
  std::string text = "{{ text }}";  ///< a template over the record
};

struct CalibrationSettings {
  std::uint64_t samples = 0;
  std::uint64_t length = 0;  ///< tokens of each sample
  std::uint64_t seed = 0;
  bool is_shuffled = true;  ///< documents within their source, then all samples
};

struct CalibrationSample {
  std::vector<std::int32_t> tokens;
  std::uint64_t source = 0;  ///< index into the sources
};

/// What a source gave.
struct CalibrationShare {
  std::string name;
  double share = 0;  ///< of the sum of all shares
  std::uint64_t samples = 0;
  std::uint64_t documents = 0;  ///< of which tokens were taken
};

struct Calibration {
  std::vector<CalibrationSample> samples;
  std::vector<CalibrationShare> sources;
  std::uint64_t tokens = 0;
  /// SHA-256 over the samples in order: of each the number of its tokens (64 bits) and their ids
  /// (32 bits), little end first.
  std::string digest;
  /// Of the text that was taken: of a document cut at the end, what its tokens stand for.
  WordGrams grams;
};

/// Makes `samples` sequences of exactly `length` tokens. Each source gets its share of them,
/// rounded by largest remainder, the earlier source first where remainders are equal. Its
/// documents, in an order drawn by the seed, are encoded one by one by the tokenizer's own rule of
/// BOS, put behind one another and cut; what is left over is dropped. Documents that render to
/// nothing are passed over. Reads no more records than needed. Memory: the samples, one document,
/// the n-grams.
///
/// With `chat` (null: none) a document is a conversation: a template of the form {{ expression }}
/// may give a list of {"role", "content"}, any text is one turn of the user. The chat template
/// writes the special tokens itself.
///
/// Fails    ASSAY_INVALID_ARGUMENT a share that is not above 0, or that gives a source no sample;
///          too little text, saying how many samples a source gives and what to do; a record that
///          the template or the tokenizer cannot use, naming source and record
/// Source   defined here; drawing as draw_shots()
Result<Calibration> make_calibration(std::vector<CalibrationText> sources,
                                     const CalibrationSettings& settings,
                                     const Tokenizer& tokenizer, const ChatTemplate* chat);

}  // namespace assay::host
