// Files a test writes and files it finds beside the checkout. Knows nothing of plugins.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace plugin_test {

/// A folder with one file, removed at the end of the test.
class TempFile {
 public:
  explicit TempFile(std::string_view content) {
    std::string name = (std::filesystem::temp_directory_path() / "assay-test-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    std::ofstream(path(), std::ios::binary) << content;
  }
  TempFile(const TempFile&) = delete;
  ~TempFile() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string path() const { return folder_ + "/file"; }
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
};

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The text with every "{}" replaced by the path.
inline std::string with_path(std::string text, const std::string& path) {
  for (std::size_t at = text.find("{}"); at != std::string::npos;
       at = text.find("{}", at + path.size())) {
    text.replace(at, 2, path);
  }
  return text;
}

/// A file of the shared reference data, or "" where it is absent. ASSAY_SHARED names the folder;
/// without it the folder `shared` beside the checkout is used.
inline std::string shared_file(const std::string& name) {
  const char* set = std::getenv("ASSAY_SHARED");
  const std::filesystem::path folder =
      set != nullptr ? std::filesystem::path(set)
                     : std::filesystem::path(ASSAY_SOURCE_DIR).parent_path() / "shared";
  const std::filesystem::path path = folder / name;
  return std::filesystem::exists(path) ? path.string() : "";
}

}  // namespace plugin_test
