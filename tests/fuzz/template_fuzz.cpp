// A template and a record of any text: the first line is the record in JSON, the rest the template.
#include "host/text/text.hpp"
#include "tests/fuzz/host_result.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using assay::host::Json;
  const assay_fuzz::HeadAndRest input(assay_fuzz::text_of(data, size));
  Json record = Json::parse(input.head, nullptr, false);
  if (record.is_discarded()) record = Json{{"text", input.head}};
  const auto compiled = assay::host::Template::compile(input.rest);
  assay_fuzz::check_result(compiled);
  if (!compiled) return 0;
  assay_fuzz::check_result(compiled->render(record));
  assay_fuzz::check_result(compiled->evaluate(record));
  return 0;
}
