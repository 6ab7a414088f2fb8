#include "checkpoint/safetensors.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

namespace assay_torch {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr std::uint64_t kLengthBytes = 8;
constexpr int kMaxHeaderDepth = 3;  // the header, a tensor, its shape's sizes

struct DtypeBits {
  const char* name;
  std::uint64_t bits;
};

// Source: safetensors/src/tensor.rs, enum Dtype.
constexpr std::array kDtypes = {
    DtypeBits{"F64", 64}, DtypeBits{"F32", 32},    DtypeBits{"F16", 16},    DtypeBits{"BF16", 16},
    DtypeBits{"I64", 64}, DtypeBits{"I32", 32},    DtypeBits{"I16", 16},    DtypeBits{"I8", 8},
    DtypeBits{"U64", 64}, DtypeBits{"U32", 32},    DtypeBits{"U16", 16},    DtypeBits{"U8", 8},
    DtypeBits{"BOOL", 8}, DtypeBits{"F8_E4M3", 8}, DtypeBits{"F8_E5M2", 8}, DtypeBits{"F8_E8M0", 8},
    DtypeBits{"C64", 64}, DtypeBits{"F4", 4}};

[[noreturn]] void refuse(const std::string& path, const std::string& text) {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, path + ": " + text);
}

std::string tensor_text(const std::string& name) { return "tensor \"" + name + "\""; }

std::string range_text(std::uint64_t begin, std::uint64_t end) {
  return std::string("[")
      .append(std::to_string(begin))
      .append(", ")
      .append(std::to_string(end))
      .append(")");
}

std::uint64_t bits_of(const std::string& path, const std::string& name, const std::string& dtype) {
  const auto* found = std::find_if(kDtypes.begin(), kDtypes.end(),
                                   [&](const DtypeBits& d) { return d.name == dtype; });
  if (found != kDtypes.end()) return found->bits;
  std::string known;
  for (const DtypeBits& d : kDtypes) known += (known.empty() ? "" : ", ") + std::string(d.name);
  refuse(path, tensor_text(name) + " has the unknown dtype \"" + dtype + "\"; known are " + known);
}

std::uint64_t bytes_of(const std::string& path, const std::string& name, const TensorEntry& entry) {
  std::uint64_t bits = bits_of(path, name, entry.dtype);
  for (std::int64_t size : entry.shape) {
    if (__builtin_mul_overflow(bits, static_cast<std::uint64_t>(size), &bits)) {
      refuse(path, tensor_text(name) + " has the shape " + shape_text(entry.shape) +
                       ", whose size does not fit 64 bits");
    }
  }
  return (bits + 7) / 8;
}

TensorEntry entry_of(const std::string& path, const std::string& name, const Json& value) {
  const bool has_fields = value.is_object() && value.contains("dtype") &&
                          value["dtype"].is_string() && value.contains("shape") &&
                          value["shape"].is_array() && value.contains("data_offsets") &&
                          value["data_offsets"].is_array() && value["data_offsets"].size() == 2;
  const auto is_count = [](const Json& v) {
    return v.is_number_unsigned() && v.get<std::uint64_t>() <= INT64_MAX;
  };
  if (!has_fields || !std::all_of(value["shape"].begin(), value["shape"].end(), is_count) ||
      !std::all_of(value["data_offsets"].begin(), value["data_offsets"].end(), is_count)) {
    refuse(path, tensor_text(name) +
                     " needs a dtype, a shape and two data_offsets of whole numbers in the header");
  }
  TensorEntry entry;
  entry.dtype = value["dtype"].get<std::string>();
  entry.shape = value["shape"].get<std::vector<std::int64_t>>();
  entry.begin = value["data_offsets"][0].get<std::uint64_t>();
  entry.end = value["data_offsets"][1].get<std::uint64_t>();
  return entry;
}

Json parse_header(const std::string& path, std::string_view text) {
  std::set<std::string> seen;
  std::string duplicate;
  const auto watch_keys = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::key && depth == 1 &&
        !seen.insert(parsed.get<std::string>()).second && duplicate.empty()) {
      duplicate = parsed.get<std::string>();
    }
    if (depth > kMaxHeaderDepth)
      refuse(path, "the header nests deeper than a tensor's shape; expected a safetensors file");
    return true;
  };
  Json header;
  try {
    header = Json::parse(text, watch_keys);
  } catch (const Json::parse_error& error) {
    refuse(path, "the header is not valid JSON at its byte " + std::to_string(error.byte) +
                     "; expected a safetensors file");
  } catch (const Json::out_of_range&) {
    refuse(path, "the header holds a number beyond every double; expected a safetensors file");
  }
  if (!header.is_object())
    refuse(path, "the header is not a JSON object; expected a safetensors file");
  if (!duplicate.empty()) refuse(path, tensor_text(duplicate) + " is in the header twice");
  return header;
}

}  // namespace

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string out = "[";
  for (std::int64_t size : shape) {
    if (out.size() > 1) out += ", ";
    out += std::to_string(size);
  }
  return out + "]";
}

