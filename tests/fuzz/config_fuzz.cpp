// The JSON files of a model directory, of any bytes: config.json read as a decoder's shape, and the
// index of the shards.
#include <assay/error.hpp>

#include "checkpoint/config.hpp"
#include "checkpoint/weights.hpp"
#include "decoder/architecture.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

template <class Call>
void check(Call&& call) {
  try {
    call();
  } catch (const assay::Error& refusal) {
    if (refusal.code() == ASSAY_INTERNAL || *refusal.what() == '\0')
      assay_fuzz::found(refusal.what());
  }
}

void write_shard(const assay_fuzz::Folder& folder) {
  const std::string_view header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  folder.write("a.safetensors", std::string(1, static_cast<char>(header.size())) +
                                    std::string(7, '\0') + std::string(header) + "x");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay_fuzz::Folder folder;
  static const bool has_shard = (write_shard(folder), true);
  const auto text = assay_fuzz::text_of(data, size);
  for (const char* name :
       {"config.json", "generation_config.json", "model.safetensors.index.json"}) {
    folder.write(name, text);
  }
  check([] {
    const auto spec = assay_torch::read_spec(folder.path());
    if (spec.vocab < 1 || spec.layers < 1 || spec.hidden < 1) assay_fuzz::found("an empty model");
  });
  check([] { return has_shard ? assay_torch::Weights(folder.path()).values() : 0; });
  return 0;
}
