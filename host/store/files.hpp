// Files that are whole or absent: folders, documents, and the sentences for what went wrong.
#pragma once

#include <filesystem>
#include <string_view>

#include "host/core/result.hpp"

namespace assay::host {

/// The Failure for an errno met while writing to `path`: a full disk is told apart.
Failure write_failure(const std::filesystem::path& path, int error_number);

/// Writes every byte to an open file; `path` is for the message.
Result<void> write_all(int file, std::string_view bytes, const std::filesystem::path& path);

/// Makes the folder and its parents, and proves that a file can be written in it.
///
/// Fails    ASSAY_UNAVAILABLE not a folder, or not writable
Result<void> make_folder(const std::filesystem::path& folder);

/// Replaces a file with `text` through a temporary file, fsync and rename.
Result<void> write_document(const std::filesystem::path& path, std::string_view text);

/// The whole of a file.
///
/// Fails    ASSAY_NOT_FOUND cannot be opened; ASSAY_UNAVAILABLE cannot be read
Result<std::string> read_document(const std::filesystem::path& path);

}  // namespace assay::host
