#include "host/loader/constants.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "tests/host/loader/in_memory_plugin.hpp"

namespace assay::host {
namespace {

class Constants : public testing::Test {
 protected:
  std::string fault() const {
    const auto checked = check_constants(fake_.plugin);
    if (!checked) {
      EXPECT_EQ(checked.error().code, ASSAY_FAILED_PRECONDITION);
    }
    return checked ? "" : checked.error().text;
  }
  std::string option_fault(const assay_option& option) {
    const assay_option* options[] = {&option};
    fake_.component.options = options;
    fake_.component.n_options = 1;
    return fault();
  }
  InMemoryPlugin fake_;
};

constexpr assay_option kOption = {
    sizeof(assay_option), ASSAY_INT, 0, "bits", "Bits.", "4", nullptr, 2, 8};

TEST_F(Constants, WithoutFaultPass) { EXPECT_EQ(fault(), ""); }

TEST_F(Constants, OfAnotherMajorAreRefusedNamingBoth) {
  fake_.plugin.abi_major = 2;
  EXPECT_EQ(fault(),
            "was built for ABI 2, this assay speaks ABI 1; get a build of the plugin for ABI 1");
}

TEST_F(Constants, OfAPluginShorterThanAbi10AreRefused) {
  fake_.plugin.struct_size = 24;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: assay_plugin_v1 says it has 24 bytes; ABI 1.0 has 64");
}

TEST_F(Constants, MayBeLongerThanOurs) {
  fake_.plugin.struct_size = 96;
  fake_.component.struct_size = 200;
  EXPECT_EQ(fault(), "");
}

TEST_F(Constants, NeedTheTextsOfAPlugin) {
  fake_.plugin.license = nullptr;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: the plugin's license is NULL (\"\" where there is nothing "
            "to say)");
  fake_.plugin.license = "";
  EXPECT_EQ(fault(), "");
  fake_.plugin.vendor = "\xFF";
  EXPECT_EQ(fault(), "breaks the plugin contract: the plugin's vendor is not UTF-8");
}

TEST_F(Constants, NeedIdsOfVendorAndName) {
  fake_.plugin.id = nullptr;
  EXPECT_EQ(fault(), "breaks the plugin contract: the plugin's id is NULL");
  for (const char* id : {"", "name", "/name", "vendor/", "a/b/c", "a b/c", "a/\xC3\xA4"}) {
    fake_.plugin.id = id;
    EXPECT_EQ(fault(), "breaks the plugin contract: the plugin's id \"" + std::string(id) +
                           "\" is not of the form vendor/name");
  }
}

TEST_F(Constants, NeedAComponent) {
  fake_.plugin.n_components = 0;
  EXPECT_EQ(fault(), "breaks the plugin contract: it holds no components");
  fake_.plugin.n_components = 1;
  fake_.plugin.components = nullptr;
  EXPECT_EQ(fault(), "breaks the plugin contract: its components are NULL, but n_components is 1");
}

TEST_F(Constants, NeedEveryComponentThatIsCounted) {
  fake_.components[1] = nullptr;
  fake_.plugin.n_components = 2;
  EXPECT_EQ(fault(), "breaks the plugin contract: component 1 is NULL");
}

TEST_F(Constants, WithAWildCountAreRefusedWithoutReadingThatFar) {
  fake_.plugin.n_components = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(fault(), "breaks the plugin contract: n_components is 18446744073709551615");
}

TEST_F(Constants, WithTwoComponentsOfOneIdAreRefused) {
  fake_.plugin.n_components = 2;
  EXPECT_EQ(fault(), "breaks the plugin contract: component \"fake/metric\" is there twice");
}

TEST_F(Constants, OfAShortComponentAreRefused) {
  fake_.component.struct_size = 96;
  EXPECT_EQ(
      fault(),
      "breaks the plugin contract: one of its components says it has 96 bytes; ABI 1.0 has 128");
}

TEST_F(Constants, NeedAComponentsId) {
  fake_.component.id = nullptr;
  EXPECT_EQ(fault(), "breaks the plugin contract: a component's id is NULL");
}

TEST_F(Constants, NeedAComponentsSummary) {
  fake_.component.summary = nullptr;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: its summary is NULL (\"\" where there is nothing to say), "
            "in component \"fake/metric\"");
}

TEST_F(Constants, OfAKindThatAbi10DoesNotHaveAreRefused) {
  fake_.component.kind = 5;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: its kind 5 is none of backend (1), dataset (2), metric "
            "(3), reporter (4), in component \"fake/metric\"");
}

TEST_F(Constants, OfANewerMinorMayHoldKindsAndTypesWeDoNotKnow) {
  assay_option option = kOption;
  option.type = 14;
  const assay_option* options[] = {&option};
  fake_.component.options = options;
  fake_.component.n_options = 1;
  fake_.component.kind = 5;
  fake_.plugin.abi_minor = ASSAY_ABI_MINOR + 1;
  EXPECT_EQ(fault(), "");
}

