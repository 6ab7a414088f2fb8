#include "host/graph/options.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "host/manifest/quantity.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

/// Tables of options that count only where they are given, with the host's key in them.
constexpr std::string_view kTables[] = {"quantize", "simulate"};
constexpr const char* kCalibration = "calibration";

bool is_table_name(std::string_view key) {
  return std::find(std::begin(kTables), std::end(kTables), key) != std::end(kTables);
}

bool is_required(const assay_option& option) { return (option.flags & ASSAY_OPT_REQUIRED) != 0; }

bool is_bounded(const assay_option& option) {
  return option.lo <= option.hi && !(std::isinf(option.lo) && std::isinf(option.hi));
}

std::string range_text(const assay_option& option) {
  if (std::isinf(option.hi)) return "at least " + digits(option.lo);
  if (std::isinf(option.lo)) return "at most " + digits(option.hi);
  return "between " + digits(option.lo) + " and " + digits(option.hi);
}

/// "path" and "path of the texts": what an option expects, in a sentence.
std::string expected(assay_type type) {
  switch (type) {
    case ASSAY_BOOL:
      return "true or false";
    case ASSAY_INT:
      return "a whole number";
    case ASSAY_FLOAT:
      return "a number";
    case ASSAY_PATH_IN:
    case ASSAY_PATH_OUT:
      return "a path";
    case ASSAY_SIZE:
      return "a size such as \"4GiB\"";
    case ASSAY_DURATION:
      return "a duration such as \"30s\"";
    case ASSAY_INTS:
      return "a list of whole numbers";
    case ASSAY_FLOATS:
      return "a list of numbers";
    case ASSAY_TEXTS:
      return "a list of texts";
    case ASSAY_MODEL:
      return "the name of a [model.x]";
    default:
      return "a text";
  }
}

std::optional<assay_type> element_type(assay_type list) {
  if (list == ASSAY_INTS) return ASSAY_INT;
  if (list == ASSAY_FLOATS) return ASSAY_FLOAT;
  if (list == ASSAY_TEXTS) return ASSAY_TEXT;
  return std::nullopt;
}

std::string without_quotes(assay_type type, const std::string& key, const Value& value) {
  if (type != ASSAY_INT && type != ASSAY_FLOAT && type != ASSAY_BOOL) return "";
  const auto* text = get_if<std::string>(value);
  if (text == nullptr) return "";
  const bool is_flag = *text == "true" || *text == "false";
  const bool is_number = !text->empty() && text->size() < 18 &&
                         text->find_first_not_of("0123456789") == std::string::npos;
  if (type == ASSAY_BOOL ? !is_flag : !is_number) return "";
  return "write it without quotes: " + key + " = " + *text;
}

/// A choice may be written as a number: 4 is "4".
std::optional<std::string> choice_text(const Value& value) {
  if (const auto* text = get_if<std::string>(value)) return *text;
  if (const auto* whole = get_if<std::int64_t>(value)) return std::to_string(*whole);
  if (const auto* flag = get_if<bool>(value)) return *flag ? "true" : "false";
  return std::nullopt;
}

/// One option with one value.
class Check {
 public:
  Check(const assay_option& option, std::string key, const Value& value, const OptionOwner& owner,
        std::vector<Diagnostic>& errors)
      : option_(option), key_(std::move(key)), value_(value), owner_(owner), errors_(errors) {}

  /// Nothing, and an error said, where the value does not fit.
  std::optional<Json> run() {
    const auto element = element_type(option_.type);
    if (!element) return one(option_.type, value_);
    const auto* list = get_if<std::vector<Value>>(value_);
    if (list == nullptr) return wrong(option_.type, value_);
    Json array = Json::array();
    for (const Value& value : *list) {
      auto converted = one(*element, value);
      if (!converted) return std::nullopt;
      array.push_back(std::move(*converted));
    }
    return array;
  }

