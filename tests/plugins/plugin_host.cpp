#include "tests/plugins/plugin_host.hpp"

#include <assay/arrow_c.h>
#include <dlfcn.h>

#include <cstring>
#include <deque>
#include <stdexcept>
#include <string_view>

struct assay_config {
  plugin_test::Json values;
  mutable std::deque<std::string> texts;  // what get_json lends stays here
};

namespace plugin_test {
namespace {

const assay_plugin& load(const std::string& name) {
  const std::string file =
      std::string(ASSAY_TEST_PLUGINS) + "/assay-" + name.substr(name.find('/') + 1) + ".so";
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  const void* constants = dlsym(library, "assay_plugin_v1");
  if (constants == nullptr) throw std::runtime_error(file + " exports no assay_plugin_v1");
  return *static_cast<const assay_plugin*>(constants);
}

/// The option, or element n of a list where the key is "option.n".
const Json* find(const assay_config* config, const std::string& key) {
  if (const auto found = config->values.find(key); found != config->values.end()) return &*found;
  const std::size_t dot = key.rfind('.');
  const auto list = config->values.find(key.substr(0, dot));
  if (dot == std::string::npos || list == config->values.end()) return nullptr;
  return &list->at(std::stoul(key.substr(dot + 1)));
}

template <class Value>
assay_status get(const assay_config* config, const char* key, Value* out) noexcept {
  const Json* value = find(config, key);
  if (value == nullptr) return ASSAY_NOT_FOUND;
  *out = value->get<Value>();
  return ASSAY_OK;
}

assay_status get_flag(const assay_config* config, const char* key, std::int32_t* out) noexcept {
  const Json* value = find(config, key);
  if (value == nullptr) return ASSAY_NOT_FOUND;
  *out = value->get<bool>() ? 1 : 0;
  return ASSAY_OK;
}

assay_status get_text(const assay_config* config, const char* key, assay_str* out) noexcept {
  const Json* value = find(config, key);
  if (value == nullptr) return ASSAY_NOT_FOUND;
  const auto& text = value->get_ref<const std::string&>();
  *out = {text.data(), text.size()};
  return ASSAY_OK;
}

assay_status get_json(const assay_config* config, const char* key, assay_str* out) noexcept {
  const Json* value = find(config, key);
  if (value == nullptr) return ASSAY_NOT_FOUND;
  const std::string& text = config->texts.emplace_back(value->dump());
  *out = {text.data(), text.size()};
  return ASSAY_OK;
}

assay_status get_count(const assay_config* config, const char* key, std::uint64_t* out) noexcept {
  const Json* value = find(config, key);
  if (value == nullptr) return ASSAY_NOT_FOUND;
  *out = value->size();
  return ASSAY_OK;
}

assay_error no_error() {
  assay_error error{};
  error.struct_size = sizeof error;
  return error;
}

/// An option's default as the host would give it. Sizes: whole MiB or GiB only.
Json value_of(const assay_option& option) {
  const Json written = Json::parse(option.fallback);
  if (option.type != ASSAY_SIZE || !written.is_string()) return written;
  const auto text = written.get<std::string>();
  const int shift = text.ends_with("GiB") ? 30 : 20;
  if (shift == 20 && !text.ends_with("MiB"))
    throw std::invalid_argument(std::string(option.name) + ": not a size in MiB or GiB: " + text);
  return std::stoll(text) << shift;
}

Said said_of(assay_status status, const assay_error& error) {
  if (status == ASSAY_OK) return {};
  return {status, error.where, error.text};
}

/// Reads bit i of a bitmap; no bitmap means every bit is set.
bool bit(const void* bitmap, std::int64_t i) {
  return bitmap == nullptr || ((static_cast<const std::uint8_t*>(bitmap)[i / 8] >> (i % 8)) & 1);
}

template <class Value>
Value at(const ArrowArray& array, int buffer, std::int64_t i) {
  return static_cast<const Value*>(array.buffers[buffer])[i];
}

template <class Offset>
Json text_at(const ArrowArray& array, std::int64_t i) {
  const auto begin = at<Offset>(array, 1, i), end = at<Offset>(array, 1, i + 1);
  return std::string(static_cast<const char*>(array.buffers[2]) + begin,
                     static_cast<std::size_t>(end - begin));
}

/// Element i, counted from the array's own offset, as JSON.
Json element(const ArrowSchema& schema, const ArrowArray& array, std::int64_t i) {
  const std::string_view format = schema.format;
  const std::int64_t place = i + array.offset;
  if (!bit(array.buffers[0], place)) return nullptr;
  if (format == "b") return bit(array.buffers[1], place);
  if (format == "l") return at<std::int64_t>(array, 1, place);
  if (format == "g") return at<double>(array, 1, place);
  if (format == "u") return text_at<std::int32_t>(array, place);
  if (format == "U") return text_at<std::int64_t>(array, place);
  if (format == "+l" || format == "+L") {
    const bool is_large = format == "+L";
    const auto offset = [&](std::int64_t k) {
      return is_large ? at<std::int64_t>(array, 1, k) : std::int64_t{at<std::int32_t>(array, 1, k)};
    };
    Json list = Json::array();
    for (std::int64_t k = offset(place); k < offset(place + 1); ++k) {
      list.push_back(element(*schema.children[0], *array.children[0], k));
    }
    return list;
  }
  if (format == "+s") {
    Json object = Json::object();
    for (std::int64_t c = 0; c < schema.n_children; ++c) {
      object[schema.children[c]->name] = element(*schema.children[c], *array.children[c], place);
    }
    return object;
  }
  throw std::runtime_error("no test knows the Arrow format " + std::string(format));
}

std::string spelling(const ArrowSchema& schema) {
  std::string text = schema.format;
  if (schema.n_children > 0) {
    text += "<";
    for (std::int64_t c = 0; c < schema.n_children; ++c) {
      const ArrowSchema& child = *schema.children[c];
      const bool is_named = std::string_view(schema.format) == "+s";
      text += (c == 0 ? "" : ",") + (is_named ? std::string(child.name) + ":" : std::string()) +
              spelling(child);
    }
    text += ">";
  }
  return text + ((schema.flags & ARROW_FLAG_NULLABLE) != 0 ? "?" : "");
}

void drain(ArrowArrayStream& stream, Keep keep, Rows& result) {
  ArrowSchema schema{};
  const auto refuse = [&](int status) {
    const char* text = stream.get_last_error(&stream);
    result.said = {status == EINVAL ? ASSAY_INVALID_ARGUMENT : ASSAY_UNAVAILABLE, "",
                   text == nullptr ? "" : text};
  };
  if (const int status = stream.get_schema(&stream, &schema)) return refuse(status);
  for (std::int64_t c = 0; c < schema.n_children; ++c) {
    result.schema[schema.children[c]->name] = spelling(*schema.children[c]);
  }
  for (;;) {
    ArrowArray batch{};
    if (const int status = stream.get_next(&stream, &batch)) {
      refuse(status);
      break;
    }
    if (batch.release == nullptr) break;
    ++result.n_batches;
    result.n_rows += static_cast<std::uint64_t>(batch.length);
    for (std::int64_t i = 0; keep == Keep::kRows && i < batch.length; ++i) {
      result.rows.push_back(element(schema, batch, i));
    }
    batch.release(&batch);
  }
  schema.release(&schema);
}

/// One column of a batch, built from JSON and lent for one call.
struct Built {
  ArrowSchema schema{};
  ArrowArray array{};
  std::string name, format;
  std::vector<double> floats;
  std::vector<std::int64_t> ints;
  std::vector<std::int32_t> ends{0};
  std::string bytes, bits;
  const void* buffers[3] = {nullptr, nullptr, nullptr};
  std::deque<Built> children;
  std::vector<ArrowSchema*> child_schemas;
  std::vector<ArrowArray*> child_arrays;

