#include "host/loader/ledger.hpp"

#include <elf.h>
#include <link.h>

#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace assay::host {
namespace {

namespace fs = std::filesystem;

/// The name a mapped library has in its dynamic section; "" where it has none.
std::string soname_of(const dl_phdr_info& info) {
  for (ElfW(Half) i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info.dlpi_phdr[i];
    if (segment.p_type != PT_DYNAMIC) continue;
    const char* names = nullptr;
    const ElfW(Xword)* at = nullptr;
    const auto* tags = reinterpret_cast<const ElfW(Dyn)*>(info.dlpi_addr + segment.p_vaddr);
    for (const ElfW(Dyn)* tag = tags; tag->d_tag != DT_NULL; ++tag) {
      // The system's loader has made an address of it.
      if (tag->d_tag == DT_STRTAB) names = reinterpret_cast<const char*>(tag->d_un.d_ptr);
      if (tag->d_tag == DT_SONAME) at = &tag->d_un.d_val;
    }
    if (names != nullptr && at != nullptr) return names + *at;
  }
  return "";
}

/// Path of every mapped library by its soname.
std::map<std::string, fs::path> mapped_libraries() {
  std::map<std::string, fs::path> mapped;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        // Neither the program itself, without a name, nor the kernel's page, without a file.
        if (info->dlpi_name == nullptr || *info->dlpi_name != '/') return 0;
        static_cast<std::map<std::string, fs::path>*>(out)->emplace(soname_of(*info),
                                                                    info->dlpi_name);
        return 0;
      },
      &mapped);
  return mapped;
}

/// A library found in a run path, and who needs it.
struct Own {
  fs::path path, needed_by;
};

/// Expands $ORIGIN of a run path.
fs::path expanded(std::string folder, const fs::path& origin) {
  for (const char* name : {"$ORIGIN", "${ORIGIN}"}) {
    for (std::size_t at = folder.find(name); at != std::string::npos; at = folder.find(name)) {
      folder.replace(at, std::string(name).size(), origin.string());
    }
  }
  return folder;
}

/// Every library that the run paths of a plugin, and of what they find, lead to, by soname; and
/// the sonames that they do not.
struct Brought {
  std::map<std::string, Own> own;
  std::map<std::string, fs::path> others;  ///< soname, and who needs it
};

void follow(const fs::path& file, const ElfNeeds& needs, Brought& brought) {
  for (const std::string& soname : needs.needed) {
    if (brought.own.contains(soname)) continue;
    std::error_code error;
    fs::path found;
    for (const std::string& folder : needs.folders) {
      const fs::path candidate = expanded(folder, file.parent_path()) / soname;
      if (fs::is_regular_file(candidate, error)) {
        found = candidate;
        break;
      }
    }
    if (found.empty()) {
      brought.others.emplace(soname, file);
      continue;
    }
    brought.own.emplace(soname, Own{found, file});
    // What cannot be read cannot be loaded either, and the system's loader says why.
    if (const auto next = read_needs(found)) follow(found, *next, brought);
  }
}

/// Libraries that plugins in this process brought along, by soname.
std::map<std::string, Own>& entered() {
  static auto& kept = *new std::map<std::string, Own>;
  return kept;
}

Failure clash(const std::string& soname, const std::string& there, const std::string& would_get) {
  return {ASSAY_FAILED_PRECONDITION,
          there + ", and would get " + would_get + ", which is in this process under the name " +
              soname + "; two of them do not mix, so it can only run in a worker"};
}

}  // namespace

Result<void> check_sonames(const fs::path& plugin, const ElfNeeds& needs) {
  Brought brought;
  follow(plugin, needs, brought);
  const auto mapped = mapped_libraries();
  std::error_code error;
  for (const auto& [soname, own] : brought.own) {
    const auto found = mapped.find(soname);
    if (found == mapped.end() || fs::equivalent(own.path, found->second, error)) continue;
    return clash(soname, "brings " + own.path.string(), found->second.string());
  }
  for (const auto& [soname, needed_by] : brought.others) {
    const auto found = entered().find(soname);
    if (found == entered().end() || brought.own.contains(soname) || !mapped.contains(soname)) {
      continue;
    }
    return clash(
        soname, "needs the system's " + soname,
        found->second.path.string() + " of the plugin " + found->second.needed_by.string());
  }
  return {};
}

void enter_sonames(const fs::path& plugin, const ElfNeeds& needs) {
  Brought brought;
  follow(plugin, needs, brought);
  const auto mapped = mapped_libraries();
  for (const auto& [soname, own] : brought.own) {
    // What was there before is the process's own and anybody's.
    if (!mapped.contains(soname)) entered().emplace(soname, Own{own.path, plugin});
  }
}

}  // namespace assay::host
