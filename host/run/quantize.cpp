#include "host/run/quantize.hpp"

#include <chrono>
#include <cmath>
#include <optional>
#include <system_error>
#include <utility>

#include "host/core/hash.hpp"
#include "host/graph/options.hpp"
#include "host/log/log.hpp"
#include "host/run/document.hpp"
#include "host/store/digests.hpp"
#include "host/store/files.hpp"
#include "host/store/models.hpp"
#include "host/worker/session.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSchema = "assay.model/1";
constexpr std::string_view kQuantize = "quantize.";

// What texts are tokenized and put by, and how answers end: quantizing changes nothing of it, so a
// directory that lacks it gets the original's.
constexpr const char* kTextFiles[] = {
    "tokenizer.json",    "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "tokenizer.model",       "vocab.json",
    "merges.txt",        "chat_template.jinja",   "generation_config.json"};

/// Seconds and files are told only of what takes long to read.
constexpr std::uint64_t kLargeFile = std::uint64_t{1} << 28;

Result<std::string> digest_of_weights(const ModelSpec& model, const ModelStore& store,
                                      const std::atomic<bool>& cancelled) {
  FileDigests digests(store.root() / "digests.json");
  auto digest =
      digest_of_directory(model.path, digests, [&](const fs::path& file, std::uint64_t bytes) {
        if (bytes < kLargeFile) return;
        log(LogLevel::kInfo, "model." + model.name + ": digesting " + file.string() + ", " +
                                 std::to_string(bytes >> 20) + " MiB, once");
      });
  if (!digest) return digest;
  // Digests that cannot be kept are computed again.
  if (const auto turn = store.claim("digests", cancelled, {})) {
    (void)digests.save().has_value();
  }
  return digest;
}

/// Everything that decides what the backend writes.
Json recipe_of(const Graph& graph, const ModelSpec& model, const std::string& weights,
               const MadeCalibration* calibration) {
  const Component& backend = *model.backend.component;
  return {{"schema", kSchema},
          {"weights", weights},
          {"component", std::string(backend.id())},
          {"plugin_sha256", backend.plugin->sha256},
          {"options", without_secrets(backend, model.backend.options)},
          {"device", model.device.type == 1 ? "cpu" : "cuda"},
          {"calibration", calibration == nullptr ? Json(nullptr) : Json(calibration->digest)},
          {"seed", graph.seed}};
}

Result<void> copy_text_files(const fs::path& from, const fs::path& to) {
  for (const char* name : kTextFiles) {
    std::error_code error;
    if (!fs::is_regular_file(from / name, error) || fs::exists(to / name, error)) continue;
    fs::copy_file(from / name, to / name, error);
    if (error) return write_failure(to / name, error.value(), FolderOption::kStore);
    fs::permissions(to / name, fs::perms::owner_write, fs::perm_options::add, error);
  }
  return {};
}

/// Can the next attempt go on with what this one left?
bool leaves_work(const Failure& failure) {
  switch (failure.code) {
    case ASSAY_ABORTED:
    case ASSAY_CANCELLED:
    case ASSAY_DEADLINE_EXCEEDED:
    case ASSAY_RESOURCE_EXHAUSTED:
    case ASSAY_UNAVAILABLE:
      return true;
    default:
      return false;
  }
}

/// Has the backend write into a folder; gives what it told of the layers.
Result<Json> write_model(const Graph& graph, const ModelSpec& model, const fs::path& folder,
                         const MadeCalibration* calibration, const QuantizeOptions& options) {
  Meter meter(options.progress, "quantizing " + model.name);
  auto session = open_session(
      model, graph.seed, *options.cancelled,
      [&meter](double fraction, std::string_view what) { meter.reach(fraction, what); });
  if (!session) return std::move(session).error();
  LayerTable layers;
  Rounding rounding;
  rounding.layers = [&layers](std::string_view layer, std::string_view name, double value) {
    layers.add(layer, name, value);
  };
  if (calibration != nullptr) rounding.calibration = calibration->requests;
  if (auto written = (*session)->quantize(folder, rounding); !written) {
    return std::move(written).error();
  }
  return layers.take();
}