  void close(std::int64_t length, std::int64_t n_buffers) {
    for (Built& child : children) {
      child_schemas.push_back(&child.schema);
      child_arrays.push_back(&child.array);
    }
    schema.format = format.c_str();
    schema.name = name.c_str();
    schema.release = [](ArrowSchema* lent) { lent->release = nullptr; };
    array.length = length;
    array.n_buffers = n_buffers;
    array.buffers = buffers;
    array.release = [](ArrowArray* lent) { lent->release = nullptr; };
    schema.n_children = array.n_children = static_cast<std::int64_t>(children.size());
    schema.children = child_schemas.data();
    array.children = child_arrays.data();
  }
};

void build(Built& column, assay_type type, const std::vector<const Json*>& values) {
  const auto length = static_cast<std::int64_t>(values.size());
  if (type == ASSAY_INT) {
    column.format = "l";
    for (const Json* value : values) column.ints.push_back(value->get<std::int64_t>());
    column.buffers[1] = column.ints.data();
    return column.close(length, 2);
  }
  if (type == ASSAY_FLOAT) {
    column.format = "g";
    // JSON has no NaN: a test writes null for it.
    for (const Json* value : values) {
      column.floats.push_back(value->is_null() ? std::numeric_limits<double>::quiet_NaN()
                                               : value->get<double>());
    }
    column.buffers[1] = column.floats.data();
    return column.close(length, 2);
  }
  if (type == ASSAY_BOOL) {
    column.format = "b";
    column.bits.resize(values.size() / 8 + 1);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i]->get<bool>()) column.bits[i / 8] |= static_cast<char>(1 << (i % 8));
    }
    column.buffers[1] = column.bits.data();
    return column.close(length, 2);
  }
  if (type == ASSAY_TEXT) {
    column.format = "u";
    for (const Json* value : values) {
      column.bytes += value->get<std::string>();
      column.ends.push_back(static_cast<std::int32_t>(column.bytes.size()));
    }
    column.buffers[1] = column.ends.data();
    column.buffers[2] = column.bytes.data();
    return column.close(length, 3);
  }
  column.format = "+l";
  std::vector<const Json*> elements;
  for (const Json* value : values) {
    for (const Json& one : *value) elements.push_back(&one);
    column.ends.push_back(static_cast<std::int32_t>(elements.size()));
  }
  column.buffers[1] = column.ends.data();
  column.children.emplace_back().name = "item";
  build(column.children.back(),
        type == ASSAY_INTS     ? ASSAY_INT
        : type == ASSAY_FLOATS ? ASSAY_FLOAT
                               : ASSAY_TEXT,
        elements);
  column.close(length, 2);
}

