#include "host/loader/elf.hpp"

#include <elf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>

namespace assay::host {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
#else
#error "add this machine's ELF number and its name below"
#endif

std::string machine_name(Elf64_Half machine) {
  switch (machine) {
    case EM_386:
      return "x86 (32 bit)";
    case EM_X86_64:
      return "x86-64";
    case EM_ARM:
      return "ARM (32 bit)";
    case EM_AARCH64:
      return "AArch64";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "PowerPC64";
    default:
      return "machine number " + std::to_string(machine);
  }
}

Failure refused(std::string text) { return {ASSAY_FAILED_PRECONDITION, std::move(text)}; }

/// A file of which pieces are read; no piece reaches beyond its end.
class Bytes {
 public:
  static Result<Bytes> open(const std::filesystem::path& path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) return Failure{ASSAY_NOT_FOUND, "does not exist"};
    if (std::filesystem::is_directory(status)) {
      return refused("is a folder; expected a shared library");
    }
    if (!std::filesystem::is_regular_file(status)) {
      return refused("is not a regular file; expected a shared library");
    }
    Bytes bytes;
    bytes.in_.open(path, std::ios::binary);
    if (!bytes.in_) {
      return refused("cannot be read: " + std::generic_category().message(errno));
    }
    bytes.size_ = std::filesystem::file_size(path, error);
    return bytes;
  }

  std::uint64_t size() const { return size_; }
  bool holds(std::uint64_t offset, std::uint64_t n) const {
    return offset <= size_ && n <= size_ - offset;
  }
  std::optional<std::string> read(std::uint64_t offset, std::uint64_t n) {
    if (!holds(offset, n)) return std::nullopt;
    std::string piece(n, '\0');
    in_.seekg(static_cast<std::streamoff>(offset));
    in_.read(piece.data(), static_cast<std::streamsize>(n));
    if (!in_) return std::nullopt;
    return piece;
  }

  /// An array of n structs; nothing where it reaches beyond the end.
  template <class T>
  std::optional<std::vector<T>> read_array(std::uint64_t offset, std::uint64_t n) {
    if (n > size_ / sizeof(T)) return std::nullopt;
    const auto piece = read(offset, n * sizeof(T));
    if (!piece) return std::nullopt;
    std::vector<T> array(n);
    if (n > 0) std::memcpy(array.data(), piece->data(), piece->size());
    return array;
  }

 private:
  std::ifstream in_;
  std::uint64_t size_ = 0;
};

std::string cut_short(const Bytes& bytes) {
  return "is cut short: its headers describe more than its " + std::to_string(bytes.size()) +
         " bytes; copy or build it again";
}

Result<void> check_magic(Bytes& bytes) {
  if (bytes.size() == 0) return refused("is empty; expected a shared library");
  const std::string start = bytes.read(0, std::min<std::uint64_t>(bytes.size(), 64)).value_or("");
  if (start.substr(0, SELFMAG) == ELFMAG) {
    if (bytes.size() < sizeof(Elf64_Ehdr)) return refused(cut_short(bytes));
    return {};
  }
  const bool is_text = std::all_of(start.begin(), start.end(), [](char letter) {
    return letter == '\n' || letter == '\r' || letter == '\t' ||
           static_cast<unsigned char>(letter) >= 0x20;
  });
  return refused(is_text ? "is a text file; expected a shared library"
                         : "is not a shared library (no ELF header)");
}

Result<void> check_header(const Elf64_Ehdr& header) {
  if (header.e_ident[EI_CLASS] != ELFCLASS64) {
    return refused("is a 32-bit library; expected a 64-bit one");
  }
  if (header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return refused("is a big-endian library; expected a little-endian one");
  }
  if (header.e_machine != kMachine) {
    return refused("is built for " + machine_name(header.e_machine) + "; expected " +
                   machine_name(kMachine));
  }
  if (header.e_type == ET_REL) return refused("is an object file; expected a shared library");
  if (header.e_type != ET_DYN) return refused("is not a shared library, but another ELF file");
  if (header.e_phentsize != sizeof(Elf64_Phdr) ||
      (header.e_shnum != 0 && header.e_shentsize != sizeof(Elf64_Shdr))) {
    return refused("has ELF headers of an unknown size; build it again");
  }
  return {};
}

