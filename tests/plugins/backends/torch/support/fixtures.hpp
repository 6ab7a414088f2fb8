// What the tests of the torch backend stand on: where data lies, throw-away folders, safetensors
// files written byte by byte, and a small Llama made by hand. Expectations are in the tests.
#pragma once

#include <gtest/gtest.h>

#include <assay/error.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay_torch_test {

namespace fs = std::filesystem;

/// A file or folder of the shared data (ASSAY_SHARED, default: shared beside the checkout), if
/// there.
std::optional<fs::path> shared(const std::string& relative);

/// A model folder: the copy in share/data, or else the one in the shared data.
std::optional<fs::path> model(const std::string& committed, const std::string& in_shared);

fs::path golden(const std::string& name);

/// Removed with everything in it at the end of the test.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string read_bytes(const fs::path& path);
void write_bytes(const fs::path& path, std::string_view bytes);

/// Header length, header, data: as given, right or wrong.
std::string safetensors(std::string_view header, std::string_view data);

std::string floats(const std::vector<float>& values);

/// Writes config.json and model.safetensors of a Llama with 1 layer, hidden 4, 2 heads, vocabulary
/// 6, context 8. All weights are small multiples of 1/32.
void write_tiny_llama(const fs::path& dir, const std::string& extra_config = "",
                      bool is_tied = true);

/// What the call throws: "CODE text", or "" when it throws nothing.
template <class Call>
std::string thrown(Call&& call) {
  try {
    call();
  } catch (const assay::Error& error) {
    return std::to_string(error.code()) + " " + error.what();
  }
  return "";
}

}  // namespace assay_torch_test
