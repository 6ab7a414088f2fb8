#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "host/text/text.hpp"

namespace assay::host {
namespace {

using testing::ElementsAre;

Template compiled(std::string_view source) {
  auto compiled = Template::compile(source);
  if (!compiled) throw std::runtime_error(compiled.error().text);
  return std::move(*compiled);
}

std::string rendered(std::string_view source, const Json& record) {
  auto text = compiled(source).render(record);
  EXPECT_TRUE(text) << text.error().text;
  return text ? *text : "";
}

Json evaluated(std::string_view source, const Json& record) {
  auto value = compiled(source).evaluate(record);
  EXPECT_TRUE(value) << value.error().text;
  return value ? *value : Json();
}

std::string compile_failure(std::string_view source) {
  auto compiled = Template::compile(source);
  if (compiled) return "compiled";
  EXPECT_EQ(compiled.error().code, ASSAY_INVALID_ARGUMENT);
  return compiled.error().text;
}

/// The text with which both rendering and evaluating fail.
std::string failure(std::string_view source, const Json& record) {
  const Template subject = compiled(source);
  const auto text = subject.render(record);
  const auto value = subject.evaluate(record);
  if (text || value) return "rendered";
  EXPECT_EQ(text.error().code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(text.error().text, value.error().text);
  return text.error().text;
}

const Json kItem = {{"question", "Is it?"}, {"choices", {"yes", "no"}}, {"answer", 1}};

TEST(Template, PutsColumnsIntoThePrompt) {
  EXPECT_EQ(rendered("Question: {{ question }}\nAnswer:", kItem), "Question: Is it?\nAnswer:");
  EXPECT_EQ(rendered("{% for c in choices %}{{ loop.index }}. {{ c }}\n{% endfor %}", kItem),
            "1. yes\n2. no\n");
}

TEST(Template, KeepsItsTrailingNewlines) {
  EXPECT_EQ(rendered("{{ answer }}\n\n", kItem), "1\n\n");
}

TEST(Template, GivesTheValueOfASingleExpression) {
  EXPECT_EQ(evaluated("{{ answer }}", kItem), Json(1));
  EXPECT_EQ(evaluated("{{ answer / 2 }}", kItem), Json(0.5));
  EXPECT_EQ(evaluated("{{ choices }}", kItem), Json({"yes", "no"}));
  EXPECT_EQ(evaluated("{{ [question, 'x'] }}", kItem), Json({"Is it?", "x"}));
  EXPECT_EQ(evaluated("{{ choices.index('no') }}", kItem), Json(1));
  EXPECT_EQ(evaluated("{{- answer == 1 -}}", kItem), Json(true));
  EXPECT_EQ(evaluated("{{ none }}", kItem), Json());
  EXPECT_EQ(evaluated("{{ {'a': {'b': 1}} }}", kItem), Json({{"a", {{"b", 1}}}}));
}

TEST(Template, GivesTheTextOfAnythingElse) {
  EXPECT_EQ(evaluated("{{ answer }} ", kItem), Json("1 "));
  EXPECT_EQ(evaluated("{{ answer }}{{ answer }}", kItem), Json("11"));
  EXPECT_EQ(evaluated("answer", kItem), Json("answer"));
  EXPECT_EQ(evaluated("", kItem), Json(""));
  EXPECT_EQ(evaluated("{% if true %}{{ answer }}{% endif %}", kItem), Json("1"));
}

TEST(Template, PrintsValuesAsPythonDoes) {
  const Json record = {
      {"yes", true}, {"nothing", nullptr}, {"list", {1, 1.0, "it's", false}}, {"large", 1e16}};
  EXPECT_EQ(rendered("{{ yes }} {{ nothing }} {{ list }} {{ large }}", record),
            "True None [1, 1.0, \"it's\", False] 1e+16");
}

TEST(Template, KeepsTheOrderOfAMapsKeys) {
  const Json record = {{"map", Json::parse(R"({"b": 1, "a": 2})")}};
  EXPECT_EQ(rendered("{{ map }} {% for k in map %}{{ k }}{% endfor %}", record),
            "{'b': 1, 'a': 2} ba");
}

TEST(Template, CarriesNulAndEmptyAndLongTexts) {
  const std::string nul("a\0b", 3);
  EXPECT_EQ(rendered("{{ x }}", {{"x", nul}}), nul);
  EXPECT_EQ(evaluated("{{ x }}", {{"x", nul}}), Json(nul));
  EXPECT_EQ(rendered(std::string_view("\0{{ x }}", 8), {{"x", ""}}), std::string(1, '\0'));
  const std::string large(10'000'000, 'x');
  EXPECT_EQ(rendered("{{ x }}", {{"x", large}}), large);
  EXPECT_EQ(evaluated("{{ x }}", {{"x", large}}), Json(large));
}

TEST(Template, KeepsEveryDigitOfALargeInteger) {
  EXPECT_EQ(evaluated("{{ x }}", {{"x", std::int64_t{-9223372036854775807}}}),
            Json(std::int64_t{-9223372036854775807}));
  EXPECT_EQ(evaluated("{{ x }}", {{"x", std::uint64_t{18446744073709551615u}}}),
            Json(std::uint64_t{18446744073709551615u}));
}

TEST(Template, TellsWhichNamesItReads) {
  EXPECT_THAT(compiled("{{ question }} {% for c in choices %}{{ c }}{% endfor %}").variables(),
              ElementsAre("choices", "question"));
  EXPECT_THAT(
      compiled("{% set x = a.b %}{{ x }}{{ range(3) }}{% if d %}{{ e|default('') }}{% endif %}")
          .variables(),
      ElementsAre("a", "d", "e"));
  EXPECT_THAT(compiled("{{ choices[answer] }}").variables(), ElementsAre("answer", "choices"));
  EXPECT_THAT(compiled("no names").variables(), ElementsAre());
}

TEST(TemplateSyntax, IsRefusedWithLineAndColumn) {
  EXPECT_EQ(
      compile_failure("{{ question"),
      "line 1, column 4 of the template: unexpected end of input, expected end of variable block");
  EXPECT_EQ(compile_failure("Frage: ü\n  {{ 1 + }}"),
            "line 2, column 10 of the template: unexpected end of variable block");
  EXPECT_EQ(compile_failure("{% if a %}"),
            "line 1, column 9 of the template: unexpected end of input, expected end of block");
  EXPECT_EQ(compile_failure("a\n{% nonsense %}"),
            "line 2, column 4 of the template: unknown statement nonsense");
  EXPECT_EQ(compile_failure("{% include 'x' %}"),
            "line 1, column 4 of the template: unknown statement include");
  EXPECT_EQ(compile_failure("{{ a }}{%- from 'x' import y %}"),
            "line 1, column 12 of the template: unknown statement from");
}

TEST(TemplateSyntax, OfFiltersAndTestsIsCheckedBeforeTheFirstRecord) {
  EXPECT_EQ(compile_failure("ü {{ a|nofilter }}"),
            "line 1, column 8 of the template: there is no filter \"nofilter\"");
  EXPECT_EQ(compile_failure("{% if a is notest %}{% endif %}"),
            "line 1, column 12 of the template: there is no test \"notest\"");
  EXPECT_EQ(compile_failure("{% if a is not notest %}{% endif %}"),
            "line 1, column 16 of the template: there is no test \"notest\"");
  EXPECT_EQ(compile_failure("{% filter nofilter %}{% endfilter %}"),
            "line 1, column 11 of the template: there is no filter \"nofilter\"");
}

TEST(TemplateSyntax, NestedTooDeeplyIsRefused) {
  const std::string source =
      "{{ " + std::string(1'000, '(') + "1" + std::string(1'000, ')') + " }}";
  EXPECT_EQ(compile_failure(source),
            "line 1, column 78 of the template: template exceeds maximum recursion limits");
}

TEST(TemplateSyntax, LongerThanTheStackIsRefused) {
  std::string sum = "{{ 1";
  std::string chain = "{% if a %}";
  for (int i = 0; i < 100'000; ++i) {
    sum += "+1";
    chain += "{% elif a %}";
  }
  EXPECT_EQ(
      compile_failure(sum + " }}"),
      "line 1, column 4004 of the template: a tag of more than 4000 parts; split it with set");
  EXPECT_EQ(compile_failure(chain + "{% endif %}"),
            "line 1, column 12014 of the template: more than 1000 elif");
}

TEST(TemplateSyntax, ThatIsNotUtf8IsRefused) {
  EXPECT_EQ(compile_failure("a\xff"), "not UTF-8 at byte 1");
}

TEST(TemplateRecord, WithoutAColumnFailsAndNamesThoseItHas) {
  EXPECT_EQ(
      failure("{{ missing }}", kItem),
      "line 1, column 4 of the template: \"missing\" is undefined; the record has \"question\", "
      "\"choices\", \"answer\"");
  EXPECT_EQ(failure("x\n  {{ missing.part }}", kItem),
            "line 2, column 6 of the template: \"missing.part\" is undefined; the record has "
            "\"question\", \"choices\", \"answer\"");
  EXPECT_EQ(
      failure("{% for x in missing %}{% endfor %}", Json::object()),
      "line 1, column 13 of the template: \"missing\" is undefined; the record has no columns");
  EXPECT_EQ(
      failure("{{ [answer, missing] }}", {{"answer", 1}}),
      "line 1, column 4 of the template: a part of \"[answer, missing]\" is undefined; the record "
      "has \"answer\"");
}

TEST(TemplateRecord, WithManyColumnsNamesTwentyOfThem) {
  Json record = Json::object();
  std::string names;
  for (int i = 0; i < 23; ++i) {
    record["c" + std::to_string(i)] = i;
    if (i < 20) names += (i > 0 ? ", \"c" : "\"c") + std::to_string(i) + "\"";
  }
  EXPECT_EQ(failure("{{ missing }}", record),
            "line 1, column 4 of the template: \"missing\" is undefined; the record has " + names +
                " and 3 more");
}

TEST(TemplateRecord, WithAColumnThatLacksThePartFails) {
  EXPECT_EQ(
      failure("{{ choices[5] }}", kItem),
      "line 1, column 4 of the template: \"choices[5]\" is undefined for this record; correct the "
      "template, or ask first whether it \"is defined\"");
  EXPECT_EQ(
      failure("{{ question.a.b }}", kItem),
      "line 1, column 12 of the template: \"question.a.b\" is undefined for this record; correct "
      "the template, or ask first whether it \"is defined\"");
}

TEST(TemplateRecord, ThatAnOperationCannotUseFailsWithItsPlace) {
  EXPECT_EQ(
      failure("{{ question + answer }}", kItem),
      "line 1, column 4 of the template: tried to use + operator on unsupported types string and "
      "number in \"question + answer\"");
  EXPECT_EQ(failure("{{ choices.index('perhaps') }}", kItem),
            "line 1, column 11 of the template: perhaps is not in the list in "
            "\"choices.index('perhaps')\"");
  EXPECT_EQ(failure("{{ question.shout() }}", kItem),
            "line 1, column 12 of the template: string has no method named shout in "
            "\"question.shout()\"");
}

TEST(TemplateRecord, ThatIsNoObjectFails) {
  EXPECT_EQ(failure("x", Json::array()), "a record must be an object of columns, got array");
}

TEST(TemplateRecord, WithTextThatIsNotUtf8NamesTheColumn) {
  EXPECT_EQ(failure("{{ a }}", {{"a", "fine"}, {"b", {"x", "\xff"}}}),
            "column \"b\" holds text that is not UTF-8");
}

TEST(TemplateRecord, WithANumberThatIsNotFiniteFailsWhereItIsRead) {
  const Json record = {{"a", {1.0, std::numeric_limits<double>::quiet_NaN()}}, {"b", 1}};
  EXPECT_EQ(failure("{{ a }}", record),
            "column \"a\" holds a number that is not finite, which a template cannot use");
  EXPECT_EQ(rendered("{{ b }}", record), "1");
}

TEST(TemplateRecord, ThatNestsTooDeeplyFails) {
  Json deep = 1;
  for (int i = 0; i < 200; ++i) deep = Json::array({deep});
  EXPECT_EQ(failure("{{ a }}", {{"a", deep}}),
            "the record is not JSON: recursion limit exceeded at line 1 column 132");
}

TEST(TemplateMacro, ThatCallsItselfForEverFails) {
  const auto text = compiled("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").render(kItem);
  ASSERT_FALSE(text);
  EXPECT_THAT(text.error().text, testing::StartsWith("line 1, column "));
  EXPECT_THAT(text.error().text, testing::HasSubstr("recursion"));
}

// Python formats with it; minijinja does not. The filter format and the method format are there.
TEST(TemplateRecord, CannotBeFormattedWithThePercentOperator) {
  EXPECT_EQ(
      failure("{{ '%s' % answer }}", kItem),
      "line 1, column 4 of the template: tried to use % operator on unsupported types string and "
      "number in \"'%s' % answer\"");
}

// tests/data/text/templates.json is Jinja2's answer: the harness's own templates, then the edges.
TEST(GoldenTemplates, RenderAsJinja2DoesAndFailWhereItFails) {
  std::ifstream in(ASSAY_TEST_DATA "/text/templates.json");
  const Json golden = Json::parse(in);
  ASSERT_GE(golden["cases"].size(), 100u);
  for (const Json& expected : golden["cases"]) {
    const auto source = expected["template"].get<std::string>();
    const Json& record = expected["record"].is_object() ? expected["record"] : golden["values"];
    auto subject = Template::compile(source);
    if (expected.contains("fails")) {
      EXPECT_FALSE(subject && (subject->render(record) || subject->evaluate(record))) << source;
      continue;
    }
    ASSERT_TRUE(subject) << source << "\n" << subject.error().text;
    const auto text = subject->render(record);
    const auto value = subject->evaluate(record);
    ASSERT_TRUE(text) << source << "\n" << text.error().text;
    ASSERT_TRUE(value) << source << "\n" << value.error().text;
    EXPECT_EQ(*text, expected["text"].get<std::string>()) << source;
    // Compared as documents, so that 1 is not 1.0.
    EXPECT_EQ(value->dump(), expected["value"].dump()) << source;
  }
}

TEST(Template, MayBeUsedByManyThreadsAtOnce) {
  const Template subject = compiled("{{ question }} {{ choices|join(', ') }} {{ n }}");
  const Template value = compiled("{{ n + 1 }}");
  std::vector<std::thread> threads;
  std::atomic<int> differing = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      Json record = kItem;
      for (int n = 0; n < 500; ++n) {
        record["n"] = n * 4 + thread;
        const auto text = subject.render(record);
        const auto next = value.evaluate(record);
        if (!text || *text != "Is it? yes, no " + std::to_string(n * 4 + thread)) ++differing;
        if (!next || *next != Json(n * 4 + thread + 1)) ++differing;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(differing, 0);
}

}  // namespace
}  // namespace assay::host
