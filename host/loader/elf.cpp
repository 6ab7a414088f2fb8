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

/// Every whole note of a segment: its name with the NUL, its type, what it holds.
template <class Take>
void each_note(std::string_view notes, Take&& take) {
  const auto padded = [](std::uint64_t n) { return (n + 3) / 4 * 4; };
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr header;
    std::memcpy(&header, notes.data(), sizeof header);
    notes.remove_prefix(sizeof header);
    const std::uint64_t name_size = padded(header.n_namesz);
    const std::uint64_t size = name_size + padded(header.n_descsz);
    if (size > notes.size()) return;
    take(notes.substr(0, header.n_namesz), header.n_type, notes.substr(name_size, header.n_descsz));
    notes.remove_prefix(size);
  }
}

std::string hexadecimal(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string digits;
  for (const char byte : bytes) {
    digits += kDigits[static_cast<unsigned char>(byte) >> 4];
    digits += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return digits;
}

void read_notes(std::string_view notes, ElfFacts& facts) {
  constexpr std::size_t kMostIdBytes = 64;
  each_note(notes, [&](std::string_view name, std::uint32_t type, std::string_view held) {
    if (!facts.note && name == std::string_view("assay\0", 6) && type == 1 && held.size() == 72) {
      ElfNote& note = facts.note.emplace();
      std::memcpy(&note.abi_major, held.data(), 4);
      std::memcpy(&note.abi_minor_needed, held.data() + 4, 4);
      note.plugin_id.assign(held.data() + 8, strnlen(held.data() + 8, 64));
    } else if (facts.build_id.empty() && name == std::string_view("GNU\0", 4) &&
               type == NT_GNU_BUILD_ID && held.size() <= kMostIdBytes) {
      facts.build_id = hexadecimal(held);
    }
  });
}

/// A file after its headers were checked.
struct Opened {
  Bytes bytes;
  Elf64_Ehdr header;
  std::vector<Elf64_Phdr> segments;
};

Result<Opened> open_elf(const std::filesystem::path& path) {
  auto bytes = Bytes::open(path);
  if (!bytes) return std::move(bytes).error();
  auto checked = check_magic(*bytes);
  if (!checked) return std::move(checked).error();
  const auto headers = bytes->read_array<Elf64_Ehdr>(0, 1);
  if (!headers) return refused(cut_short(*bytes));
  checked = check_header(headers->front());
  if (!checked) return std::move(checked).error();
  auto segments = bytes->read_array<Elf64_Phdr>(headers->front().e_phoff, headers->front().e_phnum);
  if (!segments) return refused(cut_short(*bytes));
  for (const Elf64_Phdr& segment : *segments) {
    // The loader maps pages that are not there, and the first touch ends the process.
    if (!bytes->holds(segment.p_offset, segment.p_filesz)) return refused(cut_short(*bytes));
  }
  return Opened{*std::move(bytes), headers->front(), *std::move(segments)};
}

/// Where in the file an address of the loaded library comes from.
std::optional<std::uint64_t> offset_of(const std::vector<Elf64_Phdr>& segments,
                                       std::uint64_t address) {
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz) {
      return segment.p_offset + (address - segment.p_vaddr);
    }
  }
  return std::nullopt;
}

/// Elements of a colon-separated list that are not empty.
void add_folders(std::string_view list, std::vector<std::string>& folders) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(':'), list.size());
    if (end > 0) folders.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

constexpr std::uint64_t kMostDynamicBytes = 1u << 20;  // no library has a tenth; a lying one does
constexpr std::uint64_t kMostNoteBytes = 1u << 20;

