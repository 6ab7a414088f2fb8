// Digests that name contents. SHA-256 through OpenSSL, the one library this folder opens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "host/core/result.hpp"

namespace assay::host {

/// The SHA-256 of the bytes, as 64 lower-case hexadecimal digits.
///
/// Source   FIPS 180-4
std::string sha256(std::string_view bytes);

/// The SHA-256 of a file's contents, read in pieces of 1 MiB.
///
/// Fails    ASSAY_NOT_FOUND cannot be opened; ASSAY_UNAVAILABLE cannot be read to its end
Result<std::string> sha256_file(const std::filesystem::path& path);

/// The first 8 bytes of the SHA-256 as a number: a seed derived from a name.
std::uint64_t seed_from(std::string_view bytes);

}  // namespace assay::host
