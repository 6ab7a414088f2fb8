// A component's options: what the manifest gives against what the component declares. Which
// component a node uses, and what an option is for, are not known here.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/json.hpp"
#include "host/loader/registry.hpp"
#include "host/manifest/manifest.hpp"

namespace assay::host {

/// The node whose options are read.
struct OptionOwner {
  std::string name;  ///< "model.int4", as sentences call it
  Place place;
  std::vector<std::string> host_keys;  ///< that the same table has, for the nearest name
  const std::vector<Source>& sources;
  const std::vector<std::string>& models;  ///< names an ASSAY_MODEL option may have
};

/// Checks a table of options against the component's declarations: type, range, choice, required,
/// unknown keys. Gives a flat object: keys as declared, defaults filled in, input paths absolute,
/// "simulate.bits" for a key of a table, lists as arrays, lists of tables as arrays of flat
/// objects. Options below "quantize" and "simulate" count only when that table is
/// given.
Json check_options(const Component& component, const Table& given, const OptionOwner& owner,
                   std::vector<Diagnostic>& errors);

/// Where an option is written: "kv.bits", "override.1.bits", or what of that leads there. Nothing
/// where not even its first part is written.
std::optional<Place> place_of_option(const Table& given, std::string_view key);

/// The declared option of a name, or NULL.
const assay_option* find_declared(const Component& component, std::string_view name);

/// The options that may be shown: all but those declared secret.
Json without_secrets(const Component& component, const Json& options);

/// Why a path cannot be one of the output directory's own files, or "". A predicate.
std::string output_path_fault(const std::filesystem::path& path);

}  // namespace assay::host
