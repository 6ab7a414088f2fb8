#include "checkpoint/quantized.hpp"

#include <assay/error.hpp>
#include <filesystem>
#include <utility>

#include "checkpoint/layouts/layout.hpp"
#include "checkpoint/settings.hpp"

namespace assay_torch {
namespace {

namespace fs = std::filesystem;

struct Found {
  Settings settings;
  std::string method;
};

/// quantization_config, or the file that a tool writes beside the weights; a side file says less
/// about itself than config.json does.
std::optional<Found> find_settings(const std::string& model_dir) {
  const fs::path dir(model_dir);
  if (fs::exists(dir / "config.json")) {
    const Settings config((dir / "config.json").string());
    if (auto table = config.table("quantization_config")) {
      auto method = table->find_text("quant_method", "method");
      if (!method && (table->has("load_in_4bit") || table->has("load_in_8bit")))
        method = "bitsandbytes";
      if (!method) table->refuse("quant_method", "is missing, so the layout is not known");
      return Found{std::move(*table), std::move(*method)};
    }
  }
  for (const auto& [file, method] :
       {std::pair("quantize_config.json", "gptq"), std::pair("quant_config.json", "awq")}) {
    if (!fs::exists(dir / file)) continue;
    Settings settings((dir / file).string());
    auto named = settings.find_text("quant_method", "method").value_or(method);
    return Found{std::move(settings), std::move(named)};
  }
  return std::nullopt;
}

std::unique_ptr<QuantizedLayout> open_layout(const Found& found, ZeroWrap wrap) {
  const auto& [settings, method] = found;
  if (method == "gptq") return open_gptq(settings, wrap);
  if (method == "awq") return open_awq(settings);
  if (method == "bitsandbytes") return open_bitsandbytes(settings);
  if (method == "compressed-tensors") return open_compressed_tensors(settings);
  if (method == "fp8" || method == "fbgemm_fp8") return open_fp8(settings, method);
  settings.refuse_unsupported("quant_method", "\"" + method +
                                                  "\" is not supported; supported: \"gptq\", "
                                                  "\"awq\", \"bitsandbytes\", "
                                                  "\"compressed-tensors\", \"fp8\", "
                                                  "\"fbgemm_fp8\"");
}

}  // namespace

struct QuantizedCheckpoint::State {
  std::string method;
  std::unique_ptr<QuantizedLayout> layout;
};

QuantizedCheckpoint::QuantizedCheckpoint(std::shared_ptr<const State> state)
    : state_(std::move(state)) {}

std::optional<QuantizedCheckpoint> QuantizedCheckpoint::open(const std::string& model_dir,
                                                             ZeroWrap wrap) {
  const auto found = find_settings(model_dir);
  if (!found) return std::nullopt;
  return QuantizedCheckpoint(
      std::make_shared<const State>(State{found->method, open_layout(*found, wrap)}));
}

std::string QuantizedCheckpoint::describe() const { return state_->layout->describe(); }

bool QuantizedCheckpoint::holds(const Weights& weights, const std::string& module) const {
  return state_->layout->shows(weights, module) ||
         state_->layout->claim(module) == Claim::kQuantized;
}

QuantizedMatrix QuantizedCheckpoint::read(const Weights& weights, const std::string& module,
                                          std::int64_t rows, std::int64_t columns,
                                          std::vector<std::string>& read) const {
  const bool is_shown = state_->layout->shows(weights, module);
  const std::string plain = module + ".weight";
  if (!is_shown && weights.holds(plain)) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT,
                       weights.file_of(plain) + ": tensor \"" + plain + "\" is plain " +
                           weights.dtype(plain) + ", config.json says that the module is " +
                           state_->method + "; check that both are of one model");
  }
  if (is_shown && state_->layout->claim(module) == Claim::kPlain) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT,
                       "module \"" + module + "\": the weights hold it as " + state_->method +
                           ", config.json says that it is not quantized; check that both are of "
                           "one model");
  }
  ModuleTensors tensors(weights, module, read);
  return state_->layout->read(tensors, rows, columns);
}

}  // namespace assay_torch
