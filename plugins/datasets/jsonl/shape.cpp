#include "shape.hpp"

#include <algorithm>
#include <assay/sdk.hpp>
#include <nlohmann/json.hpp>

namespace jsonl {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxFields = 4096;

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kNothing:
      return "nothing";
    case Kind::kBool:
      return "true or false";
    case Kind::kInt:
      return "a whole number";
    case Kind::kFloat:
      return "a number";
    case Kind::kText:
      return "text";
    case Kind::kList:
      return "a list";
    case Kind::kObject:
      return "an object";
  }
  return "nothing";
}

bool are_numbers(Kind a, Kind b) {
  return (a == Kind::kInt && b == Kind::kFloat) || (a == Kind::kFloat && b == Kind::kInt);
}

/// The part of the parser's message that says what is wrong, without the text it had read.
std::string reason_of(std::string_view message) {
  const std::size_t context = message.find(" - ");
  const std::size_t start =
      context == std::string_view::npos ? message.find("] ") + 2 : context + 3;
  std::string reason(message.substr(start));
  const std::size_t read = reason.find("; last read: '");
  if (read == std::string::npos) return reason;
  const std::size_t expected = reason.rfind("'; expected ");
  return reason.substr(0, read) +
         (expected == std::string::npos ? "" : reason.substr(expected + 1));
}

/// The column, in characters from 1, of a byte of the line.
std::size_t column_of(std::string_view line, std::size_t byte) {
  const std::string_view before = line.substr(0, std::min(byte, line.size()));
  const auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  return static_cast<std::size_t>(std::count_if(before.begin(), before.end(), is_start)) + 1;
}

std::string advice_for(std::string_view line, std::size_t byte) {
  const std::size_t word = line.substr(0, byte).find_last_of(" \t,:[{-");
  const std::string_view token = line.substr(word == std::string_view::npos ? 0 : word + 1);
  if (token.starts_with("N") || token.starts_with("I")) {
    return "JSON has no NaN and no infinity: write null";
  }
  return "each line must be one JSON object";
}

/// Receives the parser's events for one line and widens the shapes they meet.
class LineScan {
 public:
  LineScan(Shape& records, std::string_view line, std::uint64_t number, const std::string& path)
      : records_(records), line_(line), number_(number), path_(path) {}

  bool null() {
    if (Shape* shape = place())
      shape->has_null = true;
    else
      refuse_line("null");
    return true;
  }
  bool boolean(bool) { return value(Kind::kBool); }
  bool number_integer(json::number_integer_t) { return value(Kind::kInt); }
  bool number_unsigned(json::number_unsigned_t number) {
    if (number > static_cast<json::number_unsigned_t>(INT64_MAX))
      refuse_number(std::to_string(number));
    return value(Kind::kInt);
  }
  bool number_float(json::number_float_t, const std::string& spelling) {
    if (spelling.find_first_of(".eE") == std::string::npos) refuse_number(spelling);
    return value(Kind::kFloat);
  }
  bool string(std::string&) { return value(Kind::kText); }
  bool binary(json::binary_t&) { return true; }

  bool start_object(std::size_t) {
    Shape& shape = open(Kind::kObject);
    ++shape.n_objects;
    return true;
  }
  bool key(std::string& name) {
    Shape& object = *open_.back();
    Shape::Field& field = field_of(object, name);
    if (field.last_object == object.n_objects) fail("the key " + quoted(name) + " is there twice");
    field.last_object = object.n_objects;
    ++field.n_seen;
    next_ = field.shape.get();
    names_.back() = name;
    return true;
  }
  bool end_object() { return close(); }
  bool start_array(std::size_t) {
    Shape& shape = open(Kind::kList);
    if (!shape.element) shape.element = std::make_unique<Shape>();
    return true;
  }
  bool end_array() { return close(); }

  bool parse_error(std::size_t position, const std::string&, const json::exception& error) {
    const std::size_t byte = position == 0 ? 0 : position - 1;
    throw assay::Error(
        ASSAY_INVALID_ARGUMENT, "path",
        path_ + ":" + std::to_string(number_) + ":" + std::to_string(column_of(line_, byte)) +
            ": not valid JSON: " + reason_of(error.what()) + "; " + advice_for(line_, byte));
  }

 private:
  [[noreturn]] void fail(const std::string& text) const {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "path",
                       path_ + ":" + std::to_string(number_) + ": " + text);
  }
  [[noreturn]] void refuse_line(const std::string& found) const {
    fail("the line holds " + found + "; each line must be one JSON object (of a JSON list, " +
         "jq -c '.[]' makes such lines)");
  }
  [[noreturn]] void refuse_number(const std::string& spelling) const {
    fail("column " + quoted(column()) + " holds " + spelling +
         ", which does not fit in 64 bits; write it as text");
  }

  static std::string quoted(const std::string& name) { return json(name).dump(); }

  /// "meta.tags[]": the keys on the way to the value being read.
  std::string column() const {
    std::string path;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      if (open_[i]->kind == Kind::kList)
        path += "[]";
      else
        path += (path.empty() ? "" : ".") + names_[i];
    }
    return path;
  }

  /// Where the next value goes; nothing at the top, which must be an object.
  Shape* place() {
    if (open_.empty()) return nullptr;
    return open_.back()->kind == Kind::kList ? open_.back()->element.get() : next_;
  }

  bool value(Kind kind) {
    Shape* shape = place();
    if (shape == nullptr) refuse_line(name_of(kind));
    widen(*shape, kind);
    return true;
  }

  void widen(Shape& shape, Kind kind) {
    if (shape.kind == kind) return;
    if (shape.kind == Kind::kNothing) {
      shape.kind = kind;
      shape.first_line = number_;
    } else if (are_numbers(shape.kind, kind)) {
      shape.kind = Kind::kFloat;
    } else {
      fail("column " + quoted(column()) + " holds " + name_of(kind) + " here and " +
           name_of(shape.kind) + " in line " + std::to_string(shape.first_line) +
           "; give it one type in all lines");
    }
  }

  Shape& open(Kind kind) {
    Shape* shape = place();
    if (shape == nullptr) {
      if (kind != Kind::kObject) refuse_line(name_of(kind));
      shape = &records_;
    }
    if (open_.size() == kMaxDepth) {
      fail("values are nested deeper than " + std::to_string(kMaxDepth) +
           " levels; flatten the record");
    }
    widen(*shape, kind);
    open_.push_back(shape);
    names_.emplace_back();
    return *shape;
  }

  bool close() {
    open_.pop_back();
    names_.pop_back();
    return true;
  }

  Shape::Field& field_of(Shape& object, const std::string& name) {
    const auto found = object.field_places.find(name);
    if (found != object.field_places.end()) return object.fields[found->second];
    if (object.fields.size() == kMaxFields) {
      fail("more than " + std::to_string(kMaxFields) +
           " different keys at one place; write what varies as a list of values, not as keys");
    }
    object.field_places.emplace(name, object.fields.size());
    return object.fields.emplace_back(Shape::Field{name, std::make_unique<Shape>()});
  }

  Shape& records_;
  std::string_view line_;
  std::uint64_t number_;
  const std::string& path_;
  std::vector<Shape*> open_;        // objects and lists being read, outermost first
  std::vector<std::string> names_;  // the key being read in each of them
  Shape* next_ = nullptr;           // of the key just read
};

}  // namespace

void add_line(Shape& records, std::string_view line, std::uint64_t number,
              const std::string& path) {
  LineScan scan(records, line, number, path);
  json::sax_parse(line.begin(), line.end(), &scan);
}

}  // namespace jsonl
