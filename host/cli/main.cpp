// assay: the command line. Parses arguments, calls one subcommand, returns its exit code.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "host/cli/commands.hpp"
#include "host/log/log.hpp"
#include "host/run/run.hpp"

namespace {

using assay::host::Arguments;
using Command = int (*)(const Arguments&);

constexpr char kExamples[] = R"(Examples:
  assay check study.toml                  find every mistake before anything runs
  assay run study.toml --out results      measure, compare, judge; leaves results/run.json
  assay quantize study.toml gptq4 --out gptq4    write a variant's quantized model
  assay graph study.toml --dot | dot -Tsvg -o graph.svg
  assay sensitivity study.toml gptq3      which layers cost most
  assay plugins list                      every component found, and files that are not plugins
  assay plugins describe assay/torch      its options, with types, ranges and defaults
  assay plugins check acme-words.so       does it keep the contract
  assay plugins new metric acme/words     a project for a plugin of your own
  assay plugins trust DIR                 let the plugins of a folder run, file by file

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

void add_store(CLI::App& command, Arguments& arguments) {
  command
      .add_option("--store", arguments.store,
                  "Folder of quantized models; else ASSAY_STORE, else ~/.cache/assay/store")
      ->type_name("DIR");
}

void add_conformance(CLI::App& check, assay::host::ConformanceArguments& arguments) {
  check.add_option("file", arguments.file, "A plugin, a shared library")->type_name("FILE");
  check.add_option("--component", arguments.component, "This one only")->type_name("ID");
  check.add_option("--option", arguments.options, "An option of the component; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  check.add_option("--model-dir", arguments.model_dir, "What backends load")->type_name("DIR");
  check
      .add_option("--dataset-split", arguments.split, "What datasets open; else the default split")
      ->type_name("SPLIT");
  check.add_option("--only", arguments.only, "Tests of these names, with * and ?")
      ->type_name("PATTERN");
  check.add_option("--reproduce", arguments.reproduce, "One test with the seed it failed with")
      ->type_name("TEST:SEED");
  check.add_option("--seed", arguments.seed, "Of everything random")->capture_default_str();
  check.add_option("--isolation", arguments.isolation, "Where the component runs")
      ->check(CLI::IsMember({"both", "none", "worker"}))
      ->capture_default_str();
  check.add_option("--timeout", arguments.timeout_seconds, "Of each test, in seconds")
      ->type_name("S")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  check.add_option("--format", arguments.format, "Of the report")
      ->check(CLI::IsMember({"text", "json", "junit"}))
      ->capture_default_str();
  check.add_option("--output", arguments.output, "Where the report goes; else standard output")
      ->type_name("FILE");
  check.add_flag("--strict", arguments.is_strict, "A failed should is a failure as well");
  check.add_flag("--list", arguments.is_list, "Print every test with its rule; runs nothing");
  check.footer(
      "Examples:\n"
      "  assay plugins check acme-words.so\n"
      "  assay plugins check acme-int4.so --model-dir models/tiny --option kv.bits=4\n"
      "  assay plugins check acme-words.so --only 'metric.*' --format junit --output check.xml\n\n"
      "Each test runs in a process of its own, the component in it (isolation none) or behind a\n"
      "worker. Exit codes: 0 every must test passed, 1 one failed, 2 usage.");
}

void add_json(CLI::App& command, Arguments& arguments) {
  command.add_flag("--json", arguments.as_json, "As JSON");
}

void add_trust(CLI::App& plugins, Arguments& arguments, Command& command) {
  assay::host::TrustRequest& request = arguments.trust;
  CLI::App* trust =
      plugins.add_subcommand("trust", "Allow the plugins of a folder to run, file by file");
  trust->add_option("dir", request.folder, "The folder they lie in")->required()->type_name("DIR");
  trust
      ->add_option_function<std::string>(
          "--isolation",
          [&request](const std::string& value) { request.allows_host = value == "none"; },
          "worker: in processes of their own; none: also in assay's own")
      ->check(CLI::IsMember({"worker", "none"}))
      ->default_str("worker");
  trust->add_flag("--copy", request.is_copied, "Copy the folder to a store of your own first");
  trust->add_flag("--yes", request.is_agreed, "Do not ask");
  trust->footer("Example:\n  assay plugins trust ~/.local/share/assay/plugins/acme");
  trust->callback([&] {
    request.is_terminal = isatty(STDIN_FILENO) != 0;
    command = &assay::host::plugins_trust_command;
  });
}

void add_sensitivity(CLI::App& app, Arguments& arguments, Command& command) {
  assay::host::SensitivityRequest& request = arguments.sensitivity;
  CLI::App* sensitivity =
      app.add_subcommand("sensitivity", "Rank a variant's layers by what each costs alone");
  add_manifest(*sensitivity, arguments);
  sensitivity->add_option("variant", arguments.variant, "A [model.x] with quantize or simulate")
      ->required();
  sensitivity->add_option("--samples", request.samples, "Sequences to measure on")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  sensitivity->add_option("--text", request.text, "Take the sources of this [calibration.x]")
      ->type_name("NAME");
  sensitivity->add_flag("--propose", request.proposes,
                        "Give the layers that cost most more bits, within --bytes");
  sensitivity->add_option("--bytes", request.bytes, "What all weights may take")->type_name("SIZE");
  sensitivity->add_option("--out", request.out, "Write the proposal as a manifest")
      ->type_name("FILE");
  sensitivity->add_flag("--verify", request.verifies,
                        "Measure the proposal on text that ranked nothing");
  sensitivity->add_flag("-q,--quiet", arguments.is_quiet, "No progress");
  add_json(*sensitivity, arguments);
  add_plugin_dirs(*sensitivity, arguments);
  sensitivity->footer(
      "Examples:\n"
      "  assay sensitivity study.toml gptq3\n"
      "  assay sensitivity study.toml gptq3 --propose --bytes 600KiB --out mixed.toml --verify\n\n"
      "Each layer is quantized alone and scored on text of the variant's calibration sources that\n"
      "calibrated nothing; a difference within two standard errors reads as noise.");
  sensitivity->get_option("--verify")->needs("--propose");
  sensitivity->get_option("--out")->needs("--propose");
  sensitivity->callback([&command] { command = &assay::host::sensitivity_command; });
}

int dispatch(int argc, char** argv) {
  Arguments arguments;
  Command command = nullptr;
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
  add_store(*run, arguments);
  run->add_flag("-q,--quiet", arguments.is_quiet, "No progress");
  add_plugin_dirs(*run, arguments);
  run->footer(
      "Example:\n  assay run study.toml --out results\n\n"
      "Ctrl-C keeps what is measured and marks the run partial; a second one stops at once.");
  run->callback([&] { command = &assay::host::run_command; });

  CLI::App* quantize =
      app.add_subcommand("quantize", "Write the model directory of a variant with quantize");
  add_manifest(*quantize, arguments);
  quantize->add_option("variant", arguments.variant, "The x of a [model.x]")->required();
  quantize->add_option("--out", arguments.out, "Folder to write; must be empty or not there")
      ->type_name("DIR")
      ->required();
  add_store(*quantize, arguments);
  quantize->add_flag("-q,--quiet", arguments.is_quiet, "No progress and no table");
  add_plugin_dirs(*quantize, arguments);
  quantize->footer(
      "Examples:\n"
      "  assay quantize study.toml gptq4 --out models/tiny-gptq4\n"
      "  assay quantize study.toml gptq4 --out models/tiny-gptq4 --store /data/assay-store\n\n"
      "As `assay run` does it: the calibration is held against every task first, a model that is "
      "in\n"
      "the store is taken from there, and what an interrupted attempt wrote is gone on with.\n"
      "Exit codes: 0 written, 2 usage or manifest, 4 plugin, data or infrastructure, 5 the\n"
      "calibration holds text of a task, 130 interrupted.");
  quantize->callback([&] { command = &assay::host::quantize_command; });

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

  add_sensitivity(app, arguments, command);

  CLI::App* plugins = app.add_subcommand("plugins", "What is installed and what it offers");
  plugins->require_subcommand(1);
  plugins->footer(
      "Examples:\n  assay plugins list\n  assay plugins describe assay/torch\n"
      "  assay plugins new metric acme/words\n  assay plugins check acme-words.so\n"
      "  assay plugins trust ~/.local/share/assay/plugins/acme");
  CLI::App* list = plugins->add_subcommand("list", "Every component found, and rejected files");
  add_plugin_dirs(*list, arguments);
  add_json(*list, arguments);
  list->callback([&] { command = &assay::host::plugins_list_command; });
  CLI::App* describe = plugins->add_subcommand("describe", "Options, columns and outputs");
  describe->add_option("id", arguments.component, "A component, such as assay/torch")->required();
  add_plugin_dirs(*describe, arguments);
  add_json(*describe, arguments);
  describe->callback([&] { command = &assay::host::plugins_describe_command; });
  CLI::App* conformance = plugins->add_subcommand("check", "Test a plugin against the contract");
  add_conformance(*conformance, arguments.conformance);
  conformance->callback([&] { command = &assay::host::plugins_check_command; });
  CLI::App* fresh = plugins->add_subcommand("new", "Make a project for a plugin of your own");
  fresh->add_option("kind", arguments.kind, "metric, dataset, backend, reporter, or c (plain C)")
      ->required();
  fresh->add_option("id", arguments.component, "vendor/name, such as acme/words")->required();
  fresh->add_option("--dir", arguments.dir, "Folder to make; without it vendor-name")
      ->type_name("DIR");
  fresh->footer("Example:\n  assay plugins new metric acme/words");
  fresh->callback([&] { command = &assay::host::plugins_new_command; });
  add_trust(*plugins, arguments, command);

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
  if (argc == 3 && std::string_view(argv[1]) == "plugins" &&
      std::string_view(argv[2]) == "check-one") {
    return assay::host::plugins_check_one_command();
  }
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
