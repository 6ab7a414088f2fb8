// A JSONL file of any bytes, read through the plugin's ABI.
#include "tests/fuzz/dataset.hpp"
#include "tests/fuzz/fuzz.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay_fuzz::Folder folder;
  const auto path = folder.write("records.jsonl", assay_fuzz::text_of(data, size));
  assay_fuzz::check_rows(plugin_test::read_dataset("assay/jsonl", {{"path", path}}));
  return 0;
}
