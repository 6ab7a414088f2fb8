// Tests of a component against hosts of other minors: tables that end where those of 1.0 end, and
// tables that are longer.
#include <sys/mman.h>
#include <unistd.h>

#include <assay/suite/calls.hpp>
#include <assay/suite/requests.hpp>
#include <assay/suite/rows.hpp>
#include <cstring>
#include <new>

namespace assay::suite {
namespace {

constexpr unsigned char kGarbage = 0xAB;

/// A copy whose last byte is the last that can be read: what lies behind ends the process.
template <class T>
class AtEdge {
 public:
  explicit AtEdge(const T& value) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    pages_ = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages_ == MAP_FAILED) throw std::bad_alloc();
    mprotect(static_cast<char*>(pages_) + page, page, PROT_NONE);
    value_ = new (static_cast<char*>(pages_) + page - sizeof(T)) T(value);
    size_ = 2 * page;
  }
  AtEdge(const AtEdge&) = delete;
  AtEdge& operator=(const AtEdge&) = delete;
  ~AtEdge() { munmap(pages_, size_); }
  T* get() { return value_; }

 private:
  void* pages_;
  std::size_t size_;
  T* value_;
};

/// A copy with fields of a later minor behind it, which mean nothing to this one.
template <class T>
class Longer {
 public:
  explicit Longer(const T& value) : value_(value) {
    std::memset(behind_, kGarbage, sizeof behind_);
    value_.struct_size = sizeof *this;
  }
  T* get() { return &value_; }
  bool is_intact() const {
    for (const unsigned char byte : behind_) {
      if (byte != kGarbage) return false;
    }
    return value_.struct_size == sizeof *this;
  }

 private:
  T value_;
  unsigned char behind_[64];
};

/// Creates with other tables, uses and destroys.
template <template <class> class Form>
void live_with(Probe& probe, std::uint32_t minor) {
  check::FakeHost host;
  const std::string scratch = probe.folder("scratch");
  host.resources().scratch_dir = {scratch.data(), scratch.size()};
  Form<assay_host> table(*host.table());
  table.get()->abi_minor = minor;
  Form<assay_resources> resources(host.resources());
  host.lend(table.get(), resources.get());
  assay_error error = check::fresh_error();
  void* self = nullptr;
  const assay_status status = probe.subject().create(host, probe.options(), &self, &error);
  probe.require(status == ASSAY_OK, "create answered " + said(status, error) + "; expected OK");
  probe.subject().destroy(self);
}

template <template <class> class Form>
void load_with(Probe& probe) {
  Made made(probe);
  const auto& backend = made.api<assay_backend_v1>();
  Form<assay_job> job(job_of(probe, ASSAY_CAP_SCORE));
  assay_model_info fresh{};
  fresh.struct_size = sizeof fresh;
  Form<assay_model_info> info(fresh);
  assay_error error = check::fresh_error();
  const assay_status status = backend.load(made.self(), job.get(), info.get(), &error);
  probe.require(status == ASSAY_OK, "load answered " + said(status, error) + "; expected OK");
  if constexpr (requires { info.is_intact(); }) {
    probe.expect(info.is_intact(),
                 "load wrote behind the fields of assay_model_info it knows, or over struct_size");
  }
  if (backend.run == nullptr || !probe.has_cap(ASSAY_CAP_SCORE)) return;
  struct Count {
    int n_done = 0;
  } count;
  const assay_result_sink plain{
      sizeof plain,
      0,
      &count,
      [](void*, std::uint64_t, std::uint64_t, const float*, const std::uint8_t*,
         std::uint64_t) noexcept -> std::int32_t { return 0; },
      [](void*, std::uint64_t, std::uint64_t, const assay_tensor*) noexcept -> std::int32_t {
        return 0;
      },
      [](void*, std::uint64_t, const std::int32_t*, const float*,
         std::uint64_t) noexcept -> std::int32_t { return 0; },
      [](void* ctx, std::uint64_t, const assay_error*, const assay_usage*) noexcept {
        ++static_cast<Count*>(ctx)->n_done;
      }};
  Form<assay_result_sink> sink(plain);
  const std::int32_t tokens[] = {0, 1, 0};
  assay_request request{};
  request.id = 1;
  request.kind = ASSAY_REQ_SCORE;
  request.want = ASSAY_WANT_LOGPROBS;
  request.tokens = tokens;
  request.n_tokens = 3;
  request.first = 1;
  const assay_batch plain_batch{sizeof plain_batch, 0, 1, sizeof request, &request};
  Form<assay_batch> batch(plain_batch);
  const assay_status ran = backend.run(made.self(), batch.get(), sink.get(), &error);
  probe.expect(ran == ASSAY_OK && count.n_done == 1, "run answered " + said(ran, error) + " with " +
                                                         std::to_string(count.n_done) +
                                                         " done; expected OK and one");
}

