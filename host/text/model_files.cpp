#include "host/text/model_files.hpp"

#include <fstream>
#include <iterator>
#include <system_error>

namespace assay::host {

Result<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return Failure{ASSAY_NOT_FOUND, path.string() + ": cannot be opened for reading",
                   path.string()};
  }
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) {
    return Failure{ASSAY_UNAVAILABLE, path.string() + ": cannot be read to its end", path.string()};
  }
  return bytes;
}

Result<Json> read_model_json(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return Json();
  auto bytes = read_file(path);
  if (!bytes) return std::move(bytes).error();
  try {
    Json document = Json::parse(*bytes);
    if (document.is_object()) return document;
    return Failure{ASSAY_INVALID_ARGUMENT,
                   path.string() + ": must hold a JSON object, but holds " + document.type_name(),
                   path.string()};
  } catch (const Json::exception& e) {
    return Failure{ASSAY_INVALID_ARGUMENT, path.string() + ": not valid JSON: " + e.what(),
                   path.string()};
  }
}

}  // namespace assay::host