 private:
  std::nullopt_t fail(const Value& value, std::string text, std::string help = {}) {
    errors_.push_back(
        {value.place.line > 0 ? value.place : owner_.place, std::move(text), std::move(help)});
    return std::nullopt;
  }

  std::nullopt_t wrong(assay_type type, const Value& value) {
    return fail(value, key_ + " must be " + expected(type) + ", got " + found(value),
                without_quotes(type, key_, value));
  }

  std::optional<Json> in_range(const Value& value, double number, Json converted) {
    if (!std::isfinite(number)) {
      return fail(value, key_ + " must be a finite number, got " + digits(number));
    }
    if (is_bounded(option_) && !(option_.lo <= number && number <= option_.hi)) {
      return fail(value, key_ + " must be " + range_text(option_) + ", got " + digits(number));
    }
    return converted;
  }

  std::optional<Json> one(assay_type type, const Value& value) {
    switch (type) {
      case ASSAY_BOOL:
        if (const auto* flag = get_if<bool>(value)) return Json(*flag);
        return wrong(type, value);
      case ASSAY_INT:
        if (const auto* whole = get_if<std::int64_t>(value)) {
          return in_range(value, static_cast<double>(*whole), Json(*whole));
        }
        return wrong(type, value);
      case ASSAY_FLOAT:
        return number(value);
      case ASSAY_TEXT:
        if (const auto* text = get_if<std::string>(value)) return Json(*text);
        return wrong(type, value);
      case ASSAY_CHOICE:
        return choice(value);
      case ASSAY_PATH_IN:
      case ASSAY_PATH_OUT:
        return path(type, value);
      case ASSAY_SIZE:
        return size(value);
      case ASSAY_DURATION:
        return duration(value);
      case ASSAY_MODEL:
        return model(value);
      default:
        return fail(
            value, key_ + " is of a type this version does not know (" + std::to_string(type) + ")",
            "get a newer assay, or leave it out");
    }
  }

  std::optional<Json> number(const Value& value) {
    if (const auto* whole = get_if<std::int64_t>(value)) {
      const auto wide = static_cast<double>(*whole);
      return in_range(value, wide, Json(wide));
    }
    if (const auto* number = get_if<double>(value)) return in_range(value, *number, Json(*number));
    return wrong(ASSAY_FLOAT, value);
  }

  std::optional<Json> choice(const Value& value) {
    std::vector<std::string> choices;
    for (const char* const* c = option_.choices; *c != nullptr; ++c) choices.emplace_back(*c);
    const auto text = choice_text(value);
    if (!text)
      return fail(value, key_ + " must be one of " + joined(choices) + ", got " + found(value));
    if (std::find(choices.begin(), choices.end(), *text) != choices.end()) return Json(*text);
    const bool is_text = get_if<std::string>(value) != nullptr;
    return fail(
        value,
        key_ + " = " + (is_text ? in_quotes(*text) : *text) + " is not one of " + joined(choices),
        did_you_mean(*text, choices));
  }

  std::optional<Json> path(assay_type type, const Value& value) {
    const auto* text = get_if<std::string>(value);
    if (text == nullptr) return wrong(type, value);
    if (type == ASSAY_PATH_OUT) {
      const std::string fault = output_path_fault(*text);
      if (fault.empty()) return Json(*text);
      return fail(value, key_ + " = " + in_quotes(*text) + " " + fault);
    }
    if (text->empty()) return fail(value, key_ + " must be a path, got an empty text");
    std::error_code error;
    const fs::path folder = owner_.sources.at(value.place.file).path.parent_path();
    const fs::path whole = fs::absolute(folder / *text, error).lexically_normal();
    // A dataset puts the name of its split there, so which file is meant is its own affair.
    const bool has_split = text->find("{split}") != std::string::npos;
    if (error || (!has_split && !fs::exists(whole, error))) {
      return fail(value, key_ + " = " + in_quotes(*text) + " does not exist",
                  "input paths are relative to the manifest: looked for " + whole.string());
    }
    return Json(whole.string());
  }