template <template <class> class Form>
void measure_with(Probe& probe) {
  need_rows(probe);
  const Made made(probe);
  const check::Table rows = made_rows(probe, {});
  check::SpyValues values;
  Form<assay_value_sink> sink(values.sink);
  assay_error error = check::fresh_error();
  const auto& metric = made.api<assay_metric_v1>();
  const assay_status updated =
      metric.update(made.self(), rows.schema(), rows.array(), sink.get(), &error);
  probe.require(updated == ASSAY_OK, "update answered " + said(updated, error));
  const assay_status finished = metric.finish(made.self(), sink.get(), &error);
  probe.require(finished == ASSAY_OK, "finish answered " + said(finished, error));
}

template <template <class> class Form>
void write_with(Probe& probe) {
  const Made made(probe);
  const FakeReport report;
  Form<assay_report> lent(report.report());
  assay_error error = check::fresh_error();
  const assay_status status = made.api<assay_reporter_v1>().write(made.self(), lent.get(), &error);
  probe.require(status == ASSAY_OK, "write answered " + said(status, error) + "; expected OK");
}

template <template <class> class Form>
void use_with(Probe& probe) {
  switch (probe.component().kind) {
    case ASSAY_BACKEND:
      if (static_cast<const assay_backend_v1*>(probe.subject().api(nullptr))->load == nullptr) {
        probe.skip("load is NULL");
      }
      return load_with<Form>(probe);
    case ASSAY_METRIC:
      return measure_with<Form>(probe);
    case ASSAY_REPORTER:
      return write_with<Form>(probe);
    default:
      probe.skip("its calls take no tables");
  }
}

void host_of_first_minor(Probe& probe) {
  probe.skip_if_remote();
  live_with<AtEdge>(probe, 0);
}

void host_of_later_minor(Probe& probe) {
  probe.skip_if_remote();
  live_with<Longer>(probe, 7);
}

void calls_of_first_minor(Probe& probe) {
  probe.skip_if_remote();
  use_with<AtEdge>(probe);
}

void calls_of_later_minor(Probe& probe) {
  probe.skip_if_remote();
  use_with<Longer>(probe);
}

constexpr Test kTests[] = {
    {"skew.host-of-the-first-minor", 0, nullptr, Level::kMust, 0, false,
     "With tables of 1.0 nothing behind their last field is read.", host_of_first_minor},
    {"skew.host-of-a-later-minor", 0, nullptr, Level::kMust, 0, false,
     "Larger tables of a host of a later minor are read as far as known.", host_of_later_minor},
    {"skew.calls-of-the-first-minor", 0, nullptr, Level::kMust, 0, false,
     "With arguments of 1.0 nothing behind their last field is read.", calls_of_first_minor},
    {"skew.calls-of-a-later-minor", 0, nullptr, Level::kMust, 1, false,
     "Larger arguments are read as far as known, and of larger out-structs the known fields are "
     "written alone.",
     calls_of_later_minor},
};

}  // namespace

std::span<const Test> skew_tests() { return kTests; }

}  // namespace assay::suite
