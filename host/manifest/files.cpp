#include "host/manifest/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <utility>

#include "host/core/utf8.hpp"
#include "host/manifest/fields.hpp"
#include "host/manifest/lines.hpp"
#include "host/manifest/toml.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxBytes = 16U << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kMaxFiles = 100;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

/// The file's text without a byte order mark. The text of a failure is a predicate.
Result<std::string> read_text(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return Failure{ASSAY_NOT_FOUND, "is a folder, expected a TOML file"};
  }
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    return Failure{ASSAY_NOT_FOUND, "cannot be opened: " + std::generic_category().message(errno)};
  }
  std::string text;
  char piece[16384];
  for (std::size_t n = 1; n > 0 && text.size() <= kMaxBytes;) {
    n = std::fread(piece, 1, sizeof piece, file.get());
    text.append(piece, n);
  }
  if (std::ferror(file.get()) != 0) {
    return Failure{ASSAY_NOT_FOUND, "cannot be read to its end"};
  }
  if (text.size() > kMaxBytes) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "has more than 16 MiB; a manifest names data, it does not hold it"};
  }
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

bool is_list_of_tables(const Value& value) {
  const auto* list = get_if<std::vector<Value>>(value);
  return list != nullptr && !list->empty() &&
         std::all_of(list->begin(), list->end(), [](const Value& element) {
           return get_if<Table>(element) != nullptr && !element.is_inline;
         });
}

/// Lays `later` over `table`: key by key where both are tables, one after the other where both are
/// [[arrays of tables]], in place of what was there otherwise.
void merge(Table& table, Table later) {
  for (Entry& entry : later) {
    const auto same = std::find_if(table.begin(), table.end(),
                                   [&](const Entry& other) { return other.key == entry.key; });
    if (same == table.end()) {
      table.push_back(std::move(entry));
      continue;
    }
    auto* nested = std::get_if<Table>(&same->value.data);
    auto* above = std::get_if<Table>(&entry.value.data);
    if (nested != nullptr && above != nullptr && !entry.value.is_inline) {
      merge(*nested, std::move(*above));
      same->key_place = entry.key_place;
      same->value.place = entry.value.place;
    } else if (is_list_of_tables(same->value) && is_list_of_tables(entry.value)) {
      auto& list = std::get<std::vector<Value>>(same->value.data);
      auto& more = std::get<std::vector<Value>>(entry.value.data);
      list.insert(list.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
    } else {
      *same = std::move(entry);
    }
  }
}

class Loader {
 public:
  explicit Loader(MergedFiles& merged) : merged_(merged) {}

  /// Fails    as read_text, before anything is merged
  Result<void> load(const fs::path& path) {
    auto text = read_text(path);
    if (!text) return std::move(text).error();
    const auto file = static_cast<std::uint32_t>(merged_.sources.size());
    merged_.sources.push_back({path, std::move(*text)});
    const std::string content = merged_.sources.back().text;
    if (!is_utf8(content, file)) return {};

    ParsedToml parsed = parse_toml(content, file);
    if (!parsed.errors.empty()) merged_.is_whole = false;
    merged_.errors.insert(merged_.errors.end(), parsed.errors.begin(), parsed.errors.end());
    open_.push_back(path);
    check_format(parsed.table);
    include(parsed.table, path.parent_path());
    open_.pop_back();
    merge(merged_.root, std::move(parsed.table));
    return {};
  }

 private:
  bool is_utf8(const std::string& text, std::uint32_t file) {
    const auto byte = utf8_fault(text);
    if (!byte) return true;
    char code[8];
    std::snprintf(code, sizeof code, "0x%02X", static_cast<unsigned char>(text[*byte]));
    merged_.errors.push_back({place_of_byte(text, *byte, file),
                              "not UTF-8: a stray byte " + std::string(code),
                              "save the file as UTF-8"});
    merged_.is_whole = false;
    return false;
  }

  void check_format(const Table& table) {
    const Value* format = find(table, "assay");
    if (format == nullptr) return;
    const auto* number = get_if<std::int64_t>(*format);
    if (number != nullptr && *number == 1) return;
    merged_.errors.push_back({format->place, "assay must be 1, got " + found(*format),
                              "it is the manifest format; this version reads format 1"});
  }

  void include(Table& table, const fs::path& folder) {
    const auto entry =
        std::find_if(table.begin(), table.end(), [](const Entry& e) { return e.key == "include"; });
    if (entry == table.end()) return;
    const Fields fields(table, "the manifest", entry->key_place, merged_.errors);
    for (const auto& name : texts_of(fields, "include", entry->value)) {
      include_one(name, folder);
    }
    table.erase(entry);
  }

  void include_one(const Located<std::string>& name, const fs::path& folder) {
    const fs::path path = (folder / name.value).lexically_normal();
    const auto is_same = [&path](const fs::path& other) {
      std::error_code error;
      return other == path || fs::equivalent(other, path, error);
    };
    const auto fail = [&](std::string text) {
      merged_.errors.push_back({name.place, std::move(text), ""});
      merged_.is_whole = false;
    };
    if (std::any_of(open_.begin(), open_.end(), is_same)) {
      return fail("include " + in_quotes(name.value) + " leads back to " + path.string());
    }
    const bool is_read = std::any_of(merged_.sources.begin(), merged_.sources.end(),
                                     [&](const Source& source) { return is_same(source.path); });
    if (is_read) return;
    if (merged_.sources.size() >= kMaxFiles) {
      return fail("includes more than " + std::to_string(kMaxFiles) + " files");
    }
    auto loaded = load(path);
    if (!loaded) fail("include " + in_quotes(name.value) + " " + loaded.error().text);
  }

  MergedFiles& merged_;
  std::vector<fs::path> open_;  // from the first file to the one being read
};

}  // namespace

Result<MergedFiles> read_files(const fs::path& path) {
  MergedFiles merged;
  auto loaded = Loader(merged).load(path);
  if (!loaded) {
    return Failure{loaded.error().code, path.string() + " " + loaded.error().text, path.string()};
  }
  return merged;
}

}  // namespace assay::host
