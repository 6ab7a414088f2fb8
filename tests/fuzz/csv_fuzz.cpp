// A CSV file of any bytes, read through the plugin's ABI with each separator and both kinds of
// types.
#include "tests/fuzz/dataset.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay_fuzz::Folder folder;
  const auto path = folder.write("records.csv", assay_fuzz::text_of(data, size));
  for (const char* separator : {",", ";"}) {
    const plugin_test::Json options = {{"path", path}, {"separator", separator}};
    auto inferred = options;
    inferred["types"] = "infer";
    const auto texts = plugin_test::read_dataset("assay/csv", options);
    const auto numbers = plugin_test::read_dataset("assay/csv", inferred);
    assay_fuzz::check_rows(texts);
    assay_fuzz::check_rows(numbers);
    if (texts.said.is_ok() != numbers.said.is_ok() || texts.n_rows != numbers.n_rows) {
      assay_fuzz::found("the types change which rows there are");
    }
  }
  return 0;
}
