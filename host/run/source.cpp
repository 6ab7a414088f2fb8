#include "host/run/source.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "host/loader/dataset.hpp"
#include "host/loader/instance.hpp"

namespace assay::host {

Result<Records> Sources::records(std::size_t dataset) {
  auto found = spools_.find(dataset);
  if (found == spools_.end()) {
    auto spool = read(graph_.datasets[dataset]);
    if (!spool) return std::move(spool).error();
    found = spools_.emplace(dataset, std::move(*spool)).first;
  }
  Spool& spool = found->second;
  return Records{spool.size(), [&spool](std::uint64_t nth) -> Result<Json> {
                   auto bytes = spool.read(nth);
                   if (!bytes) return std::move(bytes).error();
                   return Json::parse(*bytes);
                 }};
}

namespace {

/// How many records will be read; nothing where the dataset does not know.
Result<std::optional<std::uint64_t>> n_records(Instance& instance, const DatasetSpec& dataset) {
  const auto splits = splits_of(instance);
  if (!splits) return splits.error();
  if (!*splits) return std::optional<std::uint64_t>();
  for (const DatasetSplit& split : **splits) {
    if (split.name != dataset.split || !split.rows) continue;
    return std::optional(dataset.limit == 0 ? *split.rows : std::min(*split.rows, dataset.limit));
  }
  return std::optional<std::uint64_t>();
}

}  // namespace

Result<Spool> Sources::read(const DatasetSpec& dataset) {
  Lease lease;
  lease.node = "dataset." + dataset.name;
  lease.seed = graph_.seed;
  lease.cancelled = &cancelled_;
  auto instance = Instance::create(*dataset.use.component, dataset.use.options, lease);
  if (!instance) return std::move(instance).error();
  const auto n = n_records(*instance, dataset);
  if (!n) return n.error();
  std::optional<Progress> progress;
  if (*n) progress.emplace(progress_, "reading " + dataset.name, **n);
  auto reader = DatasetReader::open(*instance, dataset.split);
  if (!reader) return std::move(reader).error();
  auto spool = Spool::create(folder_);
  if (!spool) return std::move(spool).error();
  while (dataset.limit == 0 || spool->size() < dataset.limit) {
    if (cancelled_) return Failure{ASSAY_CANCELLED, "interrupted while reading " + lease.node};
    auto record = reader->next();
    if (!record) return std::move(record).error();
    if (!*record) break;
    auto stored = spool->append((*record)->dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!stored) return std::move(stored).error();
    if (progress) progress->advance();
  }
  if (spool->size() == 0) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "dataset." + dataset.name + " has no records; check its path, split and limit",
                   lease.node};
  }
  return spool;
}

}  // namespace assay::host
