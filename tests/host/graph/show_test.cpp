#include <gmock/gmock.h>

#include "tests/host/graph/graph_fixture.hpp"

namespace assay::host {
namespace {

using testing::HasSubstr;

class Show : public GraphTest {
 protected:
  Graph graph() const {
    BuiltGraph built = build(R"(assay = 1
name = "a \"small\" study"
[model.base]
backend = "acme/rounds"
path = "tiny"
key = "secret"
[model.rtn4]
backend = "acme/rounds"
path = "tiny"
device = "cuda:1"
draft = "base"
simulate = { method = "rtn" }
[dataset.faq]
use = "acme/pairs"
limit = 10
[dataset.more]
use = "acme/lines"
path = "lines.txt"
[task.faq]
protocol = "multiple_choice"
dataset = "faq"
prompt = "{{ question }}"
choices = ["yes", "no"]
target = "answer"
group_by = ["category"]
shots = 2
shots_from = "more"
[task.wiki]
protocol = "perplexity"
dataset = "more"
models = ["base"]
window = 512
stride = 256
text = "{{ question }}"
[compare]
baseline = "base"
[[gate]]
task = "faq"
metric = "acc"
group = "category=fraud"
min_retained = "97.5%"
[[report]]
use = "acme/page"
[[report]]
use = "acme/console"
)");
    EXPECT_EQ(built.errors.size(), 0U);
    return std::move(built.graph);
  }
};

TEST_F(Show, GivesNodesAndEdgesAsAlignedText) {
  EXPECT_EQ(masked(graph_text(graph())), R"(graph "a "small" study", seed 1234

models
  base  acme/rounds 1.0.0  cpu     baseline   FOLDER/tiny  dtype="float32" fused=true cache=1048576 batches=[1,2]
  rtn4  acme/rounds 1.0.0  cuda:1  simulated  FOLDER/tiny  dtype="float32" simulate.method="rtn" simulate.bits=4 simulate.skip=[] fused=true cache=1048576 batches=[1,2] draft="base"

datasets
  faq   acme/pairs 1.0.0  columns: question, answer, category, options  limit=10
  more  acme/lines 1.0.0  columns: question, answer                     path="FOLDER/lines.txt"

tasks
  faq   multiple_choice shots=2 by category  on faq   for base, rtn4
  wiki  perplexity window=512 stride=256     on more  for base

metrics
  faq   acme/accuracy 1.0.0  acc (primary)
  wiki  acme/ppl 1.0.0       bits, ppl (primary)

compare
  baseline base  noise floor 0

gates
  1  faq  acc  category=fraud  min_retained 97.5%  for rtn4

reports
  acme/page 1.0.0     page.md
  acme/console 1.0.0

edges
  model.base    ->  model.rtn4  draft
  dataset.faq   ->  task.faq
  dataset.more  ->  task.faq    shots
  model.base    ->  task.faq
  model.rtn4    ->  task.faq
  dataset.more  ->  task.wiki
  model.base    ->  task.wiki
  task.faq      ->  gate.1      acc
)");
}

TEST_F(Show, GivesDotWithItsQuotesEscaped) {
  EXPECT_EQ(graph_dot(graph()), R"dot(digraph "a \"small\" study" {
  rankdir=LR;
  "model.base" [label="base\nacme/rounds\nbaseline", shape=box, peripheries=2];
  "model.rtn4" [label="rtn4\nacme/rounds", shape=box];
  "dataset.faq" [label="faq\nacme/pairs", shape=cylinder];
  "dataset.more" [label="more\nacme/lines", shape=cylinder];
  "task.faq" [label="faq\nmultiple_choice shots=2 by category\nacc (primary)", shape=ellipse];
  "task.wiki" [label="wiki\nperplexity window=512 stride=256\nbits, ppl (primary)", shape=ellipse];
  "gate.1" [label="min_retained 97.5%\ncategory=fraud", shape=diamond];
  "model.base" -> "model.rtn4" [label="draft"];
  "dataset.faq" -> "task.faq";
  "dataset.more" -> "task.faq" [label="shots"];
  "model.base" -> "task.faq";
  "model.rtn4" -> "task.faq";
  "dataset.more" -> "task.wiki";
  "model.base" -> "task.wiki";
  "task.faq" -> "gate.1" [label="acc"];
}
)dot");
}

TEST_F(Show, TellsHowTokensAreDrawn) {
  write("tiny/chat_template.jinja", "{{ messages[0].content }}");
  write("many.txt", "question answer lang topic");
  const BuiltGraph built = build(R"(assay = 1
[model.base]
backend = "acme/rounds"
path = "tiny"
[dataset.many]
use = "acme/lines"
path = "many.txt"
[dataset.train]
use = "acme/lines"
path = "many.txt"
[task.greedy]
protocol = "generate"
dataset = "many"
prompt = "question"
target = "answer"
min_new_tokens = 2
chat = true
shots = 3
shots_from = "train"
[task.drawn]
protocol = "generate"
dataset = "many"
prompt = "question"
target = "answer"
max_new_tokens = 8
temperature = 0.7
top_k = 40
top_p = 0.95
group_by = ["lang", "topic"]
limit = 5
[task.next]
protocol = "continuation"
dataset = "many"
prompt = "question"
target = "answer"
)");
  ASSERT_EQ(built.errors.size(), 0U);
  const std::string text = graph_text(built.graph);
  const std::size_t tasks = text.find("\ntasks\n");
  EXPECT_EQ(text.substr(tasks, text.find("\nmetrics\n") - tasks), R"(
tasks
  greedy  generate shots=3 chat max_new_tokens=256 min_new_tokens=2 greedy                                      on many  for base
  drawn   generate shots=0 max_new_tokens=8 sampled temperature=0.7 top_k=40 top_p=0.95 by lang, topic limit=5  on many  for base
  next    continuation shots=0                                                                                  on many  for base
)");
  EXPECT_THAT(text, HasSubstr("  dataset.train  ->  task.greedy  shots\n"));
  EXPECT_THAT(graph_dot(built.graph), HasSubstr(R"dot(
  "task.drawn" [label="drawn\ngenerate shots=0 max_new_tokens=8 sampled temperature=0.7 top_k=40 top_p=0.95 by lang, topic limit=5\nexact\nword, contains (primary)", shape=ellipse];
)dot"));
}

}  // namespace
}  // namespace assay::host
