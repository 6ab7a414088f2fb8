// A CSV file of any bytes, read through the plugin's ABI. Its first byte chooses the options.
#include "tests/fuzz/dataset.hpp"
#include "tests/fuzz/fuzz.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const assay_fuzz::Folder folder;
  const auto path = folder.write("records.csv", assay_fuzz::text_of(data + 1, size - 1));
  plugin_test::Json options{{"path", path}};
  if ((data[0] & 1) != 0) options["separator"] = ";";
  if ((data[0] & 2) != 0) options["types"] = "infer";
  if ((data[0] & 4) != 0) {
    options["header"] = false;
    options["columns"] = {"a", "b"};
  }
  assay_fuzz::check_rows(plugin_test::read_dataset("assay/csv", options));
  return 0;
}
