// Documents to windows: the items of protocol perplexity.
#pragma once

#include <string>

#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/protocol/protocol.hpp"
#include "host/text/text.hpp"

namespace assay::host {

/// One item for each record, or, where the task joins them, one for each window of the whole text.
///
/// Fails    as prepare()
/// Source   scoring.md 15
Result<void> prepare_perplexity(const TaskSpec& task, const Tokenizer& tokenizer, Records items,
                                const ItemSink& sink);

/// The documents of a task that joins them, up to its limit, as the one text that is cut into
/// windows.
///
/// Fails    as prepare()
Result<std::string> joined_text(const TaskSpec& task, const Template& document,
                                const Records& items);

}  // namespace assay::host