SafetensorsFile::Descriptor::~Descriptor() {
  if (value >= 0) ::close(value);
}

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path) {
  open_file();
  read_header();
  check_layout();
}

void SafetensorsFile::open_file() {
  file_.value = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (file_.value < 0 || ::fstat(file_.value, &info) != 0) {
    throw assay::Error(ASSAY_NOT_FOUND, path_ + ": cannot be opened: " + std::strerror(errno));
  }
  file_bytes_ = static_cast<std::uint64_t>(info.st_size);
  if (!S_ISREG(info.st_mode) || file_bytes_ < kLengthBytes) {
    refuse(
        path_,
        "holds " + std::to_string(file_bytes_) +
            " bytes, a safetensors file begins with an 8-byte header length; copy the file again");
  }
}

void SafetensorsFile::read_header() {
  std::array<std::byte, kLengthBytes> field{};
  read_at(0, field);
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;)
    length = length << 8 | std::to_integer<std::uint64_t>(field[i]);
  if (length > kMaxHeaderBytes) {
    refuse(path_, "announces a header of " + std::to_string(length) +
                      " bytes, the limit is 100000000; expected a safetensors file");
  }
  if (length > file_bytes_ - kLengthBytes) {
    refuse(path_, "is truncated: the header should have " + std::to_string(length) +
                      " bytes, only " + std::to_string(file_bytes_ - kLengthBytes) +
                      " follow; copy the file again");
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  read_at(kLengthBytes, std::as_writable_bytes(std::span(text)));
  data_at_ = kLengthBytes + length;
  data_bytes_ = file_bytes_ - data_at_;
  const Json header = parse_header(path_, text);
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") tensors_.emplace(name, entry_of(path_, name, value));
  }
}

void SafetensorsFile::check_layout() const {
  std::vector<std::pair<const std::string*, const TensorEntry*>> order;
  std::uint64_t last = 0;
  for (const auto& [name, entry] : tensors_) {
    const std::uint64_t need = bytes_of(path_, name, entry);
    if (entry.begin > entry.end || entry.end - entry.begin != need) {
      refuse(path_, tensor_text(name) + ": dtype " + entry.dtype + " and shape " +
                        shape_text(entry.shape) + " need " + std::to_string(need) +
                        " bytes, but data_offsets are " + range_text(entry.begin, entry.end));
    }
    last = std::max(last, entry.end);
    order.emplace_back(&name, &entry);
  }
  if (last > data_bytes_) {
    const auto outside = std::find_if(order.begin(), order.end(),
                                      [&](const auto& t) { return t.second->end > data_bytes_; });
    refuse(path_, "is truncated: " + tensor_text(*outside->first) + " lies at " +
                      range_text(outside->second->begin, outside->second->end) + ", but only " +
                      std::to_string(data_bytes_) +
                      " bytes of data follow the header; copy the file again");
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  std::uint64_t at = 0;
  const std::string* before = nullptr;
  for (const auto& [name, entry] : order) {
    if (entry->begin < at) {
      refuse(path_, "tensors \"" + *before + "\" and \"" + *name + "\" overlap at " +
                        range_text(entry->begin, std::min(at, entry->end)));
    }
    if (entry->begin > at) {
      refuse(path_, "bytes " + range_text(at, entry->begin) + " of the data belong to no tensor");
    }
    at = entry->end;
    before = name;
  }
  if (at != data_bytes_) {
    refuse(path_, "bytes " + range_text(at, data_bytes_) + " of the data belong to no tensor");
  }
}

void SafetensorsFile::read(const TensorEntry& entry, std::uint64_t first,
                           std::span<std::byte> out) const {
  const std::uint64_t bytes = entry.end - entry.begin;
  if (first > bytes || out.size() > bytes - first) {
    throw assay::Error(ASSAY_INTERNAL, path_ + ": bytes " + range_text(first, first + out.size()) +
                                           " of a tensor of " + std::to_string(bytes) +
                                           " bytes were asked for");
  }
  read_at(data_at_ + entry.begin + first, out);
}

void SafetensorsFile::read_at(std::uint64_t first, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(file_.value, out.data(), out.size(), static_cast<::off_t>(first));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw assay::Error(ASSAY_UNAVAILABLE, path_ + ": cannot be read: " + std::strerror(errno));
    }
    if (got == 0) {
      throw assay::Error(ASSAY_ABORTED, path_ + ": had " + std::to_string(file_bytes_) +
                                            " bytes when it was opened and ends at byte " +
                                            std::to_string(first) +
                                            " now; run again when nothing writes to it");
    }
    out = out.subspan(static_cast<std::size_t>(got));
    first += static_cast<std::uint64_t>(got);
  }
}

}  // namespace assay_torch
