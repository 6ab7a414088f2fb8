// A model.safetensors of any bytes: opened, and every tensor read in every format, or refused in a
// sentence.
#include <assay/error.hpp>
#include <vector>

#include "checkpoint/weights.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using assay_torch::FloatType;

void check(const assay::Error& refusal) {
  if (refusal.code() == ASSAY_INTERNAL || *refusal.what() == '\0')
    assay_fuzz::found(refusal.what());
}

void read(const assay_torch::Weights& weights, const std::string& name, FloatType type) {
  std::size_t count = 1;
  for (const std::int64_t size : weights.shape(name)) count *= static_cast<std::size_t>(size);
  std::vector<std::byte> out(count * size_bytes(type));
  try {
    weights.read_into(name, weights.shape(name), type, out);
    if (find_non_finite(type, out)) assay_fuzz::found("a tensor that was read is not finite");
  } catch (const assay::Error& refusal) {
    check(refusal);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay_fuzz::Folder folder;
  folder.write("model.safetensors", assay_fuzz::text_of(data, size));
  try {
    const assay_torch::Weights weights(folder.path());
    for (const std::string& name : weights.names()) {
      if (weights.stored_bits(name) > 64) assay_fuzz::found("a value of more than 64 bits");
      for (const FloatType type :
           {FloatType::kFloat32, FloatType::kBfloat16, FloatType::kFloat16}) {
        read(weights, name, type);
      }
    }
    if (weights.values() > 2 * size) assay_fuzz::found("more values than the file can hold");
  } catch (const assay::Error& refusal) {
    check(refusal);
  }
  return 0;
}
