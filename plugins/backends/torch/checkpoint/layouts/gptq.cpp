// GPTQ as AutoGPTQ and GPTQModel write it. Source: GPTQModel 7.7, nn_modules/qlinear and
// quantization/config.py.
#include <algorithm>
#include <assay/error.hpp>
#include <atomic>
#include <cstring>

#include "checkpoint/layouts/layout.hpp"

namespace assay_torch {
namespace {

struct GptqForm {
  int bits = 4;
  std::int64_t group_size = 128;  ///< 0: the whole row
  bool is_symmetric = false, is_act_order = false;
};

constexpr const char* kWeightTensors = ".qweight";

class Gptq final : public QuantizedLayout {
 public:
  Gptq(const Settings& settings, ZeroWrap wrap);

  std::string describe() const override;
  Claim claim(const std::string& module) const override;
  bool shows(const Weights& weights, const std::string& module) const override {
    return weights.holds(module + kWeightTensors);
  }
  QuantizedMatrix read(ModuleTensors& tensors, std::int64_t rows,
                       std::int64_t columns) const override;

 private:
  static void change(const Settings& settings, GptqForm& form);
  const std::string* rule_of(const std::string& module) const;
  GptqForm form_of(const std::string& module) const;
  std::vector<std::uint16_t> zeros(ModuleTensors& tensors, const GptqForm& form, std::int64_t rows,
                                   std::int64_t groups) const;
  bool is_v2_of(const GptqForm& form, const std::vector<std::uint16_t>& stored) const;

