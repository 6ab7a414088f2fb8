#include "checkpoint/safetensors.hpp"

#include <assay/abi.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <span>
#include <vector>

#include "checkpoint/weights.hpp"
#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::floats;
using assay_torch_test::safetensors;
using assay_torch_test::thrown;
using assay_torch_test::write_bytes;
using ::testing::ElementsAre;

/// What opening these bytes throws, the folder's name taken out: "3 m.safetensors: text".
class Safetensors : public ::testing::Test {
 protected:
  std::string error_of(std::string_view bytes) {
    const auto path = dir_.path() / "m.safetensors";
    write_bytes(path, bytes);
    std::string text = thrown([&] { SafetensorsFile file(path.string()); });
    const auto folder = dir_.path().string() + "/";
    if (const auto at = text.find(folder); at != std::string::npos) text.erase(at, folder.size());
    return text;
  }
  std::string error_of_header(std::string_view header, std::size_t data_bytes) {
    return error_of(safetensors(header, std::string(data_bytes, '\0')));
  }

  assay_torch_test::TempDir dir_;
};

TEST_F(Safetensors, OfOneMatrixGivesItsEntryAndItsBytes) {
  const auto path = dir_.path() / "m.safetensors";
  write_bytes(
      path,
      safetensors(
          R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}  )",
          floats({1.5F, -2.0F})));
  const SafetensorsFile file(path.string());
  ASSERT_EQ(file.tensors().size(), 1U);
  const TensorEntry& entry = file.tensors().at("a");
  EXPECT_EQ(entry.dtype, "F32");
  EXPECT_THAT(entry.shape, ElementsAre(1, 2));
  float second = 0;
  file.read(entry, 4, std::as_writable_bytes(std::span(&second, 1)));
  EXPECT_EQ(second, -2.0F);
}

TEST_F(Safetensors, CutAfterItWasOpenedSaysSoWhenItIsRead) {
  const auto path = dir_.path() / "m.safetensors";
  write_bytes(path, safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                                floats({1.5F, -2.0F})));
  const SafetensorsFile file(path.string());
  std::filesystem::resize_file(path, 66);
  std::vector<std::byte> bytes(8);
  EXPECT_EQ(thrown([&] { file.read(file.tensors().at("a"), 0, bytes); }),
            "10 " + path.string() +
                ": had 70 bytes when it was opened and ends at byte 66 now; run again when nothing "
                "writes to it");
}

TEST_F(Safetensors, GivesNoBytesBehindATensor) {
  const auto path = dir_.path() / "m.safetensors";
  write_bytes(
      path,
      safetensors(
          R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
          "abcd"));
  const SafetensorsFile file(path.string());
  std::vector<std::byte> bytes(3);
  EXPECT_EQ(thrown([&] { file.read(file.tensors().at("a"), 1, bytes); }),
            "13 " + path.string() + ": bytes [1, 4) of a tensor of 3 bytes were asked for");
}

TEST_F(Safetensors, MayHoldRankZeroAndEmptyTensors) {
  EXPECT_EQ(
      error_of_header(
          R"({"s":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"e":{"dtype":"F32","shape":[0,7],"data_offsets":[1,1]}})",
          1),
      "");
}

TEST_F(Safetensors, ThatDoesNotExistIsNamed) {
  EXPECT_EQ(thrown([] { SafetensorsFile file("/no/m.safetensors"); }),
            "5 /no/m.safetensors: cannot be opened: No such file or directory");
}

TEST_F(Safetensors, ShorterThanItsLengthFieldIsRefused) {
  EXPECT_EQ(error_of("abc"),
            "3 m.safetensors: holds 3 bytes, a safetensors file begins with an 8-byte header "
            "length; copy the file again");
}

TEST_F(Safetensors, WithAHeaderOver100MegabytesIsRefused) {
  EXPECT_EQ(error_of(std::string("\xff\xff\xff\xff\0\0\0\0{}", 10)),
            "3 m.safetensors: announces a header of 4294967295 bytes, the limit is 100000000; "
            "expected a safetensors file");
}

TEST_F(Safetensors, TruncatedInItsHeaderIsRefused) {
  EXPECT_EQ(error_of(std::string("\x40\0\0\0\0\0\0\0{}", 10)),
            "3 m.safetensors: is truncated: the header should have 64 bytes, only 2 follow; copy "
            "the file again");
}