TEST_F(Constants, NeedCreateAndDestroy) {
  const auto create = std::exchange(fake_.component.create, nullptr);
  EXPECT_EQ(fault(),
            "breaks the plugin contract: it has no create function, in component \"fake/metric\"");
  fake_.component.create = create;
  fake_.component.destroy = nullptr;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: it has no destroy function, in component \"fake/metric\"");
}

TEST_F(Constants, NeedAnApiTable) {
  fake_.component.api = nullptr;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: its api table is NULL, in component \"fake/metric\"");
}

TEST_F(Constants, NeedAWholeApiTable) {
  fake_.api.struct_size = 16;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: its api table is smaller than that of ABI 1.0, in "
            "component \"fake/metric\"");
}

TEST_F(Constants, NeedTheFunctionsOfTheirKind) {
  fake_.api.finish = nullptr;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: its api table lacks a function that its kind must have, "
            "in component \"fake/metric\"");
}

TEST_F(Constants, OfABackendMayLeaveOutRunOrQuantize) {
  assay_backend_v1 backend{};
  backend.struct_size = sizeof backend;
  backend.load = [](void*, const assay_job*, assay_model_info*, assay_error*) noexcept {
    return assay_status{ASSAY_OK};
  };
  fake_.component.kind = ASSAY_BACKEND;
  fake_.component.api = &backend;
  EXPECT_EQ(fault(), "");
  backend.load = nullptr;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: its api table lacks a function that its kind must have, "
            "in component \"fake/metric\"");
}

TEST_F(Constants, OfAnOptionWithoutFaultPass) { EXPECT_EQ(option_fault(kOption), ""); }

TEST_F(Constants, NeedAnOptionsNameAndHelp) {
  assay_option option = kOption;
  option.name = "";
  EXPECT_EQ(
      option_fault(option),
      "breaks the plugin contract: one of its options has no name, in component \"fake/metric\"");
  option = kOption;
  option.help = nullptr;
  EXPECT_EQ(option_fault(option),
            "breaks the plugin contract: the help of option \"bits\" is NULL (\"\" where there is "
            "nothing to say), in component \"fake/metric\"");
}

TEST_F(Constants, OfAShortOptionAreRefused) {
  assay_option option = kOption;
  option.struct_size = 40;
  EXPECT_EQ(
      option_fault(option),
      "breaks the plugin contract: one of its options says it has 40 bytes; ABI 1.0 has 64, in "
      "component \"fake/metric\"");
}

TEST_F(Constants, OfAChoiceNeedItsChoices) {
  assay_option option = kOption;
  option.type = ASSAY_CHOICE;
  EXPECT_EQ(option_fault(option),
            "breaks the plugin contract: option \"bits\" is a choice without choices, in component "
            "\"fake/metric\"");
}

TEST_F(Constants, OfARequiredOptionHaveNoDefault) {
  assay_option option = kOption;
  option.flags = ASSAY_OPT_REQUIRED;
  EXPECT_EQ(option_fault(option),
            "breaks the plugin contract: option \"bits\" is required and has a default, in "
            "component \"fake/metric\"");
}

TEST_F(Constants, OfAnOptionOfUnknownTypeAreRefused) {
  assay_option option = kOption;
  option.type = 14;
  EXPECT_EQ(option_fault(option),
            "breaks the plugin contract: option \"bits\" has the unknown type 14, in component "
            "\"fake/metric\"");
}

TEST_F(Constants, WithAnOptionDeclaredTwiceAreRefused) {
  const assay_option* options[] = {&kOption, &kOption};
  fake_.component.options = options;
  fake_.component.n_options = 2;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: option \"bits\" is declared twice, in component "
            "\"fake/metric\"");
}

TEST_F(Constants, NeedEveryListThatIsCounted) {
  fake_.component.n_outputs = 1;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: its outputs are NULL, but n_outputs is 1, in component "
            "\"fake/metric\"");
}

TEST_F(Constants, NeedAnOutputsName) {
  assay_column column{};
  column.struct_size = sizeof column;
  const assay_column* outputs[] = {&column};
  fake_.component.outputs = outputs;
  fake_.component.n_outputs = 1;
  EXPECT_EQ(
      fault(),
      "breaks the plugin contract: one of its outputs has no name, in component \"fake/metric\"");
}

TEST_F(Constants, NeedAnExtensionsTable) {
  const assay_extension extension = {"assay.backend.memory/1", nullptr};
  fake_.component.extensions = &extension;
  fake_.component.n_extensions = 1;
  EXPECT_EQ(fault(),
            "breaks the plugin contract: extension \"assay.backend.memory/1\" has no table, in "
            "component \"fake/metric\"");
}

}  // namespace
}  // namespace assay::host
