// A CSV file of any bytes, read through the plugin's ABI. The first byte chooses the options.
#include <string_view>

#include "tests/fuzz/dataset.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

constexpr std::string_view kSeparators = ",;\t|";

plugin_test::Json options_of(char choice) {
  const auto bits = static_cast<unsigned char>(choice);
  plugin_test::Json options{{"separator", std::string(1, kSeparators[bits & 3U])},
                            {"types", (bits & 4U) != 0 ? "infer" : "text"}};
  if ((bits & 8U) != 0) options.update({{"header", false}, {"columns", {"a", "b"}}});
  if ((bits & 16U) != 0) options["split_column"] = "a";
  return options;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay_fuzz::Folder folder;
  const std::string_view input = assay_fuzz::text_of(data, size);
  if (input.empty()) return 0;
  plugin_test::Json options = options_of(input[0]);
  options["path"] = folder.write("records.csv", input.substr(1));
  const std::string split = options.contains("split_column") ? "x" : "";
  assay_fuzz::check_rows(
      plugin_test::read_dataset("assay/csv", options, plugin_test::Keep::kRows, split));
  return 0;
}