/// What a metric's sink writes into.
struct Receiver {
  Measured& measured;
  std::size_t first_row = 0;
};

void receive_sample(void* ctx, std::uint64_t row, const char* name, double value) noexcept {
  auto& receiver = *static_cast<Receiver*>(ctx);
  auto& samples = receiver.measured.samples[name];
  const std::size_t place = receiver.first_row + row;
  if (samples.size() <= place) samples.resize(place + 1, std::numeric_limits<double>::quiet_NaN());
  samples[place] = value;
}

void receive_total(void* ctx, const char* name, double value, double std_error,
                   std::uint64_t n) noexcept {
  static_cast<Receiver*>(ctx)->measured.totals[name] = {value, std_error, n};
}

}  // namespace

struct Component::Host {
  assay_host table{};
  assay_config config;
  assay_resources resources{};
};

Component::Component(const std::string& name)
    : host_(std::make_unique<Host>()), constants_(load(name).components[0]) {
  assay_host& table = host_->table;
  table.struct_size = sizeof table;
  table.name = "test";
  table.version = "1";
  table.log = [](const assay_host*, assay_level, assay_str) noexcept {};
  table.cancelled = [](const assay_host*) noexcept { return 0; };
  table.progress = [](const assay_host*, double, assay_str) noexcept {};
  table.get_bool = get_flag;
  table.get_int = get<std::int64_t>;
  table.get_float = get<double>;
  table.get_text = get_text;
  table.get_json = get_json;
  table.get_count = get_count;
  table.extension = [](const assay_host*, const char*) noexcept -> const void* { return nullptr; };
  host_->resources.struct_size = sizeof host_->resources;
  host_->resources.threads = 1;
  host_->resources.device = {1, 0};
}

