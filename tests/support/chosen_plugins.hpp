// A folder with some plugins of a build alone, so that a search of tests does not open libtorch.
// Nothing else about plugins belongs here.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <system_error>

namespace assay::host {

/// Links to the named plugins of `build`; goes with the object.
class ChosenPlugins {
 public:
  ChosenPlugins(const std::filesystem::path& build, std::initializer_list<const char*> names) {
    std::string name = std::filesystem::temp_directory_path() / "assay-plugins-XXXXXX";
    path_ = mkdtemp(name.data());
    for (const char* plugin : names) {
      const std::string file = std::string(plugin) + ".so";
      std::filesystem::create_symlink(build / file, path_ / file);
    }
  }
  ChosenPlugins(const ChosenPlugins&) = delete;
  ChosenPlugins& operator=(const ChosenPlugins&) = delete;
  ~ChosenPlugins() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace assay::host
