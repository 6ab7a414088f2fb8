#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/spies.hpp>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace check = assay::check;

namespace {

class Engine : public testing::Test {
 protected:
  assay_status load(const std::string& folder) {
    assay_job job{};
    job.struct_size = sizeof job;
    job.model_dir = {folder.data(), folder.size()};
    assay_model_info model{};
    model.struct_size = sizeof model;
    return api_.load(backend_.self(), &job, &model, &error_);
  }
  check::SpyAnswer answer(assay_request request) {
    request.id = ++n_asked_;
    const assay_batch batch{sizeof(assay_batch), 0, 1, sizeof(assay_request), &request};
    EXPECT_EQ(api_.run(backend_.self(), &batch, &results_.sink, &error_), ASSAY_OK) << error_.text;
    EXPECT_EQ(results_.answers[request.id].n_done, 1);
    return results_.answers[request.id];
  }

  check::FakeHost host_;
  const check::Created backend_{*assay_plugin_v1.components[0],
                                host_,
                                {{"vocab", std::int64_t{8}}, {"bits", std::int64_t{8}}}};
  const assay_backend_v1& api_ = backend_.api<assay_backend_v1>();
  assay_error error_ = check::fresh_error();
  check::SpyResults results_;
  std::uint64_t n_asked_ = 0;
};

TEST_F(Engine, NamesAFolderThatIsNotThere) {
  EXPECT_EQ(load("/nowhere"), ASSAY_NOT_FOUND);
  EXPECT_STREQ(error_.where, "path");
  EXPECT_STREQ(error_.text, "there is no model folder /nowhere");
}

TEST_F(Engine, GivesProbabilitiesThatSumToOne) {
  ASSERT_EQ(load("."), ASSAY_OK) << error_.text;
  double sum = 0;
  int n_greedy = 0;
  for (std::int32_t token = 0; token < 8; ++token) {
    const std::int32_t tokens[] = {3, 5, token};
    const check::SpyAnswer given = answer(
        {0, ASSAY_REQ_SCORE, ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY, tokens, 3, 2, 0, 0, nullptr});
    ASSERT_EQ(given.logprobs.size(), 1U);
    sum += std::exp(static_cast<double>(given.logprobs[0]));
    n_greedy += given.greedy[0];
  }
  EXPECT_NEAR(sum, 1, 1e-6);  // eight float32 log-probabilities of about 2 nats
  EXPECT_EQ(n_greedy, 1);
}

TEST_F(Engine, WritesWhatItFindsLikeliest) {
  ASSERT_EQ(load("."), ASSAY_OK) << error_.text;
  const std::int32_t* const no_stops[] = {nullptr};
  const assay_sampling greedy{sizeof(assay_sampling), 3, 0, 0, 0, 1, 0, no_stops};
  std::vector<std::int32_t> text{3, 5};
  const std::vector<std::int32_t> written =
      answer({0, ASSAY_REQ_GENERATE, 0, text.data(), 2, 0, 0, 0, &greedy}).tokens;
  ASSERT_EQ(written.size(), 3U);
  text.insert(text.end(), written.begin(), written.end());
  EXPECT_EQ(
      answer({0, ASSAY_REQ_SCORE, ASSAY_WANT_GREEDY, text.data(), 5, 2, 0, 0, nullptr}).greedy,
      (std::vector<std::uint8_t>{1, 1, 1}));
}

TEST_F(Engine, FailsARequestOnlyForATokenItDoesNotKnow) {
  ASSERT_EQ(load("."), ASSAY_OK) << error_.text;
  const std::int32_t tokens[] = {3, 9};
  const check::SpyAnswer given =
      answer({0, ASSAY_REQ_SCORE, ASSAY_WANT_LOGPROBS, tokens, 2, 1, 0, 0, nullptr});
  EXPECT_EQ(given.code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(given.text, "token 9 at place 1 is not one of the 8 of the vocabulary");
}

}  // namespace
