// Extensions by their tables, as a host calls them: listed where a component has the members, and
// never reaching past the fields a caller knows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <assay/check/subject.hpp>
#include <assay/plugin.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace assay {
namespace {

using check::Created;
using check::FakeHost;
using check::fresh_error;
using check::LocalSubject;
using check::Options;
using check::SpyValues;
using check::Table;
using testing::ElementsAre;
using testing::IsEmpty;

template <class T>
const assay_component& constants() {
  return *detail::component_of<T>();
}

template <class Api>
const Api& extension(const LocalSubject& subject, const char* id) {
  const void* table = subject.extension(nullptr, id);
  if (table == nullptr) throw std::runtime_error(std::string("not offered: ") + id);
  return *static_cast<const Api*>(table);
}

std::vector<std::string> ids(const assay_component& component) {
  std::vector<std::string> all;
  for (std::uint64_t i = 0; i < component.n_extensions; ++i) {
    all.emplace_back(component.extensions[i].id);
  }
  return all;
}

struct Plain : Metric {
  static constexpr Info info{"test/plain", "1.0.0", "Has no extension"};
  static constexpr Output outputs[] = {mean("y", "zero")};
  explicit Plain(Context) {}
  double score(const Sample&) { return 0; }
};

struct Vendor {
  std::uint32_t struct_size;
  int answer;
};
constexpr Vendor kVendor{sizeof(Vendor), 42};

/// Refuses two options that contradict each other, and lists a table of its own.
struct Contradicted : Metric {
  static constexpr Info info{"test/contradicted", "1.0.0", "Checks its options"};
  static constexpr Option options[] = {integer("lowest", "0", "lowest"),
                                       integer("highest", "9", "highest"),
                                       flag("loose", "false", "loose")};
  static constexpr Output outputs[] = {mean("y", "zero")};
  static constexpr assay_extension extensions[] = {{"com.test.answer/1", &kVendor}};

  static void check(Context context, Diagnostics& found) {
    if (context.integer("lowest") > context.integer("highest")) {
      found.error("lowest", "lowest lies above highest");
    }
    if (context.flag("loose")) found.warn("", "loose is slow");
  }

  explicit Contradicted(Context) {}
  double score(const Sample&) { return 0; }
};

struct Complaint {
  assay_level level;
  std::string key, text;
  bool operator==(const Complaint&) const = default;
};

assay_status check(const LocalSubject& subject, const Options& options,
                   std::vector<Complaint>& found, assay_error* error = nullptr) {
  FakeHost host;
  const assay_diagnostic_sink sink{
      sizeof sink, 0, &found,
      [](void* ctx, assay_level level, assay_str key, assay_str text) noexcept {
        static_cast<std::vector<Complaint>*>(ctx)->push_back(
            {level, std::string(view_of(key)), std::string(view_of(text))});
      }};
  return extension<assay_config_check_v1>(subject, ASSAY_CONFIG_CHECK_1)
      .check(host.table(), options.config(), &sink, error);
}

TEST(Extensions, AreListedWhereTheMembersAre) {
  EXPECT_THAT(ids(constants<Plain>()), IsEmpty());
  EXPECT_EQ(constants<Plain>().extensions, nullptr);
  EXPECT_THAT(ids(constants<Contradicted>()),
              ElementsAre(ASSAY_CONFIG_CHECK_1, "com.test.answer/1"));
  const LocalSubject subject(constants<Contradicted>());
  EXPECT_EQ(extension<Vendor>(subject, "com.test.answer/1").answer, 42);
}

TEST(ConfigCheck, PutsEachComplaintAtItsOption) {
  const LocalSubject subject(constants<Contradicted>());
  std::vector<Complaint> found;
  EXPECT_EQ(check(subject, {{"lowest", 0L}, {"highest", 9L}, {"loose", false}}, found), ASSAY_OK);
  EXPECT_THAT(found, IsEmpty());
  EXPECT_EQ(check(subject, {{"lowest", 10L}, {"highest", 9L}, {"loose", true}}, found), ASSAY_OK);
  EXPECT_THAT(found, ElementsAre(Complaint{ASSAY_ERROR, "lowest", "lowest lies above highest"},
                                 Complaint{ASSAY_WARN, "", "loose is slow"}));
}

TEST(ConfigCheck, FailsWhereItCannotCheck) {
  const LocalSubject subject(constants<Contradicted>());
  std::vector<Complaint> found;
  assay_error error = fresh_error();
  EXPECT_EQ(check(subject, {{"lowest", 0L}}, found, &error), ASSAY_NOT_FOUND);
  EXPECT_STREQ(error.where, "highest");
  EXPECT_THAT(found, IsEmpty());
}

/// Keeps 100 bytes of weights and what it was told to, on its device and on the host.
struct Keeper : Backend {
  static constexpr Info info{"test/keeper", "1.0.0", "Tells its memory"};
  explicit Keeper(Context given) : context(given) {}
  void load(const assay_job&, assay_model_info&) { in_use = peak = 40; }
  Memory memory(std::uint64_t nth) const {
    const assay_resources& granted = context.resources();
    if (nth > granted.n_devices) throw Error(ASSAY_NOT_FOUND, "nth", "there is no such device");
    Memory memory(nth < granted.n_devices ? granted.devices[nth] : assay_device{1, 0});
    memory.weights = 100;
    memory.kv = in_use;
    memory.kv_peak = peak;
    in_use = 10;
    memory.kv_per_token = 2.5;
    return memory;
  }
  void reset_memory_peaks() { peak = in_use; }

