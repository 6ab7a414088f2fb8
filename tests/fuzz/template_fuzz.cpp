// A template and a record of any text: the first line is the record in JSON, the rest the template.
// The crates' panics come back as ASSAY_INTERNAL, and are found here.
#include "host/text/text.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using assay::host::Json;

template <class T>
void check(const assay::host::Result<T>& result) {
  if (result) return;
  if (result.error().code == ASSAY_INTERNAL || result.error().text.empty()) {
    assay_fuzz::found(result.error().text);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = assay_fuzz::text_of(data, size);
  const std::size_t line = std::min(input.find('\n'), input.size());
  const auto source = input.substr(std::min(line + 1, input.size()));
  Json record = Json::parse(input.substr(0, line), nullptr, false);
  if (record.is_discarded()) record = Json{{"text", input.substr(0, line)}};
  const auto compiled = assay::host::Template::compile(source);
  check(compiled);
  if (!compiled) return 0;
  check(compiled->render(record));
  check(compiled->evaluate(record));
  return 0;
}
