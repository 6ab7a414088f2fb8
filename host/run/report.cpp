#include "host/run/report.hpp"

#include <assay/arrow.hpp>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/loader/instance.hpp"
#include "host/run/score.hpp"
#include "host/store/rows.hpp"

namespace assay::host {
namespace {

constexpr std::int64_t kBatchRows = 1024;

/// Fills one row of a table's builder; false at the end.
using NextRow = std::function<bool(Builder& row)>;

void put_text(Builder& column, const Json& value) {
  if (value.is_null()) {
    column.append_null();
  } else {
    column.append_text(value.is_string() ? value.get<std::string>() : value.dump());
  }
}

void put_number(Builder& column, const Json& value) {
  if (value.is_number()) {
    column.append_float(value.get<double>());
  } else {
    column.append_null();
  }
}

void put_integer(Builder& column, const Json& value) {
  if (value.is_number_integer()) {
    column.append_int(value.get<std::int64_t>());
  } else {
    column.append_null();
  }
}

void put(Builder& column, const Json& value) {
  switch (column.field().type) {
    case Type::kFloat64:
      return put_number(column, value);
    case Type::kInt64:
      return put_integer(column, value);
    case Type::kList:
      if (!value.is_array()) return column.append_null();
      for (const Json& element : value) put(column.child(0), element);
      return column.end_list();
    default:
      return put_text(column, value);
  }
}

ArrowArrayStream stream_of(std::vector<Field> columns, NextRow next) {
  auto builder = std::make_shared<Builder>(table_of(columns));
  return make_stream(std::move(columns), [builder, next = std::move(next)](ArrowArray* out) {
    while (builder->size() < kBatchRows && next(*builder)) builder->end_struct();
    if (builder->size() == 0) return false;
    *out = builder->finish();
    return true;
  });
}

Field column(std::string name, Type type) { return {std::move(name), type, {}, true}; }

/// A table whose rows are the entries of a list of the document.
ArrowArrayStream entries(const Json& list, std::vector<Field> columns) {
  std::size_t at = 0;
  std::vector<std::string> names;
  for (const Field& field : columns) names.push_back(field.name);
  return stream_of(std::move(columns), [&list, names, at](Builder& row) mutable {
    if (at == list.size()) return false;
    const Json& entry = list[at++];
    for (std::size_t i = 0; i < names.size(); ++i) put(row.child(i), entry.at(names[i]));
    return true;
  });
}

/// The rows of one task under all its variants, sorted by item, then by variant: one reader per
/// variant, the lowest item next.
class MergedRows {
 public:
  MergedRows(const Graph& graph, const TaskSpec& task, const std::filesystem::path& out) {
    for (const std::size_t model : task.models) {
      const std::string& name = graph.models[model].name;
      auto reader = RowReader::open(rows_path(out, name, task.name));
      if (!reader) continue;  // a variant that failed before this task has no rows
      sources_.push_back({name, std::move(*reader), std::nullopt});
      advance(sources_.back());
    }
  }

  struct Next {
    std::string variant;
    Json row;
  };

  /// Throws assay::Error where a row file is damaged: the stream passes it on.
  std::optional<Next> next() {
    Source* lowest = nullptr;
    for (Source& source : sources_) {
      if (source.row && (lowest == nullptr || index(source) < index(*lowest))) lowest = &source;
    }
    if (lowest == nullptr) return std::nullopt;
    Next next{lowest->variant, std::move(*lowest->row)};
    advance(*lowest);
    return next;
  }

 private:
  struct Source {
    std::string variant;
    RowReader reader;
    std::optional<Json> row;
  };

  static std::uint64_t index(const Source& source) {
    return source.row->at("index").get<std::uint64_t>();
  }

  static void advance(Source& source) {
    auto row = source.reader.next();
    if (!row) throw Error(row.error().code, row.error().where, row.error().text);
    source.row = std::move(*row);
  }

