// What reading weights costs in memory beside the weights themselves.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "checkpoint/weights.hpp"
#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

constexpr std::size_t kTensors = 6, kTensorBytes = 10U << 20;

/// A line of /proc/self/status that counts kB: "VmRSS", "VmHWM" (the peak of VmRSS).
std::uint64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kilobytes = 0;
    if (word == key + ":" && status >> kilobytes) return kilobytes * 1024;
  }
  ADD_FAILURE() << "/proc/self/status has no " << key;
  return 0;
}

/// Lets the peak begin again at what is resident now. False where the kernel does not allow it.
bool restart_peak() {
  std::ofstream clear("/proc/self/clear_refs");
  clear << "5" << std::flush;
  return clear.good();
}

std::string tensor_name(std::size_t index) { return "t" + std::to_string(index); }

void write_bfloat16_model(const std::filesystem::path& dir) {
  std::string header = "{";
  for (std::size_t i = 0; i < kTensors; ++i) {
    header += (i == 0 ? "\"" : ",\"") + tensor_name(i) + R"(":{"dtype":"BF16","shape":[)" +
              std::to_string(kTensorBytes / 2) + R"(],"data_offsets":[)" +
              std::to_string(i * kTensorBytes) + "," + std::to_string((i + 1) * kTensorBytes) +
              "]}";
  }
  header += "}";
  std::ofstream file(dir / "model.safetensors", std::ios::binary);
  file << assay_torch_test::safetensors(header, "");
  // Every byte 0x3C: the bfloat16 0.0115.
  const std::string tensor(kTensorBytes, '\x3C');
  for (std::size_t i = 0; i < kTensors; ++i) file << tensor;
}

/// Memory straight from the kernel: AddressSanitizer's own for heap blocks would count as resident.
class Pages {
 public:
  explicit Pages(std::size_t bytes)
      : bytes_(bytes),
        at_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  ~Pages() { ::munmap(at_, bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  std::span<std::byte> bytes() { return {static_cast<std::byte*>(at_), bytes_}; }

 private:
  std::size_t bytes_;
  void* at_;
};

class MemoryOfWeights : public ::testing::TestWithParam<FloatType> {};

TEST_P(MemoryOfWeights, StaysWithinATenthOfThemWhileTheyAreRead) {
  const assay_torch_test::TempDir dir;
  write_bfloat16_model(dir.path());
  const std::int64_t shape[] = {kTensorBytes / 2};
  const std::size_t tensor_bytes = kTensorBytes / 2 * size_bytes(GetParam());
  const std::size_t weight_bytes = kTensors * tensor_bytes;
  Pages memory(weight_bytes);
  ASSERT_NE(static_cast<void*>(memory.bytes().data()), MAP_FAILED);
  if (!restart_peak()) GTEST_SKIP() << "the kernel does not let this process reset its peak memory";
  const std::uint64_t before = status_bytes("VmRSS");

  const Weights weights(dir.path().string(), 2);
  for (std::size_t i = 0; i < kTensors; ++i) {
    weights.read_into(tensor_name(i), shape, GetParam(),
                      memory.bytes().subspan(i * tensor_bytes, tensor_bytes));
  }

  const std::uint64_t peak = status_bytes("VmHWM") - before;
  // The kernel counts late by some pages per thread, and pages freed before are in `before`.
  EXPECT_GE(peak, weight_bytes - weight_bytes / 10);
  EXPECT_LE(peak, weight_bytes + weight_bytes / 10);  // a mapped file would add 1/2 or all of it
  EXPECT_EQ(memory.bytes()[weight_bytes - 1], std::byte{0x3C});
}

INSTANTIATE_TEST_SUITE_P(Of, MemoryOfWeights,
                         ::testing::Values(FloatType::kBfloat16, FloatType::kFloat32),
                         [](const auto& type) { return std::string(to_string(type.param)); });

}  // namespace
}  // namespace assay_torch
