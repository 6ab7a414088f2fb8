#include "checkpoint/weights.hpp"

#include <algorithm>
#include <assay/error.hpp>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "checkpoint/config.hpp"

namespace assay_torch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

[[noreturn]] void refuse(const std::string& where, const std::string& text) {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, where + ": " + text);
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = bits >> 10 & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0x1FU) return std::bit_cast<float>(sign | 0x7F800000U | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float tiny = std::ldexp(static_cast<float>(fraction), -24);
  return sign == 0 ? tiny : -tiny;
}

template <class Convert>
void widen(std::span<const std::byte> bytes, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, bytes.data() + 2 * i, 2);
    out[i] = convert(bits);
  }
}

std::int64_t count_of(std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  for (std::int64_t size : shape) count *= size;
  return count;
}

void check_finite(const std::string& path, const std::string& name, std::span<const float> values) {
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (bad == values.end()) return;
  refuse(path, "tensor \"" + name + "\" holds " + (std::isnan(*bad) ? "NaN" : "an infinity") +
                   " at index " + std::to_string(bad - values.begin()) + " of " +
                   std::to_string(values.size()) +
                   "; every weight must be finite: fetch or export the checkpoint again");
}

}  // namespace

Weights::Weights(const std::string& model_dir) : model_dir_(model_dir) {
  const fs::path dir(model_dir);
  if (fs::exists(dir / kSingle)) {
    files_.push_back(std::make_unique<SafetensorsFile>((dir / kSingle).string()));
    for (const auto& [name, entry] : files_.back()->tensors())
      places_[name] = {files_.back().get(), &entry};
    return;
  }
  if (!fs::exists(dir / kIndex)) {
    throw assay::Error(ASSAY_NOT_FOUND, model_dir + ": no weights: a model directory needs " +
                                            kSingle + ", or " + kIndex + " and the files it names");
  }
  open_shards((dir / kIndex).string());
}

void Weights::open_shards(const std::string& index_path) {
  const auto weight_map = Config(index_path).text_table("weight_map");
  std::map<std::string, const SafetensorsFile*> opened;
  for (const auto& [tensor, shard] : weight_map) {
    if (opened.contains(shard)) continue;
    if (shard.find('/') != std::string::npos) {
      refuse(index_path, "weight_map names \"" + shard + "\"; shards lie beside the index");
    }
    const fs::path path = fs::path(model_dir_) / shard;
    if (!fs::exists(path)) {
      throw assay::Error(ASSAY_NOT_FOUND,
                         index_path + ": weight_map names \"" + shard +
                             "\", which is not in the directory; copy that file too");
    }
    files_.push_back(std::make_unique<SafetensorsFile>(path.string()));
    opened[shard] = files_.back().get();
  }
  for (const auto& [tensor, shard] : weight_map) {
    const SafetensorsFile* file = opened[shard];
    const auto entry = file->tensors().find(tensor);
    if (entry == file->tensors().end()) {
      refuse(index_path,
             "weight_map says that \"" + shard + "\" holds \"" + tensor + "\", but it does not");
    }
    places_[tensor] = {file, &entry->second};
  }
}

bool Weights::holds(const std::string& name) const { return places_.contains(name); }

std::vector<std::string> Weights::names() const {
  std::vector<std::string> out;
  for (const auto& [name, place] : places_) out.push_back(name);
  return out;
}

const Weights::Place& Weights::place(const std::string& name) const {
  const auto found = places_.find(name);
  if (found == places_.end()) {
    refuse(model_dir_, "the weights hold no tensor \"" + name + "\", which config.json calls for");
  }
  return found->second;
}

std::uint64_t Weights::values() const {
  std::uint64_t total = 0;
  for (const auto& [name, place] : places_)
    total += static_cast<std::uint64_t>(count_of(place.entry->shape));
  return total;
}

std::uint64_t Weights::stored_bits(const std::string& name) const {
  const TensorEntry& entry = *place(name).entry;
  const auto count = static_cast<std::uint64_t>(count_of(entry.shape));
  return count == 0 ? 0 : (entry.end - entry.begin) * 8 / count;
}

void Weights::read(const std::string& name, std::span<const std::int64_t> shape,
                   std::span<float> out) const {
  const Place& at = place(name);
  const std::string& path = at.file->path();
  if (!std::equal(shape.begin(), shape.end(), at.entry->shape.begin(), at.entry->shape.end())) {
    refuse(path, "tensor \"" + name + "\" has the shape " + shape_text(at.entry->shape) +
                     ", config.json calls for " + shape_text(shape));
  }
  const auto bytes = at.file->bytes(*at.entry);
  if (at.entry->dtype == "F32") {
    std::memcpy(out.data(), bytes.data(), bytes.size());
  } else if (at.entry->dtype == "F16") {
    widen(bytes, out, from_f16);
  } else if (at.entry->dtype == "BF16") {
    widen(bytes, out, from_bf16);
  } else {
    refuse(path, "tensor \"" + name + "\" is " + at.entry->dtype +
                     "; weights are read as F32, F16 or BF16");
  }
  check_finite(path, name, out);
}

}  // namespace assay_torch
