// Runs the built assay on a manifest and reads back what it left. For end-to-end tests only.
#pragma once

#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/store/files.hpp"
#include "host/store/rows.hpp"

namespace assay::host {

/// A folder that goes with the test.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "assay-e2e-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// Copies of the fakes' plugins where nobody else can write: a build folder may be any.
inline std::string trusted_fakes() {
  static const TempFolder folder;
  static const bool are_copied = [] {
    const mode_t before = umask(022);
    for (const auto& entry : std::filesystem::directory_iterator(ASSAY_TEST_FAKES)) {
      if (entry.path().extension() == ".so") {
        std::filesystem::copy_file(entry.path(), folder.path() / entry.path().filename());
      }
    }
    umask(before);
    return true;
  }();
  return are_copied ? folder.path().string() : "";
}

struct Ran {
  int exit_code = -1;
  std::string out, err;
};

inline std::string shell_quoted(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

inline std::string text_of(const std::filesystem::path& path) {
  auto text = read_document(path);
  return text ? *text : "";
}

/// `prefix` stands in front of the command: "ulimit -f 1; ", environment, ...
inline Ran run_assay(const std::vector<std::string>& words, const std::string& prefix = "") {
  const TempFolder folder;
  std::string command = prefix + shell_quoted(ASSAY_BINARY);
  for (const std::string& word : words) command += " " + shell_quoted(word);
  command += " >" + (folder.path() / "out").string() + " 2>" + (folder.path() / "err").string();
  const auto run = [&](const std::string& environment) {
    const int status = std::system((environment + command).c_str());
    return Ran{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
               text_of(folder.path() / "out"), text_of(folder.path() / "err")};
  };
  // GCC 12's leak checker can crash while it stops libtorch's threads at the end of a process that
  // was sound: once more without it then. A leak has another text.
  Ran ran = run("");
  if (ran.err.find("LeakSanitizer has encountered a fatal error") != std::string::npos) {
    ran = run("ASAN_OPTIONS=detect_leaks=0; export ASAN_OPTIONS; ");
  }
  return ran;
}

inline Json run_document(const std::filesystem::path& out) {
  return Json::parse(text_of(out / "run.json"), nullptr, false);
}

/// Every row of a row file, in order.
inline std::vector<Json> rows_in(const std::filesystem::path& path) {
  std::vector<Json> rows;
  auto reader = RowReader::open(path);
  if (!reader) return rows;
  for (auto row = reader->next(); row && *row; row = reader->next()) rows.push_back(**row);
  return rows;
}

/// The lines of a gzip-compressed JSONL file.
inline std::vector<Json> gunzipped_lines(const std::filesystem::path& path) {
  std::vector<Json> lines;
  std::FILE* pipe = popen(("gzip -dc " + shell_quoted(path.string())).c_str(), "r");
  std::string line;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    lines.push_back(Json::parse(line));
    line.clear();
  }
  pclose(pipe);
  return lines;
}

/// The folder of reference data too large or not free to commit, or "" where there is none.
inline std::filesystem::path shared_folder() {
  const char* given = std::getenv("ASSAY_SHARED");
  const std::filesystem::path path =
      given != nullptr ? given : std::filesystem::path(ASSAY_SOURCE_DIR) / ".." / "shared";
  return std::filesystem::exists(path / "data") ? std::filesystem::canonical(path)
                                                : std::filesystem::path();
}

inline const Json* record_of(const Json& document, const std::string& variant,
                             const std::string& task, const std::string& metric,
                             const Json& group = nullptr, const char* list = "records") {
  for (const Json& record : document.at(list)) {
    if (record.at("variant") == variant && record.at("task") == task &&
        record.at("metric") == metric && record.at("group") == group) {
      return &record;
    }
  }
  return nullptr;
}

}  // namespace assay::host
