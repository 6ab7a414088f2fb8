// What a library file tells before it is loaded: is it one, for this machine, and what does it
// export. Reads bytes of the file; loads nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/core/result.hpp"

namespace assay::host {

/// The note that ASSAY_NOTE puts into a plugin.
struct ElfNote {
  std::uint32_t abi_major = 0;
  std::uint32_t abi_minor_needed = 0;
  std::string plugin_id;
};

struct ElfFacts {
  /// Dynamic symbols it defines whose name begins with "assay_plugin_v". Nothing where the file has
  /// no section headers to look in.
  std::optional<std::vector<std::string>> entries;
  std::optional<ElfNote> note;
};

/// Reads an ELF file's headers, dynamic symbols and our note.
///
/// Fails    ASSAY_NOT_FOUND no such file; ASSAY_FAILED_PRECONDITION anything but a whole 64-bit
///          shared library for this machine. The text is a predicate: "is a folder, ...".
/// Source   Tool Interface Standard (TIS) ELF specification 1.2; System V ABI, note sections
Result<ElfFacts> read_elf(const std::filesystem::path& path);

}  // namespace assay::host
