#include <algorithm>
#include <cmath>
#include <utility>

#include "host/text/crate_call.hpp"
#include "host/text/text.hpp"

namespace assay::host {
namespace {

struct Close {
  void operator()(assay_text_template* compiled) const { assay_text_template_close(compiled); }
};
using Handle = std::unique_ptr<assay_text_template, Close>;

bool is_finite(const Json& value) {
  if (value.is_number_float()) return std::isfinite(value.get<double>());
  return std::all_of(value.begin(), value.end(), [](const Json& part) {
    return part.is_structured() || part.is_number_float() ? is_finite(part) : true;
  });
}

bool is_utf8(const Json& value) {
  try {
    value.dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

Failure bad_column(const std::string& column, const std::string& what) {
  return {ASSAY_INVALID_ARGUMENT, "column \"" + column + "\" " + what, column};
}

/// The record as JSON text. JSON has no NaN and writes null for it, which would read as a missing
/// value, so such a column fails where the template reads it.
Result<std::string> to_text(const Json& record, const std::set<std::string>& variables) {
  if (!record.is_object()) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   std::string("a record must be an object of columns, got ") + record.type_name()};
  }
  for (const std::string& name : variables) {
    const auto column = record.find(name);
    if (column != record.end() && (column->is_structured() || column->is_number_float()) &&
        !is_finite(*column)) {
      return bad_column(name, "holds a number that is not finite, which a template cannot use");
    }
  }
  try {
    return record.dump();
  } catch (const Json::exception&) {
    for (const auto& [name, value] : record.items()) {
      if (!is_utf8(value)) return bad_column(name, "holds text that is not UTF-8");
    }
    return Failure{ASSAY_INVALID_ARGUMENT, "the record has a column name that is not UTF-8"};
  }
}

}  // namespace

struct Template::State {
  Handle handle;
  std::set<std::string> variables;
};

Template::Template(std::unique_ptr<State> state) : state_(std::move(state)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Result<Template> Template::compile(std::string_view source) {
  assay_text_template* compiled = nullptr;
  CrateBuffer out;
  const std::int32_t status = assay_text_template_open(borrowed(source), &compiled, out.out());
  if (status != ASSAY_TEXT_OK) return failure_of(status, out, "");
  auto state = std::make_unique<State>();
  state->handle.reset(compiled);
  for (const Json& name : Json::parse(out.text())) state->variables.insert(name.get<std::string>());
  return Template(std::move(state));
}

Result<std::string> Template::render(const Json& record) const {
  auto text = to_text(record, state_->variables);
  if (!text) return std::move(text).error();
  CrateBuffer out;
  const std::int32_t status = assay_text_render(state_->handle.get(), borrowed(*text), out.out());
  if (status != ASSAY_TEXT_OK) return failure_of(status, out, "");
  return std::string(out.text());
}

Result<Json> Template::evaluate(const Json& record) const {
  auto text = to_text(record, state_->variables);
  if (!text) return std::move(text).error();
  CrateBuffer out;
  const std::int32_t status = assay_text_evaluate(state_->handle.get(), borrowed(*text), out.out());
  if (status != ASSAY_TEXT_OK) return failure_of(status, out, "");
  return Json::parse(out.text());
}

const std::set<std::string>& Template::variables() const { return state_->variables; }

}  // namespace assay::host