/// Our note among the notes of one segment.
std::optional<ElfNote> find_note(std::string_view notes) {
  const auto padded = [](std::uint64_t n) { return (n + 3) / 4 * 4; };
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr header;
    std::memcpy(&header, notes.data(), sizeof header);
    notes.remove_prefix(sizeof header);
    const std::uint64_t name_size = padded(header.n_namesz);
    const std::uint64_t size = name_size + padded(header.n_descsz);
    if (size > notes.size()) return std::nullopt;
    if (notes.substr(0, header.n_namesz) == std::string_view("assay\0", 6) && header.n_type == 1 &&
        header.n_descsz == 72) {
      ElfNote note;
      std::memcpy(&note.abi_major, notes.data() + name_size, 4);
      std::memcpy(&note.abi_minor_needed, notes.data() + name_size + 4, 4);
      const char* id = notes.data() + name_size + 8;
      note.plugin_id.assign(id, strnlen(id, 64));
      return note;
    }
    notes.remove_prefix(size);
  }
  return std::nullopt;
}

/// The names of the defined dynamic symbols that begin with "assay_plugin_v".
Result<std::optional<std::vector<std::string>>> read_entries(
    Bytes& bytes, const std::vector<Elf64_Shdr>& sections) {
  constexpr std::string_view kStem = "assay_plugin_v";
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_DYNSYM) continue;
    if (section.sh_link >= sections.size()) return refused(cut_short(bytes));
    const Elf64_Shdr& strings = sections[section.sh_link];
    const auto symbols =
        bytes.read_array<Elf64_Sym>(section.sh_offset, section.sh_size / sizeof(Elf64_Sym));
    const auto names = bytes.read(strings.sh_offset, strings.sh_size);
    if (!symbols || !names) return refused(cut_short(bytes));
    std::vector<std::string> entries;
    for (const Elf64_Sym& symbol : *symbols) {
      if (symbol.st_shndx == SHN_UNDEF || symbol.st_name >= names->size()) continue;
      const char* name = names->c_str() + symbol.st_name;
      if (std::string_view(name).starts_with(kStem)) entries.emplace_back(name);
    }
    return std::optional(std::move(entries));
  }
  return std::optional<std::vector<std::string>>();
}

}  // namespace

Result<ElfFacts> read_elf(const std::filesystem::path& path) {
  auto bytes = Bytes::open(path);
  if (!bytes) return std::move(bytes).error();
  auto checked = check_magic(*bytes);
  if (!checked) return std::move(checked).error();
  const Elf64_Ehdr header = bytes->read_array<Elf64_Ehdr>(0, 1)->front();
  checked = check_header(header);
  if (!checked) return std::move(checked).error();

  const auto segments = bytes->read_array<Elf64_Phdr>(header.e_phoff, header.e_phnum);
  const auto sections = bytes->read_array<Elf64_Shdr>(header.e_shoff, header.e_shnum);
  if (!segments || !sections) return refused(cut_short(*bytes));
  ElfFacts facts;
  for (const Elf64_Phdr& segment : *segments) {
    // The loader maps pages that are not there, and the first touch ends the process.
    if (!bytes->holds(segment.p_offset, segment.p_filesz)) return refused(cut_short(*bytes));
    if (segment.p_type != PT_NOTE || facts.note) continue;
    facts.note = find_note(bytes->read(segment.p_offset, segment.p_filesz).value_or(""));
  }
  auto entries = read_entries(*bytes, *sections);
  if (!entries) return std::move(entries).error();
  facts.entries = *std::move(entries);
  return facts;
}

}  // namespace assay::host
