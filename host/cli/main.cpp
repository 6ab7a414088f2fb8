// assay: the command line. Parses arguments, calls one subcommand, returns its exit code.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "host/cli/commands.hpp"
#include "host/log/log.hpp"
#include "host/run/run.hpp"

namespace {

using assay::host::Arguments;

constexpr char kExamples[] = R"(Examples:
  assay check study.toml                  find every mistake before anything runs
  assay run study.toml --out results      measure, compare, judge; leaves results/run.json
  assay graph study.toml --dot | dot -Tsvg -o graph.svg
  assay plugins list                      every component found, and files that are not plugins
  assay plugins describe assay/torch      its options, with types, ranges and defaults
  assay plugins new metric acme/words     a project for a plugin of your own

Exit codes: 0 pass, 1 a gate failed, 2 usage or manifest, 3 inconclusive, 4 plugin, data or
infrastructure, 5 integrity, 70 a bug of assay, 130 interrupted.)";

void add_manifest(CLI::App& command, Arguments& arguments) {
  command.add_option("manifest", arguments.manifest, "The manifest, a TOML file")->required();
}

void add_plugin_dirs(CLI::App& command, Arguments& arguments) {
  command
      .add_option("--plugin-dir", arguments.plugin_dirs,
                  "Look for plugins here first; may be given several times")
      ->type_name("DIR");
}

int dispatch(int argc, char** argv) {
  Arguments arguments;
  int (*command)(const Arguments&) = nullptr;
  CLI::App app{"Measures what quantization cost a language model, and whether it may ship.",
               "assay"};
  app.footer(kExamples);
  app.require_subcommand(1);
  app.set_version_flag("--version", "assay " ASSAY_VERSION);
  app.add_flag("-v,--verbose", arguments.is_verbose, "Log every batch");

  CLI::App* run = app.add_subcommand("run", "Run a manifest: score, compare, judge, report");
  add_manifest(*run, arguments);
  run->add_option("--out", arguments.out, "Folder for run.json, rows and reports")
      ->type_name("DIR")
      ->capture_default_str();
  run->add_flag("-q,--quiet", arguments.is_quiet, "No progress");
  add_plugin_dirs(*run, arguments);
  run->footer(
      "Example:\n  assay run study.toml --out results\n\n"
      "Ctrl-C keeps what is measured and marks the run partial; a second one stops at once.");
  run->callback([&] { command = &assay::host::run_command; });

  CLI::App* check = app.add_subcommand("check", "Find every mistake in a manifest; runs nothing");
  add_manifest(*check, arguments);
  add_plugin_dirs(*check, arguments);
  check->footer("Example:\n  assay check study.toml");
  check->callback([&] { command = &assay::host::check_command; });

  CLI::App* graph = app.add_subcommand("graph", "Print the evaluation graph of a manifest");
  add_manifest(*graph, arguments);
  graph->add_flag("--dot", arguments.as_dot, "As DOT, for Graphviz");
  add_plugin_dirs(*graph, arguments);
  graph->footer("Example:\n  assay graph study.toml --dot | dot -Tsvg -o graph.svg");
  graph->callback([&] { command = &assay::host::graph_command; });

  CLI::App* plugins = app.add_subcommand("plugins", "What is installed and what it offers");
  plugins->require_subcommand(1);
  plugins->footer(
      "Examples:\n  assay plugins list\n  assay plugins describe assay/torch\n  assay plugins new "
      "metric acme/words");
  CLI::App* list = plugins->add_subcommand("list", "Every component found, and rejected files");
  add_plugin_dirs(*list, arguments);
  list->callback([&] { command = &assay::host::plugins_list_command; });
  CLI::App* describe = plugins->add_subcommand("describe", "Options, columns and outputs");
  describe->add_option("id", arguments.component, "A component, such as assay/torch")->required();
  add_plugin_dirs(*describe, arguments);
  describe->callback([&] { command = &assay::host::plugins_describe_command; });
  CLI::App* fresh = plugins->add_subcommand("new", "Make a project for a plugin of your own");
  fresh->add_option("kind", arguments.kind, "metric, dataset, backend, reporter, or c (plain C)")
      ->required();
  fresh->add_option("id", arguments.component, "vendor/name, such as acme/words")->required();
  fresh->add_option("--dir", arguments.dir, "Folder to make; without it vendor-name")
      ->type_name("DIR");
  fresh->footer("Example:\n  assay plugins new metric acme/words");
  fresh->callback([&] { command = &assay::host::plugins_new_command; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? assay::host::kExitPass : assay::host::kExitUsage;
  }
  using assay::host::LogLevel;
  assay::host::start_log(arguments.is_verbose ? LogLevel::kDebug : LogLevel::kInfo);
  return command(arguments);
}

}  // namespace

int main(int argc, char** argv) {
  // Started by ourselves, with the line as descriptors: nothing else may run before.
  if (argc > 1 && std::string_view(argv[1]) == "worker") assay::host::worker_command();
  // OpenMP reads this when a plugin brings it in. Its threads spin by default, which costs a
  // machine with other work to do several times over, and a quiet one gains nothing.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  try {
    return dispatch(argc, argv);
  } catch (const std::exception& error) {
    assay::host::log(assay::host::LogLevel::kError,
                     std::string("a bug of assay: ") + error.what() + "; please report it");
    return assay::host::kExitBug;
  }
}