  std::optional<Json> size(const Value& value) {
    if (const auto* whole = get_if<std::int64_t>(value); whole != nullptr && *whole >= 0) {
      return in_range(value, static_cast<double>(*whole), Json(*whole));
    }
    const auto* text = get_if<std::string>(value);
    const auto bytes = text != nullptr ? parse_size(*text) : std::nullopt;
    if (!bytes) return wrong(ASSAY_SIZE, value);
    return in_range(value, static_cast<double>(*bytes), Json(static_cast<std::int64_t>(*bytes)));
  }

  std::optional<Json> duration(const Value& value) {
    if (const auto* whole = get_if<std::int64_t>(value); whole != nullptr && *whole >= 0) {
      const auto seconds = static_cast<double>(*whole);
      return in_range(value, seconds, Json(seconds));
    }
    if (const auto* seconds = get_if<double>(value); seconds != nullptr && *seconds >= 0) {
      return in_range(value, *seconds, Json(*seconds));
    }
    const auto* text = get_if<std::string>(value);
    const auto seconds = text != nullptr ? parse_duration(*text) : std::nullopt;
    if (!seconds) return wrong(ASSAY_DURATION, value);
    return in_range(value, *seconds, Json(*seconds));
  }

  std::optional<Json> model(const Value& value) {
    const auto* name = get_if<std::string>(value);
    if (name == nullptr) return wrong(ASSAY_MODEL, value);
    if (owner_.name == "model." + *name) {
      return fail(value, key_ + " = " + in_quotes(*name) + " is this model itself");
    }
    const auto& known = owner_.models;
    if (std::find(known.begin(), known.end(), *name) != known.end()) return Json(*name);
    const std::string near = did_you_mean(*name, known);
    return fail(value, key_ + " = " + in_quotes(*name) + ": there is no [model." + *name + "]",
                near.empty() ? "the models are " + joined(known) : near);
  }

  const assay_option& option_;
  std::string key_;
  const Value& value_;
  const OptionOwner& owner_;
  std::vector<Diagnostic>& errors_;
};

/// Walks the given tables along the declared names.
class Options {
 public:
  Options(const Component& component, const OptionOwner& owner, std::vector<Diagnostic>& errors)
      : component_(component), owner_(owner), errors_(errors) {
    for (std::uint64_t i = 0; i < component.constants->n_options; ++i) {
      declared_.push_back(component.constants->options[i]);
    }
  }

  Json run(const Table& given) {
    for (const std::string_view table : kTables) {
      if (find(given, table) == nullptr) left_out_.push_back(std::string(table) + ".");
    }
    Json options = Json::object();
    read(given, {"", "", owner_.place}, options);
    complete({"", "", owner_.place}, options);
    return in_declared_order(std::move(options));
  }

 private:
  /// A level of the walk. `pattern` is the declared spelling of what stands before a key here:
  /// "override[]."; `shown` is what a sentence calls it: "override.0.".
  struct Level {
    std::string pattern, shown;
    Place place;
  };

  const assay_option* declared(const std::string& pattern) const {
    for (const assay_option* option : declared_) {
      if (pattern == option->name) return option;
    }
    return nullptr;
  }

  bool is_left_out(std::string_view name) const {
    return std::any_of(left_out_.begin(), left_out_.end(),
                       [name](const std::string& prefix) { return name.starts_with(prefix); });
  }

  bool is_any_below(const std::string& prefix) const {
    return std::any_of(declared_.begin(), declared_.end(), [&](const assay_option* option) {
      return std::string_view(option->name).starts_with(prefix);
    });
  }

  /// Names that may stand at a level: what follows its pattern.
  std::vector<std::string> names_at(const Level& level) const {
    std::vector<std::string> names;
    for (const assay_option* option : declared_) {
      const std::string_view name = option->name;
      if (name.starts_with(level.pattern)) names.emplace_back(name.substr(level.pattern.size()));
    }
    if (level.pattern.empty()) {
      names.insert(names.end(), owner_.host_keys.begin(), owner_.host_keys.end());
    } else if (is_table_name(level.pattern.substr(0, level.pattern.size() - 1))) {
      names.emplace_back(kCalibration);
    }
    return names;
  }

