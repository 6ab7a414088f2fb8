// What `assay plugins new` does: a project for a plugin, made from the templates of the SDK. How
// such a project is built is its own CMakeLists.txt; parsing the command line belongs to main.
#pragma once

#include <filesystem>
#include <string>

#include "host/core/result.hpp"

namespace assay::host {

/// A project somebody wants.
struct NewProject {
  std::string kind;              ///< a folder of the templates: "metric", ..., "c"
  std::string id;                ///< of plugin and component: "vendor/name"
  std::filesystem::path folder;  ///< empty: "vendor-name" in the working directory
};

/// Where the templates lie beside this program: ../share/assay-sdk/template, in a build as where it
/// is installed.
std::filesystem::path template_folder();

/// Makes the project and gives its folder.
///
/// Fails    ASSAY_INVALID_ARGUMENT a kind there is no template of, or an id that gives no names;
///          ASSAY_FAILED_PRECONDITION the folder exists, whatever is in it, or there are no
///          templates; ASSAY_UNAVAILABLE it cannot be written: what was made is removed
Result<std::filesystem::path> make_project(const std::filesystem::path& templates,
                                           const NewProject& wanted);

/// What to do next, as lines to copy.
std::string next_steps(const NewProject& wanted, const std::filesystem::path& folder,
                       const std::filesystem::path& templates);

}  // namespace assay::host
