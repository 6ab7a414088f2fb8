// Folders and files of the user: where they are, who could write to them, and replacing one whole.
// What the files mean is not known here.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "host/core/result.hpp"

namespace assay::host {

/// The folder an environment variable names, or ~ with `below_home`; empty where there is neither.
/// A variable that is not an absolute path counts as not set.
///
/// Source   XDG Base Directory Specification 0.8
std::filesystem::path user_folder(const char* variable, std::string_view below_home);

/// A file opened for reading after its whole path was looked at.
class CheckedFile {
 public:
  explicit CheckedFile(int descriptor) : descriptor_(descriptor) {}
  CheckedFile(CheckedFile&& other) noexcept;
  CheckedFile& operator=(CheckedFile&&) = delete;
  ~CheckedFile();

  /// Another name of the open file, whatever happens to its path.
  std::filesystem::path path() const;

 private:
  int descriptor_;
};

/// Opens a regular file nobody but root and the user could have written or put in another's place:
/// from / on every folder, and the file, belongs to one of the two and is not writable by group or
/// others. A sticky folder of root is fine on the way, not at its end. Follows no symbolic link.
///
/// Fails    ASSAY_FAILED_PRECONDITION, ASSAY_NOT_FOUND. The text is a predicate about the file with
///          what mends it: "lies in /opt, which others may write to; chmod o-w /opt"
Result<CheckedFile> open_checked(const std::filesystem::path& path);

/// As open_checked, of a folder.
Result<void> check_folder(const std::filesystem::path& path);

/// Is it a folder of the user's own that nobody else can enter?
bool is_private_folder(const std::filesystem::path& folder);

/// Makes the folder, with mode 0700, and those above it; false where that did not work or what is
/// there is not private.
bool make_private_folder(const std::filesystem::path& folder);

/// Writes a file whole under another name beside it, with mode 0600, and renames it into place.
///
/// Fails    ASSAY_UNAVAILABLE
Result<void> replace_file(const std::filesystem::path& path, std::string_view text);

}  // namespace assay::host
