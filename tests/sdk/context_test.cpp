// What a component reads from its host: options of every type, what is granted, the log.
#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/context.hpp>
#include <assay/declare.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace assay {
namespace {

using check::FakeHost;
using check::Options;

std::string message_of(const auto& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.where() + ": " + error.what();
  }
  return "nothing was thrown";
}

TEST(Context, ReadsOptionsOfEveryType) {
  FakeHost host;
  const Options options = {{"on", true},
                           {"n", std::int64_t{-3}},
                           {"x", 0.5},
                           {"name", std::string("torch")},
                           {"limit", std::int64_t{1} << 32},
                           {"skip.0", std::string("lm_head")},
                           {"skip.1", std::string("embed")},
                           {"sizes.0", std::int64_t{8}},
                           {"shares.0", 0.7},
                           {"shares.1", std::int64_t{1}},
                           {"override.0.bits", std::int64_t{4}},
                           {"override.1.bits", std::int64_t{8}}};
  const Context context(host.table(), options.config(), &host.resources());
  EXPECT_TRUE(context.flag("on"));
  EXPECT_EQ(context.integer("n"), -3);
  EXPECT_EQ(context.number("x"), 0.5);
  EXPECT_EQ(context.text("name"), "torch");
  EXPECT_EQ(context.size("limit"), std::uint64_t{1} << 32);
  EXPECT_EQ(context.duration("x"), 0.5);
  EXPECT_EQ(context.texts("skip"), (std::vector<std::string>{"lm_head", "embed"}));
  EXPECT_EQ(context.ints("sizes"), (std::vector<std::int64_t>{8}));
  EXPECT_EQ(context.floats("shares"), (std::vector<double>{0.7, 1}));
  EXPECT_EQ(context.count("override"), 2U);
  EXPECT_EQ(context.integer("override.1.bits"), 8);
  EXPECT_TRUE(context.has("skip"));
  EXPECT_FALSE(context.has("absent"));
  EXPECT_EQ(context.resources().seed, 1234U);
}

TEST(Context, NamesTheOptionItCannotRead) {
  FakeHost host;
  const Options options = {{"n", std::int64_t{-3}}};
  const Context context(host.table(), options.config(), nullptr);
  EXPECT_EQ(message_of([&] { context.text("absent"); }), "absent: option \"absent\" has no value");
  EXPECT_EQ(message_of([&] { context.text("n"); }), "n: option \"n\" has a value of another type");
  EXPECT_EQ(message_of([&] { context.size("n"); }), "n: n is a size and cannot be negative");
  EXPECT_EQ(message_of([&] { context.resources(); }),
            "resources: nothing is granted while estimating");
}

TEST(Context, StopsAtACheckpointOnceTheRunIsCancelled) {
  FakeHost host;
  const Context context(host.table(), nullptr, nullptr);
  context.checkpoint();
  EXPECT_FALSE(context.cancelled());
  host.cancel();
  EXPECT_TRUE(context.cancelled());
  EXPECT_EQ(message_of([&] { context.checkpoint(); }), ": cancelled");
}

TEST(Context, PassesOnLogLinesAndProgress) {
  FakeHost host;
  const Context context(host.table(), nullptr, nullptr);
  context.log(ASSAY_WARN, "slow disk");
  context.progress(0.25, "layers");
  ASSERT_EQ(host.log().size(), 1U);
  EXPECT_EQ(host.log()[0].level, ASSAY_WARN);
  EXPECT_EQ(host.log()[0].text, "slow disk");
  EXPECT_EQ(host.progress(), (std::vector<double>{0.25}));
}

TEST(Option, IsRequiredExactlyWhenItHasNoDefaultAndIsNotOptional) {
  constexpr Option kRequired = path_in("path", nullptr, "A file.");
  constexpr Option kOptional = text("separator", nullptr, "Between.").optional();
  constexpr Option kDefaulted = flag("strip", "false", "Strip.");
  constexpr Option kForced = integer("n", "3", "Count.").required().secret().in(1, 9);
  EXPECT_EQ(kRequired.flags, std::uint64_t{ASSAY_OPT_REQUIRED});
  EXPECT_EQ(kOptional.flags, 0U);
  EXPECT_EQ(kOptional.fallback, nullptr);
  EXPECT_EQ(kDefaulted.flags, 0U);
  EXPECT_EQ(kForced.flags, std::uint64_t{ASSAY_OPT_REQUIRED | ASSAY_OPT_SECRET});
  EXPECT_EQ(kForced.fallback, nullptr);
  EXPECT_EQ(kForced.hi, 9);
}

}  // namespace
}  // namespace assay
