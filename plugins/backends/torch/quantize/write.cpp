#include "quantize/write.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "checkpoint/quantized.hpp"
#include "quantize/layout.hpp"
#include "quantize/scaled.hpp"
#include "quantize/table.hpp"

namespace assay_torch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kProgressFile = "quantize.json";
constexpr const char* kUnfinished = "unfinished";

constexpr std::array<Slot, 4> kBlockSlots = {Slot::kQueryKeyValue, Slot::kOutput, Slot::kGateUp,
                                             Slot::kDown};

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw assay::Error(ASSAY_UNAVAILABLE, path.string() + ": cannot be read; check its rights");
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Under another name until it is whole.
void write_text(const fs::path& path, const std::string& text) {
  const fs::path part = path.string() + ".part";
  std::ofstream file(part, std::ios::binary);
  file << text;
  file.close();
  std::error_code failed;
  if (file) fs::rename(part, path, failed);
  if (!file || failed) {
    fs::remove(part, failed);
    throw assay::Error(ASSAY_UNAVAILABLE,
                       path.string() +
                           ": cannot be written; check its rights and that there is "
                           "room on the disk");
  }
}

std::vector<std::byte> bytes_of(const at::Tensor& tensor) {
  const auto plain = tensor.contiguous();
  const auto* data = static_cast<const std::byte*>(plain.const_data_ptr());
  return {data, data + plain.nbytes()};
}

StoredTensor raw_tensor(const Weights& weights, const std::string& name) {
  StoredTensor out{name, weights.dtype(name), weights.shape(name), {}};
  out.data.resize(weights.bytes(name));
  weights.read_bytes(name, 0, out.data);
  return out;
}

/// A tensor of the file with other values, in the file's dtype and shape.
StoredTensor changed_tensor(const Weights& weights, const std::string& name, at::Tensor values) {
  StoredTensor out{name, weights.dtype(name), weights.shape(name), {}};
  const at::ScalarType type = out.dtype == "BF16"  ? at::kBFloat16
                              : out.dtype == "F16" ? at::kHalf
                                                   : at::kFloat;
  // GPT-2's matrices lie inputs first.
  if (values.dim() == 2 && values.size(0) != out.shape[0]) values = values.t();
  out.data = bytes_of(values.to(type));
  return out;
}

std::uint64_t digest_of(const Calibration* calibration) {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a over tokens and the ends of sequences
  const auto add = [&](std::uint64_t value) { hash = (hash ^ value) * 1099511628211U; };
  if (calibration == nullptr) return 0;
  for (const auto& sequence : *calibration) {
    for (const std::int32_t token : sequence) add(static_cast<std::uint32_t>(token));
    add(1ULL << 32U);
  }
  return hash;
}

bool belongs_to_tokenizer(const std::string& file) {
  for (const char* begin : {"tokenizer", "special_tokens_map", "added_tokens", "vocab", "merges",
                            "chat_template", "generation_config"}) {
    if (file.starts_with(begin)) return true;
  }
  return false;
}

/// What a recipe makes of a module, without its codes.
WrittenModule described(const Recipe& recipe, const std::string& name,
                        const std::optional<GridSettings>& grid) {
  WrittenModule out;
  out.name = name;
  if (!grid) return out;
  const std::array<float, 1> nothing = {0};
  out.is_quantized = true;
  out.bits = 8;
  switch (recipe.method) {
    case Method::kRtn:
    case Method::kGptq:
    case Method::kAwq:
      out.bits = grid->bits;
      out.group_size = std::max<std::int64_t>(grid->group_size, 0);
      out.is_symmetric = grid->symmetric;
      out.form.form = Form::kInteger;
      break;
    case Method::kNf4:
    case Method::kFp4:
      out.bits = 4;
      out.form = table_quantize(recipe.method == Method::kNf4 ? kNf4 : kFp4, nothing, 1, 1,
                                recipe.is_nested);
      break;
    case Method::kInt8:
      out.form = int8_quantize(nothing, 1, 1, recipe.threshold);
      break;
    case Method::kW8a8:
      out.form = w8a8_quantize(nothing, 1, 1, FloatType::kFloat32);
      break;
    case Method::kFp8:
      out.form = fp8_quantize(nothing, 1, 1, recipe.scope, FloatType::kFloat32);
      break;
  }
  return out;
}

