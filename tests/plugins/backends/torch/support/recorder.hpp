// Requests made and results kept, as a host would: what a batch of requests was answered with. How
// the answers come about is not looked at.
#pragma once

#include <assay/abi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace assay_torch_test {

struct Answer {
  std::uint64_t first = 0;
  std::vector<float> logprobs;
  std::vector<bool> greedy;
  std::vector<float> logits;  ///< [rows, vocab]
  std::uint64_t logit_chunks = 0;
  std::vector<std::int32_t> tokens;        ///< of a generate request
  std::vector<std::uint64_t> token_calls;  ///< tokens of each call
  int times_done = 0;
  std::string failure;  ///< "CODE text"
  assay_usage usage{};
};

class Recorder {
 public:
  assay_result_sink sink();
  const Answer& operator[](std::uint64_t id) { return answers_[id]; }

  std::map<std::uint64_t, Answer> answers_;
  std::vector<std::uint64_t> done_order_;
  std::vector<std::uint64_t> token_order_;  ///< the id of each call with tokens
  int refuse_after_ = -1;  ///< sink calls that are welcome before it says "no more"; -1: all
};

/// How a text is generated; stops are kept beside.
struct Sampled {
  std::uint32_t max_new = 0, min_new = 0, top_k = 0;
  float temperature = 0, top_p = 1;
  std::uint64_t seed = 0;
  std::vector<std::vector<std::int32_t>> stops = {};
};

/// Requests that own their tokens; ids are 1, 2, 3 ...
class Requests {
 public:
  void add(std::vector<std::int32_t> tokens, std::uint64_t first,
           std::uint32_t want = ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY);
  void add_prompt(std::vector<std::int32_t> tokens, Sampled sampled, std::uint32_t want = 0);
  assay_batch batch(std::uint32_t flags = 0);
  std::vector<assay_request> requests_;

 private:
  struct Sampling {
    assay_sampling sampling{};
    std::vector<std::vector<std::int32_t>> stops;
    std::vector<const std::int32_t*> pointers;
  };
  std::vector<std::vector<std::int32_t>> tokens_;
  std::vector<std::unique_ptr<Sampling>> samplings_;
};

}  // namespace assay_torch_test
