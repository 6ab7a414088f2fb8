// A folder for one test, and files in it. Nothing of what the files mean.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace assay::host {

/// Goes with its owner. Its path has no symbolic links.
class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "assay-loader-XXXXXX";
    path_ = std::filesystem::canonical(mkdtemp(name.data()));
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }

  std::filesystem::path copy(const std::filesystem::path& file) const {
    std::filesystem::copy_file(file, path_ / file.filename(),
                               std::filesystem::copy_options::overwrite_existing);
    return path_ / file.filename();
  }

 private:
  std::filesystem::path path_;
};

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace assay::host
