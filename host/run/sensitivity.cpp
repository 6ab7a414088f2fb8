#include "host/run/sensitivity.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <numeric>
#include <span>
#include <utility>

#include "host/graph/options.hpp"
#include "host/run/calibrations.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kQuantize = "quantize.", kSimulate = "simulate.";

/// "quantize.bits" as "simulate.bits"; other options as they are.
Json as_simulation(const Json& options) {
  Json out = Json::object();
  for (const auto& [key, value] : options.items()) {
    const bool is_quantize = key.starts_with(kQuantize);
    out[is_quantize ? std::string(kSimulate) + key.substr(kQuantize.size()) : key] = value;
  }
  return out;
}

Json as_stored(const Json& options) {
  Json out = Json::object();
  for (const auto& [key, value] : options.items()) {
    if (!key.starts_with(kQuantize) && !key.starts_with(kSimulate)) out[key] = value;
  }
  return out;
}

Result<std::size_t> find_text(const Graph& graph, const ModelSpec& model,
                              const std::optional<std::string>& name) {
  std::string names;
  for (std::size_t i = 0; i < graph.calibrations.size(); ++i) {
    if (name && graph.calibrations[i].name == *name) return i;
    names += (names.empty() ? "" : ", ") + graph.calibrations[i].name;
  }
  if (name) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "no calibration is named \"" + *name +
                       "\"; there are: " + (names.empty() ? "none" : names)};
  }
  if (model.calibration) return *model.calibration;
  if (graph.calibrations.size() == 1) return std::size_t{0};
  return Failure{ASSAY_INVALID_ARGUMENT,
                 graph.calibrations.empty()
                     ? "there is no text to measure on: add a [calibration.x] to the manifest"
                     : "model." + model.name + " has no calibration of its own; say with --text " +
                           "whose text is to be measured on: " + names};
}

/// The mean rank of each value, from 1.
std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    const double rank = static_cast<double>(i + 1 + end) / 2;
    for (; i < end; ++i) ranks[order[i]] = rank;
  }
  return ranks;
}

double value_of(const std::map<std::string, double>& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

/// Belongs sample i of n to the `taken` that are spread evenly over them?
bool is_spread(std::uint64_t i, std::uint64_t taken, std::uint64_t n) {
  return (i + 1) * taken / n > i * taken / n;
}

}  // namespace

DeltaNll delta_nll(const std::vector<double>& nll, const std::vector<double>& baseline,
                   std::uint64_t tokens_per_sequence) {
  const auto n = static_cast<double>(nll.size());
  const auto tokens = static_cast<double>(tokens_per_sequence);
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < nll.size(); ++i) sum += nll[i] - baseline[i];
  const double mean = sum / n;
  for (std::size_t i = 0; i < nll.size(); ++i) {
    const double off = nll[i] - baseline[i] - mean;
    squares += off * off;
  }
  return {mean / tokens, nll.size() < 2 ? std::numeric_limits<double>::quiet_NaN()
                                        : std::sqrt(squares / (n - 1) / n) / tokens};
}

std::optional<double> rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() < 3) return std::nullopt;
  const auto x = ranks_of(a), y = ranks_of(b);
  const double mean = (static_cast<double>(a.size()) + 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  if (xx == 0 || yy == 0) return std::nullopt;
  return xy / std::sqrt(xx * yy);
}

struct LayerBench::State {
  const Graph& graph;
  ModelSpec model;
  SensitivitySettings settings;
  std::size_t text;
  Json simulated;
  std::atomic<bool> never = false;
  std::vector<ScoreRequest> calibration = {}, to_measure = {}, to_verify = {};

  const std::atomic<bool>& cancelled() const {
    return settings.cancelled == nullptr ? never : *settings.cancelled;
  }
  Result<void> draw();
};

Result<void> LayerBench::State::draw() {
  const std::uint64_t held_out = settings.samples + settings.verify;
  const CalibrationSpec& spec = graph.calibrations[text];
  const std::uint64_t n = spec.samples + held_out;
  const auto tokenizer = Tokenizer::open(model.path);
  if (!tokenizer) return tokenizer.error();
  const auto chat = chat_of(spec, model);
  if (!chat) return chat.error();
  Sources sources(graph, fs::temp_directory_path(), settings.progress, cancelled());
  auto all = drawn(graph, sources, spec, n, *tokenizer, *chat ? &**chat : nullptr, cancelled());
  if (!all) return std::move(all).error();
  std::vector<CalibrationSample> calibrates, measures, verifies;
  std::uint64_t n_held_out = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    CalibrationSample& sample = all->samples[i];
    if (!is_spread(i, held_out, n)) {
      calibrates.push_back(std::move(sample));
      continue;
    }
    const bool is_for_verify = is_spread(n_held_out++, settings.verify, held_out);
    (is_for_verify ? verifies : measures).push_back(std::move(sample));
  }
  if (model.calibration) calibration = calibration_requests(std::move(calibrates));
  to_measure = calibration_requests(std::move(measures));
  to_verify = calibration_requests(std::move(verifies));
  return {};
}