TEST_F(Safetensors, TruncatedInItsDataIsRefused) {
  EXPECT_EQ(error_of_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 6),
            "3 m.safetensors: is truncated: tensor \"a\" lies at [0, 8), but only 6 bytes of data "
            "follow the header; copy the file again");
}

TEST_F(Safetensors, WithAHeaderThatIsNotJsonIsRefused) {
  EXPECT_EQ(
      error_of_header("{\"a\": nope}", 0),
      "3 m.safetensors: the header is not valid JSON at its byte 8; expected a safetensors file");
  EXPECT_EQ(error_of_header("[1]", 0),
            "3 m.safetensors: the header is not a JSON object; expected a safetensors file");
}

TEST_F(Safetensors, WithANumberBeyondEveryDoubleIsRefused) {
  EXPECT_EQ(error_of_header(R"({"a":{"dtype":"U8","shape":[1e999],"data_offsets":[0,1]}})", 1),
            "3 m.safetensors: the header holds a number beyond every double; expected a "
            "safetensors file");
}

TEST_F(Safetensors, WithAHeaderThatNestsIsRefused) {
  EXPECT_EQ(error_of_header("{\"a\":{\"shape\":" + std::string(1'000'000, '['), 0),
            "3 m.safetensors: the header nests deeper than a tensor's shape; expected a "
            "safetensors file");
}

TEST_F(Safetensors, WithADuplicateNameIsRefused) {
  EXPECT_EQ(
      error_of_header(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
          2),
      "3 m.safetensors: tensor \"a\" is in the header twice");
}

TEST_F(Safetensors, WithAnIncompleteEntryIsRefused) {
  const std::string expected =
      "3 m.safetensors: tensor \"a\" needs a dtype, a shape and two data_offsets of whole numbers "
      "in the header";
  EXPECT_EQ(error_of_header(R"({"a":{"dtype":"U8","shape":[1]}})", 1), expected);
  EXPECT_EQ(error_of_header(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1),
            expected);
  EXPECT_EQ(error_of_header(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.5]}})", 1),
            expected);
  EXPECT_EQ(error_of_header(R"({"a":7})", 1), expected);
}

TEST_F(Safetensors, WithAnUnknownDtypeIsRefused) {
  EXPECT_EQ(error_of_header(R"({"a":{"dtype":"F24","shape":[1],"data_offsets":[0,3]}})", 3),
            "3 m.safetensors: tensor \"a\" has the unknown dtype \"F24\"; known are F64, F32, F16, "
            "BF16, I64, I32, I16, I8, "
            "U64, U32, U16, U8, BOOL, F8_E4M3, F8_E5M2, F8_E8M0, C64, F4");
}

TEST_F(Safetensors, WhoseBytesDoNotFitShapeAndDtypeIsRefused) {
  EXPECT_EQ(error_of_header(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}})", 20),
            "3 m.safetensors: tensor \"a\": dtype F32 and shape [2, 3] need 24 bytes, but "
            "data_offsets are [0, 20)");
  EXPECT_EQ(error_of_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})", 8),
            "3 m.safetensors: tensor \"a\": dtype F32 and shape [1] need 4 bytes, but data_offsets "
            "are [8, 4)");
}

TEST_F(Safetensors, WhoseSizeOverflowsIsRefused) {
  EXPECT_EQ(error_of_header(
                R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
            "3 m.safetensors: tensor \"a\" has the shape [4294967296, 4294967296], whose size does "
            "not fit 64 bits");
}

TEST_F(Safetensors, WithOverlappingTensorsIsRefused) {
  EXPECT_EQ(
      error_of_header(
          R"({"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
          8),
      "3 m.safetensors: tensors \"a\" and \"b\" overlap at [4, 6)");
}

TEST_F(Safetensors, WithAHoleIsRefused) {
  EXPECT_EQ(
      error_of_header(
          R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
          6),
      "3 m.safetensors: bytes [2, 4) of the data belong to no tensor");
  EXPECT_EQ(error_of_header(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 5),
            "3 m.safetensors: bytes [2, 5) of the data belong to no tensor");
}

}  // namespace
}  // namespace assay_torch
