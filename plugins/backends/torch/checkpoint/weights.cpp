#include "checkpoint/weights.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <charconv>
#include <cmath>
#include <exception>
#include <filesystem>
#include <thread>

#include "checkpoint/config.hpp"

namespace assay_torch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr std::size_t kPieceValues = 1U << 17;

[[noreturn]] void refuse(const std::string& where, const std::string& text) {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, where + ": " + text);
}

std::int64_t count_of(std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  for (std::int64_t size : shape) count *= size;
  return count;
}

/// "0.1", "inf": as few digits as name the float.
std::string number_text(float value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

/// One tensor on its way from its file to memory.
struct Reading {
  const SafetensorsFile& file;
  const TensorEntry& entry;
  const std::string& name;
  FloatType from, to;
  std::uint64_t count;

  void read_range(std::uint64_t begin, std::uint64_t end, std::span<std::byte> out) const;
  void check_stored(std::span<const std::byte> values, std::uint64_t first) const;
  void check_converted(std::span<const std::byte> stored, std::span<const std::byte> converted,
                       std::uint64_t first) const;
  std::string place(std::uint64_t index) const {
    return " at index " + std::to_string(index) + " of " + std::to_string(count);
  }
};

void Reading::check_stored(std::span<const std::byte> values, std::uint64_t first) const {
  const auto bad = find_non_finite(from, values);
  if (!bad) return;
  refuse(file.path(), "tensor \"" + name + "\" holds " +
                          (std::isnan(value_at(from, values, *bad)) ? "NaN" : "an infinity") +
                          place(first + *bad) +
                          "; every weight must be finite: fetch or export the checkpoint again");
}

void Reading::check_converted(std::span<const std::byte> stored,
                              std::span<const std::byte> converted, std::uint64_t first) const {
  const auto bad = find_non_finite(to, converted);
  if (!bad) return;
  refuse(file.path(), "tensor \"" + name + "\" holds " + number_text(value_at(from, stored, *bad)) +
                          place(first + *bad) + ", and the largest " + to_string(to) + " is " +
                          number_text(largest(to)) + "; use dtype = \"float32\"");
}

/// Values [begin, end) of the tensor, piece by piece while a piece is in the processor's cache.
void Reading::read_range(std::uint64_t begin, std::uint64_t end, std::span<std::byte> out) const {
  const std::size_t from_bytes = size_bytes(from), to_bytes = size_bytes(to);
  std::vector<std::byte> stored(from == to ? 0 : kPieceValues * from_bytes);
  for (std::uint64_t first = begin; first < end;) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceValues, end - first));
    const auto target = out.subspan(static_cast<std::size_t>(first) * to_bytes, n * to_bytes);
    const auto piece = from == to ? target : std::span(stored).first(n * from_bytes);
    file.read(entry, first * from_bytes, piece);
    check_stored(piece, first);
    if (from != to) {
      convert(from, piece, to, target);
      check_converted(piece, target, first);
    }
    first += n;
  }
}

/// Asks for huge pages where `out` covers them whole: with small ones, most of the time of a load
/// went into half a million page faults.
void use_huge_pages(std::span<std::byte> out) {
  constexpr std::size_t kHugePageBytes = 2U << 20;
  void* at = out.data();
  std::size_t space_bytes = out.size();
  if (std::align(kHugePageBytes, kHugePageBytes, at, space_bytes) == nullptr) return;
  // A kernel without them says so and keeps small pages, which is as good.
  static_cast<void>(::madvise(at, space_bytes / kHugePageBytes * kHugePageBytes, MADV_HUGEPAGE));
}

/// Calls read(begin, end) for `parts` equal ranges of [0, count), each in a thread of its own; what
/// the first range that fails threw comes out.
template <class Read>
void read_in_parts(std::uint64_t count, std::uint64_t parts, const Read& read) {
  if (parts <= 1) return read(std::uint64_t{0}, count);
  std::vector<std::exception_ptr> thrown(parts);
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t part = 0; part < parts; ++part) {
      threads.emplace_back([&, part] {
        try {
          read(count / parts * part, part + 1 == parts ? count : count / parts * (part + 1));
        } catch (...) {
          thrown[part] = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& failure : thrown) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace

Weights::Weights(const std::string& model_dir, std::uint32_t threads)
    : model_dir_(model_dir), threads_(std::max(threads, 1U)) {
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

const std::vector<std::int64_t>& Weights::shape(const std::string& name) const {
  return place(name).entry->shape;
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

const std::string& Weights::dtype(const std::string& name) const {
  return place(name).entry->dtype;
}

std::uint64_t Weights::bytes(const std::string& name) const {
  const TensorEntry& entry = *place(name).entry;
  return entry.end - entry.begin;
}

const std::string& Weights::file_of(const std::string& name) const {
  return place(name).file->path();
}

void Weights::read_bytes(const std::string& name, std::uint64_t first,
                         std::span<std::byte> out) const {
  const Place& at = place(name);
  at.file->read(*at.entry, first, out);
}

void Weights::check_shape(const std::string& name, std::span<const std::int64_t> shape) const {
  const Place& at = place(name);
  if (std::equal(shape.begin(), shape.end(), at.entry->shape.begin(), at.entry->shape.end()))
    return;
  refuse(at.file->path(), "tensor \"" + name + "\" has the shape " + shape_text(at.entry->shape) +
                              ", config.json calls for " + shape_text(shape));
}

void Weights::read_into(const std::string& name, std::span<const std::int64_t> shape,
                        FloatType type, std::span<std::byte> out) const {
  check_shape(name, shape);
  const Place& at = place(name);
  const std::string& path = at.file->path();
  const auto stored = float_type_of(at.entry->dtype);
  if (!stored) {
    refuse(path, "tensor \"" + name + "\" is " + at.entry->dtype +
                     "; weights are read as F32, F16 or BF16");
  }
  const auto count = static_cast<std::uint64_t>(count_of(shape));
  if (out.size() != count * size_bytes(type)) {
    throw assay::Error(ASSAY_INTERNAL, "tensor \"" + name + "\" was to be read into " +
                                           std::to_string(out.size()) + " bytes, it needs " +
                                           std::to_string(count * size_bytes(type)));
  }
  const Reading reading{*at.file, *at.entry, name, *stored, type, count};
  use_huge_pages(out);
  const std::uint64_t parts = std::min(threads_, count / kPieceValues);
  read_in_parts(count, parts, [&](std::uint64_t begin, std::uint64_t end) {
    reading.read_range(begin, end, out);
  });
}

void Weights::read(const std::string& name, std::span<const std::int64_t> shape,
                   std::span<float> out) const {
  read_into(name, shape, FloatType::kFloat32, std::as_writable_bytes(out));
}

}  // namespace assay_torch
