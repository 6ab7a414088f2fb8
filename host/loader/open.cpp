#include "host/loader/open.hpp"

#define BOOST_DLL_USE_STD_FS
#include <dlfcn.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <chrono>
#include <map>
#include <mutex>
#include <utility>

#include "host/core/hash.hpp"
#include "host/loader/constants.hpp"
#include "host/loader/guard.hpp"
#include "host/loader/ledger.hpp"
#include "host/log/log.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr char kEntry[] = "assay_plugin_v1";

Failure refused(std::string text) { return {ASSAY_FAILED_PRECONDITION, std::move(text)}; }

/// Why the system's loader would not take the file, in words of ours where we know the case.
std::string loader_sentence(std::string error, const fs::path& path) {
  const std::string own = path.string() + ": ";
  if (error.starts_with(own)) error.erase(0, own.size());
  constexpr std::string_view kAbsent =
      ": cannot open shared object file: No such file or directory";
  if (error.ends_with(kAbsent)) {
    return "needs the library " + error.substr(0, error.size() - kAbsent.size()) +
           ", which was not found; install it or put it beside the plugin";
  }
  constexpr std::string_view kUndefined = "undefined symbol: ";
  if (error.starts_with(kUndefined)) {
    return "needs the symbol " + error.substr(kUndefined.size()) +
           ", which none of its libraries has; link the library that has it";
  }
  return "cannot be loaded: " + error;
}

Result<void> check_entries(const ElfFacts& facts) {
  if (!facts.entries ||
      std::find(facts.entries->begin(), facts.entries->end(), kEntry) != facts.entries->end()) {
    return {};
  }
  if (facts.entries->empty()) return refused("exports no assay_plugin_v1, so it is no plugin");
  const std::string major = facts.entries->front().substr(std::string("assay_plugin_v").size());
  return refused("was built for ABI " + major + ", this assay speaks ABI " +
                 std::to_string(ASSAY_ABI_MAJOR) + "; get a build of the plugin for ABI " +
                 std::to_string(ASSAY_ABI_MAJOR));
}

Result<void> check_facts(const ElfFacts& facts) {
  if (auto checked = check_entries(facts); !checked) return checked;
  if (!facts.note) {
    return refused(
        "has no note of assay, which is read before any of its code runs; build it with "
        "ASSAY_PLUGIN, or put ASSAY_NOTE at file scope");
  }
  if (facts.note->abi_major == ASSAY_ABI_MAJOR && facts.note->abi_minor_needed > ASSAY_ABI_MINOR) {
    return refused("needs ABI 1." + std::to_string(facts.note->abi_minor_needed) +
                   ", this assay speaks ABI 1." + std::to_string(ASSAY_ABI_MINOR) +
                   "; get a newer assay");
  }
  if (facts.has_executable_stack) {
    return refused(
        "asks for an executable stack, which would make the stacks of the whole process so; link "
        "it with -Wl,-z,noexecstack");
  }
  if (facts.has_text_relocations) {
    return refused(
        "has its code written to while it is loaded (TEXTREL); compile all of it with -fPIC");
  }
  return {};
}

/// dlopen, with what it changed of the process put back.
Result<Library> load(const fs::path& path, ElfFacts facts) {
  // Libraries stay where they are until the process ends: a component's constants, its code and
  // its thread-local state may be in use by then.
  auto& library = *new boost::dll::shared_library;
  static auto& kept = *new std::vector<boost::dll::shared_library*>;
  kept.push_back(&library);

  Library loaded;
  std::error_code error;
  const Guard guard(Depth::kWhole);
  const auto start = std::chrono::steady_clock::now();
  library.load(path, error, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const char* text = error ? dlerror() : nullptr;
  const std::string reason = text != nullptr ? text : error.message();
  loaded.changes = guard.put_back();
  if (error) return refused(loader_sentence(reason, path));

  if (!library.has(kEntry)) return refused("exports no assay_plugin_v1, so it is no plugin");
  loaded.constants = &library.get<const assay_plugin>(kEntry);
  if (auto checked = check_constants(*loaded.constants); !checked) {
    return std::move(checked).error();
  }
  loaded.facts = std::move(facts);
  loaded.load_seconds = seconds.count();
  return loaded;
}

}  // namespace

Result<ElfFacts> check_file(const fs::path& path) {
  auto facts = read_elf(path);
  if (!facts) return facts;
  if (auto checked = check_facts(*facts); !checked) return std::move(checked).error();
  return facts;
}

std::string worker_only_reason(const ElfFacts& facts, const std::vector<std::string>& changes) {
  if (facts.has_static_tls) {
    return "uses static thread-local storage (DF_STATIC_TLS), of which a process has little; "
           "rebuild it and its static libraries with -ftls-model=global-dynamic, or it can only "
           "run in a worker";
  }
  if (changes.empty()) return "";
  const bool is_arithmetic =
      std::find(changes.begin(), changes.end(), "the floating-point mode") != changes.end();
  return "changes " + names_of(changes) + " of the process that loads it; " +
         (is_arithmetic ? "rebuild it without -ffast-math" : "take that out of its constructors") +
         ", or it can only run in a worker";
}

Result<Library> open_library(const fs::path& asked, Into into) {
  std::error_code error;
  const fs::path path = fs::canonical(asked, error);
  if (error == std::errc::no_such_file_or_directory) {
    return Failure{ASSAY_NOT_FOUND, "does not exist"};
  }
  if (error) return refused("cannot be reached: " + error.message());

  static std::mutex lock;
  static auto& opened = *new std::map<fs::path, Library>;
  const std::scoped_lock hold(lock);
  auto found = opened.find(path);
  if (found == opened.end()) {
    auto facts = check_file(path);
    if (!facts) return std::move(facts).error();
    if (into == Into::kHost) {
      if (std::string reason = worker_only_reason(*facts, {}); !reason.empty()) {
        return refused(std::move(reason));
      }
      if (auto checked = check_sonames(path, facts->needs); !checked) {
        return std::move(checked).error();
      }
    }
    enter_sonames(path, facts->needs);
    auto library = load(path, *std::move(facts));
    if (!library) return std::move(library).error();
    found = opened.emplace(path, *std::move(library)).first;
  }
  if (into == Into::kHost) {
    const Library& library = found->second;
    if (std::string reason = worker_only_reason(library.facts, library.changes); !reason.empty()) {
      return refused(std::move(reason));
    }
  }
  return found->second;
}

Result<Plugin> open_plugin(const fs::path& path, Into into) {
  const auto said = [&](const Failure& failure) {
    return Failure{failure.code, "plugin " + path.string() + " " + failure.text, path.string()};
  };
  auto library = open_library(path, into);
  if (!library) return said(library.error());
  std::error_code error;
  Plugin plugin;
  plugin.path = fs::canonical(path, error);
  auto digest = sha256_file(plugin.path);
  if (!digest) return said(refused("cannot be read to its end"));
  plugin.sha256 = *std::move(digest);
  plugin.build_id = library->facts.build_id;
  plugin.constants = library->constants;
  plugin.into = into;
  if (!library->changes.empty()) {
    log(LogLevel::kWarn, "plugin " + path.string() + " changed " + names_of(library->changes) +
                             " when it was loaded; that was put back");
  }
  return plugin;
}

}  // namespace assay::host
