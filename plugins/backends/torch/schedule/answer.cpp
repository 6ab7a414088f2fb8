#include "schedule/answer.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "schedule/generate.hpp"
#include "schedule/request.hpp"
#include "schedule/score.hpp"

namespace assay_torch {
namespace {

using Requests = std::vector<assay_request>;

Requests requests_of(const assay_batch& batch) {
  Requests requests;
  for (std::uint64_t i = 0; i < batch.n; ++i) requests.push_back(*ASSAY_REQUEST(&batch, i));
  return requests;
}

void answer_kind(const Decoder& decoder, const Requests& requests, std::uint32_t flags,
                 const assay_result_sink& sink, const ScheduleSettings& settings) {
  assay_batch batch{};
  batch.struct_size = sizeof batch;
  batch.flags = flags;
  batch.n = requests.size();
  batch.stride = sizeof(assay_request);
  batch.requests = requests.data();
  switch (requests.front().kind) {
    case ASSAY_REQ_SCORE:
      return score(decoder, batch, sink, settings);
    case ASSAY_REQ_GENERATE:
      return generate(decoder, batch, sink, settings);
    default:
      for (const assay_request& request : requests) {
        fail(sink, request.id, ASSAY_UNIMPLEMENTED,
             "requests of kind " + std::to_string(request.kind) +
                 " are not known; known: 1 (score), 2 (generate)");
      }
  }
}

}  // namespace

void answer(const Decoder& decoder, const assay_batch& batch, const assay_result_sink& sink,
            const ScheduleSettings& settings) {
  Requests requests = requests_of(batch);
  if ((batch.flags & ASSAY_BATCH_ORDERED) == 0)
    std::ranges::stable_sort(requests, {}, &assay_request::kind);
  const auto is_other = [](const assay_request& a, const assay_request& b) {
    return a.kind != b.kind;
  };
  auto begin = requests.begin();
  while (begin != requests.end()) {
    auto end = std::adjacent_find(begin, requests.end(), is_other);
    if (end != requests.end()) ++end;
    const bool is_mixed = begin != requests.begin() || end != requests.end();
    if (is_mixed && (batch.flags & ASSAY_BATCH_TOGETHER) != 0) {
      for (const assay_request& request : requests) {
        fail(sink, request.id, ASSAY_UNIMPLEMENTED,
             "score and generate requests do not run together; send each kind in its own batch");
      }
      return;
    }
    answer_kind(decoder, {begin, end}, batch.flags, sink, settings);
    begin = end;
  }
}

}  // namespace assay_torch