/// The dynamic section.
Result<void> read_dynamic(Opened& file, ElfFacts& facts) {
  std::vector<Elf64_Dyn> tags;
  for (const Elf64_Phdr& segment : file.segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    if (segment.p_filesz > kMostDynamicBytes) return refused(cut_short(file.bytes));
    tags = file.bytes.read_array<Elf64_Dyn>(segment.p_offset, segment.p_filesz / sizeof(Elf64_Dyn))
               .value_or(std::vector<Elf64_Dyn>{});
    break;
  }
  std::uint64_t names_address = 0, names_size = 0;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const auto [tag, value] = std::pair(tags[i].d_tag, tags[i].d_un.d_val);
    if (tag == DT_NULL) tags.resize(i);
    if (tag == DT_STRTAB) names_address = value;
    if (tag == DT_STRSZ) names_size = value;
    if (tag == DT_TEXTREL || (tag == DT_FLAGS && (value & DF_TEXTREL) != 0)) {
      facts.has_text_relocations = true;
    }
    if (tag == DT_FLAGS && (value & DF_STATIC_TLS) != 0) facts.has_static_tls = true;
  }
  const auto names_offset = offset_of(file.segments, names_address);
  if (names_size == 0 || !names_offset) return {};
  // One by one: the names of a large library have tens of megabytes.
  constexpr std::uint64_t kMostNameBytes = 4096;
  for (const Elf64_Dyn& tag : tags) {
    if (tag.d_tag != DT_NEEDED && tag.d_tag != DT_SONAME && tag.d_tag != DT_RUNPATH &&
        tag.d_tag != DT_RPATH) {
      continue;
    }
    if (tag.d_un.d_val >= names_size) return refused(cut_short(file.bytes));
    const auto piece = file.bytes.read(*names_offset + tag.d_un.d_val,
                                       std::min(names_size - tag.d_un.d_val, kMostNameBytes));
    if (!piece) return refused(cut_short(file.bytes));
    const std::string name = piece->c_str();
    if (tag.d_tag == DT_NEEDED) {
      facts.needs.needed.push_back(name);
    } else if (tag.d_tag == DT_SONAME) {
      facts.needs.soname = name;
    } else {
      add_folders(name, facts.needs.folders);
    }
  }
  return {};
}

bool is_exported(const Elf64_Sym& symbol) {
  const auto bind = ELF64_ST_BIND(symbol.st_info);
  const auto visibility = ELF64_ST_VISIBILITY(symbol.st_other);
  return symbol.st_shndx != SHN_UNDEF &&
         (bind == STB_GLOBAL || bind == STB_WEAK || bind == STB_GNU_UNIQUE) &&
         (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

/// The names of the defined dynamic symbols, and of them those that begin with "assay_plugin_v".
Result<void> read_symbols(Bytes& bytes, const std::vector<Elf64_Shdr>& sections, ElfFacts& facts) {
  constexpr std::string_view kStem = "assay_plugin_v";
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_DYNSYM) continue;
    if (section.sh_link >= sections.size()) return refused(cut_short(bytes));
    const Elf64_Shdr& strings = sections[section.sh_link];
    const auto symbols =
        bytes.read_array<Elf64_Sym>(section.sh_offset, section.sh_size / sizeof(Elf64_Sym));
    const auto names = bytes.read(strings.sh_offset, strings.sh_size);
    if (!symbols || !names) return refused(cut_short(bytes));
    facts.entries.emplace();
    // Names may share their ends, so that a small file could hold any amount of them.
    std::uint64_t left = bytes.size();
    for (const Elf64_Sym& symbol : *symbols) {
      if (!is_exported(symbol) || symbol.st_name >= names->size()) continue;
      const std::string_view name = names->c_str() + symbol.st_name;
      if (name.size() > left) return refused(cut_short(bytes));
      left -= name.size();
      facts.exports.emplace_back(name);
      if (ELF64_ST_BIND(symbol.st_info) == STB_GNU_UNIQUE) facts.unique_symbols.emplace_back(name);
      if (name.starts_with(kStem)) facts.entries->emplace_back(name);
    }
    return {};
  }
  return {};
}

}  // namespace

Result<ElfFacts> read_elf(const std::filesystem::path& path) {
  auto file = open_elf(path);
  if (!file) return std::move(file).error();
  const auto sections =
      file->bytes.read_array<Elf64_Shdr>(file->header.e_shoff, file->header.e_shnum);
  if (!sections) return refused(cut_short(file->bytes));
  ElfFacts facts;
  // The system's loader gives an executable stack to a library that does not mention its stack.
  facts.has_executable_stack = true;
  for (const Elf64_Phdr& segment : file->segments) {
    if (segment.p_type == PT_GNU_STACK) facts.has_executable_stack = (segment.p_flags & PF_X) != 0;
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMostNoteBytes) continue;
    read_notes(file->bytes.read(segment.p_offset, segment.p_filesz).value_or(""), facts);
  }
  auto read = read_dynamic(*file, facts);
  if (read) read = read_symbols(file->bytes, *sections, facts);
  if (!read) return std::move(read).error();
  return facts;
}

Result<ElfNeeds> read_needs(const std::filesystem::path& path) {
  auto file = open_elf(path);
  if (!file) return std::move(file).error();
  ElfFacts facts;
  auto read = read_dynamic(*file, facts);
  if (!read) return std::move(read).error();
  return std::move(facts.needs);
}

}  // namespace assay::host
