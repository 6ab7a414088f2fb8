// The way from a generation to the sink: as it comes, or request by request. What the results are
// is not looked at.
#pragma once

#include <assay/abi.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "schedule/request.hpp"

namespace assay_torch {

enum class Delivery {
  kAsItComes,
  kInOrder  ///< results of a request wait here until all before it are done
};

/// Requests are known by their place in the list they were given in.
class Outbox {
 public:
  /// Owns     requests and sink stay the caller's
  Outbox(const assay_result_sink& sink, std::vector<std::uint64_t> ids, Delivery delivery);

  /// Gives out a token, with its log-probability where one is wanted. False: the sink wants no more
  /// of this request; for one that waits the answer comes once it is its turn.
  bool push(std::size_t place, std::int32_t token, std::optional<float> logprob);

  // The last call for a place.
  void done(std::size_t place, const assay_usage& usage);
  void fail(std::size_t place, Verdict verdict);

 private:
  struct Waiting {
    std::vector<std::int32_t> tokens;
    std::vector<float> logprobs;
    std::optional<assay_usage> usage;
    std::optional<Verdict> failure;
    bool is_refused = false;

    bool is_over() const { return usage || failure; }
  };

  void deliver(std::size_t place);
  void end(std::size_t place);
  void go_on(std::size_t place);

  const assay_result_sink& sink_;
  std::vector<std::uint64_t> ids_;
  Delivery delivery_;
  std::vector<Waiting> waiting_;
  std::size_t turn_ = 0;
};

}  // namespace assay_torch
