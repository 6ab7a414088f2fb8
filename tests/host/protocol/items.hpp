// What tests of prepared items stand on: the shipped tokenizer, records in memory, all items at
// once. Expectations are in the tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "host/protocol/protocol.hpp"

namespace assay::host {

inline const Tokenizer& ledger() {
  static const auto tokenizer =
      Tokenizer::open(std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger/model");
  return *tokenizer;
}

inline Records records_of(std::vector<Json> list) {
  const std::uint64_t size = list.size();
  return {size, [list = std::move(list)](std::uint64_t nth) -> Result<Json> { return list[nth]; }};
}

inline Result<std::vector<PreparedItem>> prepare_all(const TaskSpec& task, std::vector<Json> items,
                                                     std::vector<Json> shots = {},
                                                     const ChatTemplate* chat = nullptr) {
  std::vector<PreparedItem> prepared;
  auto done = prepare(task, ledger(), chat, records_of(std::move(items)),
                      records_of(std::move(shots)), [&](PreparedItem item) -> Result<void> {
                        prepared.push_back(std::move(item));
                        return {};
                      });
  if (!done) return std::move(done).error();
  return prepared;
}

}  // namespace assay::host