  /// `to` is the object of the innermost list of tables; keys in it leave out what leads there.
  void read(const Table& given, const Level& level, Json& to, const std::string& prefix = "") {
    for (const Entry& entry : given) {
      const std::string pattern = level.pattern + entry.key;
      const std::string shown = level.shown + entry.key;
      const std::string key = prefix + entry.key;
      if (const assay_option* option = declared(pattern)) {
        auto value = Check(*option, shown, entry.value, owner_, errors_).run();
        to[key] = value ? std::move(*value) : Json(nullptr);
      } else if (is_any_below(pattern + ".")) {
        read_table(entry, {pattern + ".", shown + ".", entry.value.place}, to, key + ".");
      } else if (is_any_below(pattern + "[].")) {
        read_tables(entry, {pattern + "[].", shown + ".", entry.value.place}, to[key]);
      } else {
        unknown(entry, level);
      }
    }
  }

  void read_table(const Entry& entry, const Level& level, Json& to, const std::string& prefix) {
    if (const auto* table = get_if<Table>(entry.value)) return read(*table, level, to, prefix);
    say(entry.value.place,
        level.shown.substr(0, level.shown.size() - 1) + " must be a table, got " +
            found(entry.value),
        "it has the keys " + joined(names_at(level)));
  }

  void read_tables(const Entry& entry, const Level& level, Json& to) {
    to = Json::array();
    const auto* list = get_if<std::vector<Value>>(entry.value);
    const std::string name = level.shown.substr(0, level.shown.size() - 1);
    const std::string keys = "each has the keys " + joined(names_at(level));
    if (list == nullptr) {
      return say(entry.value.place, name + " must be a list of tables, got " + found(entry.value),
                 keys);
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
      const Value& element = (*list)[i];
      const auto* table = get_if<Table>(element);
      if (table == nullptr) {
        say(element.place, "each of " + name + " must be a table, got " + found(element), keys);
        continue;
      }
      const Level inner{level.pattern, level.shown + std::to_string(i) + ".", element.place};
      to.push_back(Json::object());
      read(*table, inner, to.back());
      complete(inner, to.back());
    }
  }

  void unknown(const Entry& entry, const Level& level) {
    const std::string id(component_.id());
    if (level.pattern.empty() && is_table_name(entry.key)) {
      const auto* table = get_if<Table>(entry.value);
      if (table != nullptr && table->empty()) return;  // what stood there was the host's
      return say(entry.key_place, id + " cannot " + entry.key,
                 "it declares no options for it; leave " + entry.key +
                     " out, or use another "
                     "backend");
    }
    std::string help = did_you_mean(entry.key, names_at(level));
    if (help.empty()) help = "`assay plugins describe " + id + "` shows its options";
    say(entry.key_place, id + " has no option " + in_quotes(level.shown + entry.key),
        std::move(help));
  }

  /// Fills in defaults and reports what is required and not there, in the object of one level of
  /// lists: what stands below a further list belongs to that list's elements.
  void complete(const Level& level, Json& to) {
    for (const assay_option* option : declared_) {
      std::string_view name = option->name;
      if (!name.starts_with(level.pattern)) continue;
      name.remove_prefix(level.pattern.size());
      if (name.find("[]") != std::string_view::npos || to.contains(std::string(name))) continue;
      if (is_left_out(option->name)) continue;
      // A newer plugin's option of a type that is not known here: what this side does not know, it
      // does not see.
      if (option->fallback != nullptr && option->type > ASSAY_MODEL) continue;
      if (option->fallback != nullptr) {
        fill_in(*option, std::string(name), level, to);
      } else if (is_required(*option)) {
        say(level.place,
            owner_.name + " lacks " + in_quotes(level.shown + std::string(name)) +
                ", required by " + std::string(component_.id()),
            level.shown + std::string(name) + ": " + option->help);
      }
    }
  }

