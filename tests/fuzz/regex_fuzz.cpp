// A regular expression and a text: the first line is the pattern, the rest is searched.
#include "host/text/regex.hpp"
#include "tests/fuzz/host_result.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const assay_fuzz::HeadAndRest input(assay_fuzz::text_of(data, size));
  const auto compiled = assay::host::Regex::compile(input.head);
  assay_fuzz::check_result(compiled);
  if (!compiled) return 0;
  const auto matches = compiled->find_all(input.rest);
  assay_fuzz::check_result(matches);
  const auto replaced = compiled->replace(input.rest, "");
  assay_fuzz::check_result(replaced);
  if (matches && replaced) {
    if (matches->empty() && *replaced != input.rest) assay_fuzz::found("no match was replaced");
    if (replaced->size() > input.rest.size()) assay_fuzz::found("replaced by nothing, and longer");
  }
  return 0;
}