Result<QuantizedForm> make(const Graph& graph, const ModelSpec& model, const ModelStore& store,
                           const Claim& claim, const std::string& digest, const Json& recipe,
                           const MadeCalibration* calibration, const QuantizeOptions& options) {
  auto folder = store.begin(claim, digest);
  if (!folder) return std::move(folder).error();
  const auto started = std::chrono::steady_clock::now();
  auto layers = write_model(graph, model, *folder, calibration, options);
  if (!layers) {
    if (!leaves_work(layers.error())) store.discard(claim, digest);
    return std::move(layers).error();
  }
  if (auto copied = copy_text_files(model.path, *folder); !copied) {
    return std::move(copied).error();
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started;
  const Component& backend = *model.backend.component;
  QuantizedForm form;
  form.digest = digest;
  form.calibration = calibration_json(graph, calibration);
  form.layers = std::move(*layers);
  auto place = store.publish(claim, digest,
                             {{"schema", kSchema},
                              {"made", utc(std::chrono::system_clock::now())},
                              {"seconds", spent.count()},
                              {"assay", ASSAY_VERSION},
                              {"component_version", std::string(backend.version())},
                              {"source", model.path.string()},
                              {"recipe", recipe},
                              {"calibration", form.calibration},
                              {"layers", form.layers}});
  if (!place) {
    Failure failure = std::move(place).error();
    if (failure.code == ASSAY_INTERNAL) {
      failure.text =
          std::string(backend.id()) + ": misbehaviour: quantize answered OK, but " + failure.text;
    }
    return failure;
  }
  form.path = std::move(*place);
  return form;
}

QuantizedForm form_of(const ModelStore& store, const std::string& digest, const Json& document) {
  QuantizedForm form;
  form.digest = digest;
  form.path = store.path_of(digest);
  form.calibration = document.value("calibration", Json(nullptr));
  form.layers = document.value("layers", Json::array());
  return form;
}

}  // namespace

void LayerTable::add(std::string_view layer, std::string_view name, double value) {
  auto found = positions_.find(layer);
  if (found == positions_.end()) {
    found = positions_.emplace(std::string(layer), layers_.size()).first;
    layers_.push_back({{"layer", std::string(layer)}, {"values", Json::object()}});
  }
  layers_[found->second]["values"][std::string(name)] =
      std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json LayerTable::take() {
  positions_.clear();
  return std::exchange(layers_, Json::array());
}

Result<QuantizedForm> quantize(const Graph& graph, std::size_t index,
                               const MadeCalibration* calibration, const QuantizeOptions& options) {
  const ModelSpec& model = graph.models[index];
  auto store = ModelStore::open(options.store);
  if (!store) return std::move(store).error();
  auto weights = digest_of_weights(model, *store, *options.cancelled);
  if (!weights) return std::move(weights).error();
  const Json recipe = recipe_of(graph, model, *weights, calibration);
  const std::string digest = sha256(recipe.dump(-1, ' ', false, Json::error_handler_t::replace));
  const auto reused = [&](const Json& document) {
    log(LogLevel::kInfo, "model." + model.name + ": reuses " + store->path_of(digest).string());
    QuantizedForm form = form_of(*store, digest, document);
    // The same texts may have another name by now.
    form.calibration = calibration_json(graph, calibration);
    return form;
  };
  if (const auto document = store->find(digest)) return reused(*document);
  const auto claim = store->claim(digest, *options.cancelled, [&] {
    log(LogLevel::kInfo,
        "model." + model.name + ": waits for another run that makes the same model");
  });
  if (!claim) return claim.error();
  if (const auto document = store->find(digest)) return reused(*document);
  return make(graph, model, *store, *claim, digest, recipe, calibration, options);
}

ModelSpec model_of(const ModelSpec& asked, const QuantizedForm& form) {
  ModelSpec model = asked;
  model.path = form.path;
  model.is_quantized = false;
  model.calibration.reset();
  Json& options = model.backend.options;
  for (auto option = options.begin(); option != options.end();) {
    option = option.key().starts_with(kQuantize) ? options.erase(option) : std::next(option);
  }
  return model;
}

}  // namespace assay::host
