// The words between the host and a worker. Only their numbers; how each is spelt stands where it is
// sent and read, in remote.cpp and serve.cpp.
#pragma once

#include <cstdint>

namespace assay::host {

enum class Word : std::uint32_t {
  // Asked by the host; each gets one kAnswer of the same call.
  kScan = 1,
  kOpen,
  kCheckConfig,
  kEstimate,
  kCreate,
  kDestroy,
  kLoad,
  kQuantize,
  kRun,
  kRunText,
  kGenerate,
  kGenerateTexts,
  kOpenStream,
  kTake,
  kNextBatch,
  kReleaseStream,
  kSplits,
  kUpdate,
  kFinish,
  kTotals,
  kWrite,
  kReadMemory,
  kResetPeaks,
  kEncode,
  kDecode,
  kEnds,
  kTokenizerFingerprint,
  kRender,
  kTemplateFingerprint,
  // Told by the host.
  kStop,   ///< no more of this request
  kReply,  ///< to something the worker asked
  // Told by the worker.
  kAnswer,
  kLog,
  kProgress,
  kScores,
  kLogits,
  kTokens,
  kDone,
  kText,
  kTextScores,
  kTextDone,
  kLayer,
  kGeneration,
  // Asked by the worker; each gets one kReply.
  kTable,
  kTableBatch,
  kTableRelease,
};

}  // namespace assay::host
