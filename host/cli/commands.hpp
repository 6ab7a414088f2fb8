// One function per subcommand. Arguments are parsed in main.cpp; everything else is in the folders
// below.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/cli/conformance.hpp"
#include "host/cli/sensitivity.hpp"
#include "host/cli/trust.hpp"

namespace assay::host {

/// What the command line said, for any subcommand.
struct Arguments {
  std::filesystem::path manifest;
  std::filesystem::path out = "assay-out";
  std::filesystem::path store;  ///< empty: ASSAY_STORE, else the user's cache folder
  std::string variant;          ///< of `quantize`
  std::vector<std::filesystem::path> plugin_dirs;
  std::string component;
  std::string kind;                  ///< of a new plugin
  std::filesystem::path dir;         ///< of a new plugin; empty: its own name
  ConformanceArguments conformance;  ///< of `plugins check`
  TrustRequest trust;
  SensitivityRequest sensitivity;
  bool as_dot = false;
  bool as_json = false;
  bool is_verbose = false;
  bool is_quiet = false;
};

/// Each returns an exit code of run.hpp. Reports go to standard output, errors to standard error.
int run_command(const Arguments& arguments);
int quantize_command(const Arguments& arguments);
int check_command(const Arguments& arguments);
int graph_command(const Arguments& arguments);
int sensitivity_command(const Arguments& arguments);
[[noreturn]] void worker_command();
int plugins_list_command(const Arguments& arguments);
int plugins_describe_command(const Arguments& arguments);
int plugins_check_command(const Arguments& arguments);
/// The process of one test of `plugins check`.
int plugins_check_one_command();
int plugins_new_command(const Arguments& arguments);
int plugins_trust_command(const Arguments& arguments);

}  // namespace assay::host
