#include "host/graph/graph.hpp"

namespace assay::host {

const std::vector<RowColumn>& row_columns(Protocol protocol) {
  static const std::vector<RowColumn> perplexity = {
      {"token_nll", ASSAY_FLOATS}, {"first_token", ASSAY_INT}, {"n_tokens", ASSAY_INT},
      {"n_bytes", ASSAY_INT},      {"n_words", ASSAY_INT},     {"nll", ASSAY_FLOAT},
      {"window_nll", ASSAY_FLOATS}};
  static const std::vector<RowColumn> multiple_choice = {{"choice_loglikelihoods", ASSAY_FLOATS},
                                                         {"choice_greedy", ASSAY_INTS},
                                                         {"choice_tokens", ASSAY_INTS},
                                                         {"choice_bytes", ASSAY_INTS},
                                                         {"choice_chars", ASSAY_INTS},
                                                         {"choices", ASSAY_TEXTS},
                                                         {"target", ASSAY_INT}};
  static const std::vector<RowColumn> continuation = {{"loglikelihood", ASSAY_FLOAT},
                                                      {"greedy", ASSAY_BOOL},
                                                      {"n_tokens", ASSAY_INT},
                                                      {"n_bytes", ASSAY_INT},
                                                      {"target", ASSAY_TEXT}};
  static const std::vector<RowColumn> generate = {
      {"output", ASSAY_TEXT},   {"raw_output", ASSAY_TEXT},
      {"tokens", ASSAY_INTS},   {"n_tokens", ASSAY_INT},
      {"finish", ASSAY_TEXT},   {"target", ASSAY_TEXT},
      {"targets", ASSAY_TEXTS}, {"first_token_seconds", ASSAY_FLOAT},
      {"seconds", ASSAY_FLOAT}};
  switch (protocol) {
    case Protocol::kContinuation:
      return continuation;
    case Protocol::kMultipleChoice:
      return multiple_choice;
    case Protocol::kGenerate:
      return generate;
    default:
      return perplexity;
  }
}

}  // namespace assay::host