  Settings settings_;
  ZeroWrap wrap_;
  GptqForm form_;
  bool is_v2_ = false;
  std::optional<bool> has_head_;
  std::vector<std::string> skipped_, only_;
  std::optional<Settings> rules_;
  std::vector<std::string> rule_names_;
  // What reading has shown, for describe().
  mutable std::atomic<std::uint64_t> other_version_ = 0, largest_zeros_ = 0;
};

Gptq::Gptq(const Settings& settings, ZeroWrap wrap)
    : settings_(settings),
      wrap_(wrap),
      has_head_(settings.find_flag("lm_head")),
      skipped_(settings.texts("modules_to_not_convert")),
      only_(settings.texts("modules_in_block_to_quantize")),
      rules_(settings.table("dynamic")) {
  if (!settings.has("bits")) settings.refuse("bits", "is missing; expected 2, 3, 4 or 8");
  change(settings, form_);
  const std::string format = settings.find_text("checkpoint_format", "format").value_or("gptq");
  if (format != "gptq" && format != "gptq_v2") {
    settings.refuse_unsupported("checkpoint_format",
                                "\"" + format +
                                    "\" is not supported; supported: \"gptq\", \"gptq_v2\". "
                                    "Convert the checkpoint with the tool that wrote it");
  }
  if (settings.find_flag("is_marlin_format").value_or(false)) {
    settings.refuse_unsupported("is_marlin_format",
                                "weights shuffled for the Marlin kernel are not supported; use the "
                                "checkpoint it was made from");
  }
  const std::string words = settings.find_text("pack_dtype").value_or("int32");
  if (words != "int32") {
    settings.refuse_unsupported("pack_dtype",
                                "\"" + words + "\" is not supported; supported: \"int32\"");
  }
  is_v2_ = format == "gptq_v2";
  if (rules_) rule_names_ = rules_->keys();
  for (const std::string& rule : rule_names_) rule_of(rule);  // are all of them expressions?
}

void Gptq::change(const Settings& settings, GptqForm& form) {
  const std::int64_t bits = settings.find_integer("bits").value_or(form.bits);
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8) {
    const bool is_planar = bits >= 5 && bits <= 7;
    settings.refuse_unsupported("bits", std::to_string(bits) +
                                            (is_planar ? " (the planar layout gptq_p)" : "") +
                                            " is not supported; supported: 2, 3, 4, 8");
  }
  form.bits = static_cast<int>(bits);
  const std::int64_t size = settings.find_integer("group_size").value_or(form.group_size);
  if (size < -1 || size == 0)
    settings.refuse("group_size", "expected -1 or a number above 0, got " + std::to_string(size));
  form.group_size = size == -1 ? 0 : size;
  form.is_symmetric = settings.find_flag("sym").value_or(form.is_symmetric);
  form.is_act_order = settings.find_flag("desc_act").value_or(form.is_act_order);
}

/// Rules that leave modules alone come first, then the others in the file's order.
const std::string* Gptq::rule_of(const std::string& module) const {
  for (const bool is_negative : {true, false}) {
    for (const std::string& rule : rule_names_) {
      if (rule.starts_with("-:") != is_negative) continue;
      const bool has_sign = is_negative || rule.starts_with("+:");
      const auto expression = std::string_view(rule).substr(has_sign ? 2 : 0);
      if (starts_with_match(settings_, "dynamic", expression, module)) return &rule;
    }
  }
  return nullptr;
}

GptqForm Gptq::form_of(const std::string& module) const {
  GptqForm form = form_;
  const std::string* rule = rule_of(module);
  if (rule != nullptr && !rule->starts_with("-:")) {
    if (const auto table = rules_->table(*rule)) change(*table, form);
  }
  return form;
}

Claim Gptq::claim(const std::string& module) const {
  const std::string* rule = rule_of(module);
  if (rule != nullptr) return rule->starts_with("-:") ? Claim::kPlain : Claim::kQuantized;
  if (!is_in_block(module)) {
    if (!has_head_) return Claim::kSilent;
    return *has_head_ ? Claim::kQuantized : Claim::kPlain;
  }
  const auto is_named = [&](const std::string& name) { return module.ends_with("." + name); };
  if (!only_.empty() && std::none_of(only_.begin(), only_.end(), is_named)) return Claim::kPlain;
  return claim_of_skipped(skipped_, module);
}

std::string Gptq::describe() const {
  std::string out = "gptq " + std::to_string(form_.bits) + " bits, " +
                    (form_.group_size == 0 ? "one group a row"
                                           : "groups of " + std::to_string(form_.group_size)) +
                    (form_.is_act_order ? ", act-order" : "") +
                    (rule_names_.empty() ? "" : ", with other forms by name");
  if (other_version_ != 0) {
    out += "; the zero points of " + std::to_string(other_version_) +
           " symmetric modules are those of " + (is_v2_ ? "gptq (v1)" : "gptq_v2") +
           ", config.json says " + (is_v2_ ? "gptq_v2" : "gptq") + ": they were read as they are";
  }
  if (largest_zeros_ != 0) {
    out += "; " + std::to_string(largest_zeros_) +
           " zero points are the largest a field can hold, which gptq.zero_wrap decides about";
  }
  return out;
}

/// Zero points of symmetric modules tell which version wrote them.
bool Gptq::is_v2_of(const GptqForm& form, const std::vector<std::uint16_t>& stored) const {
  if (!form.is_symmetric || stored.empty()) return is_v2_;
  const unsigned other = (1U << (form.bits - 1)) - (is_v2_ ? 1 : 0);
  const bool is_other =
      std::all_of(stored.begin(), stored.end(), [&](std::uint16_t zero) { return zero == other; });
  if (is_other) ++other_version_;
  return is_other != is_v2_;
}

std::vector<std::uint16_t> Gptq::zeros(ModuleTensors& tensors, const GptqForm& form,
                                       std::int64_t rows, std::int64_t groups) const {
  const std::int64_t width = words_per_row(rows, form.bits);
  auto words = tensors.words(".qzeros", {groups, width});
  const auto unpacked = [&] {
    std::vector<std::uint16_t> out(static_cast<std::size_t>(rows * groups));
    for (std::int64_t group = 0; group < groups; ++group) {
      for (std::int64_t row = 0; row < rows; ++row)
        out[static_cast<std::size_t>(row * groups + group)] =
            field_of(words.data() + group * width, row, form.bits);
    }
    return out;
  };
  auto out = unpacked();
  if (is_v2_of(form, out)) return out;
  const auto largest = static_cast<std::uint16_t>((1U << form.bits) - 1);
  largest_zeros_ += static_cast<std::uint64_t>(std::count(out.begin(), out.end(), largest));
  if (wrap_ == ZeroWrap::kCarry && form.bits != 3) {
    // A one in each field: the tool adds them to the word as a whole.
    std::uint32_t ones = 0;
    for (int bit = 0; bit < 32; bit += form.bits) ones |= 1U << bit;
    for (std::uint32_t& word : words) word += ones;
    return unpacked();
  }
  for (std::uint16_t& zero : out) {
    const unsigned next = zero + 1U;
    zero = static_cast<std::uint16_t>(wrap_ == ZeroWrap::kNone ? next : next & largest);
  }
  return out;
}

QuantizedMatrix Gptq::read(ModuleTensors& tensors, std::int64_t rows, std::int64_t columns) const {
  const GptqForm form = form_of(tensors.module());
  QuantizedMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.bits = form.bits;
  matrix.group_size = form.group_size == 0 ? columns : std::min(form.group_size, columns);
  const std::int64_t groups = parts_of(columns, matrix.group_size);
  const std::int64_t words = words_per_row(columns, form.bits);
  matrix.scale_type = tensors.float_type(".scales");
  matrix.scales = turned(tensors.floats(".scales", {groups, rows}), groups, rows);
  matrix.zeros = zeros(tensors, form, rows, groups);
  if (tensors.holds(".g_idx")) {
    matrix.group_of = group_indices(tensors, ".g_idx", columns, matrix.group_size, groups);
  } else if (form.is_act_order && groups > 1) {
    tensors.refuse(".qweight", "has no g_idx beside it, which desc_act = true calls for");
  }
  // Columns of the file are rows here, each the same stream of words.
  matrix.codes.resize(static_cast<std::size_t>(rows * words * 4));
  const auto put = [&](std::int64_t first, std::span<const std::uint32_t> piece) {
    const std::int64_t count =
        static_cast<std::int64_t>(piece.size()) / std::max<std::int64_t>(rows, 1);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t i = 0; i < count; ++i)
        std::memcpy(matrix.codes.data() + (row * words + first + i) * 4,
                    &piece[static_cast<std::size_t>(i * rows + row)], 4);
    }
  };
  tensors.words_by_rows(kWeightTensors, {words, rows}, put);
  matrix.stored_bits = tensors.stored_bits();
  return matrix;
}

}  // namespace