  Context context;
  mutable std::uint64_t in_use = 0;
  std::uint64_t peak = 0;
};

assay_memory fresh_memory() {
  assay_memory memory{};
  memory.struct_size = sizeof memory;
  return memory;
}

TEST(BackendMemory, TellsWhatIsKnownAndStartsPeaksAnew) {
  const LocalSubject subject(constants<Keeper>());
  const auto& api = extension<assay_backend_memory_v1>(subject, ASSAY_BACKEND_MEMORY_1);
  FakeHost host;
  const Created keeper(constants<Keeper>(), host);
  assay_job job{};
  job.struct_size = sizeof job;
  assay_model_info info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(keeper.api<assay_backend_v1>().load(keeper.self(), &job, &info, nullptr), ASSAY_OK);

  assay_memory memory = fresh_memory();
  ASSERT_EQ(api.read(keeper.self(), 0, &memory, nullptr), ASSAY_OK);
  EXPECT_EQ(memory.struct_size, sizeof memory);
  EXPECT_EQ(memory.device.type, host.resources().devices[0].type);
  EXPECT_EQ(memory.weights, 100U);
  EXPECT_EQ(memory.kv, 40U);
  EXPECT_EQ(memory.kv_peak, 40U);
  EXPECT_EQ(memory.allocated, ASSAY_UNKNOWN);
  EXPECT_EQ(memory.held_peak, ASSAY_UNKNOWN);
  EXPECT_EQ(memory.kv_per_token, 2.5);

  ASSERT_EQ(api.reset_peaks(keeper.self(), nullptr), ASSAY_OK);
  ASSERT_EQ(api.read(keeper.self(), 1, &memory, nullptr), ASSAY_OK) << "the host";
  EXPECT_EQ(memory.kv_peak, 10U);

  assay_error error = fresh_error();
  memory.weights = 7;
  EXPECT_EQ(api.read(keeper.self(), 2, &memory, &error), ASSAY_NOT_FOUND);
  EXPECT_STREQ(error.text, "there is no such device");
  EXPECT_EQ(memory.weights, 7U) << "a failed call leaves what it was given";
}

TEST(BackendMemory, WritesNoFieldBehindTheSizeOfTheCaller) {
  const LocalSubject subject(constants<Keeper>());
  const auto& api = extension<assay_backend_memory_v1>(subject, ASSAY_BACKEND_MEMORY_1);
  FakeHost host;
  const Created keeper(constants<Keeper>(), host);
  assay_memory memory;
  std::memset(&memory, 0xAB, sizeof memory);
  const assay_memory untouched = memory;
  memory.struct_size = offsetof(assay_memory, kv);
  ASSERT_EQ(api.read(keeper.self(), 0, &memory, nullptr), ASSAY_OK);
  EXPECT_EQ(memory.struct_size, offsetof(assay_memory, kv));
  EXPECT_EQ(memory.weights, 100U);
  EXPECT_EQ(memory.kv, untouched.kv);
  EXPECT_EQ(std::memcmp(&memory.kv_per_token, &untouched.kv_per_token, sizeof(double)), 0);

  struct Longer {
    assay_memory known;
    std::uint64_t later = 99;
  } longer;
  longer.known.struct_size = sizeof longer;
  ASSERT_EQ(api.read(keeper.self(), 0, &longer.known, nullptr), ASSAY_OK);
  EXPECT_EQ(longer.known.struct_size, sizeof longer);
  EXPECT_EQ(longer.known.kv_per_token, 2.5);
  EXPECT_EQ(longer.later, 99U);
}

/// Splits of 5 rows, 0 to 4 and 100 to 104, and one that is only streamed.
struct Rooms : Dataset {
  static constexpr Info info{"test/rooms", "1.0.0", "Goes to single rows"};
  static constexpr Column columns[] = {{ASSAY_INT, "i", "the row"}};
  explicit Rooms(Context) {}
  void rewind(std::string_view split) {
    const std::uint64_t first = split == "upper" ? 100 : 0;
    wanted = {first, first + 1, first + 2, first + 3, first + 4};
    place = 0;
  }
  void splits(Splits found) {
    found("", 5);
    found("upper", 5);
    found("roof");
  }
  void take(std::string_view split, std::span<const std::uint64_t> rows) {
    rewind(split);
    const std::vector<std::uint64_t> all = wanted;
    wanted.clear();
    for (const std::uint64_t row : rows) {
      if (row >= all.size()) {
        throw Error(ASSAY_NOT_FOUND, "rows", "there is no row " + std::to_string(row));
      }
      wanted.push_back(all[row]);
    }
  }
  bool next(Row& row) {
    if (place == wanted.size()) return false;
    row << static_cast<std::int64_t>(wanted[place++]);
    return true;
  }
  std::vector<std::uint64_t> wanted;
  std::size_t place = 0;
};

/// Names its splits and can only be streamed.
struct Tape : Dataset {
  static constexpr Info info{"test/tape", "1.0.0", "Names its splits"};
  static constexpr Column columns[] = {{ASSAY_INT, "i", "the row"}};
  explicit Tape(Context) {}
  void rewind(std::string_view) {}
  bool next(Row&) { return false; }
  void splits(Splits found) { found("tape"); }
};

std::vector<std::int64_t> numbers(Stream& stream) {
  std::vector<std::int64_t> all;
  const Schema schema = read_schema(stream, "");
  while (const auto batch = read_batch(stream, "")) {
    const Rows rows(*schema, **batch);
    for (std::int64_t i = 0; i < rows.size(); ++i) all.push_back(rows[i].integer("i"));
  }
  return all;
}

TEST(DatasetRows, NamesEverySplit) {
  const LocalSubject subject(constants<Rooms>());
  FakeHost host;
  const Created rooms(constants<Rooms>(), host);
  std::vector<std::pair<std::string, std::uint64_t>> found;
  const assay_split_sink sink{
      sizeof sink, 0, &found, [](void* ctx, assay_str name, std::uint64_t rows) noexcept {
        static_cast<decltype(found)*>(ctx)->emplace_back(view_of(name), rows);
      }};
  ASSERT_EQ(extension<assay_dataset_rows_v1>(subject, ASSAY_DATASET_ROWS_1)
                .splits(rooms.self(), &sink, nullptr),
            ASSAY_OK);
  EXPECT_THAT(found, ElementsAre(std::pair("", 5U), std::pair("upper", 5U),
                                 std::pair("roof", ASSAY_UNKNOWN)));
}

TEST(DatasetRows, GivesRowsInTheOrderAskedForWithRepeats) {
  const LocalSubject subject(constants<Rooms>());
  const auto& api = extension<assay_dataset_rows_v1>(subject, ASSAY_DATASET_ROWS_1);
  FakeHost host;
  const Created rooms(constants<Rooms>(), host);
  Stream stream;
  {
    std::vector<std::uint64_t> rows{4, 0, 4, 2};
    ASSERT_EQ(
        api.take(rooms.self(), str_of("upper"), rows.data(), rows.size(), stream.out(), nullptr),
        ASSAY_OK);
  }  // read before take returned
  EXPECT_THAT(numbers(stream), ElementsAre(104, 100, 104, 102));

  const std::uint64_t beyond[] = {0, 5};
  assay_error error = fresh_error();
  Stream none;
  EXPECT_EQ(api.take(rooms.self(), str_of(""), beyond, 2, none.out(), &error), ASSAY_NOT_FOUND);
  EXPECT_STREQ(error.text, "there is no row 5");

  Stream empty;
  ASSERT_EQ(api.take(rooms.self(), str_of(""), nullptr, 0, empty.out(), nullptr), ASSAY_OK);
  EXPECT_THAT(numbers(empty), IsEmpty());
}

TEST(DatasetRows, TakenRowsAndAStreamShareAnInstance) {
  const LocalSubject subject(constants<Rooms>());
  const auto& api = extension<assay_dataset_rows_v1>(subject, ASSAY_DATASET_ROWS_1);
  FakeHost host;
  const Created rooms(constants<Rooms>(), host);
  const std::uint64_t rows[] = {3, 1};
  Stream taken, whole;
  ASSERT_EQ(api.take(rooms.self(), str_of("upper"), rows, 2, taken.out(), nullptr), ASSAY_OK);
  ASSERT_EQ(rooms.api<assay_dataset_v1>().open(rooms.self(), str_of(""), whole.out(), nullptr),
            ASSAY_OK);
  EXPECT_THAT(numbers(whole), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(numbers(taken), ElementsAre(103, 101)) << "goes back to its own rows";
}

TEST(DatasetRows, OfWhatIsOnlyStreamedHasNoTake) {
  const LocalSubject subject(constants<Tape>());
  EXPECT_EQ(extension<assay_dataset_rows_v1>(subject, ASSAY_DATASET_ROWS_1).take, nullptr);
}

/// exp of a mean, from a sum that is no output.
struct Exponential : Metric {
  static constexpr Info info{"test/exponential", "1.0.0", "exp of a mean"};
  static constexpr Column columns[] = {{ASSAY_FLOAT, "x", "a number"}};
  static constexpr Output outputs[] = {mean("x", "the number"), total("exp", "exp of the mean")};
  static constexpr const char* terms[] = {"x", "squares"};
  explicit Exponential(Context) {}
  void score(const Sample& row, Values out) {
    const double x = row.number("x");
    out("x", x);
    out("squares", x * x);
    sum += x;
    ++n;
  }
  void finish(Totals out) const { out("exp", std::exp(sum / n)); }
  void totals(std::span<const double> sums, double items, std::span<double> out) const {
    out[0] = sums[0] / items;
    out[1] = std::exp(out[0]);
  }
  double sum = 0, n = 0;
};

TEST(MetricSums, GivesTotalsOfManyResamplesAtOnce) {
  const LocalSubject subject(constants<Exponential>());
  const auto& api = extension<assay_metric_sums_v1>(subject, ASSAY_METRIC_SUMS_1);
  ASSERT_EQ(api.n_terms, 2U);
  EXPECT_STREQ(api.terms[0], "x");
  EXPECT_STREQ(api.terms[1], "squares");
  FakeHost host;
  const Created metric(constants<Exponential>(), host);
  const double sums[] = {3, 0, 5, 0}, items[] = {2, 2.5};
  double out[4] = {};
  ASSERT_EQ(api.totals(metric.self(), sums, items, 2, out, nullptr), ASSAY_OK);
  EXPECT_THAT(out, ElementsAre(1.5, std::exp(1.5), 2, std::exp(2)));
}

TEST(MetricSums, TermsThatAreNoOutputsAreSamplesWithoutATotal) {
  FakeHost host;
  const Created metric(constants<Exponential>(), host);
  const auto& api = metric.api<assay_metric_v1>();
  const Table rows({{"x", Type::kFloat64}}, [](Builder& table) {
    for (const double x : {1.0, 3.0}) {
      table.child(0).append_float(x);
      table.end_struct();
    }
  });
  SpyValues values;
  // Twice, for a second batch counts its rows from 0 again.
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(api.update(metric.self(), rows.schema(), rows.array(), &values.sink, nullptr),
              ASSAY_OK);
  }
  ASSERT_EQ(api.finish(metric.self(), &values.sink, nullptr), ASSAY_OK);
  ASSERT_EQ(values.samples.size(), 8U);
  EXPECT_EQ(values.samples[3].name, "squares");
  EXPECT_EQ(values.samples[3].value, 9);
  ASSERT_EQ(values.totals.size(), 2U);
  EXPECT_EQ(values.totals[0].name, "exp");
  EXPECT_EQ(values.totals[1].name, "x");
}

}  // namespace
}  // namespace assay
