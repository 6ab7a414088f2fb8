#include "quantize/settings.hpp"

#include <gtest/gtest.h>

#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::thrown;

TEST(Recipe, APatternWithoutWildcardIsAPartOfTheName) {
  EXPECT_TRUE(matches("mlp.down", "model.layers.3.mlp.down_proj"));
  EXPECT_FALSE(matches("layers.1.", "model.layers.11.mlp.down_proj"));
}

TEST(Recipe, APatternWithAWildcardIsTheWholeName) {
  EXPECT_TRUE(matches("model.layers.?.mlp.*_proj", "model.layers.3.mlp.down_proj"));
  EXPECT_FALSE(matches("model.layers.?.mlp.*", "model.layers.13.mlp.down_proj"));
  EXPECT_FALSE(matches("*.mlp", "model.layers.3.mlp.down_proj"));
  EXPECT_TRUE(matches("*o_proj", "model.layers.0.self_attn.o_proj"));
  EXPECT_TRUE(matches("*a*b*", "xaxbx"));
}

TEST(Recipe, TheFirstOverrideThatNamesAModuleCounts) {
  const Recipe recipe{.grid = {.bits = 4, .group_size = 64},
                      .skip = {"o_proj"},
                      .overrides = {{.modules = {"layers.0.mlp.down", "layers.1."}, .bits = 8},
                                    {.modules = {"mlp.down"}, .group_size = 32},
                                    {.modules = {"mlp.up"}, .is_kept = true}}};
  const auto settings = [&](const char* module) { return settings_of(recipe, module, false); };
  EXPECT_EQ(settings("layers.0.mlp.down_proj"), (GridSettings{.bits = 8, .group_size = 64}));
  EXPECT_EQ(settings("layers.2.mlp.down_proj"), (GridSettings{.bits = 4, .group_size = 32}));
  EXPECT_EQ(settings("layers.1.mlp.up_proj"), (GridSettings{.bits = 8, .group_size = 64}));
  EXPECT_EQ(settings("layers.2.mlp.up_proj"), std::nullopt);
  EXPECT_EQ(settings("layers.1.self_attn.o_proj"), std::nullopt) << "skip comes first";
}

TEST(Recipe, OnlyIsAListOfThoseQuantizedAndMayNameTheHead) {
  const Recipe recipe{.only = {"layers.2.", "lm_head"}};
  EXPECT_TRUE(settings_of(recipe, "layers.2.mlp.up_proj", false).has_value());
  EXPECT_FALSE(settings_of(recipe, "layers.1.mlp.up_proj", false).has_value());
  EXPECT_TRUE(settings_of(recipe, "embed_out", /*is_head=*/true).has_value());
}

TEST(Recipe, EveryPatternMatchesAModule) {
  const ModuleNames names{.blocks = {"model.layers.0.q_proj", "model.layers.1.down_proj"},
                          .head = "lm_head",
                          .embedding = "model.embed_tokens",
                          .is_tied = true};
  const auto said = [&](const Recipe& recipe) {
    return thrown([&] { check_patterns(recipe, names); });
  };
  EXPECT_EQ(said({.skip = {"lm_head", "embed_tokens", "down"}}), "");
  EXPECT_EQ(said({.only = {"lm_head"}}),
            "3 \"lm_head\" matches no module; modules are named like lm_head, "
            "model.layers.0.q_proj or model.layers.1.down_proj");
  EXPECT_EQ(said({.overrides = {{.modules = {"q_proj"}, .bits = 8},
                                {.modules = {"up_proj"}, .is_kept = true}}}),
            "3 \"up_proj\" matches no module; modules are named like lm_head, "
            "model.layers.0.q_proj or model.layers.1.down_proj");
}

TEST(Recipe, TheJsonOfARecipeTellsItsMethodsSettings) {
  EXPECT_EQ(to_json({.method = Method::kFp8, .scope = Fp8Scope::kBlock, .skip = {"lm_head"}}),
            R"({"method":"fp8","scope":"block","skip":["lm_head"],"only":[],"overrides":[]})");
  EXPECT_NE(to_json({.grid = {.bits = 3}}), to_json({.grid = {.bits = 4}}));
  EXPECT_EQ(
      to_json({.overrides = {{.modules = {"a"}, .bits = 8}, {.modules = {"b"}, .is_kept = true}}}),
      R"({"method":"rtn","bits":4,"group_size":128,"symmetric":false,"skip":[],"only":[],)"
      R"("overrides":[{"modules":["a"],"bits":8},{"modules":["b"],"keep":true}]})");
}

}  // namespace
}  // namespace assay_torch
