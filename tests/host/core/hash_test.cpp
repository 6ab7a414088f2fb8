#include "host/core/hash.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace assay::host {
namespace {

// The three messages of NIST's "Secure Hash Standard" examples for SHA-256 and the empty one.
constexpr char kOfEmpty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kOfAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kOfTwoBlocks[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
constexpr char kOfMillionA[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

class Sha256File : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("assay_hash_test_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path write(const std::string& bytes) const {
    const std::filesystem::path path = folder_ / "file";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  std::filesystem::path folder_;
};

TEST(Sha256, AgreesWithThePublishedExamples) {
  EXPECT_EQ(sha256(""), kOfEmpty);
  EXPECT_EQ(sha256("abc"), kOfAbc);
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), kOfTwoBlocks);
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')), kOfMillionA);
}

TEST(Sha256, CountsAZeroByteLikeAnyOther) {
  // printf '\0' | sha256sum
  EXPECT_EQ(sha256(std::string_view("\0", 1)),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

TEST_F(Sha256File, IsThatOfItsContents) {
  const auto digest = sha256_file(write("abc"));
  ASSERT_TRUE(digest) << digest.error().text;
  EXPECT_EQ(*digest, kOfAbc);
}

TEST_F(Sha256File, OfAnEmptyFileIsThatOfNoBytes) { EXPECT_EQ(*sha256_file(write("")), kOfEmpty); }

TEST_F(Sha256File, DoesNotDependOnHowTheFileIsCutIntoPieces) {
  // The reader's piece is 1 MiB: one byte less, the same, one more, and several.
  for (const std::size_t size : {(1u << 20) - 1, 1u << 20, (1u << 20) + 1, 3u << 20}) {
    const std::string bytes(size, 'x');
    EXPECT_EQ(*sha256_file(write(bytes)), sha256(bytes)) << size;
  }
}

TEST_F(Sha256File, SaysWhichFileItCannotOpen) {
  const auto digest = sha256_file(folder_ / "absent");
  ASSERT_FALSE(digest);
  EXPECT_EQ(digest.error().code, ASSAY_NOT_FOUND);
  EXPECT_EQ(digest.error().text, "cannot open " + (folder_ / "absent").string());
  EXPECT_EQ(digest.error().where, (folder_ / "absent").string());
}

TEST_F(Sha256File, OfAFolderFails) {
  const auto digest = sha256_file(folder_);
  ASSERT_FALSE(digest);
  EXPECT_EQ(digest.error().code, ASSAY_UNAVAILABLE);
  EXPECT_EQ(digest.error().text, "cannot read " + folder_.string());
}

TEST(SeedFrom, IsTheFirstEightBytesOfTheDigestBigEndFirst) {
  EXPECT_EQ(seed_from("abc"), 0xba7816bf8f01cfeau);
  EXPECT_NE(seed_from("abc"), seed_from("abd"));
}

}  // namespace
}  // namespace assay::host
