// The smallest host a plugin can be tested in: options, rows in, rows and figures out, all through
// the C ABI. Does not search, trust or check plugins.
#pragma once

#include <assay/abi.h>

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

namespace plugin_test {

using Json = nlohmann::ordered_json;

/// What a call of a component said: nothing, or its error.
struct Said {
  assay_status code = ASSAY_OK;
  std::string where, text;
  bool is_ok() const { return code == ASSAY_OK; }
};

/// A component of a built plugin with the options it was given. Defaults are those it declares.
class Component {
 public:
  /// `name`: "assay/text", which is the first component of assay-text.so.
  explicit Component(const std::string& name);
  Component(const Component&) = delete;
  ~Component();

  const assay_component& constants() const { return *constants_; }

  /// Creates the instance; options by key. Call once.
  Said create(const Json& options);

  /// Asks a backend what a job would need under these options; not after create.
  Said estimate(const Json& options, const assay_job& job, assay_resources& need);

  void* self() const { return self_; }
  template <class Api>
  const Api& api() const {
    return *static_cast<const Api*>(constants_->api);
  }

 private:
  void configure(const Json& options);

  struct Host;
  std::unique_ptr<Host> host_;
  const assay_component* constants_ = nullptr;
  void* self_ = nullptr;
};

/// What opening and reading a dataset gave.
struct Rows {
  Said said;
  Json schema =
      Json::object();  ///< column -> its type as Arrow spells it, "?" behind a nullable one
  std::vector<Json> rows;
  std::uint64_t n_rows = 0;
  std::uint64_t n_batches = 0;
};

enum class Keep { kRows, kCountOnly };

Rows read_dataset(const std::string& name, const Json& options, Keep keep = Keep::kRows,
                  const std::string& split = "");

/// A total as the metric gave it.
struct Total {
  double value = std::numeric_limits<double>::quiet_NaN();
  double std_error = std::numeric_limits<double>::quiet_NaN();
  std::uint64_t n = 0;
};

struct Measured {
  Said said;
  std::map<std::string, Total> totals;
  std::map<std::string, std::vector<double>> samples;  ///< one per row, NaN where none was given
};

/// Runs a metric over rows, `batch_size` at a time.
Measured measure(const std::string& name, const std::vector<Json>& rows,
                 std::size_t batch_size = 1000, const Json& options = Json::object());

/// Runs a reporter on a run document.
Said report(const std::string& name, const Json& options, const std::string& run_json);

}  // namespace plugin_test