class Writer {
 public:
  Writer(const DecoderSpec& spec, const WriteJob& job, const Listener& listener)
      : spec_(spec),
        job_(job),
        listener_(listener),
        out_(job.out_dir),
        layout_(layout_of(job.recipe)),
        weights_(job.model_dir, job.threads),
        reader_(spec, weights_, LinearSettings(job.settings.options)) {
    for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
      for (const Slot slot : kBlockSlots) describe(reader_.modules(layer, slot), false);
    }
    describe(reader_.modules(0, Slot::kHead), true);
  }

  void run() {
    check_writable(job_.recipe);
    check_shapes();
    resume();
    const Listener recording = recorder();
    Pipeline pipeline(spec_, weights_, job_.recipe, job_.settings, recording);
    Decoder ends = reader_.ends();
    if (job_.calibration != nullptr) pipeline.enter(ends, *job_.calibration, job_.pass_tokens);
    pipeline.require_calibration();
    ends.embedding.reset();
    ends.positions.reset();
    ends.head.reset();
    for (std::int64_t layer = 0; layer < spec_.layers; ++layer) {
      const bool is_finished = layer < static_cast<std::int64_t>(finished_.size());
      if (is_finished) {
        replay(finished_[static_cast<std::size_t>(layer)]);
        if (job_.calibration != nullptr) pipeline.pass(ends, layer, finished_block(layer));
        continue;
      }
      values_ = Json::array();
      BlockResult result = pipeline.quantize(ends, layer);
      write_block(layer, result);
      finished_.push_back(std::move(values_));
      keep_progress();
      if (job_.calibration != nullptr)
        pipeline.pass(ends, layer, Pipeline::assemble(reader_, spec_, layer, std::move(result)));
    }
    write_ends(pipeline.quantize_head(ends));
    write_index();
    copy_tokenizer();
    write_config();
    fs::remove_all(out_ / kUnfinished);
    fs::remove(out_ / kProgressFile);
  }

 private:
  void describe(const std::vector<ModelReader::Module>& modules, bool is_head) {
    for (const auto& module : modules) {
      const auto grid = settings_of(job_.recipe, module.name, is_head);
      modules_.push_back(described(job_.recipe, module.name, grid));
      shapes_.push_back({module.rows, module.columns});
    }
  }

  /// What a layout needs of shapes is said before hours of work.
  void check_shapes() const {
    for (std::size_t i = 0; layout_ == FileLayout::kAwq && i < modules_.size(); ++i) {
      if (!modules_[i].is_quantized) continue;
      const auto [rows, columns] = shapes_[i];
      const std::int64_t group = modules_[i].group_size;
      if (rows % 8 == 0 && (group == 0 || group >= columns || columns % group == 0)) continue;
      throw assay::Error(ASSAY_INVALID_ARGUMENT, job_.recipe.table + ".group_size",
                         modules_[i].name + " has " + std::to_string(rows) + " rows and " +
                             std::to_string(columns) +
                             " columns; an AWQ file takes rows by eights "
                             "and whole groups, so use a group_size that divides " +
                             std::to_string(columns) + ", or skip it");
    }
  }

  std::string shard(std::int64_t nth) const {
    std::array<char, 64> name{};
    std::snprintf(name.data(), name.size(), "model-%05lld-of-%05lld.safetensors",
                  static_cast<long long>(nth + 1), static_cast<long long>(spec_.layers + 1));
    return name.data();
  }

  /// What makes two jobs the same.
  Json identity() const {
    return {
        {"recipe", Json::parse(to_json(job_.recipe))},
        {"quantizer", job_.quantizer},
        {"computed_in", c10::toString(c10::typeMetaToScalarType(job_.settings.options.dtype()))},
        {"calibration", digest_of(job_.calibration)}};
  }

  /// Finds how far an earlier attempt came; what another job left is removed.
  void resume() {
    std::error_code ignored;
    fs::create_directories(out_, ignored);
    const Json found = fs::exists(out_ / kProgressFile)
                           ? Json::parse(text_of(out_ / kProgressFile), nullptr, false)
                           : Json();
    if (found.is_object() && found.value("job", Json()) == identity()) {
      finished_ = found.value("blocks", std::vector<Json>());
      for (std::size_t i = 0; i < finished_.size(); ++i) {
        if (!fs::exists(out_ / shard(static_cast<std::int64_t>(i)))) finished_.resize(i);
      }
    } else {
      for (const auto& entry : fs::directory_iterator(out_)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("model") || name.starts_with(kProgressFile) || name == kUnfinished ||
            name.starts_with("config.json"))
          fs::remove_all(entry.path(), ignored);
      }
    }
    keep_progress();
  }

  void keep_progress() const {
    write_text(out_ / kProgressFile, Json{{"job", identity()}, {"blocks", finished_}}.dump());
  }

  /// Passes values on and keeps them, for an attempt that goes on behind this one.
  Listener recorder() {
    Listener out = listener_;
    out.value = [this](const std::string& module, const char* name, double value) {
      values_.push_back({module, name, value});
      if (listener_.value) listener_.value(module, name, value);
    };
    return out;
  }

  void replay(const Json& values) const {
    for (const Json& value : values) {
      if (listener_.value)
        listener_.value(value[0].get<std::string>(), value[1].get<std::string>().c_str(),
                        value[2].get<double>());
    }
  }

  void add_module(const ModuleResult& module, std::vector<StoredTensor>& tensors,
                  std::set<std::string>& done) const {
    const std::string plain = module.module.name + ".weight";
    if (module.weight.quantized) {
      auto parts = to_tensors(layout_, module.module.name, *module.weight.quantized);
      std::move(parts.begin(), parts.end(), std::back_inserter(tensors));
    } else if (module.is_changed) {
      tensors.push_back(changed_tensor(weights_, plain, module.weight.dense));
    } else {
      return;
    }
    done.insert(plain);
  }

  /// Tensors of the source that nothing took the place of.
  template <class Belongs>
  void add_rest(const Belongs& belongs, const std::set<std::string>& done,
                std::vector<StoredTensor>& tensors) const {
    for (const std::string& name : weights_.names()) {
      if (belongs(name) && !done.contains(name)) tensors.push_back(raw_tensor(weights_, name));
    }
  }

  void write_shard(std::int64_t nth, const std::vector<StoredTensor>& tensors) const {
    write_safetensors((out_ / shard(nth)).string(), tensors);
  }

  std::string block_name(std::int64_t layer) const {
    return reader_.root() + spec_.names.blocks + std::to_string(layer) + ".";
  }

  void write_block(std::int64_t layer, const BlockResult& result) const {
    std::vector<StoredTensor> tensors;
    std::set<std::string> done;
    for (const ModuleResult& module : result.modules) add_module(module, tensors, done);
    for (const auto& [name, values] : result.vectors) {
      tensors.push_back(changed_tensor(weights_, name, values));
      done.insert(name);
    }
    const std::string at = block_name(layer);
    add_rest([&](const std::string& name) { return name.starts_with(at); }, done, tensors);
    write_shard(layer, tensors);
  }

  void write_ends(const std::optional<ModuleResult>& head) const {
    std::vector<StoredTensor> tensors;
    std::set<std::string> done;
    if (head) add_module(*head, tensors, done);
    const auto is_in_block = [&](const std::string& name) {
      for (std::int64_t layer = 0; layer < spec_.layers; ++layer) {
        if (name.starts_with(block_name(layer))) return true;
      }
      return false;
    };
    add_rest([&](const std::string& name) { return !is_in_block(name); }, done, tensors);
    write_shard(spec_.layers, tensors);
  }

  Json index_of(std::int64_t shards) const {
    std::map<std::string, std::string> places;
    std::uint64_t bytes = 0;
    for (std::int64_t nth = 0; nth < shards; ++nth) {
      const SafetensorsFile file((out_ / shard(nth)).string());
      for (const auto& [name, entry] : file.tensors()) {
        places[name] = shard(nth);
        bytes += entry.end - entry.begin;
      }
    }
    return {{"metadata", {{"total_size", bytes}}}, {"weight_map", places}};
  }

  void write_index() const {
    write_text(out_ / "model.safetensors.index.json", index_of(spec_.layers + 1).dump(2) + "\n");
  }

  Json provenance() const {
    Json out = {{"quantizer", {job_.quantizer}},
                {"recipe", Json::parse(to_json(job_.recipe))},
                {"seed", job_.seed}};
    if (job_.recipe.method == Method::kGptq) {
      out["damp_percent"] = job_.recipe.gptq.damping;
      out["static_groups"] = job_.recipe.gptq.static_groups;
      out["true_sequential"] = job_.recipe.gptq.true_sequential;
    }
    if (job_.calibration != nullptr) {
      std::uint64_t tokens = 0;
      for (const auto& sequence : *job_.calibration) tokens += sequence.size();
      out["calibration"] = {{"sequences", job_.calibration->size()}, {"tokens", tokens}};
    }
    return out;
  }

  Json quantization() const {
    return Json::parse(quantization_config(
        layout_, modules_, job_.recipe.gptq.act_order && !job_.recipe.gptq.static_groups,
        provenance().dump()));
  }

  /// A block of an earlier attempt, read as any checkpoint is: from a folder that holds links to
  /// the finished shards and says how they are quantized, but is no model.
  Block finished_block(std::int64_t layer) {
    const fs::path dir = out_ / kUnfinished;
    if (!finished_reader_) {
      const auto count = static_cast<std::int64_t>(finished_.size());
      fs::remove_all(dir);
      fs::create_directories(dir);
      for (std::int64_t nth = 0; nth < count; ++nth)
        fs::create_symlink(fs::path("..") / shard(nth), dir / shard(nth));
      write_text(dir / "model.safetensors.index.json", index_of(count).dump());
      write_text(dir / "config.json", Json{{"quantization_config", quantization()}}.dump());
      finished_weights_.emplace(dir.string(), job_.threads);
      finished_checkpoint_ = QuantizedCheckpoint::open(dir.string(), ZeroWrap::kMask);
      finished_reader_.emplace(spec_, *finished_weights_, LinearSettings(job_.settings.options),
                               &*finished_checkpoint_);
    }
    return finished_reader_->block(layer);
  }

  void copy_tokenizer() const {
    for (const auto& entry : fs::directory_iterator(job_.model_dir)) {
      const std::string name = entry.path().filename().string();
      if (belongs_to_tokenizer(name) && fs::is_regular_file(entry.path()))
        write_text(out_ / name, text_of(entry.path()));
    }
  }

  void write_config() const {
    const fs::path source = fs::path(job_.model_dir) / "config.json";
    Json config = Json::parse(text_of(source));
    config["quantization_config"] = quantization();
    write_text(out_ / "config.json", config.dump(2) + "\n");
  }

  const DecoderSpec& spec_;
  const WriteJob& job_;
  const Listener& listener_;
  const fs::path out_;
  const FileLayout layout_;
  Weights weights_;
  ModelReader reader_;
  std::vector<WrittenModule> modules_;
  std::vector<std::pair<std::int64_t, std::int64_t>> shapes_;
  std::vector<Json> finished_;  // of each block, what its layers told
  Json values_ = Json::array();
  std::optional<Weights> finished_weights_;
  std::optional<QuantizedCheckpoint> finished_checkpoint_;
  std::optional<ModelReader> finished_reader_;
};

}  // namespace

void write_quantized(const DecoderSpec& spec, const WriteJob& job, const Listener& listener) {
  if (const auto quantized = QuantizedCheckpoint::open(job.model_dir, ZeroWrap::kMask))
    refuse_quantized(*quantized, job.recipe);
  Writer(spec, job, listener).run();
}

}  // namespace assay_torch
