#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "host/manifest/quantity.hpp"
#include "host/manifest/sections.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

constexpr auto kMaxSeed = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
constexpr std::uint64_t kMaxSamples = 1U << 20;
constexpr std::uint64_t kMaxLength = 1U << 24;  // tokens; no model reads as many at once

/// A share of an item: 0.05, or "5%".
Located<double> read_max_overlap(Fields& fields) {
  const Value* value = fields.take("max_overlap");
  if (value == nullptr) return {};
  double share = -1;
  if (const auto* whole = get_if<std::int64_t>(*value)) share = static_cast<double>(*whole);
  if (const auto* number = get_if<double>(*value)) share = *number;
  if (const auto* text = get_if<std::string>(*value)) share = parse_percent(*text).value_or(-1);
  // Written so that NaN is refused as well.
  if (share >= 0 && share < 1) return {share, value->place};
  fields.wrong_type("max_overlap", "a share from \"0%\" to below \"100%\"", *value,
                    "it is the share of an item's 13-grams that the calibration may hold");
  return {};
}

CalibrationSourceNode read_source(Fields& fields) {
  CalibrationSourceNode source;
  source.place = fields.place();
  fields.require({{"dataset", "dataset: the name of a [dataset.x]"}});
  source.dataset = fields.text("dataset");
  source.share = fields.number(
      "share", "above 0", [](double share) { return share > 0; }, source.share.value);
  source.text = fields.text("template", source.text.value);
  fields.refuse_unknown("a source has dataset, share and template");
  return source;
}

void read_sources(Fields& fields, CalibrationNode& calibration, std::vector<Diagnostic>& errors) {
  const Value* value = fields.take("sources");
  if (value == nullptr) return;
  const std::string help = "write sources = [{ dataset = \"...\", share = 1 }]";
  const auto* list = get_if<std::vector<Value>>(*value);
  if (list == nullptr) return fields.wrong_type("sources", "a list of tables", *value, help);
  if (list->empty()) fields.error(value->place, "sources is an empty list", help);
  for (const Value& element : *list) {
    const auto* table = get_if<Table>(element);
    if (table == nullptr) {
      fields.wrong_type("each of sources", "a table", element, help);
      continue;
    }
    Fields own(*table, fields.name() + ".sources", element.place, errors);
    calibration.sources.push_back(read_source(own));
  }
}

/// The table under `key` among a model's options, without its `calibration`, or NULL.
Table* table_of(Fields& fields, ModelNode& model, const std::string& key,
                const std::string& example) {
  const auto entry = std::find_if(model.options.begin(), model.options.end(),
                                  [&](const Entry& other) { return other.key == key; });
  if (entry == model.options.end()) return nullptr;
  const std::string help = "write " + key + " = " + example;
  auto* table = std::get_if<Table>(&entry->value.data);
  if (table == nullptr) {
    fields.wrong_type(key, "a table", entry->value, help);
    model.options.erase(entry);
    return nullptr;
  }
  if (table->empty()) fields.error(entry->value.place, key + " is an empty table", help);
  return table;
}

void take_calibration(const Fields& fields, const std::string& key, Table& table, ModelNode& model,
                      std::vector<Diagnostic>& errors) {
  Fields own(table, fields.name() + "." + key, fields.place(), errors);
  const Located<std::string> named = own.text("calibration");
  if (named.given()) model.calibration = named;
  std::erase_if(table, [](const Entry& entry) { return entry.key == "calibration"; });
}

}  // namespace

CalibrationNode read_calibration(Fields& fields, std::string name,
                                 std::vector<Diagnostic>& errors) {
  CalibrationNode calibration;
  calibration.name = std::move(name);
  calibration.place = fields.place();
  fields.require({{"sources", "sources: a list of { dataset = \"...\", share = 0.7 }"},
                  {"samples", "samples: how many sequences, such as 128"},
                  {"length", "length: tokens of each, such as 512"}});
  read_sources(fields, calibration, errors);
  calibration.samples = fields.whole("samples", 1, kMaxSamples);
  calibration.length = fields.whole("length", 2, kMaxLength);
  calibration.seed = fields.whole("seed", 0, kMaxSeed);
  calibration.shuffle = fields.flag("shuffle", true);
  calibration.chat = fields.flag("chat");
  calibration.max_overlap = read_max_overlap(fields);
  calibration.allow_overlap = fields.flag("allow_overlap");
  fields.refuse_unknown(
      "a calibration has sources, samples, length, seed, shuffle, chat, max_overlap and "
      "allow_overlap");
  return calibration;
}

void read_quantization(Fields& fields, ModelNode& model, std::vector<Diagnostic>& errors) {
  model.options = fields.rest();
  if (fields.has("quantize") && fields.has("simulate")) {
    fields.error(fields.key_place("quantize"),
                 fields.name() + " has quantize and simulate: weights are changed once",
                 "make two models of it");
  }
  if (Table* table = table_of(fields, model, "quantize",
                              "{ method = \"gptq\", bits = 4, calibration = \"x\" }")) {
    model.is_quantized = {true, fields.key_place("quantize")};
    take_calibration(fields, "quantize", *table, model, errors);
  }
  if (Table* table = table_of(fields, model, "simulate", "{ method = \"rtn\", bits = 4 }")) {
    model.is_simulated = {true, fields.key_place("simulate")};
    take_calibration(fields, "simulate", *table, model, errors);
  }
}

}  // namespace assay::host
