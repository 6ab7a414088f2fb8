// What must be true of the rows of every dataset, whatever its file. Which files there are is the
// targets'.
#pragma once

#include "tests/fuzz/fuzz.hpp"
#include "tests/plugins/plugin_host.hpp"

namespace assay_fuzz {

inline void check_rows(const plugin_test::Rows& result) {
  if (!result.said.is_ok()) {
    // ABORTED: what was read for the columns does not hold for the rows, though the file is the
    // same.
    if (result.said.code == ASSAY_INTERNAL || result.said.code == ASSAY_ABORTED ||
        result.said.text.empty()) {
      found(result.said.text);
    }
    return;
  }
  if (result.rows.size() != result.n_rows) found("rows were lost");
  for (const plugin_test::Json& row : result.rows) {
    if (row.size() != result.schema.size()) found("a row without one of the columns");
    if (row.dump().empty()) found("a row that is not text");  // dump throws where it is not UTF-8
  }
}

}  // namespace assay_fuzz
