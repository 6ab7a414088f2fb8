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
  return protocol == Protocol::kPerplexity ? perplexity : multiple_choice;
}

}  // namespace assay::host