  void fill_in(const assay_option& option, const std::string& name, const Level& level, Json& to) {
    std::vector<Diagnostic> faults;
    auto value = parse_value(option.fallback);
    std::optional<Json> checked;
    if (value) checked = Check(option, level.shown + name, *value, owner_, faults).run();
    if (checked) {
      to[name] = std::move(*checked);
      return;
    }
    say(level.place,
        std::string(component_.id()) + " has a default that does not fit: " + level.shown + name +
            " = " + option.fallback,
        "give " + level.shown + name + " a value, and tell the plugin's author");
  }

  void say(const Place& place, std::string text, std::string help = {}) {
    errors_.push_back({place, std::move(text), std::move(help)});
  }

  /// The top level in the order of the declarations, so that the same options always read, and
  /// hash, the same.
  Json in_declared_order(Json options) const {
    Json ordered = Json::object();
    for (const assay_option* option : declared_) {
      const std::string_view name = option->name;
      const std::string key(name.substr(0, name.find("[]")));
      if (options.contains(key) && !ordered.contains(key)) ordered[key] = std::move(options[key]);
    }
    return ordered;
  }

  const Component& component_;
  const OptionOwner& owner_;
  std::vector<Diagnostic>& errors_;
  std::vector<const assay_option*> declared_;
  std::vector<std::string> left_out_;  // prefixes of the tables that are not given
};

}  // namespace

Json check_options(const Component& component, const Table& given, const OptionOwner& owner,
                   std::vector<Diagnostic>& errors) {
  return Options(component, owner, errors).run(given);
}

std::optional<Place> place_of_option(const Table& given, std::string_view key) {
  const std::size_t dot = std::min(key.find('.'), key.size());
  const Value* value = find(given, key.substr(0, dot));
  if (value == nullptr) return std::nullopt;
  std::string_view rest = key.substr(std::min(dot + 1, key.size()));
  const Place own = value->place;
  if (const auto* list = get_if<std::vector<Value>>(*value)) {
    std::size_t place = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), place);
    if (error != std::errc() || place >= list->size()) return own;
    value = &(*list)[place];
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (rest.empty()) return value->place;
    rest.remove_prefix(1);
  }
  const auto* table = get_if<Table>(*value);
  if (table == nullptr || rest.empty()) return value->place;
  return place_of_option(*table, rest).value_or(value->place);
}

const assay_option* find_declared(const Component& component, std::string_view name) {
  for (std::uint64_t i = 0; i < component.constants->n_options; ++i) {
    if (name == component.constants->options[i]->name) return component.constants->options[i];
  }
  return nullptr;
}

Json without_secrets(const Component& component, const Json& options) {
  Json shown = options;
  for (std::uint64_t i = 0; i < component.constants->n_options; ++i) {
    const assay_option& option = *component.constants->options[i];
    if ((option.flags & ASSAY_OPT_SECRET) == 0) continue;
    const std::string_view name = option.name;
    const std::size_t list = name.find("[].");
    if (list == std::string_view::npos) {
      shown.erase(std::string(name));
      continue;
    }
    const std::string key(name.substr(0, list));
    if (!shown.contains(key)) continue;
    for (Json& element : shown[key]) element.erase(std::string(name.substr(list + 3)));
  }
  return shown;
}

std::string output_path_fault(const fs::path& path) {
  if (path.empty() || !path.has_filename()) return "names no file";
  if (path.is_absolute()) return "is absolute; output paths are inside the output directory";
  const fs::path normal = path.lexically_normal();
  if (*normal.begin() == "..") return "leads out of the output directory";
  if (normal == "." || normal == "..") return "names no file";
  if (normal == "run.json" || *normal.begin() == "rows") return "is a name that assay itself uses";
  return "";
}

}  // namespace assay::host
