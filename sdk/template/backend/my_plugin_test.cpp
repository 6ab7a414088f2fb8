#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

namespace check = assay::check;

namespace {

/// The backend with a vocabulary of four, loaded.
class MyPlugin : public testing::Test {
 protected:
  void SetUp() override {
    assay_job job{};
    job.struct_size = sizeof job;
    model_.struct_size = sizeof model_;
    ASSERT_EQ(backend_.status(), ASSAY_OK);
    ASSERT_EQ(api_.load(backend_.self(), &job, &model_, nullptr), ASSAY_OK);
  }

  const check::SpyAnswer& answer(const assay_request& request) {
    const assay_batch batch{sizeof(assay_batch), 0, 1, sizeof(assay_request), &request};
    EXPECT_EQ(api_.run(backend_.self(), &batch, &results_.sink, nullptr), ASSAY_OK);
    const check::SpyAnswer& given = results_.answers[request.id];
    EXPECT_EQ(given.n_done, 1);
    EXPECT_EQ(given.text, "");
    return given;
  }

  check::FakeHost host_;
  const check::Created backend_{
      *assay_plugin_v1.components[0], host_, {{"vocab", std::int64_t{4}}}};
  const assay_backend_v1& api_ = backend_.api<assay_backend_v1>();
  assay_model_info model_{};
  check::SpyResults results_;
  const std::vector<std::int32_t> tokens_{3, 0, 1};
};

TEST_F(MyPlugin, GivesEachTokenTheSameShare) {
  EXPECT_EQ(model_.vocab, 4U);
  const check::SpyAnswer& given =
      answer({1, ASSAY_REQ_SCORE, ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY, tokens_.data(), 3, 1, 0,
              0, nullptr});
  EXPECT_EQ(given.logprobs, std::vector<float>(2, std::log(0.25F)));
  EXPECT_EQ(given.greedy, (std::vector<std::uint8_t>{1, 0}));
}

TEST_F(MyPlugin, StopsAtAStopOrAtTheLength) {
  const std::int32_t twice[] = {0, 0, -1};
  const std::int32_t* const stops[] = {twice, nullptr};
  const assay_sampling greedy{sizeof(assay_sampling), 8, 0, 0, 0, 1, 0, stops};
  EXPECT_EQ(answer({2, ASSAY_REQ_GENERATE, 0, tokens_.data(), 3, 0, 0, 0, &greedy}).tokens,
            std::vector<std::int32_t>(2, 0));
  const assay_sampling forced{sizeof(assay_sampling), 8, 8, 0, 0, 1, 0, stops};
  EXPECT_EQ(answer({3, ASSAY_REQ_GENERATE, 0, tokens_.data(), 3, 0, 0, 0, &forced}).tokens,
            std::vector<std::int32_t>(8, 0));
}

TEST_F(MyPlugin, DrawsTheSameTokensForTheSameSeed) {
  const assay_sampling drawn{sizeof(assay_sampling), 32, 32, 0, 1, 1, 7, nullptr};
  const auto first = answer({4, ASSAY_REQ_GENERATE, 0, tokens_.data(), 3, 0, 0, 0, &drawn}).tokens;
  const auto again = answer({5, ASSAY_REQ_GENERATE, 0, tokens_.data(), 3, 0, 0, 0, &drawn}).tokens;
  EXPECT_EQ(first, again);
  EXPECT_NE(first, std::vector<std::int32_t>(32, first[0]));
}

}  // namespace
