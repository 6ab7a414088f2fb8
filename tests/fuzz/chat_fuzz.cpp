// A model's chat template of any text: the first line is tokenizer_config.json, the rest
// chat_template.jinja, which is absent where there is no rest.
#include "host/text/text.hpp"
#include "tests/fuzz/host_result.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay_fuzz::Folder folder;
  static const assay::host::ChatTurn turns[] = {
      {"system", "Be brief."}, {"user", "1 + 1?"}, {"assistant", "2"}, {"user", " 2 + 2?\n"}};
  const assay_fuzz::HeadAndRest input(assay_fuzz::text_of(data, size));
  folder.write("tokenizer_config.json", input.head);
  const auto jinja = folder.write("chat_template.jinja", input.rest);
  if (input.rest.empty()) std::filesystem::remove(jinja);
  const auto opened = assay::host::ChatTemplate::open(folder.path());
  assay_fuzz::check_result(opened);
  if (!opened) return 0;
  assay_fuzz::check_result(opened->render(turns, true));
  assay_fuzz::check_result(opened->render({turns + 1, 1}, false));
  return 0;
}
