#include "host/protocol/windows.hpp"

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

namespace assay::host {
namespace {

using Triple = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;

std::vector<Triple> triples(std::uint64_t n, std::uint64_t window, std::uint64_t stride) {
  std::vector<Triple> list;
  for (const Window& w : windows_over(n, window, stride))
    list.emplace_back(w.begin, w.end, w.first);
  return list;
}

TEST(WindowsOver, OverlappingScoresEveryTokenButTheFirstOnce) {
  EXPECT_EQ(triples(10, 4, 2), (std::vector<Triple>{{0, 4, 1}, {2, 6, 4}, {4, 8, 6}, {6, 10, 8}}));
}

TEST(WindowsOver, DisjointNeverScoresTheFirstTokenOfAWindow) {
  EXPECT_EQ(triples(9, 4, 4), (std::vector<Triple>{{0, 4, 1}, {4, 8, 5}, {8, 9, 9}}));
}

TEST(WindowsOver, ShortStreamIsOneWindow) {
  EXPECT_EQ(triples(3, 512, 256), (std::vector<Triple>{{0, 3, 1}}));
  EXPECT_TRUE(triples(0, 4, 2).empty());
}

TEST(WindowsOver, CountsAgreeWithTheOraclesTables) {
  // Source: strided perplexity of tinystories-656k by plain transformers: tokens, stride, windows,
  // scored.
  struct Row {
    std::uint64_t n, stride, windows, scored;
  };
  for (const Row& row : {Row{560211, 512, 1095, 559116}, Row{560212, 512, 1095, 559117},
                         Row{560212, 256, 2188, 560211}, Row{560212, 128, 4374, 560211},
                         Row{554432, 512, 1083, 553349}, Row{554432, 256, 2165, 554431}}) {
    const auto windows = windows_over(row.n, 512, row.stride);
    std::uint64_t scored = 0;
    for (const Window& w : windows) scored += w.end - w.first;
    EXPECT_EQ(windows.size(), row.windows);
    EXPECT_EQ(scored, row.scored);
  }
}

}  // namespace
}  // namespace assay::host
