// Tests of the file: facts that were read from it and what loading it changed.
#include <assay/suite/probe.hpp>
#include <cstdio>
#include <cstring>

namespace assay::suite {
namespace {

constexpr double kScanSeconds = 0.1;

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < 5; ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > 5) text += " and " + std::to_string(names.size() - 5) + " more";
  return text;
}

template <class Fact>
const Fact& known(Probe& probe, const std::optional<Fact>& fact) {
  if (!fact) probe.skip("the file does not tell");
  return *fact;
}

void exports_one_symbol(Probe& probe) {
  const auto& exports = known(probe, probe.settings().library.exports);
  std::vector<std::string> others;
  bool is_there = false;
  for (const std::string& name : exports) {
    if (name == "assay_plugin_v1") {
      is_there = true;
    } else {
      others.push_back(name);
    }
  }
  probe.expect(is_there, "expected the symbol assay_plugin_v1 among the exports; it is not there");
  probe.expect(others.empty(), "expected assay_plugin_v1 alone, found also " + listed(others) +
                                   "; link with a version script, as assay_add_plugin() does");
}

void has_note(Probe& probe) {
  const auto& note = probe.settings().library.note;
  probe.require(note.has_value(),
                "expected the note of ASSAY_NOTE (or ASSAY_PLUGIN); there is none, so that nothing "
                "is known of the plugin before it is loaded");
  const assay_plugin& plugin = *probe.settings().plugin;
  probe.expect(note->abi_major == plugin.abi_major,
               "the note says ABI " + std::to_string(note->abi_major) + ", the constant ABI " +
                   std::to_string(plugin.abi_major));
  probe.expect(note->abi_minor_needed <= plugin.abi_minor,
               "the note needs minor " + std::to_string(note->abi_minor_needed) +
                   ", the constant was built with minor " + std::to_string(plugin.abi_minor));
  // 63 bytes fit.
  probe.expect(note->plugin_id == std::string(plugin.id).substr(0, 63),
               "the note names " + quoted(note->plugin_id) + ", the constant " + quoted(plugin.id));
}

void no_executable_stack(Probe& probe) {
  probe.expect(!known(probe, probe.settings().library.has_executable_stack),
               "asks for an executable stack; link with -z noexecstack");
}

void no_text_relocations(Probe& probe) {
  probe.expect(!known(probe, probe.settings().library.has_text_relocations),
               "has relocations in its code (TEXTREL); compile with -fPIC");
}

void no_static_tls(Probe& probe) {
  probe.expect(!known(probe, probe.settings().library.has_static_tls),
               "uses static thread-local storage (DF_STATIC_TLS), of which a process has little; "
               "compile without -ftls-model=initial-exec");
}

void no_unique_symbols(Probe& probe) {
  const auto& unique = known(probe, probe.settings().library.unique_symbols);
  probe.expect(unique.empty(), "has symbols that bind across plugins (STB_GNU_UNIQUE): " +
                                   listed(unique) + "; compile with -fno-gnu-unique or hide them");
}

void loading_changes_nothing(Probe& probe) {
  const auto& changed = known(probe, probe.settings().library.changed_by_load);
  probe.expect(changed.empty(), "loading it changed " + listed(changed) +
                                    " of the whole process; link without -ffast-math and keep "
                                    "constructors free of effects");
}

void scans_fast(Probe& probe) {
  const double seconds = known(probe, probe.settings().library.load_seconds);
  char text[80];
  std::snprintf(text, sizeof text, "loading takes %.0f ms; expected at most %.0f ms", seconds * 1e3,
                kScanSeconds * 1e3);
  probe.expect(seconds <= kScanSeconds, text);
}

constexpr Test kTests[] = {
    {"library.exports-one-symbol", 0, nullptr, Level::kMust, 0, false,
     "A plugin exports assay_plugin_v1 and nothing else.", exports_one_symbol},
    {"library.has-note", 0, nullptr, Level::kMust, 0, false,
     "The note that is read before loading is there and agrees with the constant.", has_note},
    {"library.no-executable-stack", 0, nullptr, Level::kMust, 0, false,
     "A plugin asks for no executable stack.", no_executable_stack},
    {"library.no-text-relocations", 0, nullptr, Level::kMust, 0, false,
     "A plugin has no relocations in its code.", no_text_relocations},
    {"library.no-static-tls", 0, nullptr, Level::kShould, 0, false,
     "A plugin uses no static thread-local storage.", no_static_tls},
    {"library.no-unique-symbols", 0, nullptr, Level::kShould, 0, false,
     "No symbol of a plugin binds across plugins.", no_unique_symbols},
    {"library.loading-changes-nothing", 0, nullptr, Level::kMust, 0, false,
     "Loading leaves floating-point mode, locale, signals, environment, working directory and "
     "threads as they were.",
     loading_changes_nothing},
    {"library.scans-fast", 0, nullptr, Level::kNote, 0, false, "A plugin is loaded within 100 ms.",
     scans_fast},
};

}  // namespace

std::span<const Test> library_tests() { return kTests; }

}  // namespace assay::suite