LayerBench::LayerBench(std::unique_ptr<State> state) : state_(std::move(state)) {}
LayerBench::~LayerBench() = default;

const Json& LayerBench::options() const { return state_->simulated; }
const ModelSpec& LayerBench::model() const { return state_->model; }
std::string LayerBench::calibration() const {
  const auto& index = state_->model.calibration;
  return index ? state_->graph.calibrations[*index].name : "";
}
std::uint64_t LayerBench::length() const { return state_->graph.calibrations[state_->text].length; }

Result<std::unique_ptr<LayerBench>> LayerBench::open(const Graph& graph, std::size_t index,
                                                     const SensitivitySettings& settings) {
  const ModelSpec& model = graph.models[index];
  if (!model.is_quantized && !model.is_simulated) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "model." + model.name +
                       " is not quantized here: it has neither a quantize nor "
                       "a simulate table"};
  }
  if (find_declared(*model.backend.component, "simulate.only") == nullptr) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "model." + model.name + ": " + std::string(model.backend.component->id()) +
                       " has no option simulate.only, so it cannot quantize one layer alone"};
  }
  auto text = find_text(graph, model, settings.text);
  if (!text) return std::move(text).error();
  auto state = std::unique_ptr<State>(
      new State{graph, model, settings, *text, as_simulation(model.backend.options)});
  if (auto drawn = state->draw(); !drawn) return std::move(drawn).error();
  return std::unique_ptr<LayerBench>(new LayerBench(std::move(state)));
}

Result<FormScores> LayerBench::score(const std::optional<Json>& options, Text text) {
  ModelSpec form = state_->model;
  form.backend.options = options ? *options : as_stored(form.backend.options);
  form.is_quantized = false;
  form.is_simulated = options.has_value();
  FormScores out;
  Rounding rounding;
  if (options) {
    rounding.calibration = state_->calibration;
    rounding.layers = [&out](std::string_view layer, std::string_view name, double value) {
      out.layers[std::string(layer)][std::string(name)] = value;
    };
  }
  auto session = open_session(form, state_->graph.seed, state_->cancelled());
  if (!session) return std::move(session).error();
  auto info = (*session)->load(length(), rounding);
  if (!info) return std::move(info).error();
  out.info = *info;
  const auto& requests = text == Text::kMeasure ? state_->to_measure : state_->to_verify;
  out.nll.resize(requests.size());
  std::optional<Failure> failure;
  auto scored = (*session)->score(requests, [&](std::uint64_t id, Result<Score> score) {
    if (!score) {
      if (!failure) failure = std::move(score).error();
      return;
    }
    double sum = 0;
    for (const float logprob : score->logprobs) sum -= double{logprob};
    out.nll[id - 1] = sum;
  });
  if (!scored) return std::move(scored).error();
  if (failure) return *std::move(failure);
  return out;
}

Result<Sensitivity> LayerBench::measure() {
  auto stored = score(std::nullopt, Text::kMeasure);
  if (!stored) return std::move(stored).error();
  auto whole = score(state_->simulated, Text::kMeasure);
  if (!whole) return std::move(whole).error();
  if (whole->layers.empty()) {
    return Failure{ASSAY_FAILED_PRECONDITION,
                   "model." + model().name + ": its backend named no layer that it quantized"};
  }
  Sensitivity out;
  out.variant = model().name;
  out.text = state_->graph.calibrations[state_->text].name;
  out.sequences = state_->to_measure.size();
  out.length = length();
  const std::uint64_t predicted = length() - 1;
  out.baseline_nll = std::accumulate(stored->nll.begin(), stored->nll.end(), 0.0) /
                     static_cast<double>(stored->nll.size() * predicted);
  out.whole = delta_nll(whole->nll, stored->nll, predicted);
  out.weight_bytes = whole->info.weight_bytes;
  out.stored_weight_bytes = stored->info.weight_bytes;
  out.stored_bits = stored->info.bits_per_weight;
  Progress progress(state_->settings.progress, "measuring layers of " + out.variant,
                    whole->layers.size());
  std::vector<double> damage, proxy;
  for (const auto& [layer, values] : whole->layers) {
    if (state_->cancelled()) return Failure{ASSAY_CANCELLED, "interrupted while measuring layers"};
    Json alone = state_->simulated;
    alone["simulate.only"] = Json::array({layer});
    auto scored = score(alone, Text::kMeasure);
    if (!scored) return std::move(scored).error();
    LayerDamage row{layer, delta_nll(scored->nll, stored->nll, predicted),
                    value_of(values, "output_error"), value_of(values, "bits"),
                    value_of(values, "bytes")};
    if (!std::isnan(row.output_error)) {
      damage.push_back(row.nll.delta);
      proxy.push_back(row.output_error);
    }
    out.layers.push_back(std::move(row));
    progress.advance();
  }
  std::ranges::stable_sort(out.layers, std::greater<>{},
                           [](const LayerDamage& row) { return row.nll.delta; });
  out.proxy_correlation = rank_correlation(damage, proxy);
  return out;
}

}  // namespace assay::host
