// Stop texts in an answer that grows token by token. A stop text may begin and end inside tokens,
// so it is looked for in the decoded text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/text/text.hpp"

namespace assay::host {

/// Where the first of the stop texts begins, or nothing.
std::optional<std::size_t> first_stop(std::string_view text, std::span<const std::string> stops);

/// Does a stop text stand in the decoded answer, given that none did before the last `n_new` tokens
/// came? Decodes the end of the answer, and the whole of it only to be sure; special tokens are
/// left out.
///
/// Fails    what the tokenizer reports
Result<bool> has_new_stop(const Tokenizer& tokenizer, std::span<const std::int32_t> tokens,
                          std::size_t n_new, std::span<const std::string> stops);

}  // namespace assay::host