Component::~Component() { constants_->destroy(self_); }

void Component::configure(const Json& options) {
  Json& values = host_->config.values = Json::object();
  for (std::uint64_t i = 0; i < constants_->n_options; ++i) {
    const assay_option& option = *constants_->options[i];
    if (option.fallback != nullptr) values[option.name] = value_of(option);
  }
  values.update(options);
}

Said Component::estimate(const Json& options, const assay_job& job, assay_resources& need) {
  configure(options);
  need.struct_size = sizeof need;
  assay_error error = no_error();
  const assay_status status =
      api<assay_backend_v1>().estimate(&host_->table, &host_->config, &job, &need, &error);
  return said_of(status, error);
}

Said Component::create(const Json& options) {
  configure(options);
  assay_error error = no_error();
  const assay_status status =
      constants_->create(&host_->table, &host_->config, &host_->resources, &self_, &error);
  return said_of(status, error);
}

Rows read_dataset(const std::string& name, const Json& options, Keep keep,
                  const std::string& split) {
  Rows result;
  Component dataset(name);
  result.said = dataset.create(options);
  if (!result.said.is_ok()) return result;
  ArrowArrayStream stream{};
  assay_error error = no_error();
  const assay_status status = dataset.api<assay_dataset_v1>().open(
      dataset.self(), {split.data(), split.size()}, &stream, &error);
  result.said = said_of(status, error);
  if (!result.said.is_ok()) return result;
  drain(stream, keep, result);
  stream.release(&stream);
  return result;
}

Measured measure(const std::string& name, const std::vector<Json>& rows, std::size_t batch_size,
                 const Json& options) {
  Measured result;
  Component metric(name);
  result.said = metric.create(options);
  Receiver receiver{result};
  const assay_value_sink sink{sizeof(assay_value_sink), 0, &receiver, receive_sample,
                              receive_total};
  assay_error error = no_error();
  for (std::size_t begin = 0; begin < rows.size() && result.said.is_ok(); begin += batch_size) {
    const std::size_t end = std::min(rows.size(), begin + batch_size);
    Built batch;
    batch.format = "+s";
    for (std::uint64_t c = 0; c < metric.constants().n_columns; ++c) {
      const assay_column& declared = *metric.constants().columns[c];
      std::vector<const Json*> values;
      for (std::size_t i = begin; i < end; ++i) values.push_back(&rows[i].at(declared.name));
      batch.children.emplace_back().name = declared.name;
      build(batch.children.back(), declared.type, values);
    }
    batch.close(static_cast<std::int64_t>(end - begin), 1);
    receiver.first_row = begin;
    const assay_status status = metric.api<assay_metric_v1>().update(metric.self(), &batch.schema,
                                                                     &batch.array, &sink, &error);
    result.said = said_of(status, error);
  }
  if (!result.said.is_ok()) return result;
  result.said = said_of(metric.api<assay_metric_v1>().finish(metric.self(), &sink, &error), error);
  return result;
}

Said report(const std::string& name, const Json& options, const std::string& run_json) {
  Component reporter(name);
  if (Said said = reporter.create(options); !said.is_ok()) return said;
  assay_report document{};
  document.struct_size = sizeof document;
  document.run_json = {run_json.data(), run_json.size()};
  document.table = [](void*, assay_str, ArrowArrayStream*, assay_error*) noexcept {
    return assay_status{ASSAY_NOT_FOUND};
  };
  assay_error error = no_error();
  const assay_status status =
      reporter.api<assay_reporter_v1>().write(reporter.self(), &document, &error);
  return said_of(status, error);
}

}  // namespace plugin_test
