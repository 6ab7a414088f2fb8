#include "support/npz.hpp"

#include <zlib.h>

#include <cstring>
#include <stdexcept>

#include "support/fixtures.hpp"

namespace assay_torch_test {
namespace {

std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t width) {
  std::uint64_t out = 0;
  for (std::size_t i = width; i-- > 0;)
    out = out << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return out;
}

std::string inflate_raw(std::string_view in, std::size_t size) {
  std::string out(size, '\0');
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::runtime_error("inflateInit2 failed");
  const int status = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (status != Z_STREAM_END) throw std::runtime_error("npz member is damaged");
  return out;
}

/// Walks the central directory. Source: PKWARE APPNOTE.TXT 6.3, sections 4.3.12 and 4.3.16.
std::string zip_member(std::string_view zip, const std::string& name) {
  const auto end = zip.rfind(std::string_view("PK\x05\x06", 4));
  if (end == std::string_view::npos) throw std::runtime_error("not a zip file");
  std::size_t at = number(zip, end + 16, 4);
  for (std::uint64_t left = number(zip, end + 10, 2); left > 0; --left) {
    const std::uint64_t method = number(zip, at + 10, 2), packed = number(zip, at + 20, 4);
    const std::uint64_t size = number(zip, at + 24, 4), name_size = number(zip, at + 28, 2);
    if (zip.substr(at + 46, name_size) == name) {
      const std::size_t local = number(zip, at + 42, 4);
      const std::size_t begin =
          local + 30 + number(zip, local + 26, 2) + number(zip, local + 28, 2);
      const auto bytes = zip.substr(begin, packed);
      return method == 0 ? std::string(bytes) : inflate_raw(bytes, size);
    }
    at += 46 + name_size + number(zip, at + 30, 2) + number(zip, at + 32, 2);
  }
  throw std::runtime_error("no member " + name);
}

template <class T>
void append(std::string_view bytes, std::vector<double>& out) {
  for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    out.push_back(static_cast<double>(value));
  }
}

}  // namespace

Array read_npz(const std::filesystem::path& path, const std::string& member) {
  const std::string npy = zip_member(read_bytes(path), member + ".npy");
  const std::size_t header_size = number(npy, 8, 2);
  const std::string header = npy.substr(10, header_size);
  Array out;
  const auto open = header.find('(');
  for (std::size_t i = open + 1; header[i] != ')';) {
    std::size_t used = 0;
    out.shape.push_back(std::stoll(header.substr(i), &used));
    i += used;
    while (header[i] == ',' || header[i] == ' ') ++i;
  }
  const auto data = std::string_view(npy).substr(10 + header_size);
  if (header.find("'<f4'") != std::string::npos) {
    append<float>(data, out.values);
  } else if (header.find("'<i4'") != std::string::npos) {
    append<std::int32_t>(data, out.values);
  } else if (header.find("'<i8'") != std::string::npos) {
    append<std::int64_t>(data, out.values);
  } else {
    throw std::runtime_error("unexpected dtype in " + header);
  }
  return out;
}

}  // namespace assay_torch_test