std::unique_ptr<QuantizedLayout> open_gptq(const Settings& settings, ZeroWrap wrap) {
  return std::make_unique<Gptq>(settings, wrap);
}

std::vector<StoredTensor> gptq_tensors(const std::string& module, const QuantizedMatrix& matrix) {
  const int bits = matrix.bits;
  if (matrix.form != Form::kInteger || (bits != 2 && bits != 3 && bits != 4 && bits != 8))
    refuse_to_hold(module, "GPTQ", "it holds integers of 2, 3, 4 or 8 bits");
  const std::int64_t rows = matrix.rows, columns = matrix.columns;
  const std::int64_t groups = groups_per_row(matrix), words = words_per_row(columns, bits);
  std::vector<std::uint32_t> codes(static_cast<std::size_t>(rows * words));
  std::memcpy(codes.data(), matrix.codes.data(), matrix.codes.size());
  const std::int64_t width = words_per_row(rows, bits);
  std::vector<std::uint32_t> zeros(static_cast<std::size_t>(groups * width));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t group = 0; group < groups; ++group) {
      const std::uint16_t zero = matrix.zeros[static_cast<std::size_t>(row * groups + group)];
      if (zero >> bits != 0) {
        refuse_to_hold(module, "GPTQ",
                       "the zero point " + std::to_string(zero) + " does not fit " +
                           std::to_string(bits) + " bits");
      }
      add_field(zeros.data() + group * width, row, bits, zero);
    }
  }
  std::vector<std::int32_t> group_of = matrix.group_of;
  for (std::int64_t k = 0; matrix.group_of.empty() && k < columns; ++k)
    group_of.push_back(static_cast<std::int32_t>(k / matrix.group_size));
  return {stored(module + ".qweight", "I32", {words, rows}, turned(codes, rows, words)),
          stored(module + ".qzeros", "I32", {groups, width}, zeros),
          stored_scales(module + ".scales", {groups, rows}, matrix.scale_type,
                        turned(matrix.scales, rows, groups)),
          stored(module + ".g_idx", "I32", {columns}, group_of)};
}

}  // namespace assay_torch
