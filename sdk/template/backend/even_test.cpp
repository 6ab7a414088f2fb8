#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <cmath>
#include <cstdint>

namespace check = assay::check;

TEST(Even, GivesEachTokenTheSameShare) {
  check::FakeHost host;
  const check::Created backend(*assay_plugin_v1.components[0], host, {{"vocab", std::int64_t{4}}});
  ASSERT_EQ(backend.status(), ASSAY_OK);
  const auto& api = backend.api<assay_backend_v1>();
  assay_job job{};
  job.struct_size = sizeof job;
  assay_model_info model{};
  model.struct_size = sizeof model;
  ASSERT_EQ(api.load(backend.self(), &job, &model, nullptr), ASSAY_OK);
  EXPECT_EQ(model.vocab, 4U);

  const std::int32_t tokens[] = {3, 0, 1};
  const assay_request request{
      1, ASSAY_REQ_SCORE, ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY, tokens, 3, 1, 0, 0, nullptr};
  const assay_batch batch{sizeof(assay_batch), 0, 1, sizeof(assay_request), &request};
  check::SpyResults results;
  ASSERT_EQ(api.run(backend.self(), &batch, &results.sink, nullptr), ASSAY_OK);
  const check::SpyAnswer& answer = results.answers[1];
  EXPECT_EQ(answer.n_done, 1);
  ASSERT_EQ(answer.logprobs.size(), 2U);
  EXPECT_FLOAT_EQ(answer.logprobs[0], std::log(0.25F));
  EXPECT_EQ(answer.greedy[0], 1);
  EXPECT_EQ(answer.greedy[1], 0);
}
