// Splits of datasets kept in files, without a dataset.
#include <gtest/gtest.h>
#include <unistd.h>

#include <assay/file.hpp>
#include <assay/split.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace assay {
namespace {

constexpr FileKind kKind{"CSV file", "csv", true};

class Splits : public testing::Test {
 protected:
  Splits() {
    std::string name = (std::filesystem::temp_directory_path() / "assay-test-XXXXXX").string();
    folder = mkdtemp(name.data());
  }
  ~Splits() override { std::filesystem::remove_all(folder); }

  void write(const std::string& name, const std::string& content = "x") const {
    std::ofstream(folder + "/" + name) << content;
  }

  /// What is said about a path and split; the folder is written as "{}".
  std::string complaint(const std::string& path, const std::string& split) const {
    try {
      file_of_split(path, split, kKind);
    } catch (const Error& error) {
      std::string text = error.where() + ": " + error.what();
      for (std::size_t at; (at = text.find(folder)) != std::string::npos;) {
        text.replace(at, folder.size(), "{}");
      }
      return text;
    }
    return "";
  }

  std::string folder;
};

TEST_F(Splits, StandInThePathWhereItSaysSo) {
  EXPECT_EQ(file_of_split("d/{split}/x_{split}.csv", "dev", kKind), "d/dev/x_dev.csv");
  EXPECT_EQ(file_of_split("d/{split}.csv", "{split}", kKind), "d/{split}.csv");
  EXPECT_EQ(complaint("d/{split}.csv", ""),
            "path: d/{split}.csv needs a split in the place of {split}; add split = \"test\"");
}

TEST_F(Splits, AreTheFilesOfAFolder) {
  write("dev.csv");
  write("test.csv");
  write("notes.txt");
  EXPECT_EQ(file_of_split(folder, "dev", kKind), folder + "/dev.csv");
  EXPECT_EQ(complaint(folder, "train"),
            "split: {} has no split \"train\": there is no train.csv in it; it holds dev.csv, "
            "test.csv");
  EXPECT_EQ(complaint(folder, ""),
            "path: {}: this is a folder; name one CSV file, or say which split (split = \"test\" "
            "opens test.csv in it)");
}

TEST_F(Splits, OfAnEmptyFolderAreNone) {
  EXPECT_EQ(complaint(folder, "dev"),
            "split: {} has no split \"dev\": there is no dev.csv in it; it holds no .csv file");
}

TEST_F(Splits, AreNotInOneFile) {
  write("all.csv");
  EXPECT_EQ(file_of_split(folder + "/all.csv", "", kKind), folder + "/all.csv");
  EXPECT_EQ(complaint(folder + "/all.csv", "dev"),
            "split: {}/all.csv is one CSV file and has no split \"dev\"; put {split} into path, "
            "name a folder that holds dev.csv, set split_column, or leave split out");
}

TEST_F(Splits, AreListedFromWhatThereIs) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(splits_of_path(folder + "/all.csv", kKind), Names{""});
  EXPECT_EQ(splits_of_path(folder, kKind), Names{});
  write("test.csv");
  write("dev.csv");
  write(".csv");
  write("notes.txt");
  std::filesystem::create_directory(folder + "/folder.csv");
  EXPECT_EQ(splits_of_path(folder, kKind), (Names{"dev", "test"}));
  EXPECT_EQ(splits_of_path(folder + "/{split}.csv", kKind), (Names{"dev", "test"}));
  EXPECT_EQ(splits_of_path(folder + "/{split}.tsv", kKind), Names{});

  for (const char* split : {"de", "fr"}) {
    std::filesystem::create_directory(folder + "/lang-" + split);
    write(std::string("lang-") + split + "/x_" + split + ".csv");
  }
  std::filesystem::create_directory(folder + "/lang-it");  // without a file of its own
  EXPECT_EQ(splits_of_path(folder + "/lang-{split}/x_{split}.csv", kKind), (Names{"de", "fr"}));

  write("a-b_b-c.csv");
  write("b_c.csv");
  EXPECT_EQ(splits_of_path(folder + "/a-{split}_{split}-c.csv", kKind), Names{"b"});
  for (const std::string& split : splits_of_path(folder, kKind)) {
    EXPECT_TRUE(std::filesystem::exists(file_of_split(folder, split, kKind))) << split;
  }
}

TEST_F(Splits, OfAFolderThatIsNotThereCannotBeListed) {
  EXPECT_THROW(splits_of_path(folder + "/nowhere/{split}.csv", kKind), Error);
}

TEST(SplitColumn, IsAColumnOfTexts) {
  const std::vector<Field> columns{{"id", Type::kInt64}, {"part", Type::kText}};
  EXPECT_NO_THROW(check_split_column("part", columns, "a.csv"));
  const auto complaint = [&](const std::string& column) -> std::string {
    try {
      check_split_column(column, columns, "a.csv");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(complaint("id"), "a.csv: column \"id\" holds int64; the names of splits are texts");
  EXPECT_EQ(complaint("prt"), "a.csv: there is no column \"prt\" (columns: id, part)");
}

std::string complaint_about(const std::string& split, const std::vector<std::string>& rows) {
  auto row = rows.begin();
  try {
    require_split(split, "part", "a.csv", [&](std::string& of_row) {
      if (row == rows.end()) return false;
      of_row = *row++;
      return true;
    });
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(SplitColumn, HasARowOfTheSplit) {
  EXPECT_EQ(complaint_about("dev", {"test", "dev"}), "");
  EXPECT_EQ(complaint_about("train", {"test", "dev", "", "test"}),
            "a.csv: no row has \"train\" in column \"part\", which holds \"test\", \"dev\"");
  EXPECT_EQ(complaint_about("", {"", "dev"}),
            "a.csv: split_column = \"part\" needs a split; add split with one of \"dev\"");
  EXPECT_EQ(complaint_about("x", {""}),
            "a.csv: no row has \"x\" in column \"part\", which holds no texts");
  EXPECT_EQ(complaint_about("x", {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}),
            "a.csv: no row has \"x\" in column \"part\", which holds \"1\", \"2\", \"3\", \"4\", "
            "\"5\", \"6\", \"7\", \"8\", ...");
}

TEST_F(Splits, AreReadBlockByBlock) {
  const std::string content(3 << 20, 'a');
  write("big.csv", content + "b");
  FileBlocks file(folder + "/big.csv");
  std::string buffer;
  int n_blocks = 0;
  while (file.append_to(buffer)) ++n_blocks;
  EXPECT_EQ(buffer, content + "b");
  EXPECT_EQ(n_blocks, 4);
  EXPECT_FALSE(file.append_to(buffer));
}

TEST_F(Splits, ThatCannotBeReadAreRefused) {
  try {
    FileBlocks(folder + "/gone.csv");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ASSAY_NOT_FOUND);
    EXPECT_EQ(error.what(), folder + "/gone.csv: cannot be opened: No such file or directory");
  }
  try {
    std::string buffer;
    FileBlocks(folder).append_to(buffer);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ASSAY_UNAVAILABLE);
    EXPECT_EQ(error.what(), folder + ": cannot be read: Is a directory");
  }
}

}  // namespace
}  // namespace assay
