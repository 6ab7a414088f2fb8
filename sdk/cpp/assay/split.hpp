// Splits of datasets kept in files: the file a split lies in, and the column that names each row's
// split. Knows no format.
#pragma once

#include <algorithm>
#include <assay/arrow/field.hpp>
#include <assay/context.hpp>
#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

inline constexpr std::string_view kSplitMark = "{split}";

/// What messages call a kind of file, and how names of such files end: {"JSONL file", "jsonl"}.
struct FileKind {
  std::string_view name, extension;
  bool has_split_column = false;  ///< the dataset can also take a split's rows out of one file
};

namespace detail {

/// The names of a folder's files that end like this kind, in order, as far as a sentence takes
/// them.
inline std::string files_of_kind(const std::string& folder, FileKind kind) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with("." + std::string(kind.extension))) names.push_back(name);
  }
  if (names.empty()) return "no ." + std::string(kind.extension) + " file";
  constexpr std::size_t kMostNames = 8;
  std::ranges::sort(names);
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNames); ++i) {
    list += (i == 0 ? "" : ", ") + names[i];
  }
  return list + (names.size() > kMostNames ? ", ..." : "");
}

/// The text with the split's name for every mark.
inline std::string with_split(std::string text, std::string_view split) {
  std::size_t mark = text.find(kSplitMark);
  while (mark != std::string::npos) {
    text.replace(mark, kSplitMark.size(), split);
    mark = text.find(kSplitMark, mark + split.size());
  }
  return text;
}

}  // namespace detail

/// The file that holds a split; "" is no split. `{split}` in the path stands for the split's name;
/// a folder holds one file for each split, <split>.<extension>.
///
/// Fails    ASSAY_INVALID_ARGUMENT a split where path has no place for it, or no split where path
///          needs one; ASSAY_NOT_FOUND the folder has no such file
/// Source   defined here
inline std::string file_of_split(std::string path, std::string_view split, FileKind kind) {
  const std::string name(split);
  if (path.find(kSplitMark) != std::string::npos) {
    if (name.empty()) {
      throw Error(ASSAY_INVALID_ARGUMENT, "path",
                  path + " needs a split in the place of {split}; add split = \"test\"");
    }
    return detail::with_split(std::move(path), name);
  }
  const std::string file_name = name + "." + std::string(kind.extension);
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    if (name.empty()) return path;
    throw Error(ASSAY_NOT_FOUND, "split",
                path + " is one " + std::string(kind.name) + " and has no split \"" + name +
                    "\"; put {split} into path, name a folder that holds " + file_name +
                    (kind.has_split_column ? ", set split_column" : "") + ", or leave split out");
  }
  if (name.empty()) {
    throw Error(ASSAY_INVALID_ARGUMENT, "path",
                path + ": this is a folder; name one " + std::string(kind.name) +
                    ", or say which split (split = \"test\" opens test." +
                    std::string(kind.extension) + " in it)");
  }
  std::string file = (std::filesystem::path(path) / file_name).string();
  if (!std::filesystem::exists(file, ignored)) {
    throw Error(ASSAY_NOT_FOUND, "split",
                path + " has no split \"" + name + "\": there is no " + file_name +
                    " in it; it holds " + detail::files_of_kind(path, kind));
  }
  return file;
}

/// The splits that file_of_split() finds a file for, in order; "" of a path that is one file.
///
/// Fails    ASSAY_UNAVAILABLE a folder cannot be read
inline std::vector<std::string> splits_of_path(const std::string& path, FileKind kind) {
  std::error_code error, ignored;
  std::string pattern = path;
  if (path.find(kSplitMark) == std::string::npos) {
    if (!std::filesystem::is_directory(path, ignored)) return {""};
    pattern += "/" + std::string(kSplitMark) + "." + std::string(kind.extension);
  }
  // The first name on the way that depends on the split; the folder it is in does not.
  const std::size_t mark = pattern.find(kSplitMark);
  const std::size_t begin = pattern.rfind('/', mark) + 1;
  const std::size_t end = std::min(pattern.find('/', mark), pattern.size());
  const std::string name = pattern.substr(begin, end - begin);
  const std::string folder = begin == 0 ? "." : pattern.substr(0, begin);
  const std::size_t n_fixed = detail::with_split(name, "").size();
  const std::size_t n_marks = (name.size() - n_fixed) / kSplitMark.size();

  std::vector<std::string> splits;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string found = entry.path().filename().string();
    if (found.size() <= n_fixed) continue;
    const std::string split = found.substr(mark - begin, (found.size() - n_fixed) / n_marks);
    if (detail::with_split(name, split) != found) continue;
    const std::string file = detail::with_split(pattern, split);
    if (std::filesystem::is_regular_file(file, ignored)) splits.push_back(split);
  }
  if (error) {
    throw Error(ASSAY_UNAVAILABLE, "path", folder + ": cannot be read: " + error.message());
  }
  std::ranges::sort(splits);
  return splits;
}

/// The option `split_column`: the column that names each row's split, if there is one.
///
/// Fails    ASSAY_INVALID_ARGUMENT `path` has a place for the split as well
inline std::optional<std::string> split_column_of(const Context& context) {
  if (!context.has("split_column")) return std::nullopt;
  if (context.text("path").find(kSplitMark) != std::string::npos) {
    throw Error(ASSAY_INVALID_ARGUMENT, "split_column",
                "split_column and {split} in path both choose rows by the split; leave one out");
  }
  return context.text("split_column");
}

/// Is the split column there, and does it hold texts?
///
/// Fails    ASSAY_INVALID_ARGUMENT it is not, or does not
inline void check_split_column(const std::string& column, const std::vector<Field>& columns,
                               const std::string& file) {
  std::string names;
  for (const Field& field : columns) {
    if (field.name == column && field.type == Type::kText) return;
    if (field.name == column) {
      throw Error(ASSAY_INVALID_ARGUMENT, "split_column",
                  file + ": column \"" + column + "\" holds " + std::string(name_of(field.type)) +
                      "; the names of splits are texts");
    }
    names += (names.empty() ? "" : ", ") + field.name;
  }
  throw Error(ASSAY_INVALID_ARGUMENT, "split_column",
              file + ": there is no column \"" + column + "\" (columns: " + names + ")");
}

/// Asks `next_split` for the split of each row, "" where it has none, until a row is in `split`.
///
/// Fails    ASSAY_INVALID_ARGUMENT no split was asked for, or no row is in it
inline void require_split(const std::string& split, const std::string& column,
                          const std::string& file,
                          const std::function<bool(std::string&)>& next_split) {
  constexpr std::size_t kMostNames = 8;
  std::vector<std::string> names;
  for (std::string of_row; next_split(of_row);) {
    if (of_row.empty()) continue;
    if (of_row == split) return;
    if (names.size() <= kMostNames && std::ranges::find(names, of_row) == names.end()) {
      names.push_back(of_row);
    }
  }
  std::string list = names.empty() ? "no texts" : "";
  for (std::size_t i = 0; i < names.size(); ++i) {
    list += i == 0 ? "" : ", ";
    list += i == kMostNames ? "..." : "\"" + names[i] + "\"";
  }
  throw Error(ASSAY_INVALID_ARGUMENT, "split",
              split.empty() ? file + ": split_column = \"" + column +
                                  "\" needs a split; add split with one of " + list
                            : file + ": no row has \"" + split + "\" in column \"" + column +
                                  "\", which holds " + list);
}

}  // namespace v1
}  // namespace assay
