#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "host/store/files.hpp"
#include "host/store/rows.hpp"
#include "host/store/spool.hpp"

namespace assay::host {
namespace {

class Store : public testing::Test {
 protected:
  Store() {
    std::string name = (std::filesystem::temp_directory_path() / "assay-store-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~Store() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(Store, SpoolGivesBackWhatWasAppendedFromBufferAndFile) {
  auto spool = Spool::create(folder_);
  ASSERT_TRUE(spool);
  const std::string large(700'000, 'x');
  ASSERT_TRUE(spool->append("first"));
  ASSERT_TRUE(spool->append(""));
  ASSERT_TRUE(spool->append(large));
  ASSERT_TRUE(spool->append(large));  // past the buffer: written out
  ASSERT_TRUE(spool->append(std::string("a\0b", 3)));
  EXPECT_EQ(spool->size(), 5u);
  EXPECT_EQ(*spool->read(4), std::string("a\0b", 3));
  EXPECT_EQ(*spool->read(2), large);
  EXPECT_EQ(*spool->read(1), "");
  EXPECT_EQ(*spool->read(0), "first");
}

TEST_F(Store, SpoolLeavesNoFileBehind) {
  auto spool = Spool::create(folder_);
  ASSERT_TRUE(spool->append(std::string(2'000'000, 'x')));
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(Store, SpoolInAFolderThatIsNotThereSaysSo) {
  const auto spool = Spool::create(folder_ / "none");
  ASSERT_FALSE(spool);
  EXPECT_EQ(spool.error().text,
            "cannot write to " + (folder_ / "none").string() +
                ": No such file or directory; choose another --out folder or change its "
                "permissions");
}

TEST_F(Store, RowsComeBackInOrderWithTheirNumbers) {
  const auto path = folder_ / "task.jsonl.zst";
  auto writer = RowWriter::create(path);
  ASSERT_TRUE(writer);
  for (int i = 0; i < 50'000; ++i) {
    ASSERT_TRUE(writer->write(Json{{"index", i}, {"nll", i / 3.0}, {"text", "zeile \n\x01 ü"}}));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(writer->close());
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".part"));
  auto reader = RowReader::open(path);
  ASSERT_TRUE(reader);
  for (int i = 0; i < 50'000; ++i) {
    auto row = reader->next();
    ASSERT_TRUE(row && *row);
    ASSERT_EQ((**row)["index"], i);
    ASSERT_EQ((**row)["nll"].get<double>(), i / 3.0);
  }
  auto end = reader->next();
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

TEST_F(Store, TruncatedRowsNameTheFileAndTheRow) {
  const auto path = folder_ / "task.jsonl.zst";
  auto writer = RowWriter::create(path);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(writer->write(Json{{"index", i * 7919 % 1000}}));
  ASSERT_TRUE(writer->close());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 10);
  auto reader = RowReader::open(path);
  Result<std::optional<Json>> row = reader->next();
  while (row && *row) row = reader->next();
  ASSERT_FALSE(row);
  EXPECT_EQ(row.error().text.substr(0, path.string().size() + 21),
            path.string() + " is damaged after row");
}

TEST_F(Store, DocumentsAreReplacedWhole) {
  const auto path = folder_ / "run.json";
  ASSERT_TRUE(write_document(path, "old"));
  ASSERT_TRUE(write_document(path, "new"));
  EXPECT_EQ(*read_document(path), "new");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(Store, FolderThatCannotBeMadeSaysWhatToDo) {
  std::ofstream(folder_ / "file") << "x";
  const auto made = make_folder(folder_ / "file" / "out");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().text, "cannot write to " + (folder_ / "file" / "out").string() +
                                   ": Not a directory; choose another --out folder or change its "
                                   "permissions");
}

TEST(WriteFailure, TellsAFullDiskApart) {
  const Failure failure = write_failure("/data/out", ENOSPC);
  EXPECT_EQ(failure.code, ASSAY_RESOURCE_EXHAUSTED);
  EXPECT_EQ(failure.text,
            "cannot write to /data/out: the disk is full; free some space or choose another --out "
            "folder");
}

TEST(RowWriter, OnAFullDiskReportsIt) {
  // /dev/full answers every write with ENOSPC; the .part name is a link to it.
  std::string name = (std::filesystem::temp_directory_path() / "assay-full-XXXXXX").string();
  const std::filesystem::path folder = mkdtemp(name.data());
  std::filesystem::create_symlink("/dev/full", folder / "t.jsonl.zst.part");
  auto writer = RowWriter::create(folder / "t.jsonl.zst");
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->write(Json{{"index", 0}}));
  const auto closed = writer->close();
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().text, "cannot write to " + (folder / "t.jsonl.zst").string() +
                                     ": the disk is full; free some space or choose another --out "
                                     "folder");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace assay::host
