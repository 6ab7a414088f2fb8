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

/// Which other libraries it names, as the system's loader will look for them.
struct ElfNeeds {
  std::string soname;                ///< "": none
  std::vector<std::string> needed;   ///< sonames, in the order of the file
  std::vector<std::string> folders;  ///< its run paths, as written: "$ORIGIN"
};

struct ElfFacts {
  /// Dynamic symbols it defines whose name begins with "assay_plugin_v". Nothing where the file has
  /// no section headers to look in.
  std::optional<std::vector<std::string>> entries;
  std::vector<std::string> exports;         ///< every dynamic symbol it defines for others
  std::vector<std::string> unique_symbols;  ///< those of them that bind across RTLD_LOCAL
  std::optional<ElfNote> note;
  std::string build_id;  ///< lower-case hexadecimal digits; "": none
  ElfNeeds needs;
  bool has_static_tls = false;        ///< DF_STATIC_TLS
  bool has_text_relocations = false;  ///< its code is written to while it is loaded
  bool has_executable_stack = false;  ///< asks for one, or leaves it to a loader that gives one
};

/// Reads an ELF file's headers, dynamic section, dynamic symbols and notes.
///
/// Fails    ASSAY_NOT_FOUND no such file; ASSAY_FAILED_PRECONDITION anything but a whole 64-bit
///          shared library for this machine. The text is a predicate: "is a folder, ...".
/// Source   Tool Interface Standard (TIS) ELF specification 1.2; System V ABI, note sections;
///          GNU extensions to both as in elf.h of glibc 2.36
Result<ElfFacts> read_elf(const std::filesystem::path& path);

/// As read_elf, of a library of any size: the dynamic section alone.
Result<ElfNeeds> read_needs(const std::filesystem::path& path);

}  // namespace assay::host
