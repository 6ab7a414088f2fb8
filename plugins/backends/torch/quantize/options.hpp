// How the options of the component spell a recipe. What it means is settings.hpp's.
#pragma once

#include <assay/context.hpp>
#include <optional>
#include <string>

#include "quantize/settings.hpp"

namespace assay_torch {

/// Reads the keys under a table of the manifest, "quantize" or "simulate"; nothing where there are
/// none.
///
/// Fails    ASSAY_INVALID_ARGUMENT a key that the method does not have, or one that is missing
std::optional<Recipe> read_recipe(const assay::Context& context, const std::string& table);

}  // namespace assay_torch
