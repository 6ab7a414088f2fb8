// Files that are whole or absent: folders, documents, and the sentences for what went wrong.
#pragma once

#include <filesystem>
#include <string_view>

#include "host/core/result.hpp"

namespace assay::host {

/// The option of the command line that names the folder a file is in; for messages.
enum class FolderOption { kOut, kStore };

/// The Failure for an errno met while writing to `path`: a full disk is told apart.
Failure write_failure(const std::filesystem::path& path, int error_number,
                      FolderOption option = FolderOption::kOut);

/// Writes every byte to an open file; `path` is for the message.
Result<void> write_all(int file, std::string_view bytes, const std::filesystem::path& path,
                       FolderOption option = FolderOption::kOut);

/// Makes the folder and its parents, and proves that a file can be written in it.
///
/// Fails    ASSAY_UNAVAILABLE not a folder, or not writable
Result<void> make_folder(const std::filesystem::path& folder,
                         FolderOption option = FolderOption::kOut);

/// Replaces a file with `text` through a temporary file, fsync and rename.
Result<void> write_document(const std::filesystem::path& path, std::string_view text,
                            FolderOption option = FolderOption::kOut);

/// Has everything in a folder, and the folder itself, on the disk when it returns.
Result<void> sync_folder(const std::filesystem::path& folder, FolderOption option);

/// The whole of a file.
///
/// Fails    ASSAY_NOT_FOUND cannot be opened; ASSAY_UNAVAILABLE cannot be read
Result<std::string> read_document(const std::filesystem::path& path);

}  // namespace assay::host