  std::vector<Source> sources_;
};

Field field_of(const RowColumn& wanted) {
  const std::string name(wanted.name);
  switch (wanted.type) {
    case ASSAY_INT:
      return column(name, Type::kInt64);
    case ASSAY_FLOAT:
      return column(name, Type::kFloat64);
    case ASSAY_INTS:
      return {name, Type::kList, {column("item", Type::kInt64)}, true};
    case ASSAY_FLOATS:
      return {name, Type::kList, {column("item", Type::kFloat64)}, true};
    case ASSAY_TEXTS:
      return {name, Type::kList, {column("item", Type::kText)}, true};
    default:
      return column(name, Type::kText);
  }
}

ArrowArrayStream rows_of(const Graph& graph, const TaskSpec& task,
                         const std::filesystem::path& out) {
  std::vector<Field> columns{column("index", Type::kInt64),  column("item", Type::kText),
                             column("variant", Type::kText), column("status", Type::kText),
                             column("groups", Type::kText),  column("prompt_sha256", Type::kText)};
  for (const RowColumn& own : row_columns(task.protocol)) columns.push_back(field_of(own));
  std::vector<std::string> names;
  for (const Field& field : columns) names.push_back(field.name);
  auto rows = std::make_shared<MergedRows>(graph, task, out);
  return stream_of(std::move(columns), [rows, names](Builder& row) {
    auto next = rows->next();
    if (!next) return false;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto value = next->row.find(names[i]);
      if (names[i] == "variant") {
        row.child(i).append_text(next->variant);
      } else {
        put(row.child(i), value == next->row.end() ? Json(nullptr) : *value);
      }
    }
    return true;
  });
}

/// One row per task, item, variant and metric that gave a sample.
ArrowArrayStream samples_of(const Graph& graph, const std::filesystem::path& out) {
  struct Cursor {
    std::size_t task = 0;
    std::optional<MergedRows> rows;
    std::optional<MergedRows::Next> row;
    std::size_t metric = 0;
  };
  auto cursor = std::make_shared<Cursor>();
  std::vector<Field> columns{column("task", Type::kText),   column("index", Type::kInt64),
                             column("item", Type::kText),   column("variant", Type::kText),
                             column("metric", Type::kText), column("value", Type::kFloat64)};
  return stream_of(std::move(columns), [&graph, out, cursor](Builder& row) {
    for (; cursor->task < graph.tasks.size(); ++cursor->task, cursor->rows.reset()) {
      const TaskSpec& task = graph.tasks[cursor->task];
      if (!cursor->rows) cursor->rows.emplace(graph, task, out);
      for (;;) {
        if (!cursor->row) {
          cursor->row = cursor->rows->next();
          cursor->metric = 0;
        }
        if (!cursor->row) break;
        const Json& stored = cursor->row->row;
        const Json samples = stored.value("metrics", Json::object());
        if (cursor->metric == samples.size()) {
          cursor->row.reset();
          continue;
        }
        auto sample = samples.begin();
        std::advance(sample, cursor->metric++);
        row.child(0).append_text(task.name);
        put_integer(row.child(1), stored.at("index"));
        put_text(row.child(2), stored.at("item"));
        row.child(3).append_text(cursor->row->variant);
        row.child(4).append_text(sample.key());
        put_number(row.child(5), sample.value());
        return true;
      }
    }
    return false;
  });
}

/// What a reporter may ask for while write() runs.
class Tables {
 public:
  Tables(const Graph& graph, const Json& document, const std::filesystem::path& out)
      : graph_(graph), document_(document), out_(out), text_(document.dump()) {
    table_.struct_size = sizeof(table_);
    table_.ctx = this;
    table_.run_json = {text_.data(), text_.size()};
    table_.table = [](void* ctx, assay_str name, ArrowArrayStream* stream,
                      assay_error* error) noexcept -> assay_status {
      return wall(
          error, [&] { static_cast<Tables*>(ctx)->give(std::string(name.ptr, name.len), stream); });
    };
  }

  const assay_report& table() const { return table_; }

 private:
  void give(const std::string& name, ArrowArrayStream* stream) const {
    if (name == "totals") {
      *stream = entries(document_.at("records"),
                        {column("variant", Type::kText), column("task", Type::kText),
                         column("metric", Type::kText), column("group", Type::kText),
                         column("value", Type::kFloat64), column("std_error", Type::kFloat64),
                         column("n", Type::kInt64)});
      return;
    }
    if (name == "verdicts") {
      *stream = entries(
          document_.at("verdicts"),
          {column("task", Type::kText), column("metric", Type::kText), column("group", Type::kText),
           column("variant", Type::kText), column("verdict", Type::kText),
           column("threshold", Type::kText), column("observed", Type::kFloat64),
           column("allowed", Type::kFloat64), column("text", Type::kText)});
      return;
    }
    if (name == "samples") {
      *stream = samples_of(graph_, out_);
      return;
    }
    for (const TaskSpec& task : graph_.tasks) {
      if (name != "rows/" + task.name) continue;
      *stream = rows_of(graph_, task, out_);
      return;
    }
    throw Error(ASSAY_NOT_FOUND, name,
                "no table \"" + name + "\"; there are totals, verdicts, samples and rows/<task>");
  }

  const Graph& graph_;
  const Json& document_;
  const std::filesystem::path& out_;
  std::string text_;
  assay_report table_{};
};

}  // namespace

Result<void> write_report(const ReportSpec& report, const Graph& graph, const Json& document,
                          const std::filesystem::path& out) {
  Json options = report.use.options;
  if (!report.file.empty()) options["file"] = (out / report.file).string();
  Lease lease;
  lease.node = std::string(report.use.component->id());
  auto instance = Instance::create(*report.use.component, options, lease);
  if (!instance) return std::move(instance).error();
  const Tables tables(graph, document, out);
  return instance->call("write", [&](assay_error* error) {
    return instance->api<assay_reporter_v1>().write(instance->self(), &tables.table(), error);
  });
}

}  // namespace assay::host
