#include "checkpoint/layouts/module_tensors.hpp"

#include <algorithm>
#include <assay/error.hpp>

namespace assay_torch {
namespace {

constexpr std::int64_t kPieceWords = 1 << 18;  // of a matrix that is read by rows

}  // namespace

ModuleTensors::ModuleTensors(const Weights& weights, const std::string& module,
                             std::vector<std::string>& read)
    : weights_(weights), module_(module), read_(read) {}

bool ModuleTensors::holds(std::string_view suffix) const { return weights_.holds(name(suffix)); }

std::string_view ModuleTensors::first_held(std::span<const std::string_view> suffixes) const {
  const auto found = std::find_if(suffixes.begin(), suffixes.end(),
                                  [&](std::string_view suffix) { return holds(suffix); });
  return found == suffixes.end() ? suffixes.front() : *found;
}

const Shape& ModuleTensors::shape(std::string_view suffix) const {
  return weights_.shape(name(suffix));
}

const std::string& ModuleTensors::dtype(std::string_view suffix) const {
  return weights_.dtype(name(suffix));
}

std::uint64_t ModuleTensors::count(std::string_view suffix) const {
  std::uint64_t count = 1;
  for (const std::int64_t size : shape(suffix)) count *= static_cast<std::uint64_t>(size);
  return count;
}

void ModuleTensors::refuse(std::string_view suffix, const std::string& text) const {
  throw assay::Error(ASSAY_INVALID_ARGUMENT,
                     weights_.file_of(name(suffix)) + ": tensor \"" + name(suffix) + "\" " + text);
}

void ModuleTensors::expect(std::string_view suffix, std::string_view dtype,
                           const Shape& shape) const {
  weights_.check_shape(name(suffix), shape);
  const std::string& declared = this->dtype(suffix);
  if (declared != dtype) refuse(suffix, "is " + declared + "; expected " + std::string(dtype));
}

void ModuleTensors::note(std::string_view suffix) {
  read_.push_back(name(suffix));
  stored_bits_ += 8 * weights_.bytes(name(suffix));
}

template <class T>
std::vector<T> ModuleTensors::all(std::string_view suffix) {
  std::vector<T> out(weights_.bytes(name(suffix)) / sizeof(T));
  weights_.read_bytes(name(suffix), 0, std::as_writable_bytes(std::span(out)));
  note(suffix);
  return out;
}

std::vector<std::uint8_t> ModuleTensors::bytes(std::string_view suffix, std::string_view dtype,
                                               const Shape& shape) {
  expect(suffix, dtype, shape);
  return all<std::uint8_t>(suffix);
}

std::vector<std::uint8_t> ModuleTensors::bytes(std::string_view suffix) {
  return all<std::uint8_t>(suffix);
}

std::vector<std::uint32_t> ModuleTensors::words(std::string_view suffix, const Shape& shape) {
  expect(suffix, "I32", shape);
  return all<std::uint32_t>(suffix);
}

std::vector<std::int64_t> ModuleTensors::longs(std::string_view suffix, const Shape& shape) {
  expect(suffix, "I64", shape);
  return all<std::int64_t>(suffix);
}

FloatType ModuleTensors::float_type(std::string_view suffix) const {
  const auto type = float_type_of(dtype(suffix));
  if (!type) refuse(suffix, "is " + dtype(suffix) + "; scales are read as F32, F16 or BF16");
  return *type;
}

std::vector<float> ModuleTensors::floats(std::string_view suffix, const Shape& shape) {
  weights_.check_shape(name(suffix), shape);
  static_cast<void>(float_type(suffix));
  std::vector<float> out(count(suffix));
  weights_.read(name(suffix), shape, out);
  note(suffix);
  return out;
}

void ModuleTensors::words_by_rows(std::string_view suffix, const Shape& shape, const Rows& take) {
  expect(suffix, "I32", shape);
  const std::int64_t rows = shape[0], width = shape[1];
  const std::int64_t step =
      std::max<std::int64_t>(kPieceWords / std::max<std::int64_t>(width, 1), 1);
  std::vector<std::uint32_t> piece;
  for (std::int64_t first = 0; first < rows; first += step) {
    piece.resize(static_cast<std::size_t>(std::min(step, rows - first) * width));
    weights_.read_bytes(name(suffix), static_cast<std::uint64_t>(first * width) * 4,
                        std::as_writable_bytes(std::span(piece)));
    take(first, piece);
  }
  note(suffix);
}

}  // namespace assay_torch
