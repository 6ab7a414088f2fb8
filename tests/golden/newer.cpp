// A plugin of a later minor: built with the header that newer_header.cmake makes, with an option of
// a type and a component of a kind that ABI 1.0 does not know.
#define GOLDEN_VENDOR "newer"
#include <iterator>

#include "tests/golden/components.hpp"

namespace {

struct Typed : Match {
  static constexpr assay::Info info{"newer/typed", "1.0.0", "A metric with an option of a new type",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      Match::options[0],
      assay::Option(ASSAY_URL, "endpoint", "\"none\"", "Of a type newer than ABI 1.0.")};
  using Match::Match;
};

using assay::detail::component_of;

constexpr assay_component kJudge = [] {
  assay_component judge = *component_of<Match>();
  judge.kind = ASSAY_JUDGE;
  judge.id = "newer/judge";
  return judge;
}();
constexpr const assay_component* kAll[] = {&kJudge,
                                           component_of<Match>(),
                                           component_of<Count>(),
                                           component_of<Even>(),
                                           component_of<Document>(),
                                           component_of<Typed>()};

}  // namespace

ASSAY_NOTE("newer/plugin");
extern "C" {
ASSAY_EXPORT extern constinit const assay_plugin assay_plugin_v1 = {
    sizeof(assay_plugin), ASSAY_ABI_MAJOR,  ASSAY_ABI_MINOR,
    "newer/plugin",       "1.0.0",          "assay",
    "Apache-2.0",         ASSAY_BUILT_WITH, kAll,
    std::size(kAll)};
}
