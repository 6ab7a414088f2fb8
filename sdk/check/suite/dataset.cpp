// Tests of datasets: schema, streams and their ends, splits.
#include <assay/suite/rows.hpp>
#include <assay/text.hpp>
#include <cstring>
#include <thread>

namespace assay::suite {
namespace {

// Enough to see several batches of any layer, little enough for a large file.
constexpr std::uint64_t kMostRows = 5000;

/// What a split that does not exist is called.
constexpr const char* kNoSplit = "there is no such split";

void schema_is_in_the_profile(Probe& probe) {
  const Made made(probe);
  Stream stream = open_split(probe, made, probe.settings().split);
  Schema schema;
  probe.require(stream->get_schema(stream.get(), schema.out()) == 0, "get_schema failed");
  const auto fault = profile_error(*schema);
  probe.require(!fault, fault.value_or("") + "; expected a schema of the profile");
  for (std::int64_t i = 0; i < schema->n_children; ++i) {
    const char* name = schema->children[i]->name;
    probe.expect(name != nullptr && *name != '\0' && is_utf8(name),
                 "column " + std::to_string(i) + " has no name");
  }
}

void schema_is_as_declared(Probe& probe) {
  const assay_component& component = probe.component();
  if (component.n_columns == 0) probe.skip("its columns are known after open only");
  const Made made(probe);
  Stream stream = open_split(probe, made, probe.settings().split);
  const Schema schema = read_schema(stream, "the split");
  for (std::uint64_t i = 0; i < component.n_columns; ++i) {
    const assay_column& column = *component.columns[i];
    const ArrowSchema* found = nullptr;
    for (std::int64_t k = 0; k < schema->n_children; ++k) {
      if (std::string_view(schema->children[k]->name) == column.name) found = schema->children[k];
    }
    if (found == nullptr) {
      probe.expect((column.flags & ASSAY_COL_OPTIONAL) != 0,
                   "the rows lack the declared column " + quoted(column.name));
      continue;
    }
    const bool is_list = column.type >= ASSAY_INTS && column.type <= ASSAY_TEXTS;
    const Type type =
        *type_of(is_list && found->n_children == 1 ? found->children[0]->format : found->format);
    const bool is_int = type == Type::kInt64 || type == Type::kInt32;
    const bool is_float = type == Type::kFloat64 || type == Type::kFloat32;
    const bool fits =
        (column.type == ASSAY_BOOL && type == Type::kBool) ||
        ((column.type == ASSAY_INT || column.type == ASSAY_INTS) && is_int) ||
        ((column.type == ASSAY_FLOAT || column.type == ASSAY_FLOATS) && is_float) ||
        ((column.type == ASSAY_TEXT || column.type == ASSAY_TEXTS) && type == Type::kText);
    const bool is_list_there = std::string_view(found->format) == "+l";
    probe.expect(fits && is_list == is_list_there,
                 "column " + quoted(column.name) + " is " + spelled(*found) +
                     "; it is declared with type " + std::to_string(column.type));
  }
}

void rows_are_whole(Probe& probe) {
  const Made made(probe);
  Stream stream = open_split(probe, made, probe.settings().split);
  // read_split finds arrays that are not what their schema says.
  const Split split = read_split(probe, stream, kMostRows);
  for (const std::string& row : split.rows) {
    if (!is_utf8(row)) probe.fail("a text of a row is not UTF-8");
  }
}

void nulls_are_announced(Probe& probe) {
  const Made made(probe);
  Stream stream = open_split(probe, made, probe.settings().split);
  const Schema schema = read_schema(stream, "the split");
  std::uint64_t n = 0;
  while (n < kMostRows) {
    const std::optional<Array> batch = read_batch(stream, "the split");
    if (!batch) return;
    const View view(*schema, **batch);
    for (std::int64_t k = 0; k < view.n_children(); ++k) {
      if ((schema->children[k]->flags & ARROW_FLAG_NULLABLE) != 0) continue;
      for (std::int64_t row = 0; row < view.size(); ++row) {
        if (!view.child(k).is_null(row)) continue;
        probe.fail("column " + quoted(view.child_name(k)) +
                   " has a null and is not marked nullable");
      }
    }
    n += static_cast<std::uint64_t>(view.size());
  }
}

void expect_same_rows(Probe& probe, const Split& first, const Split& second,
                      const std::string& what) {
  probe.expect(first.schema == second.schema,
               what + ": the schema is " + second.schema + "; expected " + first.schema);
  probe.expect(first.rows.size() == second.rows.size(),
               what + ": " + std::to_string(second.rows.size()) + " rows came; expected " +
                   std::to_string(first.rows.size()));
  for (std::size_t i = 0; i < std::min(first.rows.size(), second.rows.size()); ++i) {
    if (first.rows[i] == second.rows[i]) continue;
    probe.expect(false, what + ": row " + std::to_string(i) + " is " +
                            second.rows[i].substr(0, 120) + "; expected " +
                            first.rows[i].substr(0, 120));
    return;
  }
}

void same_rows_again(Probe& probe) {
  const Made made(probe);
  const std::string& name = probe.settings().split;
  Stream first = open_split(probe, made, name);
  const Split rows = read_split(probe, first, kMostRows);
  first.reset();
  Stream second = open_split(probe, made, name);
  expect_same_rows(probe, rows, read_split(probe, second, kMostRows), "opened again");
  const Made other(probe);
  Stream third = open_split(probe, other, name);
  expect_same_rows(probe, rows, read_split(probe, third, kMostRows), "in another instance");
}

void two_streams_at_once(Probe& probe) {
  const Made made(probe);
  const std::string& name = probe.settings().split;
  Stream alone = open_split(probe, made, name);
  const Split rows = read_split(probe, alone, kMostRows);
  Stream first = open_split(probe, made, name), second = open_split(probe, made, name);
  const Schema schema = read_schema(first, "the split");
  read_schema(second, "the split");
  Split a{rows.schema, {}}, b{rows.schema, {}};
  bool is_a_over = false, is_b_over = false;
  while ((!is_a_over || !is_b_over) && a.rows.size() < kMostRows) {
    for (auto [stream, to, is_over] :
         {std::tuple(&first, &a, &is_a_over), std::tuple(&second, &b, &is_b_over)}) {
      if (*is_over) continue;
      const std::optional<Array> batch = read_batch(*stream, "the split");
      *is_over = !batch.has_value();
      if (!batch) continue;
      const View view(*schema, **batch);
      for (std::int64_t i = 0; i < view.size(); ++i) to->rows.push_back(spelled(view, i));
    }
  }
  a.rows.resize(std::min<std::size_t>(a.rows.size(), rows.rows.size()));
  b.rows.resize(std::min<std::size_t>(b.rows.size(), rows.rows.size()));
  expect_same_rows(probe, rows, a, "the first of two streams that are open together");
  expect_same_rows(probe, rows, b, "the second of two streams that are open together");
}

void streams_on_two_threads(Probe& probe) {
  if (!probe.has_cap(ASSAY_CAP_CONCURRENT)) probe.skip("no CONCURRENT");
  const Made made(probe);
  const std::string& name = probe.settings().split;
  Stream streams[3] = {open_split(probe, made, name), open_split(probe, made, name),
                       open_split(probe, made, name)};
  Split splits[3];
  std::exception_ptr thrown[2];
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      try {
        splits[i] = read_split(probe, streams[i], kMostRows);
      } catch (...) {
        thrown[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& each : thrown) {
    if (each) std::rethrow_exception(each);
  }
  splits[2] = read_split(probe, streams[2], kMostRows);
  expect_same_rows(probe, splits[2], splits[0], "read on two threads at once");
  expect_same_rows(probe, splits[2], splits[1], "read on two threads at once");
}

void end_is_the_end(Probe& probe) {
  const Made made(probe);
  Stream stream = open_split(probe, made, probe.settings().split);
  if (read_split(probe, stream, kMostRows).rows.size() >= kMostRows) {
    probe.skip("the split is longer than " + std::to_string(kMostRows) + " rows");
  }
  for (int i = 0; i < 2; ++i) {
    probe.expect(!read_batch(stream, "the split").has_value(),
                 "after the end of the stream another batch came");
  }
}

void release_releases(Probe& probe) {
  const Made made(probe);
  // Early: at once, after the schema, after the first batch.
  for (int calls = 0; calls < 3; ++calls) {
    Stream stream = open_split(probe, made, probe.settings().split);
    if (calls > 0) read_schema(stream, "the split");
    if (calls > 1) read_batch(stream, "the split");
    ArrowArrayStream raw = stream.take();
    raw.release(&raw);
    probe.expect(raw.release == nullptr,
                 "a stream's release left its release pointer; expected NULL");
  }
  Stream stream = open_split(probe, made, probe.settings().split);
  Schema schema = read_schema(stream, "the split");
  ArrowSchema raw_schema = schema.take();
  raw_schema.release(&raw_schema);
  probe.expect(raw_schema.release == nullptr, "a schema's release left its release pointer");
  if (std::optional<Array> batch = read_batch(stream, "the split")) {
    ArrowArray raw_array = batch->take();
    raw_array.release(&raw_array);
    probe.expect(raw_array.release == nullptr, "an array's release left its release pointer");
  }
}

void arrays_outlive_their_stream(Probe& probe) {
  Schema schema;
  std::optional<Array> batch;
  std::vector<std::string> before;
  {
    const Made made(probe);
    Stream stream = open_split(probe, made, probe.settings().split);
    schema = read_schema(stream, "the split");
    batch = read_batch(stream, "the split");
    if (!batch) probe.skip("the split has no rows");
    const View view(*schema, **batch);
    for (std::int64_t i = 0; i < view.size(); ++i) before.push_back(spelled(view, i));
  }
  const View view(*schema, **batch);
  for (std::int64_t i = 0; i < view.size(); ++i) {
    if (spelled(view, i) == before[static_cast<std::size_t>(i)]) continue;
    probe.fail("row " + std::to_string(i) +
               " changed when the stream was released and the instance destroyed");
  }
}

void unknown_split(Probe& probe) {
  const Made made(probe);
  ArrowArrayStream out;
  std::memset(&out, 0x5A, sizeof out);
  ArrowArrayStream before = out;
  assay_error error = check::fresh_error();
  const assay_status status = made.api<assay_dataset_v1>().open(
      made.self(), {kNoSplit, std::strlen(kNoSplit)}, &out, &error);
  if (status == ASSAY_OK) {
    out.release(&out);
    probe.fail("open of a split that does not exist answered OK; expected NOT_FOUND");
  }
  probe.expect(status == ASSAY_NOT_FOUND, "open of a split that does not exist answered " +
                                              said(status, error) + "; expected NOT_FOUND");
  probe.expect(std::memcmp(&before, &out, sizeof out) == 0,
               "a failed open wrote into the stream; expected it untouched");
  Stream stream = open_split(probe, made, probe.settings().split);
  read_split(probe, stream, 10);
}

constexpr Test kTests[] = {
    {"dataset.schema-is-in-the-profile", ASSAY_DATASET, nullptr, Level::kMust, 0, true,
     "A schema is a struct of bool, int32, int64, float32, float64, utf8, large_utf8, list, "
     "struct.",
     schema_is_in_the_profile},
    {"dataset.schema-is-as-declared", ASSAY_DATASET, nullptr, Level::kMust, 0, true,
     "Rows have the columns that are declared, with their types.", schema_is_as_declared},
    {"dataset.rows-are-whole", ASSAY_DATASET, nullptr, Level::kMust, 0, true,
     "Arrays are what their schema says, texts are UTF-8.", rows_are_whole},
    {"dataset.nulls-are-announced", ASSAY_DATASET, nullptr, Level::kMust, 26, true,
     "Nulls come in nullable columns only.", nulls_are_announced},
    {"dataset.same-rows-again", ASSAY_DATASET, nullptr, Level::kMust, 13, true,
     "open may be called again, for the same split too, and gives the same rows.", same_rows_again},
    {"dataset.two-streams-at-once", ASSAY_DATASET, nullptr, Level::kMust, 8, true,
     "Two streams of one instance may be open together.", two_streams_at_once},
    {"dataset.streams-on-two-threads", ASSAY_DATASET, nullptr, Level::kMust, 8, true,
     "With CONCURRENT two streams may be read on different threads.", streams_on_two_threads},
    {"dataset.end-is-the-end", ASSAY_DATASET, nullptr, Level::kMust, 0, true,
     "After its end a stream gives nothing more.", end_is_the_end},
    {"dataset.release-releases", ASSAY_DATASET, nullptr, Level::kMust, 2, true,
     "Streams, schemas and arrays are released at any time and say so.", release_releases},
    {"dataset.arrays-outlive-their-stream", ASSAY_DATASET, nullptr, Level::kMust, 2, true,
     "Arrays taken from a stream may outlive stream and instance.", arrays_outlive_their_stream},
    {"dataset.unknown-split", ASSAY_DATASET, nullptr, Level::kMust, 0, true,
     "A split that does not exist is NOT_FOUND, and the instance stays usable.", unknown_split},
};

}  // namespace

std::span<const Test> dataset_tests() { return kTests; }

}  // namespace assay::suite
