// Sets the tests' thread count before any of them runs. Tests run beside each other, and libtorch's
// threads wait by spinning.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace {

class OneThread : public ::testing::Environment {
 public:
  void SetUp() override { at::set_num_threads(1); }
};

const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new OneThread);

}  // namespace
