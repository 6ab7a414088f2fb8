// What the author of a reporter writes: the run document and tables in, a file out. Numbers are the
// host's; a reporter only shows them.
#pragma once

#include <assay/arrow/stream.hpp>
#include <assay/declare.hpp>
#include <assay/instance.hpp>
#include <assay/namespace.hpp>
#include <assay/sample.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// The results of a run. Valid until write() returns.
///
/// Fails    each: ASSAY_NOT_FOUND no such table; what the table's stream reports
class Report {
 public:
  explicit Report(const assay_report& report) : report_(&report) {}

  /// Schema "assay.run/1".
  std::string_view run_json() const { return view_of(report_->run_json); }

  /// Calls visit(Sample) for each row of a table, such as "totals", "verdicts" or "rows/<task>".
  template <class Visit>
  void each(const std::string& table, Visit&& visit) const {
    Stream stream;
    assay_error error{};
    error.struct_size = sizeof error;
    const assay_status status = report_->table(report_->ctx, str_of(table), stream.out(), &error);
    if (status != ASSAY_OK) throw Error(status, table, error.text);
    const Schema schema = read_schema(stream, table);
    while (const std::optional<Array> batch = read_batch(stream, table)) {
      const Rows rows(*schema, **batch);
      for (std::int64_t row = 0; row < rows.size(); ++row) visit(rows[row]);
    }
  }

 private:
  const assay_report* report_;
};

/// Base of every reporter, which has
///   static constexpr Info info;  static constexpr Option options[] (if any);
///   explicit T(Context);
///   void write(const Report&).
struct Reporter {};

namespace detail {

template <class T>
struct ReporterInstance : Instance<T> {
  using Instance<T>::Instance;
  bool has_written = false;
};

template <class T>
struct ReporterEntry {
  using Self = ReporterInstance<T>;
  static_assert(
      requires(T & t, const Report& report) { t.write(report); },
      "a reporter needs: void write(const assay::Report&)");

  static assay_status write(void* self, const assay_report* report, assay_error* error) noexcept {
    return wall(error, [&] {
      auto& reporter = *static_cast<Self*>(self);
      const Turn turn(reporter.calls, reporter.context.host_table(), "write");
      require_order(!reporter.has_written, "write", "a second time");
      reporter.has_written = true;
      reporter.component.write(Report(*report));
    });
  }
  static constexpr assay_reporter_v1 kApi{sizeof(assay_reporter_v1), 0, write};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
