#include "tests/host/manifest/workspace.hpp"

namespace assay::host {
namespace {

class Include : public Workspace {};

TEST_F(Include, ReadsIncludedFilesFirstAndLetsTheLaterKeyCount) {
  write("shared/models.toml", R"([model.base]
backend = "assay/torch"
path = "tiny"
dtype = "float32"
simulate = { method = "rtn", bits = 4 }
kv.bits = 8
kv.group = 64
[[report]]
use = "assay/console"
)");
  const ParsedManifest parsed = read(R"(assay = 1
include = ["shared/models.toml"]
[model.base]
dtype = "bfloat16"
simulate = { method = "nf4" }
kv.bits = 4
[[report]]
use = "assay/markdown"
)");
  EXPECT_EQ(shown(parsed.manifest.sources, parsed.errors), "");
  const ModelNode& base = parsed.manifest.models.at(0);
  EXPECT_EQ(base.backend.value, "assay/torch");
  EXPECT_EQ(base.path.value, folder() / "shared/tiny");
  ASSERT_EQ(base.options.size(), 3U);
  EXPECT_EQ(std::get<std::string>(base.options[0].value.data), "bfloat16");
  EXPECT_EQ(std::get<Table>(base.options[1].value.data).size(), 1U);
  const Table& kv = std::get<Table>(base.options[2].value.data);
  ASSERT_EQ(kv.size(), 2U);
  EXPECT_EQ(std::get<std::int64_t>(kv[0].value.data), 4);
  ASSERT_EQ(parsed.manifest.reports.size(), 2U);
  EXPECT_EQ(parsed.manifest.reports[0].use.value, "assay/console");
  EXPECT_EQ(parsed.manifest.reports[1].use.value, "assay/markdown");
  ASSERT_EQ(parsed.manifest.sources.size(), 2U);
  EXPECT_EQ(parsed.manifest.sources[1].path, "shared/models.toml");
}

TEST_F(Include, PointsIntoTheIncludedFile) {
  write("shared/models.toml", "[model.base]\nbackend = \"x/y\"\npath = \"m\"\nthreads = 0\n");
  EXPECT_EQ(errors_of("assay = 1\ninclude = [\"shared/models.toml\"]\nseed = -1\n"),
            R"(run.toml:3:8: seed must be at least 0, got -1
  3 | seed = -1
    |        ^^
shared/models.toml:4:11: threads must be between 1 and 4096, got 0
  4 | threads = 0
    |           ^
)");
}

TEST_F(Include, RefusesACircle) {
  write("a.toml", "include = [\"run.toml\"]\n");
  EXPECT_EQ(errors_of("assay = 1\ninclude = [\"a.toml\"]\n"),
            R"(a.toml:1:12: include "run.toml" leads back to run.toml
  1 | include = ["run.toml"]
    |            ^^^^^^^^^^
)");
}

TEST_F(Include, ReadsAFileThatIsNamedTwiceOnce) {
  write("reports.toml", "[[report]]\nuse = \"assay/console\"\n");
  write("a.toml", "include = [\"reports.toml\"]\n");
  const ParsedManifest parsed =
      read("assay = 1\ninclude = [\"a.toml\", \"reports.toml\", \"./a.toml\"]\n");
  EXPECT_EQ(shown(parsed.manifest.sources, parsed.errors), "");
  EXPECT_EQ(parsed.manifest.reports.size(), 1U);
}

TEST_F(Include, SaysThatAFileIsNotThereAndNothingElse) {
  std::filesystem::create_directory("folder");
  EXPECT_EQ(errors_of("include = [\"gone.toml\", \"folder\"]\n[model.x]\n"),
            R"(run.toml:1:12: include "gone.toml" cannot be opened: No such file or directory
  1 | include = ["gone.toml", "folder"]
    |            ^^^^^^^^^^^
run.toml:1:25: include "folder" is a folder, expected a TOML file
  1 | include = ["gone.toml", "folder"]
    |                         ^^^^^^^^
)");
}

TEST_F(Include, ReportsTheSyntaxOfEveryFile) {
  write("a.toml", "x = \n");
  const ParsedManifest parsed = read("include = [\"a.toml\"]\n");
  EXPECT_FALSE(parsed.is_whole);
  EXPECT_EQ(shown(parsed.manifest.sources, parsed.errors),
            R"(a.toml:1:5: not TOML: in a key: expected value, saw the end of the line
  1 | x = 
    |     ^
)");
}

TEST_F(Include, ChecksTheFormatOfEachFile) {
  write("a.toml", "assay = 2\n");
  EXPECT_EQ(errors_of("assay = 1\ninclude = [\"a.toml\"]\n"),
            R"(a.toml:1:9: assay must be 1, got the whole number 2
  1 | assay = 2
    |         ^
help: it is the manifest format; this version reads format 1
)");
}

}  // namespace
}  // namespace assay::host
