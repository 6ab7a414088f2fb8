// Extensions by their tables, as a host calls them: listed where a component has the members, and
// never reaching past the fields a caller knows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <assay/check/subject.hpp>
#include <assay/plugin.hpp>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace assay {
namespace {

using check::FakeHost;
using check::fresh_error;
using check::LocalSubject;
using check::Options;
using check::Table;
using testing::ElementsAre;
using testing::IsEmpty;

template <class T>
const assay_component& constants() {
  return *detail::component_of<T>();
}

template <class Api>
const Api& extension(const LocalSubject& subject, const char* id) {
  const void* table = subject.extension(id);
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

}  // namespace
}  // namespace assay
